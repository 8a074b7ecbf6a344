// SPDX-License-Identifier: Apache-2.0
/*
 * CPU time of processes, user and system, with all their threads, dead ones
 * included: in nanoseconds, where /proc/PID/stat counts ticks of 10 ms.
 *
 *   cpu-time PID…
 *
 * Prints the sum.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	uint64_t sum = 0;

	for (int i = 1; i < argc; i++) {
		struct timespec t;
		clockid_t clock;

		if (clock_getcpuclockid(atoi(argv[i]), &clock) || clock_gettime(clock, &t)) {
			fprintf(stderr, "cpu-time: no process %s\n", argv[i]);
			return 1;
		}
		sum += t.tv_sec * 1000000000ull + t.tv_nsec;
	}
	printf("%lu\n", sum);
	return 0;
}
