/*
 * A native program with spans of its own: fetches a page within a span that it sends to an OTLP backend itself. It has
 * no instrumentation of HTTP. Linked statically and stripped, so that nobody can find where it keeps its thread
 * context; hence it registers with the receiver.
 *
 *   report REGISTRATION_SOCKET PAGE_PORT OTLP_PORT
 */
#define _GNU_SOURCE
#include "otel_thread_context.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char service[] = "nightly-report";

struct span {
	uint8_t trace_id[16];
	uint8_t span_id[8];
	const char *name;
	uint64_t start_ns;
	uint64_t end_ns;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void begin(struct span *span, const char *name)
{
	if (getrandom(span->trace_id, 16, 0) != 16 || getrandom(span->span_id, 8, 0) != 8)
		fail("getrandom");
	span->name = name;
	span->start_ns = now_ns();
}

/* Sends a request and returns what was answered: a head and a body. */
static void ask(int port, const char *request, size_t size, char *answer, size_t capacity)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t length = 0;
	ssize_t n;

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		fail("connect");
	if (write(fd, request, size) != (ssize_t)size)
		fail("write");
	while (length < capacity - 1 && (n = read(fd, answer + length, capacity - 1 - length)) > 0)
		length += n;
	answer[length] = '\0';
	close(fd);
}

static void write_hex(char *to, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sprintf(to + 2 * i, "%02x", bytes[i]);
}

/* What an SDK does: the span as OTLP/JSON. https://opentelemetry.io/docs/specs/otlp/#otlphttp */
static void export_span(const struct span *span, int port)
{
	char trace_id[33], span_id[17], body[1024], request[2048], answer[1024];
	int size;

	write_hex(trace_id, span->trace_id, 16);
	write_hex(span_id, span->span_id, 8);
	snprintf(body, sizeof(body),
		 "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
		 "{\"stringValue\":\"%s\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"report.c\"},\"spans\":[{"
		 "\"traceId\":\"%s\",\"spanId\":\"%s\",\"name\":\"%s\",\"kind\":1,\"startTimeUnixNano\":\"%llu\","
		 "\"endTimeUnixNano\":\"%llu\"}]}]}]}",
		 service, trace_id, span_id, span->name, (unsigned long long)span->start_ns,
		 (unsigned long long)span->end_ns);
	size = snprintf(request, sizeof(request),
			"POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
			"content-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
			strlen(body), body);
	ask(port, request, size, answer, sizeof(answer));
	if (!strstr(answer, " 200 "))
		exit(2);
	printf("trace %s\n", trace_id);
}

int main(int argc, char **argv)
{
	struct otel_thread_context_record *record = otel_thread_context_thread_record();
	char text[512], request[256], answer[1024];
	struct span span;

	if (argc != 4 || !record)
		return 1;
	snprintf(request, sizeof(request), "GET /price.txt HTTP/1.1\r\nhost: 127.0.0.1:%s\r\nconnection: close\r\n\r\n",
		 argv[2]);

	/* Once for each process. Without it all works the same, but nobody knows of the span. */
	if (otel_thread_context_register(argv[1], 5000, text, sizeof(text)))
		fprintf(stderr, "not registered: %s\n", text);

	begin(&span, "report the prices");
	otel_thread_context_record_update(record, span.trace_id, span.span_id, 1, NULL, 0);
	otel_thread_context_attach(record);
	ask(atoi(argv[2]), request, strlen(request), answer, sizeof(answer));
	otel_thread_context_detach();
	span.end_ns = now_ns();

	export_span(&span, atoi(argv[3]));
	return 0;
}
