/*
 * A server or a client that is in a span of its own in each request, and publishes it for observers
 * (otel-thread-context). The ids follow from the request's number, so that a test knows which span each request must be
 * below.
 *
 *   context-peer serve [late]    prints {"kind":"ready","port":N}; a thread for each connection
 *   context-peer call PORT       prints {"kind":"ready"}
 *
 * Lines in: `publish` (a late server begins to publish, and the next time under another name), `run FIRST COUNT THREADS
 * MODE` (a client: requests FIRST … FIRST+COUNT-1). Modes: which ends are in a span (`both`, `client`, `server`,
 * `none`); `sdk`: both, and the client's traceparent goes with the request; `carry`: the server's thread carries what
 * the traceparent says; `contradict`: as `sdk`, but each thread is in a trace of its own; `linger`: as `server`, but it
 * is left only in the next request; `mixed`: `linger` and `none` in turns.
 */
#define _GNU_SOURCE
#include "otel_thread_context.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int id_key;

static void publish(const char *service)
{
	char instance[32];
	const struct otel_thread_context_process_attribute resource[] = { { "service.name", service },
									  { "service.instance.id", instance } };
	const struct otel_thread_context_process process = { .size = sizeof(process),
							     .resource = resource,
							     .resource_count = 2 };

	snprintf(instance, sizeof(instance), "instance-%d", (int)getpid());
	id_key = otel_thread_context_process_register_key("request.id");
	if (id_key < 0 || otel_thread_context_process_publish(&process))
		exit(2);
}

/* TAG eight times, then the number, big-endian. */
static void trace_id_of(uint8_t tag, unsigned long number, uint8_t id[16])
{
	memset(id, tag, 8);
	for (int i = 0; i < 8; i++)
		id[8 + i] = number >> (8 * (7 - i));
}

/* TAG, then the number in 7 bytes. */
static void span_id_of(uint8_t tag, unsigned long number, uint8_t id[8])
{
	for (int i = 0; i < 8; i++)
		id[i] = number >> (8 * (7 - i));
	id[0] = tag;
}

static void enter(uint8_t trace_tag, uint8_t span_tag, unsigned long number)
{
	struct otel_thread_context_record *record = otel_thread_context_thread_record();
	uint8_t trace_id[16], span_id[8];
	char text[24];
	struct otel_thread_context_attribute attribute = { text, snprintf(text, sizeof(text), "%lu", number), id_key };

	trace_id_of(trace_tag, number, trace_id);
	span_id_of(span_tag, number, span_id);
	if (otel_thread_context_record_update(record, trace_id, span_id, 0, &attribute, 1) ||
	    otel_thread_context_attach(record))
		exit(3);
}

static void leave(void)
{
	otel_thread_context_detach();
}

static void *serve_connection(void *data)
{
	int fd = (int)(long)data;
	char request[2048], response[256];
	size_t fill = 0;

	for (;;) {
		unsigned long number;
		char mode[16] = "", *end;
		ssize_t n = read(fd, request + fill, sizeof(request) - 1 - fill);

		if (n <= 0)
			break;
		fill += n;
		request[fill] = 0;
		end = strstr(request, "\r\n\r\n");
		if (!end)
			continue;
		fill = 0;
		if (sscanf(request, "GET /c?id=%lu&mode=%15[a-z]", &number, mode) != 2)
			break;
		if (!strcmp(mode, "both") || !strcmp(mode, "server") || !strcmp(mode, "linger") ||
		    !strcmp(mode, "contradict"))
			enter(0x5e, 0x5e, number);
		else if (!strcmp(mode, "sdk"))
			enter(0xc1, 0x5e, number);
		else if (!strcmp(mode, "carry"))
			enter(0xc1, 0xc2, number);
		else
			leave();
		n = snprintf(response, sizeof(response), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
		if (write(fd, response, n) != n)
			break;
		if (strcmp(mode, "linger"))
			leave();
	}
	leave();
	close(fd);
	return NULL;
}

static void *accept_connections(void *data)
{
	int listener = (int)(long)data;

	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			return NULL;
		if (pthread_create(&thread, NULL, serve_connection, (void *)(long)fd))
			exit(4);
		pthread_detach(thread);
	}
}

static void serve(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pthread_t thread;
	char line[64];
	int published = 0;

	if (bind(listener, (void *)&address, size) || listen(listener, 128) ||
	    getsockname(listener, (void *)&address, &size))
		exit(5);
	if (pthread_create(&thread, NULL, accept_connections, (void *)(long)listener))
		exit(4);
	printf("{\"kind\":\"ready\",\"port\":%d}\n", ntohs(address.sin_port));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "publish\n"))
			continue;
		publish(published++ ? "context-server-renamed" : "context-server");
		puts("{\"kind\":\"published\"}");
		fflush(stdout);
	}
}

struct run {
	int port;
	unsigned long first, count;
	char mode[16];
	atomic_ulong next, failed;
};

static bool call(int fd, unsigned long number, const char *mode)
{
	char request[512], response[512], parent[80] = "";
	uint8_t id[16];
	int n = 0;

	if (!strcmp(mode, "sdk") || !strcmp(mode, "carry") || !strcmp(mode, "contradict")) {
		n = sprintf(parent, "traceparent: 00-");
		trace_id_of(0xc1, number, id);
		for (int i = 0; i < 16; i++)
			n += sprintf(parent + n, "%02x", id[i]);
		n += sprintf(parent + n, "-");
		span_id_of(0xc2, number, id);
		for (int i = 0; i < 8; i++)
			n += sprintf(parent + n, "%02x", id[i]);
		sprintf(parent + n, "-01\r\n");
	}
	n = snprintf(request, sizeof(request), "GET /c?id=%lu&mode=%s HTTP/1.1\r\nhost: 127.0.0.1\r\n%s\r\n", number,
		     mode, parent);
	if (!strcmp(mode, "both") || !strcmp(mode, "client") || !strcmp(mode, "sdk"))
		enter(0xc1, 0xc1, number);
	else if (!strcmp(mode, "contradict"))
		enter(0xc3, 0xc3, number);
	if (write(fd, request, n) != n)
		return false;
	leave();
	n = read(fd, response, sizeof(response) - 1);
	if (n <= 0)
		return false;
	response[n] = 0;
	return strstr(response, "\r\n\r\nok") != NULL;
}

static const char *mode_of(const struct run *run, unsigned long index)
{
	if (strcmp(run->mode, "mixed"))
		return run->mode;
	return index % 2 ? "none" : "linger";
}

static void *work(void *data)
{
	struct run *run = data;
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons(run->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	unsigned long index;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (void *)&address, sizeof(address)))
		exit(6);
	while ((index = atomic_fetch_add(&run->next, 1)) < run->count)
		if (!call(fd, run->first + index, mode_of(run, index)))
			atomic_fetch_add(&run->failed, 1);
	close(fd);
	return NULL;
}

static void call_as_told(int port)
{
	char line[128];

	puts("{\"kind\":\"ready\"}");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		struct run run = { .port = port };
		pthread_t threads[64];
		unsigned count;

		if (sscanf(line, "run %lu %lu %u %15[a-z]", &run.first, &run.count, &count, run.mode) != 4 ||
		    count > 64)
			exit(7);
		for (unsigned i = 0; i < count; i++)
			if (pthread_create(&threads[i], NULL, work, &run))
				exit(4);
		for (unsigned i = 0; i < count; i++)
			pthread_join(threads[i], NULL);
		printf("{\"kind\":\"done\",\"failed\":%lu}\n", atomic_load(&run.failed));
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "call")) {
		publish("context-client");
		call_as_told(atoi(argv[2]));
	} else if (argc >= 2 && !strcmp(argv[1], "serve")) {
		if (argc == 2)
			publish("context-server");
		serve();
	} else {
		return 1;
	}
	return 0;
}
