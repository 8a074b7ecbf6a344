/*
 * A client that is in a span of its own in each request, in a process in which nobody can find the variable: stripped,
 * and it publishes no process context. It says by itself where the variable is (otel-thread-context/ABI.md,
 * Registration), and tries what it may not.
 *
 *   registrant SOCKET            prints {"kind":"ready"}, then does what the lines that it reads say:
 *     register                   registers; {"kind":"registered","result":R,"text":"…"}
 *     get PORT FIRST COUNT       requests FIRST … FIRST+COUNT-1, in turns of this thread and another; {"kind":"done"}
 *     fork PORT FIRST COUNT      the same in a child
 *     exec PORT FIRST COUNT      the same after executing this program once more, which reads on
 *     odd PORT FIRST COUNT       the same, each with one of the records of odd_record(), by its number
 *     stranger                   a child sends the proof of its parent's claim; {"kind":"answer","text":"…"}
 */
#define _GNU_SOURCE
#include "otel_thread_context.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern _Thread_local struct otel_thread_context_record *volatile otel_thread_ctx_v1;

struct request {
	int port;
	unsigned long number;
};

/* TAG, then the number, big-endian, to the end. */
static void fill_id(uint8_t *id, size_t size, uint8_t tag, unsigned long number)
{
	memset(id, tag, size);
	for (int i = 0; i < 7; i++)
		id[size - 1 - i] = number >> (8 * i);
}

static void ask(const struct request *request)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons(request->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[1024];
	int n;

	if (fd < 0 || connect(fd, (void *)&address, sizeof(address)))
		exit(4);
	n = snprintf(text, sizeof(text), "GET /r?id=%lu HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
		     request->number);
	if (write(fd, text, n) != n)
		exit(5);
	while (read(fd, text, sizeof(text)) > 0)
		;
	otel_thread_context_detach();
	close(fd);
}

static void *get(void *data)
{
	const struct request *request = data;
	struct otel_thread_context_record *record = otel_thread_context_thread_record();
	uint8_t trace_id[16], span_id[8];

	fill_id(trace_id, 16, 0xc1, request->number);
	fill_id(span_id, 8, 0xc1, request->number);
	if (otel_thread_context_record_update(record, trace_id, span_id, 1, NULL, 0) ||
	    otel_thread_context_attach(record))
		exit(3);
	ask(request);
	return NULL;
}

/* What a thread may have as a record, made by hand: the caller knows which of them are contexts. */
static void *odd_record(unsigned long number, unsigned kind)
{
	long page = sysconf(_SC_PAGESIZE);
	/* Behind them is nothing. */
	uint8_t *pages = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *end = pages + 2 * page, *record = pages;

	if (pages == MAP_FAILED || munmap(end, page))
		exit(12);
	switch (kind) {
	case 1:
		return NULL;
	case 9:
		record++;
		break;
	case 13:
		record = end - sizeof(struct otel_thread_context_record);
		break;
	case 14:
		return end;
	case 15:
		/* Its ids are there, and the rest of it is not. */
		record = end - 24;
		memset(record, 0xc1, 24);
		return record;
	case 16:
		return (void *)0xffff888000000000;
	}
	fill_id(record, 16, 0xc1, number);
	fill_id(record + 16, 8, 0xc1, number);
	record[24] = kind == 2 ? 0 : kind == 3 ? 2 : kind == 4 ? 0x80 : kind == 5 ? 0xff : 1;
	if (kind == 6 || kind == 7)
		memset(record, 0, 16);
	if (kind == 6 || kind == 8)
		memset(record + 16, 0, 8);
	switch (kind) {
	case 10:
		memcpy(record + 26, (uint16_t[]){ 613 }, 2);
		break;
	case 11:
		memcpy(record + 26, (uint16_t[]){ 0xffff }, 2);
		break;
	case 12:
		memcpy(record + 26, (uint16_t[]){ 612 }, 2);
		break;
	case 13:
		memcpy(record + 26, (uint16_t[]){ 100 }, 2);
		break;
	}
	return record;
}

static void ask_oddly(int port, unsigned long first, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		struct request request = { port, first + i };

		otel_thread_context_swap(odd_record(request.number, i));
		ask(&request);
	}
}

static void get_all(int port, unsigned long first, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		struct request request = { port, first + i };
		pthread_t thread;

		/* In turns the first thread and another one: their variables are elsewhere. */
		if (i % 2) {
			get(&request);
			continue;
		}
		if (pthread_create(&thread, NULL, get, &request))
			exit(6);
		pthread_join(thread, NULL);
	}
}

static void say_done(void)
{
	puts("{\"kind\":\"done\"}");
	fflush(stdout);
}

static void register_self(const char *path)
{
	char text[512];
	int result = otel_thread_context_register(path, 10000, text, sizeof(text));

	printf("{\"kind\":\"registered\",\"result\":%d,\"text\":\"%s\"}\n", result, text);
	fflush(stdout);
}

static void prove(int fd, const char *challenge)
{
	static _Alignas(8) unsigned char memory[OTEL_THREAD_CONTEXT_SIZE(0)];
	struct otel_thread_context_record *record;

	if (otel_thread_context_record_init(memory, sizeof(memory), &record))
		exit(7);
	for (int i = 0; i < 16; i++)
		sscanf(challenge + 2 * i, "%2hhx", &record->trace_id[i]);
	otel_thread_context_swap(record);
	if (write(fd, "proof\n", 6) != 6)
		exit(8);
	/* The record stays in place until the process ends. */
}

static void send_as_stranger(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), n;
	char line[512], *pointer;
	pid_t child;

#if defined(__x86_64__)
	__asm__("mov %%fs:0, %0" : "=r"(pointer));
#else
	pointer = __builtin_thread_pointer();
#endif
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (connect(fd, (void *)&address, sizeof(address)))
		exit(9);
	n = snprintf(line, sizeof(line), "otel-thread-context 1 register static %td\n",
		     (char *)&otel_thread_ctx_v1 - pointer);
	if (write(fd, line, n) != n || (n = read(fd, line, sizeof(line) - 1)) <= 10)
		exit(10);
	line[n] = 0;
	child = fork();
	if (!child) {
		prove(fd, line + strlen("challenge "));
		_exit(0);
	}
	waitpid(child, NULL, 0);
	n = read(fd, line, sizeof(line) - 1);
	line[n > 0 ? n - 1 : 0] = 0;
	close(fd);
	printf("{\"kind\":\"answer\",\"text\":\"%s\"}\n", line);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[256], verb[16], port_text[16], first_text[24], count_text[24];
	unsigned long first = 0, count = 0;
	int port = 0;

	if (argc == 5) {
		get_all(atoi(argv[2]), strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
		say_done();
	} else if (argc == 2) {
		puts("{\"kind\":\"ready\"}");
		fflush(stdout);
	} else {
		return 1;
	}
	/* Unbuffered: what is read here is read by no later program. */
	setvbuf(stdin, NULL, _IONBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%15s %d %lu %lu", verb, &port, &first, &count) < 1)
			continue;
		if (!strcmp(verb, "register")) {
			register_self(argv[1]);
		} else if (!strcmp(verb, "stranger")) {
			send_as_stranger(argv[1]);
		} else if (!strcmp(verb, "get")) {
			get_all(port, first, count);
			say_done();
		} else if (!strcmp(verb, "odd")) {
			ask_oddly(port, first, count);
			say_done();
		} else if (!strcmp(verb, "fork")) {
			pid_t child = fork();

			if (!child) {
				get_all(port, first, count);
				_exit(0);
			}
			waitpid(child, NULL, 0);
			say_done();
		} else if (!strcmp(verb, "exec")) {
			snprintf(port_text, sizeof(port_text), "%d", port);
			snprintf(first_text, sizeof(first_text), "%lu", first);
			snprintf(count_text, sizeof(count_text), "%lu", count);
			execl("/proc/self/exe", argv[0], argv[1], port_text, first_text, count_text, NULL);
			return 11;
		}
	}
	return 0;
}
