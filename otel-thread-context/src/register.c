/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The claim where this program keeps its thread records → an observer's yes or no, over a UNIX stream socket. Protocol
 * in ABI.md. The claim is made in a form that holds for every thread: an offset from the thread pointer only for a
 * variable of the executable itself, which is never anywhere else; else a module and an offset in its block.
 */
#define _GNU_SOURCE
#include "abi.h"

#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A line of the protocol, with its newline. */
enum { LINE_MAX_SIZE = 512 };

#ifdef __GLIBC__
#define C_LIBRARY "glibc"
#else
#define C_LIBRARY "musl"
#endif

struct exchange {
	int fd;
	int64_t deadline_ns;
	char *text;
	size_t text_size;
};

/* ---- what to claim ---- */

static char *thread_pointer(void)
{
	char *pointer = NULL;

#if defined(__x86_64__)
	__asm__("mov %%fs:0, %0" : "=r"(pointer));
#elif defined(__aarch64__)
	__asm__("mrs %0, tpidr_el0" : "=r"(pointer));
#endif
	return pointer;
}

struct location {
	const char *address;
	bool is_executable;
	size_t module;
	size_t offset;
	size_t objects_seen;
};

static size_t tls_size(const struct dl_phdr_info *info)
{
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_TLS)
			return info->dlpi_phdr[i].p_memsz;
	}
	return 0;
}

/* Finds the object whose block, in this thread, has the variable. The executable comes first. */
static int find_block(struct dl_phdr_info *info, size_t size, void *data)
{
	struct location *location = data;
	const char *block = info->dlpi_tls_data;

	(void)size;
	location->objects_seen++;
	if (!info->dlpi_tls_modid || !block || location->address < block || location->address >= block + tls_size(info))
		return 0;
	location->is_executable = location->objects_seen == 1;
	location->module = info->dlpi_tls_modid;
	location->offset = (size_t)(location->address - block);
	return 1;
}

static int write_claim(char *line, size_t size)
{
	struct location location = { .address = (const char *)&otel_thread_ctx_v1 };
	const char *pointer = thread_pointer();

	if (!pointer || !dl_iterate_phdr(find_block, &location))
		return -ENOTSUP;
	if (location.is_executable)
		snprintf(line, size, "otel-thread-context 1 register static %td\n", location.address - pointer);
	else
		snprintf(line, size, "otel-thread-context 1 register dtv %zu %zu " C_LIBRARY "\n", location.module,
			 location.offset);
	return 0;
}

/* ---- lines, in time ---- */

static int fail(const struct exchange *exchange, int error, const char *format, ...)
{
	va_list arguments;

	if (exchange->text_size) {
		va_start(arguments, format);
		vsnprintf(exchange->text, exchange->text_size, format, arguments);
		va_end(arguments);
	}
	return error;
}

static int64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Lets the next call on the socket wait no longer than until the deadline. For UNIX sockets that includes connect. */
static int limit_wait(const struct exchange *exchange, int option)
{
	int64_t left_us = (exchange->deadline_ns - now_ns()) / 1000;
	struct timeval left = { .tv_sec = left_us / 1000000, .tv_usec = left_us % 1000000 };

	if (left_us <= 0)
		return -ETIMEDOUT;
	return setsockopt(exchange->fd, SOL_SOCKET, option, &left, sizeof(left)) ? -errno : 0;
}

static int wait_error(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK ? -ETIMEDOUT : -errno;
}

static int connect_to(const struct exchange *exchange, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error;

	if (strlen(path) >= sizeof(address.sun_path))
		return fail(exchange, -ENAMETOOLONG, "the path has more than %zu bytes", sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	do {
		error = limit_wait(exchange, SO_SNDTIMEO);
		if (!error && connect(exchange->fd, (const struct sockaddr *)&address, sizeof(address)))
			error = wait_error();
	} while (error == -EINTR);
	return error ? fail(exchange, error, "could not connect to '%s' (errno %d)", path, -error) : 0;
}

static int send_line(const struct exchange *exchange, const char *line)
{
	size_t length = strlen(line);
	size_t sent = 0;

	while (sent < length) {
		int error = limit_wait(exchange, SO_SNDTIMEO);
		ssize_t size = error ? 0 : send(exchange->fd, line + sent, length - sent, MSG_NOSIGNAL);

		if (size < 0)
			error = wait_error();
		if (error && error != -EINTR)
			return fail(exchange, error, "could not send to the observer (errno %d)", -error);
		sent += size > 0 ? (size_t)size : 0;
	}
	return 0;
}

/* One line, without its newline. There is never another one behind it: each side waits for the other. */
static int receive_line(const struct exchange *exchange, char *line, size_t capacity)
{
	size_t length = 0;
	char *end;

	for (;;) {
		int error = limit_wait(exchange, SO_RCVTIMEO);
		ssize_t size = error ? 0 : recv(exchange->fd, line + length, capacity - length, 0);

		if (size < 0)
			error = wait_error();
		if (error == -EINTR)
			continue;
		if (error)
			return fail(exchange, error, "no answer from the observer (errno %d)", -error);
		if (!size)
			return fail(exchange, -EPROTO, "the observer closed the connection without an answer");
		end = memchr(line + length, '\n', (size_t)size);
		length += (size_t)size;
		if (end && end == line + length - 1) {
			*end = '\0';
			return 0;
		}
		if (end || length == capacity)
			return fail(exchange, -EPROTO, "the observer's answer is not one line of at most %zu bytes",
				    capacity);
	}
}

/* ---- answers ---- */

/* `error CODE WORDS`, from outside: only what can be printed is handed on. */
static int refuse(const struct exchange *exchange, char *line)
{
	static const char start[] = "error ";

	if (strncmp(line, start, sizeof(start) - 1))
		return fail(exchange, -EPROTO, "the observer's answer is not of this protocol");
	for (char *at = line; *at; at++) {
		if (*at < ' ' || *at > '~')
			*at = '?';
	}
	return fail(exchange, -EACCES, "the observer refused: %s", line + sizeof(start) - 1);
}

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return -1;
}

/* `challenge` and 32 hexadecimal digits. */
static bool parse_challenge(const char *line, uint8_t nonce[16])
{
	static const char start[] = "challenge ";

	if (strncmp(line, start, sizeof(start) - 1))
		return false;
	line += sizeof(start) - 1;
	if (strlen(line) != 32)
		return false;
	for (size_t i = 0; i < 16; i++) {
		int high = hex_digit(line[2 * i]), low = hex_digit(line[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		nonce[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* While the observer looks, this thread's record is one that is not valid, to nobody else a context, and has the nonce
 * as its trace-id. */
static int prove(const struct exchange *exchange, const uint8_t nonce[16])
{
	_Alignas(4) unsigned char memory[OTEL_THREAD_CONTEXT_SIZE(0)];
	struct otel_thread_context_record *record, *previous;
	char line[LINE_MAX_SIZE];
	int error = otel_thread_context_record_init(memory, sizeof(memory), &record);

	if (error)
		return error;
	memcpy(record->trace_id, nonce, sizeof(record->trace_id));
	previous = otel_thread_context_swap(record);
	error = send_line(exchange, "proof\n");
	if (!error)
		error = receive_line(exchange, line, sizeof(line));
	otel_thread_context_swap(previous);
	if (error)
		return error;
	return strcmp(line, "ok") ? refuse(exchange, line) : 0;
}

static int exchange_lines(const struct exchange *exchange, const char *path)
{
	char line[LINE_MAX_SIZE];
	uint8_t nonce[16];
	int error = write_claim(line, sizeof(line));

	if (error)
		return fail(exchange, error, "where the thread context is cannot be told on this machine");
	error = connect_to(exchange, path);
	if (!error)
		error = send_line(exchange, line);
	if (!error)
		error = receive_line(exchange, line, sizeof(line));
	if (error)
		return error;
	return parse_challenge(line, nonce) ? prove(exchange, nonce) : refuse(exchange, line);
}

int otel_thread_context_register(const char *path, int timeout_ms, char *text, size_t text_size)
{
	struct exchange exchange = { .text = text, .text_size = text ? text_size : 0 };
	int error;

	if (exchange.text_size)
		text[0] = '\0';
	if (!path || !path[0] || timeout_ms < 1)
		return fail(&exchange, -EINVAL, "needs a path and a time of at least 1 ms");
	exchange.deadline_ns = now_ns() + (int64_t)timeout_ms * 1000000;
	exchange.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (exchange.fd < 0)
		return fail(&exchange, -errno, "could not make a socket (errno %d)", errno);
	error = exchange_lines(&exchange, path);
	close(exchange.fd);
	return error;
}
