/*
 * Functions with the names and in the forms of GnuTLS's: some end in a function
 * that others call too, one chooses by a table of jumps, one is only another
 * name. Calls of them with every outcome, as in calls.c.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

typedef struct session *gnutls_session_t;

struct session {
	ssize_t outcome; /* above zero: so many bytes at most */
	int is_ready;
	int is_in_kernel;
	int state; /* of sending: 1 and 2 are corked */
	unsigned timeout;
	char *corked;
	size_t corked_size;
	size_t sequence;
};

#define APPLICATION_DATA 23
#define ALERT 21
#define NOINLINE __attribute__((noinline))

static volatile int last_error;

NOINLINE void note_error(int code)
{
	last_error = code;
}

NOINLINE ssize_t move(gnutls_session_t session, size_t size)
{
	return session->outcome > 0 && (size_t)session->outcome > size ? (ssize_t)size : session->outcome;
}

NOINLINE int poll_peer(gnutls_session_t session, unsigned timeout)
{
	return session->timeout == timeout && session->outcome == -28 ? -28 : 1;
}

static NOINLINE ssize_t receive(gnutls_session_t session, int type, unsigned char *data, size_t size, size_t *sequence,
				unsigned timeout)
{
	ssize_t result;

	if (type != ALERT && (!data || !size)) {
		note_error(1);
		return -50;
	}
	result = poll_peer(session, timeout);
	if (result <= 0)
		return result;
	if (type == ALERT)
		return 0;
	result = move(session, size);
	if (result < 0) {
		note_error(2);
		return result;
	}
	if (sequence)
		*sequence = session->sequence++;
	memset(data, 'x', (size_t)result);
	return result;
}

NOINLINE int kernel_receive(gnutls_session_t session, int type, void *data, size_t size)
{
	if (size)
		*(char *)data = (char)type;
	return (int)move(session, size);
}

ssize_t gnutls_record_recv(gnutls_session_t session, void *data, size_t size)
{
	if (!session->is_ready) {
		note_error(3);
		return -408;
	}
	if (session->is_in_kernel)
		return kernel_receive(session, APPLICATION_DATA, data, size);
	return receive(session, APPLICATION_DATA, data, size, NULL, session->timeout);
}

ssize_t gnutls_record_recv_seq(gnutls_session_t session, void *data, size_t size, unsigned char *sequence)
{
	return receive(session, APPLICATION_DATA, data, size, (size_t *)sequence, session->timeout);
}

int gnutls_bye(gnutls_session_t session)
{
	int result = (int)receive(session, ALERT, NULL, 0, NULL, session->timeout);

	note_error(result);
	return result;
}

NOINLINE ssize_t transmit(gnutls_session_t session, const void *data, size_t size, int type)
{
	return data || !type ? move(session, size) : -50;
}

ssize_t gnutls_record_send2(gnutls_session_t session, const void *data, size_t size, size_t pad, unsigned flags)
{
	ssize_t result;

	if (pad || flags) {
		note_error(4);
		return -50;
	}
	switch (session->state) {
	case 1:
	case 2:
		if (session->corked_size + size > 1000)
			return -40;
		memcpy(session->corked + session->corked_size, data, size);
		session->corked_size += size;
		return (ssize_t)size;
	case 3:
		note_error(5);
		session->state = 4;
		__attribute__((fallthrough));
	case 4:
		result = poll_peer(session, 0);
		if (result < 0) {
			note_error(6);
			return result;
		}
		session->state = 5;
		__attribute__((fallthrough));
	case 5:
		result = transmit(session, data, size, APPLICATION_DATA);
		session->state = 0;
		note_error(7);
		if (result < 0)
			note_error(8);
		return result;
	case 0:
		result = transmit(session, data, size, APPLICATION_DATA);
		return result;
	default:
		note_error(9);
		return -59;
	}
}

ssize_t gnutls_record_send(gnutls_session_t session, const void *data, size_t size)
{
	return gnutls_record_send2(session, data, size, 0, 0);
}

int gnutls_record_uncork(gnutls_session_t session, unsigned flags)
{
	ssize_t total = 0, result;

	if (session->state == 0)
		return 0;
	session->state = 0;
	while (session->corked_size > 0) {
		result = gnutls_record_send(session, session->corked, session->corked_size);
		if (result <= 0) {
			session->state = (int)flags + 1;
			return (int)result;
		}
		session->corked += result;
		session->corked_size -= (size_t)result;
		total += result;
	}
	return (int)total;
}

void gnutls_deinit(gnutls_session_t session)
{
	if (!session)
		return;
	note_error(10);
	session->is_ready = 0;
}

/* Not called by name, or they would become part of their caller. */
static ssize_t (*volatile call_recv)(gnutls_session_t, void *, size_t) = gnutls_record_recv;
static ssize_t (*volatile call_recv_seq)(gnutls_session_t, void *, size_t, unsigned char *) = gnutls_record_recv_seq;
static ssize_t (*volatile call_send)(gnutls_session_t, const void *, size_t) = gnutls_record_send;
static ssize_t (*volatile call_send2)(gnutls_session_t, const void *, size_t, size_t, unsigned) = gnutls_record_send2;
static int (*volatile call_uncork)(gnutls_session_t, unsigned) = gnutls_record_uncork;
static int (*volatile call_bye)(gnutls_session_t) = gnutls_bye;
static void (*volatile call_deinit)(gnutls_session_t) = gnutls_deinit;

static void tell(const char *name, gnutls_session_t session, void *buffer, ssize_t count)
{
	printf("%s %lu %lu %ld 0\n", name, (unsigned long)session, (unsigned long)buffer, (long)count);
}

int main(void)
{
	static char buffer[20000], corked[20000];
	static const ssize_t outcomes[] = { 5, 0, -28, 1, 16384, -110, 70 };
	unsigned char sequence[8];
	char line[16];

	puts("ready");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(*outcomes); i++) {
		for (int state = 0; state < 8; state++) {
			struct session session = { .outcome = outcomes[i],
						   .is_ready = state != 7,
						   .is_in_kernel = state == 6,
						   .state = state,
						   .timeout = (unsigned)i % 2,
						   .corked = corked };

			tell("read", &session, buffer, call_recv(&session, buffer, 500 + i));
			tell("read", &session, buffer, call_recv_seq(&session, buffer, 500, sequence));
			call_bye(&session);
			tell("write", &session, buffer, call_send(&session, buffer, 300));
			tell("write", &session, buffer, call_send2(&session, buffer, 200, 0, 0));
			call_send2(&session, buffer, 200, 1, 0);
			call_uncork(&session, 0);
			call_deinit(&session);
			tell("free", &session, buffer, 0);
		}
	}
	call_deinit(NULL);
	puts("done");
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) != NULL;
}
