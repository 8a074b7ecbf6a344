/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The span that the application's own thread says it is in: copied in that
 * thread, at its I/O and nowhere else. User space has found where the thread
 * has it (otel-thread-context/reader). OTEP 4947:
 * https://github.com/open-telemetry/opentelemetry-specification/blob/main/oteps/profiles/4947-thread-ctx.md
 */
#ifndef USM_THREAD_CONTEXT_H
#define USM_THREAD_CONTEXT_H

#include "compat.h"
#include "emit.h"
#include "registration.h"
#include "thread_context_go.h"
#include "thread_context_node.h"
#include "thread_variable.h"

/* Rises with each change of the places. */
static __always_inline u32 places_generation(void)
{
	u32 zero = 0;
	u64 *changes = bpf_map_lookup_elem(&place_changes, &zero);

	return changes ? *changes : 0;
}

/* The counter of what was in the way, or COUNTER_COUNT. */
static __always_inline u32 read_context(struct scratch *scratch, struct task_struct *task,
					const struct context_place *place)
{
	const struct thread_io *io = &scratch->thread_io;
	struct context_record *record = &scratch->context;
	struct context_event *event = &record->event;
	u64 variable, address, *ids = (u64 *)event->trace_id;
	bool has_attributes;
	u32 size;

	if (find_variable(task, place, &variable))
		return COUNTER_CONTEXT_FAULT;
	if (!variable)
		return COUNTER_CONTEXT_NONE;
	if (unlikely(place->flags & PLACE_NODEJS)) {
		address = VARIANT(find_node_record)(variable);
		if (address == NODE_RECORD_FAULT)
			return COUNTER_CONTEXT_FAULT;
	} else if (bpf_probe_read_user(&address, sizeof(address), (void *)variable)) {
		return COUNTER_CONTEXT_FAULT;
	}
	if (!address)
		return COUNTER_CONTEXT_NONE;
	if (address & 1)
		return COUNTER_CONTEXT_IMPLAUSIBLE;
	if (bpf_probe_read_user(event->trace_id, 28, (void *)address))
		return COUNTER_CONTEXT_FAULT;
	if (event->valid != 1 || !(ids[0] | ids[1] | ids[2]))
		return COUNTER_CONTEXT_NONE;
	if (!(ids[0] | ids[1]) || !ids[2])
		return COUNTER_CONTEXT_HALF_SET;
	size = event->attributes_size;
	if (size > MAX_RECORD_ATTRIBUTES)
		return COUNTER_CONTEXT_IMPLAUSIBLE;

	__builtin_memset(event->attributes, 0, sizeof(event->attributes));
	has_attributes = unlikely(context_attributes) && size > 0 && size <= CONTEXT_ATTRIBUTES;
	if (has_attributes) {
		__builtin_memset(record->attributes, 0, sizeof(record->attributes));
		if (exceeds(size, CONTEXT_ATTRIBUTES))
			size = CONTEXT_ATTRIBUTES;
		/* Its ids are as good without. */
		if (bpf_probe_read_user(event->attributes, size, (void *)(address + 28)))
			has_attributes = false;
	}
	fill_header(&event->header, EVENT_CONTEXT, io->flags, io->time);
	event->cookie = io->cookie;
	event->position = io->position;
	event->size = io->size;
	event->tid = task->pid;
	if (has_attributes)
		emit(record, sizeof(*record), false);
	else
		emit(event, sizeof(*event), false);
	return COUNTER_COUNT;
}

/*
 * Returns false when the process has published no place. Not static: verified
 * by itself, once, and not for every state that its callers may be in.
 */
__noinline u32 VARIANT(send_context)(u64 cookie, u64 position, u64 time, u32 size, u32 flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 tgid = task->tgid, counter;
	struct context_place *place = registered_place(task);
	struct scratch *scratch;

	/* Looked up every time, and not kept with the connection, which other processes may share. */
	if (!place)
		place = bpf_map_lookup_elem(&context_places, &tgid);
	if (!place || !(place->flags & PLACE_RESOLVED) || place->exec_id != (u32)task->self_exec_id ||
	    place->start_time != task->group_leader->start_boottime)
		return false;
	scratch = get_scratch();
	if (!scratch)
		return true;
	scratch->thread_io = (struct thread_io){ cookie, position, time, size, flags };
	counter = unlikely(place->flags & PLACE_GO) ? send_labels(scratch, task, place)
						    : read_context(scratch, task, place);
	if (unlikely(counter != COUNTER_COUNT))
		count(counter, 1);
	return true;
}

#endif
