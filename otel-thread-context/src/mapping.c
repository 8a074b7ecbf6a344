/* SPDX-License-Identifier: Apache-2.0 */
/* The mapping of OTEP 4719: a memfd or, where that is refused, anonymous memory with a name. Readers race with us on
 * other CPUs. */
#define _GNU_SOURCE
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

/* Linux 6.3; the C library's headers may be older. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static size_t mapping_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* A file that shows its name in /proc/PID/maps, or -1. */
static int create_file(void)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create(PROCESS_CONTEXT_NAME, flags | MFD_NOEXEC_SEAL);

	if (fd < 0)
		fd = memfd_create(PROCESS_CONTEXT_NAME, flags);
	if (fd >= 0 && ftruncate(fd, (off_t)mapping_size())) {
		close(fd);
		return -1;
	}
	return fd;
}

int create_mapping(struct header **header, bool *is_file)
{
	const int writable = PROT_READ | PROT_WRITE;
	int fd = create_file();
	void *memory;
	int error;

	if (fd >= 0)
		memory = mmap(NULL, mapping_size(), writable, MAP_PRIVATE, fd, 0);
	else
		memory = mmap(NULL, mapping_size(), writable, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	error = errno;
	if (fd >= 0)
		close(fd);
	if (memory == MAP_FAILED)
		return -error;
	/* A child is another process: it must not go on saying what its parent said. */
	if (madvise(memory, mapping_size(), MADV_DONTFORK)) {
		error = errno;
		munmap(memory, mapping_size());
		return -error;
	}
	*header = memory;
	memcpy((*header)->signature, PROCESS_CONTEXT_NAME, sizeof((*header)->signature));
	(*header)->version = PROCESS_CONTEXT_VERSION;
	*is_file = fd >= 0;
	return 0;
}

int name_mapping(struct header *header)
{
	/*
	 * On the stack, and so in memory for certain: a kernel without such names does not touch it, but BPF programs
	 * that watch for this call read it and cannot wait for a page.
	 */
	volatile char name[] = PROCESS_CONTEXT_NAME;

	if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, header, mapping_size(), name))
		return -errno;
	return 0;
}

void withdraw_payload(struct header *header)
{
	__atomic_store_n(&header->monotonic_published_at_ns, 0, __ATOMIC_RELAXED);
	/* Forbids that readers see any of what follows while they still see the old time. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

uint64_t publish_payload(struct header *header, const uint8_t *payload, size_t size, uint64_t now, uint64_t last)
{
	uint64_t time = now > last ? now : last + 1;

	withdraw_payload(header);
	__atomic_store_n(&header->payload, (uint64_t)(uintptr_t)payload, __ATOMIC_RELAXED);
	__atomic_store_n(&header->payload_size, (uint32_t)size, __ATOMIC_RELAXED);
	/* Forbids that readers see the new time before the payload, the pointer to it, or its size. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&header->monotonic_published_at_ns, time, __ATOMIC_RELAXED);
	/* Forbids that the memory of the payload before this one is reused before readers can see that it is gone. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return time;
}

int destroy_mapping(struct header *header)
{
	withdraw_payload(header);
	return munmap(header, mapping_size()) ? -errno : 0;
}

/* ---- finding one ---- */

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static bool is_context_name(const char *name)
{
	return starts_with(name, "[anon_shmem:" PROCESS_CONTEXT_NAME "]") ||
	       starts_with(name, "[anon:" PROCESS_CONTEXT_NAME "]") ||
	       starts_with(name, "/memfd:" PROCESS_CONTEXT_NAME);
}

/*
 * The name of a mapping is the rest of its line from the first `/` or `[`; only what is long enough to tell is kept.
 * Called with one character after the other, so that a line may be of any length.
 */
struct line {
	char name[32];
	size_t length;
	bool in_name;
};

static bool ends_context_line(struct line *line, char next)
{
	bool found;

	if (next != '\n') {
		line->in_name = line->in_name || next == '/' || next == '[';
		if (line->in_name && line->length < sizeof(line->name) - 1)
			line->name[line->length++] = next;
		return false;
	}
	line->name[line->length] = '\0';
	found = is_context_name(line->name);
	line->length = 0;
	line->in_name = false;
	return found;
}

bool has_mapping(void)
{
	struct line line = { .length = 0 };
	bool found = false;
	char buffer[4096];
	ssize_t size;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	do {
		size = read(fd, buffer, sizeof(buffer));
		for (ssize_t i = 0; i < size && !found; i++)
			found = ends_context_line(&line, buffer[i]);
	} while (!found && (size > 0 || (size < 0 && errno == EINTR)));
	close(fd);
	return found;
}
