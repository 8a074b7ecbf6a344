/*
 * Functions with the names and in the forms of OpenSSL's, which a handler of
 * each object serves in place of TLS; and calls of them with every outcome.
 * What each call really did is told on standard output, so that the test can
 * hold against it what probes saw.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct object SSL;

struct object {
	int (*handler)(SSL *object, void *buffer, size_t size, size_t *count);
	int outcome; /* above zero: so many bytes */
	int is_shut_down;
	int is_asynchronous;
	size_t asynchronous_count;
	int references;
};

static volatile int last_error;

__attribute__((noinline)) void note_error(int code)
{
	last_error = code;
}

__attribute__((noinline)) int serve(SSL *object, void *buffer, size_t size, size_t *count)
{
	if (object->outcome <= 0)
		return object->outcome;
	*count = (size_t)object->outcome < size ? (size_t)object->outcome : size;
	memset(buffer, 'x', *count);
	return 1;
}

__attribute__((noinline)) int start_job(SSL *object, void *buffer, size_t size)
{
	return object->handler(object, buffer, size, &object->asynchronous_count);
}

#ifdef INLINED
#define INTERNAL __attribute__((always_inline)) static inline
#else
#define INTERNAL __attribute__((noinline)) static
#endif

/* Reading and writing are different functions in the end, also to a compiler that looks for equal ones. */
INTERNAL int move(SSL *object, void *buffer, size_t size, size_t *count, int direction)
{
	if (!object->handler) {
		note_error(direction);
		return -1;
	}
	if (object->is_shut_down) {
		object->outcome = 0;
		return 0;
	}
	if (object->is_asynchronous) {
		int result = start_job(object, buffer, size);

		*count = object->asynchronous_count;
		return result;
	}
	return object->handler(object, buffer, size, count);
}

int SSL_read(SSL *object, void *buffer, int size)
{
	size_t count;
	int result;

	if (size < 0) {
		note_error(2);
		return -1;
	}
	result = move(object, buffer, (size_t)size, &count, 11);
	if (result > 0)
		result = (int)count;
	return result;
}

int SSL_write(SSL *object, const void *buffer, int size)
{
	size_t count;
	int result;

	if (size < 0) {
		note_error(3);
		return -1;
	}
	result = move(object, (void *)buffer, (size_t)size, &count, 12);
	if (result > 0)
		result = (int)count;
	return result;
}

int SSL_read_ex(SSL *object, void *buffer, size_t size, size_t *count)
{
	int result = move(object, buffer, size, count, 13);

	return result < 0 ? 0 : result;
}

int SSL_write_ex(SSL *object, const void *buffer, size_t size, size_t *count)
{
	int result = move(object, (void *)buffer, size, count, 14);

	return result < 0 ? 0 : result;
}

void SSL_free(SSL *object)
{
	if (!object)
		return;
	if (__atomic_sub_fetch(&object->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	note_error(4);
	object->handler = NULL;
}

/* Not called by name, or they would become part of their caller. */
static int (*volatile call_read)(SSL *, void *, int) = SSL_read;
static int (*volatile call_write)(SSL *, const void *, int) = SSL_write;
static int (*volatile call_read_ex)(SSL *, void *, size_t, size_t *) = SSL_read_ex;
static int (*volatile call_write_ex)(SSL *, const void *, size_t, size_t *) = SSL_write_ex;
static void (*volatile call_free)(SSL *) = SSL_free;

/* `place`: of the count, when that is not the result. */
static void tell(const char *name, SSL *object, void *buffer, long count, size_t *place)
{
	printf("%s %lu %lu %ld %lu\n", name, (unsigned long)object, (unsigned long)buffer, count, (unsigned long)place);
}

static void call_all(SSL *object, void *buffer, int size)
{
	size_t count = 0;
	int result = call_read(object, buffer, size);

	tell("read", object, buffer, result, NULL);
	result = call_write(object, buffer, size);
	tell("write", object, buffer, result, NULL);
	if (size < 0)
		return;
	result = call_read_ex(object, buffer, (size_t)size, &count);
	tell("read", object, buffer, result == 1 ? (long)count : result, &count);
	result = call_write_ex(object, buffer, (size_t)size, &count);
	tell("write", object, buffer, result == 1 ? (long)count : result, &count);
}

int main(void)
{
	static char buffer[20000];
	static const int outcomes[] = { 5, 0, -1, 1, 16384, -2, 70 };
	char line[16];

	puts("ready");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	for (int is_asynchronous = 0; is_asynchronous < 2; is_asynchronous++) {
		for (size_t i = 0; i < sizeof(outcomes) / sizeof(*outcomes); i++) {
			SSL object = { .handler = serve,
				       .outcome = outcomes[i],
				       .is_asynchronous = is_asynchronous,
				       .references = 1 };

			call_all(&object, buffer + i, sizeof(buffer) - 100);
			call_all(&object, buffer + i, -1);
			object.is_shut_down = 1;
			call_all(&object, buffer, 100);
			call_free(&object);
			tell("free", &object, buffer, 0, NULL);
			call_all(&object, buffer, 100);
		}
	}
	call_free(NULL);
	puts("done");
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) != NULL;
}
