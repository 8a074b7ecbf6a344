/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process context: what this process has published, and the key map. One lock, so that the process has a single
 * writer (OTEP 4947); whatever can fail is done before readers are told of a change, so that a failure changes nothing.
 */
#define _GNU_SOURCE
#include "mapping.h"
#include "payload.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock;
	/* The mapping of process `owner`, or NULL. */
	struct header *header;
	pid_t owner;
	/* What is published in it, and how much of that is not the key map. In a child that has no mapping, its
	 * parent's. */
	uint8_t *payload;
	size_t fixed_size;
	uint64_t published_at_ns;
	struct key_map keys;
} context = { .lock = PTHREAD_MUTEX_INITIALIZER };

static pthread_once_t fork_watched = PTHREAD_ONCE_INIT;
static int fork_error;

/* ---- fork ---- */

static void lock_context(void)
{
	pthread_mutex_lock(&context.lock);
}

static void unlock_context(void)
{
	pthread_mutex_unlock(&context.lock);
}

/* The mapping was not inherited; the payload is freed with the next one. */
static void forget_mapping(void)
{
	context.header = NULL;
}

static void unlock_in_child(void)
{
	forget_mapping();
	unlock_context();
}

static void watch_fork(void)
{
	/* So that a child does not find the lock held by a thread that it does not have. */
	fork_error = pthread_atfork(lock_context, unlock_context, unlock_in_child);
}

/* Takes the lock. Returns 0, or a negative errno without it. */
static int enter(void)
{
	pthread_once(&fork_watched, watch_fork);
	if (fork_error)
		return -fork_error;
	lock_context();
	/* A child by clone() comes without fork handlers. */
	if (context.header && context.owner != getpid())
		forget_mapping();
	return 0;
}

/* ---- publishing ---- */

static bool is_published(void)
{
	return context.header && context.payload;
}

static int read_clock(uint64_t *now)
{
	struct timespec time;

	if (clock_gettime(CLOCK_BOOTTIME, &time))
		return -errno;
	*now = (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
	return 0;
}

static int allocate_payload(size_t fixed_size, const struct key_map *keys, uint8_t **payload, size_t *size)
{
	*size = fixed_size + key_map_size(keys);
	if (*size > OTEL_THREAD_CONTEXT_PAYLOAD_MAX)
		return -EMSGSIZE;
	*payload = malloc(*size);
	return *payload ? 0 : -ENOMEM;
}

static int publish_first(uint8_t *payload, size_t size, uint64_t now)
{
	struct header *header = NULL;
	bool is_file = false;
	int error;

	if (has_mapping())
		return -EEXIST;
	error = create_mapping(&header, &is_file);
	if (error)
		return error;
	context.published_at_ns = publish_payload(header, payload, size, now, context.published_at_ns);
	if (name_mapping(header) && !is_file) {
		destroy_mapping(header);
		return -ENOTSUP;
	}
	context.header = header;
	context.owner = getpid();
	return 0;
}

/* Takes over the payload if it succeeds. */
static int publish(uint8_t *payload, size_t fixed_size, size_t size)
{
	uint64_t now = 0;
	int error = read_clock(&now);

	if (error)
		return error;
	if (context.header) {
		context.published_at_ns = publish_payload(context.header, payload, size, now, context.published_at_ns);
		/* For those who watch; a refusal changes nothing, the mapping is found as before. */
		name_mapping(context.header);
	} else {
		error = publish_first(payload, size, now);
		if (error)
			return error;
	}
	free(context.payload);
	context.payload = payload;
	context.fixed_size = fixed_size;
	return 0;
}

static int publish_process(const struct otel_thread_context_process *process)
{
	size_t fixed_size = attributes_size(process);
	uint8_t *payload;
	size_t size;
	int error = allocate_payload(fixed_size, &context.keys, &payload, &size);

	if (error)
		return error;
	write_key_map(write_attributes(payload, process), &context.keys);
	error = publish(payload, fixed_size, size);
	if (error)
		free(payload);
	return error;
}

int otel_thread_context_process_publish(const struct otel_thread_context_process *options)
{
	int error = check_process(options);

	if (!error)
		error = enter();
	if (error)
		return error;
	error = publish_process(options);
	unlock_context();
	return error;
}

int otel_thread_context_process_update(const struct otel_thread_context_process *options)
{
	int error = check_process(options);

	if (!error)
		error = enter();
	if (error)
		return error;
	error = is_published() ? publish_process(options) : -ENOENT;
	unlock_context();
	return error;
}

int otel_thread_context_process_unpublish(void)
{
	int error = enter();

	if (error)
		return error;
	if (context.header)
		error = destroy_mapping(context.header);
	/* A mapping that could not go has no time, so readers pass it by; the next publication uses it. */
	if (!error)
		context.header = NULL;
	free(context.payload);
	context.payload = NULL;
	unlock_context();
	return error;
}

/* ---- key map ---- */

/* The same payload with the key map as it is now. */
static int publish_keys(void)
{
	uint8_t *payload;
	size_t size;
	int error = allocate_payload(context.fixed_size, &context.keys, &payload, &size);

	if (error)
		return error;
	memcpy(payload, context.payload, context.fixed_size);
	write_key_map(payload + context.fixed_size, &context.keys);
	error = publish(payload, context.fixed_size, size);
	if (error)
		free(payload);
	return error;
}

static int append_key(const char *name)
{
	struct key_map *keys = &context.keys;
	int error;

	if (keys->count == OTEL_THREAD_CONTEXT_KEYS_MAX)
		return -ENOSPC;
	keys->names[keys->count] = strdup(name);
	if (!keys->names[keys->count])
		return -ENOMEM;
	keys->count++;
	error = is_published() ? publish_keys() : 0;
	if (error) {
		keys->count--;
		free(keys->names[keys->count]);
		return error;
	}
	return (int)keys->count - 1;
}

int otel_thread_context_process_register_key(const char *name)
{
	int index = -1;
	int error;

	if (!name || !name[0])
		return -EINVAL;
	if (!is_utf8(name))
		return -EILSEQ;
	error = enter();
	if (error)
		return error;
	for (size_t i = 0; i < context.keys.count && index < 0; i++) {
		if (!strcmp(context.keys.names[i], name))
			index = (int)i;
	}
	if (index < 0)
		index = append_key(name);
	unlock_context();
	return index;
}
