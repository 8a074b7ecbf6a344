// SPDX-License-Identifier: Apache-2.0
/*
 * Both ends of HTTP exchanges over TCP loopback, in one thread: a request of
 * 200 bytes is sent and received, an answer of 200 bytes is sent and received.
 * So an exchange is four I/Os and no waiting: what is added to an I/O shows.
 *
 *   ping-pong
 *
 * Its thread is in a span (OTEP 4947), at a place that it does not publish but tells: so it is read only for whoever was told.
 *
 * Prints {"kind":"ready","port":N,"context":OFFSET,"dtv":OFFSET}, both from the thread pointer (the second is that of a pointer to what looks
 * like a DTV, whose module 1 begins with the variable), and then obeys lines of input:
 *
 *   open N      N connections           {"kind":"opened"}
 *   exchange N  N exchanges in turns    {"kind":"done","calls":4N,"ns":T}
 *   gather N    the same, each message sent from two vectors
 *   getppid N   N other system calls    {"kind":"done","calls":N,"ns":T}
 *   close       all connections         {"kind":"closed"}
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SIZE 200
#define HEAD 87 /* of an answer */

struct pair {
	int client;
	int server;
};

struct record {
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t valid, flags;
	uint16_t attributes_size;
	uint8_t attributes[36];
} __attribute__((aligned(64)));

static struct record record = { .trace_id = "sixteen bytes ..", .span_id = "eight ..", .valid = 1, .flags = 1 };
static __thread struct record *volatile context;
/* glibc: the count, an unused word, the generation, another, and two words for each module from 1 on. */
static uint64_t vector[6] = { 1, 0, 7 };
static __thread uint64_t *volatile dtv;

static struct pair *pairs;
static int pair_count;
static int turn;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static long from_thread_pointer(volatile void *address)
{
	return (char *)address - (char *)__builtin_thread_pointer();
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* `before` and `after` with x between them, SIZE bytes. */
static void pad(char *to, const char *before, const char *after)
{
	size_t head = strlen(before), tail = strlen(after);

	memset(to, 'x', SIZE);
	memcpy(to, before, head);
	memcpy(to + SIZE - tail, after, tail);
}

static void use(int fd)
{
	struct linger reset = { .l_onoff = 1 };
	int one = 1;

	if (fd < 0)
		fail("connection");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	/* Ten thousand ports in TIME_WAIT would be missed by the next round. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

static void open_pairs(int listener, const struct sockaddr_in *address, int count)
{
	pairs = calloc(count, sizeof(*pairs));
	if (!pairs)
		fail("calloc");
	for (pair_count = 0; pair_count < count; pair_count++) {
		struct pair *pair = &pairs[pair_count];

		pair->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		use(pair->client);
		if (connect(pair->client, (const void *)address, sizeof(*address)))
			fail("connect");
		pair->server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		use(pair->server);
	}
	turn = 0;
}

static void close_pairs(void)
{
	while (pair_count > 0) {
		pair_count--;
		close(pairs[pair_count].client);
		close(pairs[pair_count].server);
	}
	free(pairs);
	pairs = NULL;
}

static ssize_t send_gathered(int to, const char *bytes)
{
	struct iovec vectors[2] = { { (void *)bytes, HEAD }, { (void *)(bytes + HEAD), SIZE - HEAD } };

	return writev(to, vectors, 2);
}

static void move(int from, int to, const char *bytes, int is_gathered)
{
	char buffer[SIZE];

	if ((is_gathered ? send_gathered(from, bytes) : send(from, bytes, SIZE, 0)) != SIZE ||
	    recv(to, buffer, SIZE, 0) != SIZE)
		fail("send and recv");
}

static void exchange(const char *request, const char *response, uint64_t count, int is_gathered)
{
	for (uint64_t i = 0; i < count; i++) {
		struct pair *pair = &pairs[turn];

		turn = turn + 1 == pair_count ? 0 : turn + 1;
		move(pair->client, pair->server, request, is_gathered);
		move(pair->server, pair->client, response, is_gathered);
	}
}

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct rlimit files = { .rlim_cur = 65536, .rlim_max = 65536 };
	socklen_t address_size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[SIZE], response[SIZE], line[64], command[16];

	setrlimit(RLIMIT_NOFILE, &files);
	if (bind(listener, (void *)&address, sizeof(address)) || listen(listener, 16) ||
	    getsockname(listener, (void *)&address, &address_size))
		fail("listen");
	pad(request, "GET /ping HTTP/1.1\r\nHost: localhost\r\nUser-Agent: ping-pong\r\nX-Padding: ", "\r\n\r\n");
	pad(response, "HTTP/1.1 200 OK\r\nServer: ping-pong/1\r\nContent-Type: text/plain\r\nContent-Length: ", "");
	memcpy(strstr(response, "Length: ") + 8, "113\r\n\r\n", 7);
	context = &record;
	vector[4] = (uint64_t)&context;
	dtv = &vector[2];
	printf("{\"kind\":\"ready\",\"pid\":%d,\"port\":%d,\"context\":%ld,\"dtv\":%ld}\n", getpid(), ntohs(address.sin_port),
	       from_thread_pointer(&context), from_thread_pointer(&dtv));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		unsigned long count = 0;

		if (sscanf(line, "%15s %lu", command, &count) < 1)
			continue;
		if (!strcmp(command, "open")) {
			open_pairs(listener, &address, count);
			puts("{\"kind\":\"opened\"}");
		} else if (!strcmp(command, "close")) {
			close_pairs();
			puts("{\"kind\":\"closed\"}");
		} else if ((!strcmp(command, "exchange") || !strcmp(command, "gather")) && pair_count > 0) {
			uint64_t begin = now_ns();

			exchange(request, response, count, command[0] == 'g');
			printf("{\"kind\":\"done\",\"calls\":%lu,\"ns\":%lu}\n", 4 * count, now_ns() - begin);
		} else if (!strcmp(command, "getppid")) {
			uint64_t begin = now_ns();

			for (unsigned long i = 0; i < count; i++)
				syscall(SYS_getppid);
			printf("{\"kind\":\"done\",\"calls\":%lu,\"ns\":%lu}\n", count, now_ns() - begin);
		} else {
			fprintf(stderr, "ping-pong: what is '%s'?\n", command);
			return 2;
		}
		fflush(stdout);
	}
	return 0;
}
