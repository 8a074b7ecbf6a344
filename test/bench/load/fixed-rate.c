// SPDX-License-Identifier: Apache-2.0
/*
 * A load generator with a fixed rate: keep-alive HTTP/1.1 GET requests over a
 * number of connections, each sent at its own time whether or not the last
 * one is answered yet; a connection carries one request at a time.
 *
 *   fixed-rate HOST PORT CONNECTIONS RATE SECONDS [PATH [FIRST]]
 *
 * In PATH, # stands for the number of the request (from FIRST, or 0) behind
 * its last two digits: /# is /42/1742.
 *
 * Prints one JSON line: sent, answered, late (no idle connection at its time),
 * errors, seconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection {
	int fd;
	int is_busy;
	size_t have; /* bytes of the answer so far */
	size_t want; /* its size, 0 while the head is not complete */
	char head[4096];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* The request with this number; its size. */
static int write_request(char *request, size_t room, char **argv, const char *path, uint64_t number)
{
	const char *mark = strchr(path, '#');
	char target[512];

	if (mark)
		snprintf(target, sizeof(target), "%.*s%02lu/%lu%s", (int)(mark - path), path, number % 100, number,
			 mark + 1);
	else
		snprintf(target, sizeof(target), "%s", path);
	return snprintf(request, room,
			"GET %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: fixed-rate\r\nAccept: */*\r\n\r\n", target,
			argv[1], argv[2]);
}

/* Size of the answer in `head`, 0 if its head is not complete. */
static size_t answer_size(const char *head, size_t size)
{
	const char *end = memmem(head, size, "\r\n\r\n", 4);
	const char *length;

	if (!end)
		return 0;
	length = strcasestr(head, "\r\nContent-Length:");
	return end - head + 4 + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		fprintf(stderr, "usage: fixed-rate HOST PORT CONNECTIONS RATE SECONDS [PATH [FIRST]]\n");
		return 2;
	}
	int count = atoi(argv[3]);
	double rate = atof(argv[4]), seconds = atof(argv[5]);
	const char *path = argc > 6 ? argv[6] : "/";
	uint64_t first = argc > 7 ? strtoull(argv[7], NULL, 10) : 0;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[2])) };
	struct connection *connections = calloc(count, sizeof(*connections));
	int *idle = calloc(count, sizeof(int)), idle_count = 0;
	int poll = epoll_create1(0);
	char request[1024];
	static char buffer[1 << 16];
	uint64_t sent = 0, answered = 0, late = 0, errors = 0;

	prctl(PR_SET_TIMERSLACK, 1);
	inet_pton(AF_INET, argv[1], &address.sin_addr);
	int request_size = write_request(request, sizeof(request), argv, path, first);
	int is_numbered = strchr(path, '#') != NULL;
	for (int i = 0; i < count; i++) {
		int one = 1;
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

		connections[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(connections[i].fd, (void *)&address, sizeof(address))) {
			perror("connect");
			return 1;
		}
		setsockopt(connections[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].fd, &event);
		idle[idle_count++] = i;
	}

	uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9), due = 0;
	while (now_ns() < end + 1000000000ull) {
		uint64_t now = now_ns();
		struct epoll_event events[256];

		/* What is due by now; what finds no idle connection waits for one. */
		while (now < end && due < (uint64_t)((now - begin) * rate / 1e9) && idle_count > 0) {
			struct connection *c = &connections[idle[--idle_count]];

			if (is_numbered)
				request_size = write_request(request, sizeof(request), argv, path, first + sent);
			if (write(c->fd, request, request_size) != request_size) {
				errors++;
				continue;
			}
			c->is_busy = 1;
			c->have = c->want = 0;
			sent++;
			due++;
		}
		if (now < end && due < (uint64_t)((now - begin) * rate / 1e9))
			late++;
		if (now >= end && answered + errors >= sent)
			break;
		/* Until the next one is due, so that requests come one by one and not in bursts of a clock tick. */
		uint64_t next = begin + (uint64_t)((due + 1) * 1e9 / rate), wait = 1000000;
		if (now < end && idle_count > 0 && next < now + wait)
			wait = next > now ? next - now : 0;
		struct timespec timeout = { .tv_nsec = wait };
		int n = epoll_pwait2(poll, events, 256, &timeout, NULL);
		for (int i = 0; i < n; i++) {
			struct connection *c = &connections[events[i].data.u32];
			ssize_t size = read(c->fd, buffer, sizeof(buffer));

			if (size <= 0) {
				errors++;
				epoll_ctl(poll, EPOLL_CTL_DEL, c->fd, NULL);
				continue;
			}
			if (!c->want) {
				size_t room = sizeof(c->head) - 1 - c->have;

				if (c->have < sizeof(c->head) - 1)
					memcpy(c->head + c->have, buffer, (size_t)size < room ? (size_t)size : room);
				c->have += size;
				c->head[c->have < sizeof(c->head) ? c->have : sizeof(c->head) - 1] = 0;
				c->want =
					answer_size(c->head, c->have < sizeof(c->head) ? c->have : sizeof(c->head) - 1);
			} else {
				c->have += size;
			}
			if (c->want && c->have >= c->want && c->is_busy) {
				c->is_busy = 0;
				answered++;
				idle[idle_count++] = events[i].data.u32;
			}
		}
	}
	printf("{\"sent\": %lu, \"answered\": %lu, \"late\": %lu, \"errors\": %lu, \"seconds\": %.3f}\n", sent,
	       answered, late, errors, (now_ns() - begin) / 1e9);
	return 0;
}
