/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registration against observers of all kinds: one thread is the observer, and looks through the claim while the
 * registering thread waits for its answer.
 */
#define _GNU_SOURCE
#include "check.h"
#include "decode.h"
#include "otel_thread_context.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NONCE "00112233445566778899aabbccddeeff"

static char folder[] = "/tmp/otel-thread-context-XXXXXX", path[64], claim[512];
static int listener;
static char *client_thread_pointer;
static unsigned char *volatile *client_slot;
static volatile bool proven, found_slot, found_nonce, was_invalid;

static char *thread_pointer(void)
{
	char *pointer;

#if defined(__x86_64__)
	__asm__("mov %%fs:0, %0" : "=r"(pointer));
#else
	__asm__("mrs %0, tpidr_el0" : "=r"(pointer));
#endif
	return pointer;
}

/* ---- the observer ---- */

static void answer(int client, const char *words)
{
	EXPECT(send(client, words, strlen(words), MSG_NOSIGNAL) == (ssize_t)strlen(words));
}

static bool receive(int client, char *line, size_t size)
{
	size_t length = 0;

	while (length < size - 1 && recv(client, line + length, 1, 0) == 1) {
		if (line[length++] == '\n') {
			line[length] = '\0';
			return true;
		}
	}
	line[length] = '\0';
	return false;
}

/* Where the claim says that the thread's slot is. The layout of the DTV is that of glibc and musl on x86-64. */
static unsigned char *volatile *claimed_slot(void)
{
	unsigned long module, offset;
	char library[8], *vector;
	long from_pointer;

	if (sscanf(claim, "otel-thread-context 1 register static %ld\n", &from_pointer) == 1)
		return (unsigned char *volatile *)(void *)(client_thread_pointer + from_pointer);
	if (sscanf(claim, "otel-thread-context 1 register dtv %lu %lu %7s\n", &module, &offset, library) != 3)
		return NULL;
	memcpy(&vector, client_thread_pointer + 8, sizeof(vector));
	memcpy(&vector, vector + module * (strcmp(library, "glibc") ? 8 : 16), sizeof(vector));
	return (unsigned char *volatile *)(void *)(vector + offset);
}

static void look(void)
{
	unsigned char nonce[16], *record;

	found_slot = claimed_slot() == client_slot;
	if (!found_slot)
		return;
	for (unsigned int i = 0; i < 16; i++)
		nonce[i] = (unsigned char)(i * 0x11);
	record = *client_slot;
	found_nonce = record && !memcmp(record, nonce, 16);
	was_invalid = record && record[24] == 0;
}

static void accept_it(int client)
{
	char line[64];

	answer(client, "challenge " NONCE "\n");
	proven = receive(client, line, sizeof(line)) && !strcmp(line, "proof\n");
	look();
	answer(client, "ok\n");
}

static void accept_it_in_pieces(int client)
{
	const char *challenge = "challenge " NONCE "\n";
	char line[64];

	for (; *challenge; challenge++)
		answer(client, (char[]){ *challenge, '\0' });
	receive(client, line, sizeof(line));
	answer(client, "o");
	answer(client, "k");
	answer(client, "\n");
}

static void refuse_claim(int client)
{
	answer(client, "error offset not a multiple of 8\033[1m\n");
}

static void refuse_proof(int client)
{
	char line[64];

	answer(client, "challenge " NONCE "\n");
	receive(client, line, sizeof(line));
	answer(client, "error proof the record has another trace-id\n");
}

static const char *words;

static void say_words(int client)
{
	/* Whether all of them are wanted is up to the other side. */
	send(client, words, strlen(words), MSG_NOSIGNAL);
}

static void say_words_after_proof(int client)
{
	char line[64];

	answer(client, "challenge " NONCE "\n");
	receive(client, line, sizeof(line));
	say_words(client);
}

static void say_nothing(int client)
{
	char line[64];

	/* Until the client has gone. */
	receive(client, line, sizeof(line));
}

static void dribble(int client)
{
	struct timespec pause = { 0, 20000000 };

	while (send(client, "c", 1, MSG_NOSIGNAL) == 1)
		nanosleep(&pause, NULL);
}

static void *observe(void *data)
{
	void (*const *behave)(int) = data;
	int client = accept(listener, NULL, NULL);

	REQUIRE(client >= 0);
	if (receive(client, claim, sizeof(claim)))
		(*behave)(client);
	close(client);
	return NULL;
}

/* ---- the program ---- */

static char text[256];
static long elapsed_ms;

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	REQUIRE(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int register_with(void (*behave)(int), int timeout_ms)
{
	pthread_t observer;
	long begin = now_ms();
	int result;

	client_slot = &otel_thread_ctx_v1;
	client_thread_pointer = thread_pointer();
	proven = found_slot = found_nonce = was_invalid = false;
	memset(text, 'x', sizeof(text));
	REQUIRE(pthread_create(&observer, NULL, observe, &behave) == 0);
	result = otel_thread_context_register(path, timeout_ms, text, sizeof(text));
	elapsed_ms = now_ms() - begin;
	pthread_join(observer, NULL);
	return result;
}

static bool is_library_shared(void)
{
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	bool found = false;

	REQUIRE(maps);
	while (!found && fgets(line, sizeof(line), maps))
		found = strstr(line, "/libotel-thread-context.so") != NULL;
	fclose(maps);
	return found;
}

static void registers(void)
{
	uint64_t memory[OTEL_THREAD_CONTEXT_SIZE(0) / 8];
	struct otel_thread_context_record *record;
	int descriptors = count_descriptors();

	otel_thread_context_record_init(memory, sizeof(memory), &record);
	otel_thread_context_attach(record);
	EXPECT_EQUAL(register_with(accept_it, 10000), 0);
	EXPECT(!text[0]);
	EXPECT(proven && found_slot && found_nonce && was_invalid);
	EXPECT(otel_thread_context_current() == record);
	EXPECT_EQUAL(register_with(accept_it_in_pieces, 10000), 0);
	otel_thread_context_detach();
	EXPECT_EQUAL(count_descriptors(), descriptors);
	printf("# %s", claim);
	/* Only of a program's own variables is it sure that the offset is the same in every thread. */
	EXPECT(!strncmp(claim,
			is_library_shared() ? "otel-thread-context 1 register dtv "
					    : "otel-thread-context 1 register static ",
			35));
}

static void *register_in_thread(void *data)
{
	*(int *)data = register_with(accept_it, 10000);
	EXPECT(!otel_thread_context_current());
	return NULL;
}

static void registers_from_any_thread(void)
{
	char first[sizeof(claim)];
	pthread_t thread;
	int result = -1;

	memcpy(first, claim, sizeof(first));
	REQUIRE(pthread_create(&thread, NULL, register_in_thread, &result) == 0);
	pthread_join(thread, NULL);
	EXPECT_EQUAL(result, 0);
	EXPECT(proven && found_slot && found_nonce && was_invalid);
	/* What is claimed holds for every thread. */
	EXPECT(!strcmp(first, claim));
}

static void is_refused(void)
{
	EXPECT_EQUAL(register_with(refuse_claim, 10000), -EACCES);
	EXPECT(!strcmp(text, "the observer refused: offset not a multiple of 8?[1m"));
	EXPECT_EQUAL(register_with(refuse_proof, 10000), -EACCES);
	EXPECT(!strcmp(text, "the observer refused: proof the record has another trace-id"));
	EXPECT(!otel_thread_context_current());
}

static void knows_other_protocols(void)
{
	static char endless[2000];
	const char *const others[] = { "HTTP/1.1 400 Bad Request\r\n",
				       "\n",
				       "ok\n",
				       "challenge\n",
				       "challenge " NONCE "0\n",
				       "challenge 00112233445566778899aabbccddeefg\n",
				       "challenge " NONCE,
				       "challenge " NONCE "\nok\n",
				       "errors everywhere\n",
				       "",
				       endless };
	const char *const later[] = { "OK\n", "ok", "ok\nok\n", "challenge " NONCE "\n", "", endless };

	memset(endless, 'c', sizeof(endless) - 1);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		words = others[i];
		EXPECT_EQUAL(register_with(say_words, 10000), -EPROTO);
		EXPECT(text[0] && strlen(text) < sizeof(text));
	}
	for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++) {
		words = later[i];
		EXPECT_EQUAL(register_with(say_words_after_proof, 10000), -EPROTO);
		EXPECT(!otel_thread_context_current());
	}
}

static void ends_in_time(void)
{
	int sockets[8], result, full = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	long begin;

	EXPECT_EQUAL(register_with(say_nothing, 100), -ETIMEDOUT);
	EXPECT(elapsed_ms >= 95 && elapsed_ms < 5000);
	EXPECT_EQUAL(register_with(dribble, 300), -ETIMEDOUT);
	EXPECT(elapsed_ms >= 295 && elapsed_ms < 5000);

	/* One that does not accept. */
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/full", folder);
	REQUIRE(bind(full, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(full, 0) == 0);
	for (int i = 0; i < 8; i++) {
		sockets[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(sockets[i], (struct sockaddr *)&address, sizeof(address));
	}
	begin = now_ms();
	result = otel_thread_context_register(address.sun_path, 100, text, sizeof(text));
	EXPECT_EQUAL(result, -ETIMEDOUT);
	EXPECT(now_ms() - begin < 5000);
	for (int i = 0; i < 8; i++)
		close(sockets[i]);
	close(full);
	EXPECT_EQUAL(otel_thread_context_register(address.sun_path, 100, text, sizeof(text)), -ECONNREFUSED);
	unlink(address.sun_path);
	EXPECT_EQUAL(otel_thread_context_register(address.sun_path, 100, text, sizeof(text)), -ENOENT);
	EXPECT(strstr(text, address.sun_path));
}

static void refuses_bad_arguments(void)
{
	char far[200], little[4] = "xxx";

	memset(far, 'a', sizeof(far) - 1);
	far[sizeof(far) - 1] = '\0';
	EXPECT_EQUAL(otel_thread_context_register(far, 100, text, sizeof(text)), -ENAMETOOLONG);
	EXPECT_EQUAL(otel_thread_context_register(NULL, 100, text, sizeof(text)), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_register("", 100, text, sizeof(text)), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_register(path, 0, text, sizeof(text)), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_register(path, -1, NULL, 0), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_register(path, 0, little, sizeof(little)), -EINVAL);
	EXPECT(strlen(little) == 3);
	EXPECT_EQUAL(otel_thread_context_register(path, 0, little, 0), -EINVAL);
}

int main(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	REQUIRE(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	memcpy(address.sun_path, path, sizeof(path));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	REQUIRE(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(listener, 8) == 0);

	run_test("the claim leads an observer to the nonce in a record that is not valid; then all is as before",
		 registers);
	run_test("the same claim is proven from any thread", registers_from_any_thread);
	run_test("a refusal is handed on in words that can be printed", is_refused);
	run_test("an answer of another protocol is an error, whenever it comes", knows_other_protocols);
	run_test("an observer that is silent, slow, busy or gone is an error in time", ends_in_time);
	run_test("bad arguments are refused", refuses_bad_arguments);

	close(listener);
	unlink(path);
	rmdir(folder);
	return finish_tests();
}
