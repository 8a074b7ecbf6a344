// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 client and server that move bytes through every system call that reaches a stream socket (see ../README.md).
//
//   io server ADDRESS HANDOVER SEND_HEAD SEND_BODY RECV_HEAD RECV_BODY
//   io client ADDRESS HANDOVER SEND_HEAD SEND_BODY RECV_HEAD RECV_BODY
//   io probe uring|zerocopy       exit 0 when the kernel has it
//
// ADDRESS: tcp4:PORT, tcp6:PORT, unix:PATH, unix:@NAME (PORT 0: any). HANDOVER: how the socket gets to whoever uses it,
// see `handovers`. The client's plan comes on stdin, a line per exchange: `ID METHOD TARGET BODY_SIZE`; a line `done`
// is answered by {"kind":"done"}. Longer than 400 lines because each system call is a few lines of its own, and they
// belong side by side.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUFFER_SIZE 65536
#define HEAD_SIZE 16384
/* A piece of work for a partner fits into PIPE_BUF: written and read in one. */
#define LINE_SIZE 2048

static const char decoy[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nGET /decoy HTTP/1.1\r\nHost: decoy\r\n\r\n";

static void die(const char *what)
{
	perror(what);
	_exit(1);
}

static ssize_t check(ssize_t result, const char *what)
{
	if (result < 0)
		die(what);
	return result;
}

/* ---- io_uring, by hand: one operation at a time, a ring per thread ---- */

struct ring {
	pid_t owner;
	int fd;
	unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static int ring_open(struct ring *ring)
{
	struct io_uring_params params = {};
	char *sq, *cq;

	ring->fd = syscall(SYS_io_uring_setup, 4, &params);
	if (ring->fd < 0)
		return -1;
	sq = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(unsigned), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
	cq = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_CQ_RING);
	ring->sqes = mmap(NULL, params.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -1;
	ring->sq_tail = (unsigned *)(sq + params.sq_off.tail);
	ring->sq_mask = (unsigned *)(sq + params.sq_off.ring_mask);
	ring->sq_array = (unsigned *)(sq + params.sq_off.array);
	ring->cq_head = (unsigned *)(cq + params.cq_off.head);
	ring->cq_tail = (unsigned *)(cq + params.cq_off.tail);
	ring->cq_mask = (unsigned *)(cq + params.cq_off.ring_mask);
	ring->cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
	ring->owner = gettid();
	return 0;
}

static ssize_t ring_run(int opcode, int fd, void *data, size_t size)
{
	static __thread struct ring ring;
	struct io_uring_sqe *sqe;
	unsigned tail, head;
	ssize_t result;

	if (ring.owner != gettid() && ring_open(&ring) < 0)
		die("io_uring");
	tail = *ring.sq_tail;
	sqe = &ring.sqes[tail & *ring.sq_mask];
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->fd = fd;
	sqe->addr = (unsigned long)data;
	sqe->len = size;
	if (opcode == IORING_OP_READ || opcode == IORING_OP_WRITE)
		sqe->off = (__u64)-1;
	ring.sq_array[tail & *ring.sq_mask] = tail & *ring.sq_mask;
	__atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
	while (syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		if (errno != EINTR)
			die("io_uring_enter");
	head = *ring.cq_head;
	while (__atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE) == head)
		if (syscall(SYS_io_uring_enter, ring.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 && errno != EINTR)
			die("io_uring_enter");
	result = ring.cqes[head & *ring.cq_mask].res;
	__atomic_store_n(ring.cq_head, head + 1, __ATOMIC_RELEASE);
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}

/* ---- ways to send: up to `size` bytes, returns how many went ---- */

static ssize_t by_write(int fd, char *data, size_t size)
{
	return write(fd, data, size);
}
static ssize_t by_send(int fd, char *data, size_t size)
{
	return send(fd, data, size, MSG_NOSIGNAL);
}
static ssize_t by_sendto(int fd, char *data, size_t size)
{
	return sendto(fd, data, size, 0, NULL, 0);
}
static ssize_t by_byte_out(int fd, char *data, size_t size)
{
	return write(fd, data, size ? 1 : 0);
}
static ssize_t by_uring_send(int fd, char *data, size_t size)
{
	return ring_run(IORING_OP_SEND, fd, data, size);
}
static ssize_t by_uring_write(int fd, char *data, size_t size)
{
	return ring_run(IORING_OP_WRITE, fd, data, size);
}

/* Three parts, the middle one empty. */
static void cut(struct iovec parts[3], char *data, size_t size)
{
	parts[0] = (struct iovec){ data, size / 3 };
	parts[1] = (struct iovec){ data + size / 3, 0 };
	parts[2] = (struct iovec){ data + size / 3, size - size / 3 };
}

static ssize_t by_writev(int fd, char *data, size_t size)
{
	struct iovec parts[3];

	cut(parts, data, size);
	return writev(fd, parts, 3);
}

static ssize_t by_pwritev2(int fd, char *data, size_t size)
{
	struct iovec parts[3];

	cut(parts, data, size);
	return pwritev2(fd, parts, 3, -1, 0);
}

static ssize_t by_sendmsg(int fd, char *data, size_t size)
{
	struct iovec parts[3];
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3 };

	cut(parts, data, size);
	return sendmsg(fd, &message, 0);
}

static ssize_t by_sendmmsg(int fd, char *data, size_t size)
{
	struct iovec parts[3];
	struct mmsghdr messages[2] = {};
	int sent;

	cut(parts, data, size);
	messages[0].msg_hdr = (struct msghdr){ .msg_iov = &parts[0], .msg_iovlen = 1 };
	messages[1].msg_hdr = (struct msghdr){ .msg_iov = &parts[2], .msg_iovlen = 1 };
	sent = sendmmsg(fd, messages, 2, 0);
	if (sent < 0)
		return -1;
	return messages[0].msg_len + (sent == 2 ? messages[1].msg_len : 0);
}

static ssize_t by_sendfile(int fd, char *data, size_t size)
{
	int file = check(memfd_create("body", 0), "memfd_create");
	off_t offset = 0;
	ssize_t sent;

	check(write(file, data, size), "write to memfd");
	sent = sendfile(fd, file, &offset, size);
	close(file);
	return sent;
}

static ssize_t by_splice_out(int fd, char *data, size_t size)
{
	size_t left = size < 16384 ? size : 16384;
	size_t sent = 0;
	int pipes[2];

	check(pipe(pipes), "pipe");
	check(write(pipes[1], data, left), "write to pipe");
	while (sent < left)
		sent += check(splice(pipes[0], NULL, fd, NULL, left - sent, 0), "splice");
	close(pipes[0]);
	close(pipes[1]);
	return sent;
}

static ssize_t by_zerocopy(int fd, char *data, size_t size)
{
	char control[256];
	struct msghdr message = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct pollfd error = { .fd = fd };
	ssize_t sent;
	int one = 1;

	check(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), "SO_ZEROCOPY");
	sent = send(fd, data, size, MSG_ZEROCOPY);
	/* The buffer is ours again when the kernel says so, on the error queue: one more recvmsg, which moves no byte
	 * of the stream. */
	while (sent > 0 && poll(&error, 1, 1000) == 1 && recvmsg(fd, &message, MSG_ERRQUEUE) < 0 && errno == EAGAIN)
		;
	return sent;
}

/* ---- ways to receive: up to `size` bytes, 0 at the end of the stream ---- */

static ssize_t by_read(int fd, char *data, size_t size)
{
	return read(fd, data, size);
}
static ssize_t by_recv(int fd, char *data, size_t size)
{
	return recv(fd, data, size, 0);
}
static ssize_t by_recvfrom(int fd, char *data, size_t size)
{
	return recvfrom(fd, data, size, 0, NULL, NULL);
}
static ssize_t by_byte_in(int fd, char *data, size_t size)
{
	return read(fd, data, size ? 1 : 0);
}
static ssize_t by_uring_recv(int fd, char *data, size_t size)
{
	return ring_run(IORING_OP_RECV, fd, data, size);
}
static ssize_t by_uring_read(int fd, char *data, size_t size)
{
	return ring_run(IORING_OP_READ, fd, data, size);
}
/* For bodies: waits for all of them, or throws them away in the kernel. */
static ssize_t by_waitall(int fd, char *data, size_t size)
{
	return recv(fd, data, size, MSG_WAITALL);
}
static ssize_t by_trunc(int fd, char *data, size_t size)
{
	(void)data;
	return recv(fd, NULL, size, MSG_TRUNC);
}

static ssize_t by_readv(int fd, char *data, size_t size)
{
	struct iovec parts[3];

	cut(parts, data, size);
	return readv(fd, parts, 3);
}

static ssize_t by_preadv2(int fd, char *data, size_t size)
{
	struct iovec parts[3];

	cut(parts, data, size);
	return preadv2(fd, parts, 3, -1, 0);
}

static ssize_t by_recvmsg(int fd, char *data, size_t size)
{
	struct iovec parts[3];
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3 };

	cut(parts, data, size);
	return recvmsg(fd, &message, 0);
}

static ssize_t by_recvmmsg(int fd, char *data, size_t size)
{
	struct iovec parts[3];
	struct mmsghdr messages[2] = {};
	int received;

	if (size < 8)
		return read(fd, data, size);
	cut(parts, data, size);
	messages[0].msg_hdr = (struct msghdr){ .msg_iov = &parts[0], .msg_iovlen = 1 };
	messages[1].msg_hdr = (struct msghdr){ .msg_iov = &parts[2], .msg_iovlen = 1 };
	received = recvmmsg(fd, messages, 2, MSG_WAITFORONE, NULL);
	if (received < 0)
		return -1;
	/* The first part may have been left unfilled: the second is moved up to it. */
	if (received == 2 && messages[0].msg_len < parts[0].iov_len)
		memmove(data + messages[0].msg_len, parts[2].iov_base, messages[1].msg_len);
	return messages[0].msg_len + (received == 2 ? messages[1].msg_len : 0);
}

static ssize_t by_peek(int fd, char *data, size_t size)
{
	/* Twice, as callers do who wait for more: then taken for good. */
	if (recv(fd, data, size / 2, MSG_PEEK) < 0 || recv(fd, data, size, MSG_PEEK) < 0)
		return -1;
	return read(fd, data, size);
}

static ssize_t by_splice_in(int fd, char *data, size_t size)
{
	ssize_t moved, taken = 0;
	int pipes[2];

	check(pipe(pipes), "pipe");
	moved = splice(fd, NULL, pipes[1], NULL, size < 16384 ? size : 16384, 0);
	while (taken < moved)
		taken += check(read(pipes[0], data + taken, moved - taken), "read from pipe");
	close(pipes[0]);
	close(pipes[1]);
	return moved;
}

struct way {
	const char *name;
	ssize_t (*move)(int fd, char *data, size_t size);
};

static const struct way sends[] = {
	{ "write", by_write },		 { "writev", by_writev },
	{ "pwritev2", by_pwritev2 },	 { "send", by_send },
	{ "sendto", by_sendto },	 { "sendmsg", by_sendmsg },
	{ "sendmmsg", by_sendmmsg },	 { "sendfile", by_sendfile },
	{ "splice", by_splice_out },	 { "zerocopy", by_zerocopy },
	{ "uring_send", by_uring_send }, { "uring_write", by_uring_write },
	{ "byte", by_byte_out },	 {},
};

static const struct way receives[] = {
	{ "read", by_read },
	{ "readv", by_readv },
	{ "preadv2", by_preadv2 },
	{ "recv", by_recv },
	{ "recvfrom", by_recvfrom },
	{ "recvmsg", by_recvmsg },
	{ "recvmmsg", by_recvmmsg },
	{ "peek", by_peek },
	{ "trunc", by_trunc },
	{ "waitall", by_waitall },
	{ "splice", by_splice_in },
	{ "uring_recv", by_uring_recv },
	{ "uring_read", by_uring_read },
	{ "byte", by_byte_in },
	{},
};

static const struct way *find_way(const struct way *ways, const char *name)
{
	for (; ways->name; ways++)
		if (!strcmp(ways->name, name))
			return ways;
	fprintf(stderr, "io: no such way: %s\n", name);
	exit(2);
}

/* ---- messages ---- */

struct endpoint {
	const struct way *send_head, *send_body, *recv_head, *recv_body;
};

struct message {
	char first_line[LINE_SIZE];
	long body_size; /* of this message */
	long server_pid; /* responses */
};

static void send_all(int fd, const struct way *way, char *data, size_t size)
{
	while (size > 0) {
		ssize_t sent = check(way->move(fd, data, size), way->name);

		data += sent;
		size -= sent;
	}
}

static void send_message(int fd, const struct endpoint *end, char *head, long body_size)
{
	char body[BUFFER_SIZE];

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = decoy[i % (sizeof(decoy) - 1)];
	send_all(fd, end->send_head, head, strlen(head));
	for (long left = body_size; left > 0;) {
		size_t size = left < BUFFER_SIZE ? left : BUFFER_SIZE;

		send_all(fd, end->send_body, body, size);
		left -= size;
	}
}

static long field(const char *head, const char *name)
{
	const char *found = strstr(head, name);

	return found ? atol(found + strlen(name)) : 0;
}

/* False at the end of the stream. Never reads beyond the message if the peer waits for its answer, as ours do. */
static bool receive_message(int fd, const struct endpoint *end, struct message *message, bool has_body)
{
	char head[HEAD_SIZE + 1], body[BUFFER_SIZE];
	char *head_end = NULL;
	size_t have = 0;
	long left;

	while (!head_end) {
		ssize_t size = have < HEAD_SIZE ? end->recv_head->move(fd, head + have, HEAD_SIZE - have) : -1;

		if (size <= 0)
			return false;
		have += size;
		head[have] = 0;
		head_end = memmem(head, have, "\r\n\r\n", 4);
	}
	/* Not strstr beyond the head: the body is full of decoys. */
	left = head_end + 4 - head;
	have -= left;
	*head_end = 0;
	message->body_size = field(head, "Content-Length: ");
	message->server_pid = field(head, "Server-Pid: ");
	*strchrnul(head, '\r') = 0;
	snprintf(message->first_line, LINE_SIZE, "%.*s", LINE_SIZE - 1, head);
	if (!has_body)
		return true;
	for (left = message->body_size - have; left > 0;) {
		ssize_t size = end->recv_body->move(fd, body, left < BUFFER_SIZE ? left : BUFFER_SIZE);

		if (size <= 0)
			return false;
		left -= size;
	}
	return true;
}

static long query_number(const char *line, const char *name, long absent)
{
	const char *found = strstr(line, name);

	return found ? atol(found + strlen(name)) : absent;
}

static void respond(int fd, const struct endpoint *end, const struct message *request)
{
	long status = query_number(request->first_line, "status=", 200),
	     size = query_number(request->first_line, "size=", 0);
	bool is_head = !strncmp(request->first_line, "HEAD ", 5), is_bodiless = status == 204 || status == 304;
	char head[256], length[64] = "";

	if (!is_bodiless)
		snprintf(length, sizeof(length), "Content-Length: %ld\r\n", size);
	snprintf(head, sizeof(head), "HTTP/1.1 %ld Status\r\nServer-Pid: %d\r\n%s\r\n", status, getpid(), length);
	send_message(fd, end, head, is_head || is_bodiless ? 0 : size);
}

struct planned {
	char id[64], method[32], target[LINE_SIZE];
	long body_size;
};

static void request(int fd, const struct endpoint *end, const struct planned *planned)
{
	char head[8192], length[64] = "";

	if (planned->body_size > 0)
		snprintf(length, sizeof(length), "Content-Length: %ld\r\n", planned->body_size);
	snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: io.test\r\n%s\r\n", planned->method, planned->target,
		 length);
	send_message(fd, end, head, planned->body_size);
}

static bool report(int fd, const struct endpoint *end, const struct planned *planned, int client_pid)
{
	struct message response;
	int status;

	if (!receive_message(fd, end, &response, strcmp(planned->method, "HEAD"))) {
		printf("{\"kind\":\"exchange\",\"id\":\"%s\",\"clientPid\":%d,\"error\":\"no response\"}\n",
		       planned->id, client_pid);
		return false;
	}
	status = atoi(response.first_line + 9);
	printf("{\"kind\":\"exchange\",\"id\":\"%s\",\"status\":%d,\"responseBodySize\":%ld,\"serverPid\":%ld,"
	       "\"clientPid\":%d}\n",
	       planned->id, status, strcmp(planned->method, "HEAD") ? response.body_size : 0, response.server_pid,
	       client_pid);
	return true;
}

/* ---- who uses the socket ---- */

/* Hands one message at a time to a writer (server) or reader (client) on the other side of a pipe, and waits until it
 * is done. */
struct partner {
	int to[2], back[2];
	int fd;
	const struct endpoint *end;
	bool is_server;
	int first_pid;
};

union work {
	struct message message;
	struct planned planned;
};

static void *partner_loop(void *argument)
{
	struct partner *partner = argument;
	union work work;

	while (read(partner->to[0], &work, sizeof(work)) == sizeof(work)) {
		if (partner->is_server)
			respond(partner->fd, partner->end, &work.message);
		else
			report(partner->fd, partner->end, &work.planned, partner->first_pid);
		check(write(partner->back[1], "", 1), "write to partner");
	}
	return NULL;
}

static void partner_start(struct partner *partner, bool is_process)
{
	pthread_t thread;

	check(pipe(partner->to), "pipe");
	check(pipe(partner->back), "pipe");
	partner->first_pid = getpid();
	if (!is_process) {
		if (pthread_create(&thread, NULL, partner_loop, partner))
			die("pthread_create");
		pthread_detach(thread);
		return;
	}
	if (check(fork(), "fork") == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(partner->to[1]);
		partner_loop(partner);
		_exit(0);
	}
}

static void partner_do(struct partner *partner, const union work *work)
{
	char done;

	check(write(partner->to[1], work, sizeof(*work)), "write to partner");
	check(read(partner->back[0], &done, 1), "read from partner");
}

static void serve(int fd, const struct endpoint *end, struct partner *partner)
{
	static union work work;

	while (receive_message(fd, end, &work.message, true)) {
		if (partner)
			partner_do(partner, &work);
		else
			respond(fd, end, &work.message);
	}
}

static void ask(int fd, const struct endpoint *end, struct partner *partner)
{
	static union work work;
	char line[8192];

	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "done\n")) {
			puts("{\"kind\":\"done\"}");
			continue;
		}
		if (sscanf(line, "%63s %31s %2047s %ld", work.planned.id, work.planned.method, work.planned.target,
			   &work.planned.body_size) != 4)
			die("plan");
		request(fd, end, &work.planned);
		if (partner)
			partner_do(partner, &work);
		else
			report(fd, end, &work.planned, getpid());
	}
}

static void send_fd(int channel, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	check(sendmsg(channel, &message, 0), "SCM_RIGHTS");
}

static int receive_fd(int channel)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	int fd;

	if (recvmsg(channel, &message, 0) <= 0)
		_exit(0);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return fd;
}

/*
 * inline: who opened it uses it. dup: through a duplicate, the first descriptor closed. fork: a child uses it. pass:
 * another process gets it by SCM_RIGHTS. thread, process: one reads the request and another thread or process writes
 * the answer (client: the other way round).
 */
static const char *const handovers[] = { "inline", "dup", "fork", "pass", "thread", "process", NULL };

static void use(int fd, const char *handover, const struct endpoint *end, bool is_server)
{
	void (*talk)(int, const struct endpoint *, struct partner *) = is_server ? serve : ask;
	struct partner partner = { .fd = fd, .end = end, .is_server = is_server };
	int channel[2];
	pid_t child;

	if (!strcmp(handover, "inline")) {
		talk(fd, end, NULL);
	} else if (!strcmp(handover, "dup")) {
		int other = check(dup(fd), "dup");

		close(fd);
		talk(fd = other, end, NULL);
	} else if (!strcmp(handover, "thread") || !strcmp(handover, "process")) {
		partner_start(&partner, handover[0] == 'p');
		talk(fd, end, &partner);
		close(partner.to[1]);
	} else {
		bool is_passed = !strcmp(handover, "pass");

		check(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), "socketpair");
		child = check(fork(), "fork");
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (is_passed) {
				close(fd);
				fd = receive_fd(channel[1]);
			}
			talk(fd, end, NULL);
			_exit(0);
		}
		if (is_passed)
			send_fd(channel[0], fd);
		close(fd);
		fd = -1;
		waitpid(child, NULL, 0);
		close(channel[0]);
		close(channel[1]);
	}
	if (fd >= 0)
		close(fd);
}

/* ---- addresses ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

static socklen_t parse_address(const char *text, union address *address)
{
	memset(address, 0, sizeof(*address));
	if (!strncmp(text, "tcp4:", 5)) {
		address->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(atoi(text + 5)) };
		address->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(address->v4);
	}
	if (!strncmp(text, "tcp6:", 5)) {
		address->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
						     .sin6_port = htons(atoi(text + 5)),
						     .sin6_addr = in6addr_loopback };
		return sizeof(address->v6);
	}
	if (!strncmp(text, "unix:", 5) && strlen(text) - 5 < sizeof(address->local.sun_path)) {
		address->local.sun_family = AF_UNIX;
		strcpy(address->local.sun_path, text + 5);
		if (text[5] == '@')
			address->local.sun_path[0] = 0;
		return offsetof(struct sockaddr_un, sun_path) + strlen(text + 5);
	}
	fprintf(stderr, "io: no such address: %s\n", text);
	exit(2);
}

static void no_delay(int fd, const union address *address)
{
	int one = 1;

	if (address->any.sa_family != AF_UNIX)
		check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), "TCP_NODELAY");
}

/* The end of stdin ends a server, also one that is busy with a connection. */
static void *watch_stdin(void *argument)
{
	char byte;

	while (read(0, &byte, 1) > 0)
		;
	_exit(0);
	return argument; /* pthread_create wants the type */
}

static _Noreturn void run_server(const char *text, const char *handover, const struct endpoint *end)
{
	union address address, bound = {};
	socklen_t size = parse_address(text, &address), bound_size = sizeof(bound);
	int listener = check(socket(address.any.sa_family, SOCK_STREAM, 0), "socket");
	pthread_t watcher;

	check(bind(listener, &address.any, size), "bind");
	check(listen(listener, 128), "listen");
	check(getsockname(listener, &bound.any, &bound_size), "getsockname");
	if (bound.any.sa_family == AF_UNIX)
		printf("{\"kind\":\"listening\",\"pid\":%d,\"path\":\"%s\"}\n", getpid(), text + 5);
	else
		printf("{\"kind\":\"listening\",\"pid\":%d,\"port\":%d}\n", getpid(), ntohs(bound.v6.sin6_port));
	if (pthread_create(&watcher, NULL, watch_stdin, NULL))
		die("pthread_create");
	for (;;) {
		int fd = check(accept(listener, NULL, NULL), "accept");

		no_delay(fd, &bound);
		use(fd, handover, end, true);
	}
}

static int run_client(const char *text, const char *handover, const struct endpoint *end)
{
	union address address;
	socklen_t size = parse_address(text, &address);
	int fd = check(socket(address.any.sa_family, SOCK_STREAM, 0), "socket");

	check(connect(fd, &address.any, size), "connect");
	no_delay(fd, &address);
	printf("{\"kind\":\"ready\",\"pid\":%d}\n", getpid());
	use(fd, handover, end, false);
	return 0;
}

static int probe(const char *what)
{
	struct ring ring = {};
	int one = 1;

	if (!strcmp(what, "uring"))
		return ring_open(&ring) < 0;
	return setsockopt(socket(AF_INET, SOCK_STREAM, 0), SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) < 0;
}

int main(int argc, char **argv)
{
	struct endpoint end;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN); /* children are not waited for one by one */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && !strcmp(argv[1], "probe"))
		return probe(argv[2]);
	if (argc != 8) {
		fputs("usage: io server|client ADDRESS HANDOVER SEND_HEAD SEND_BODY RECV_HEAD RECV_BODY\n", stderr);
		return 2;
	}
	for (const char *const *name = handovers; strcmp(*name, argv[3]);)
		if (!*++name) {
			fprintf(stderr, "io: no such handover: %s\n", argv[3]);
			return 2;
		}
	end = (struct endpoint){ find_way(sends, argv[4]), find_way(sends, argv[5]), find_way(receives, argv[6]),
				 find_way(receives, argv[7]) };
	if (!strcmp(argv[1], "server"))
		run_server(argv[2], argv[3], &end);
	return run_client(argv[2], argv[3], &end);
}
