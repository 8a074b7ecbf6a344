// SPDX-License-Identifier: Apache-2.0
// Two threads that do the first I/O of a connection at the same time: at-once CONNECTIONS. Says {"kind":"ready"}, makes a
// TCP connection to itself after the other once a line comes in, and says {"kind":"done"}. On each, the accepted end has
// sent a byte; then one thread sends one and another receives that one, each on a CPU of its own.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_int turn; /* of the connection that is being used, from 1 */
static atomic_int received;
static atomic_int connection;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *receive(void *count)
{
	char byte;

	stay_on(1);
	for (int i = 1; i <= *(int *)count; i++) {
		while (atomic_load(&turn) != i)
			;
		if (read(atomic_load(&connection), &byte, 1) != 1)
			fail("read");
		atomic_store(&received, i);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int count = argc > 1 ? atoi(argv[1]) : 0, listener = socket(AF_INET, SOCK_STREAM, 0);
	struct linger at_once = { .l_onoff = 1 };
	socklen_t size = sizeof(address);
	pthread_t receiver;

	if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 8) ||
	    getsockname(listener, (struct sockaddr *)&address, &size))
		fail("listen");
	puts("{\"kind\":\"ready\"}");
	fflush(stdout);
	if (getchar() == EOF)
		return 0;
	pthread_create(&receiver, NULL, receive, &count);
	stay_on(0);
	for (int i = 1; i <= count; i++) {
		int client = socket(AF_INET, SOCK_STREAM, 0), server;

		if (connect(client, (struct sockaddr *)&address, size))
			fail("connect");
		server = accept(listener, NULL, NULL);
		setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		if (write(server, "a", 1) != 1)
			fail("write");
		atomic_store(&connection, client);
		atomic_store(&turn, i);
		/* Sooner and later than the other thread, in turn. */
		for (volatile int spins = i % 128; spins > 0; spins--)
			;
		if (write(client, "b", 1) != 1)
			fail("write");
		while (atomic_load(&received) != i)
			;
		close(client);
		close(server);
	}
	puts("{\"kind\":\"done\"}");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
