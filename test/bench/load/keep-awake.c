// SPDX-License-Identifier: Apache-2.0
/*
 * Keeps every CPU from going idle, at the lowest priority there is: whoever
 * has anything to do goes before. Waking a sleeping virtual CPU takes tens of
 * microseconds that are charged to whoever wakes it; anything else that runs
 * (a receiver) would seem to save them.
 *
 *   keep-awake
 *
 * Ends when its input does.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	struct sched_param none = { 0 };
	cpu_set_t one;
	char byte;

	setpgid(0, 0);
	for (int cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
		if (fork())
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one) || sched_setscheduler(0, SCHED_IDLE, &none))
			return 1;
		for (;;)
			__asm__ volatile("" ::: "memory");
	}
	puts("{\"kind\":\"ready\"}");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGTERM);
	while (wait(NULL) > 0)
		;
	return 0;
}
