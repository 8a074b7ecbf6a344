/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The span that the application's own thread says it is in: copied in that
 * thread, at its I/O and nowhere else. User space has found where the thread
 * has it (otel-thread-context/reader). OTEP 4947:
 * https://github.com/open-telemetry/opentelemetry-specification/blob/main/oteps/profiles/4947-thread-ctx.md
 *
 * Reading user memory is by far the dearest thing here, whatever the size: so
 * it is done twice in the usual case, for the pointer and for the record.
 */
#ifndef USM_THREAD_CONTEXT_H
#define USM_THREAD_CONTEXT_H

#include "compat.h"
#include "emit.h"
#include "registration.h"
#include "thread_context_go.h"
#include "thread_context_node.h"
#include "thread_variable.h"

/* What VARIANT(find_record)() says instead of the address of a record, which is even. */
#define RECORD_NONE 0 /* or it cannot be had, and that is counted */
#define RECORD_NO_PLACE 1 /* the process has published no place */
#define RECORD_LABELS 3 /* none, but a goroutine may have labels */

/* Rises with each change of the places. */
static __always_inline u32 places_generation(void)
{
	u32 zero = 0;
	u64 *changes = bpf_map_lookup_elem(&place_changes, &zero);

	return changes ? *changes : 0;
}

static __always_inline bool is_place_of(const struct context_place *place, struct task_struct *task)
{
	return place->flags & PLACE_RESOLVED && place->exec_id == (u32)task->self_exec_id &&
	       place->start_time == task->group_leader->start_boottime;
}

static __always_inline struct place_slot *place_slot_of(u32 tgid, u32 way)
{
	u32 index = (tgid + way) % MAX_PLACES;

	return bpf_map_lookup_elem(&context_places, &index);
}

#define slot_version(slot) (*(volatile u64 *)&(slot)->version)

/* Copies the place of the running process; false: it has none, or it is being changed, which will be told by a new
 * generation. */
static __always_inline bool copy_place(struct task_struct *task, struct context_place *to)
{
	u32 tgid = task->tgid;

	for (u32 way = 0; way < PLACE_WAYS; way++) {
		struct place_slot *slot = place_slot_of(tgid, way);
		u64 version;

		if (!slot || !slot->tgid)
			return false;
		version = slot_version(slot);
		order_loads();
		if (!version || slot->tgid != tgid)
			continue;
		*to = slot->place;
		order_loads();
		return slot_version(slot) == version && is_place_of(to, task);
	}
	return false;
}

/* There is no record, for this reason. */
static __always_inline u64 none_for(u32 counter)
{
	count(counter, 1);
	return RECORD_NONE;
}

static __always_inline u64 plausible(u64 record)
{
	if (unlikely(!record))
		return none_for(COUNTER_CONTEXT_NONE);
	return unlikely(record & 1) ? none_for(COUNTER_CONTEXT_IMPLAUSIBLE) : record;
}

/* What a variable of the running thread points to. */
static __always_inline u64 follow(u64 variable)
{
	u64 record;

	if (unlikely(variable == VARIABLE_NONE))
		return none_for(COUNTER_CONTEXT_NONE);
	if (unlikely(variable == VARIABLE_FAULT || bpf_probe_read_user(&record, sizeof(record), (void *)variable)))
		return none_for(COUNTER_CONTEXT_FAULT);
	return plausible(record);
}

/* Where the running thread has its record, whatever the way to it. */
static __noinline u64 find_other_record(struct task_struct *task)
{
	struct context_place *registered = registered_place(task), *place;
	struct scratch *scratch = get_scratch();
	u64 variable, record;

	if (!scratch)
		return RECORD_NONE;
	place = &scratch->place;
	if (registered)
		*place = *registered;
	else if (!copy_place(task, place))
		return RECORD_NO_PLACE;
	if (unlikely(place->flags & PLACE_GO))
		return RECORD_LABELS;
	variable = find_variable(task, place, scratch->dtv);
	if (likely(!(place->flags & PLACE_NODEJS)))
		return follow(variable);
	if (variable <= VARIABLE_FAULT)
		return none_for(variable ? COUNTER_CONTEXT_FAULT : COUNTER_CONTEXT_NONE);
	record = VARIANT(find_node_record)(variable);
	return record == NODE_RECORD_FAULT ? none_for(COUNTER_CONTEXT_FAULT) : plausible(record);
}

/*
 * The same, by the first slot of its process if that is all it takes. Not
 * static: verified by itself, once, and not for every state that its callers
 * may be in.
 */
__noinline u64 VARIANT(find_record)(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 tgid = task->tgid;
	struct place_slot *slot = place_slot_of(tgid, 0);
	struct scratch *scratch = get_scratch();
	u64 version, variable;

	if (unlikely(!slot || !scratch || may_be_registered(task)))
		return find_other_record(task);
	version = slot_version(slot);
	order_loads();
	if (unlikely(!version || slot->tgid != tgid || !is_place_of(&slot->place, task) ||
		     slot->place.flags != PLACE_RESOLVED))
		return find_other_record(task);
	variable = find_variable(task, &slot->place, scratch->dtv);
	order_loads();
	return likely(slot_version(slot) == version) ? follow(variable) : find_other_record(task);
}

/* The counter of what was in the way, or COUNTER_COUNT. */
static __always_inline u32 read_record(struct thread_context *context, u64 record)
{
	const u64 *ids = (const u64 *)context->trace_id;

	if (bpf_probe_read_user(context, __builtin_offsetof(struct thread_context, attributes), (void *)record))
		return COUNTER_CONTEXT_FAULT;
	if (context->valid != 1 || !(ids[0] | ids[1] | ids[2]))
		return COUNTER_CONTEXT_NONE;
	if (!(ids[0] | ids[1]) || !ids[2])
		return COUNTER_CONTEXT_HALF_SET;
	return context->attributes_size > MAX_RECORD_ATTRIBUTES ? COUNTER_CONTEXT_IMPLAUSIBLE : COUNTER_COUNT;
}

/* Copies what is published, if it is a context. Not static, as above. */
__noinline u32 VARIANT(copy_context)(struct thread_context *to, u64 record)
{
	u32 counter = to ? read_record(to, record) : COUNTER_CONTEXT_NONE;

	if (likely(counter == COUNTER_COUNT))
		return true;
	count(counter, 1);
	return false;
}

/* What the scratch says where it is, in a record of its own; RECORD_LABELS: those of the goroutine. Not static, as
 * above. */
__noinline int VARIANT(tell_published)(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *scratch = get_scratch();
	const struct thread_io *io;
	struct thread_context *context;
	struct context_event *event;
	bool has_attributes;
	u32 counter, size;

	if (!scratch)
		return 0;
	io = &scratch->thread_io;
	if (io->published == RECORD_LABELS) {
		counter = send_labels(scratch, task);
		if (counter != COUNTER_COUNT)
			count(counter, 1);
		return 0;
	}
	event = &scratch->context.event;
	context = &event->context;
	if (!VARIANT(copy_context)(context, io->published))
		return 0;
	size = context->attributes_size;
	__builtin_memset(context->attributes, 0, sizeof(context->attributes));
	has_attributes = unlikely(context_attributes) && size > 0 && size <= CONTEXT_ATTRIBUTES;
	if (has_attributes) {
		__builtin_memset(scratch->context.attributes, 0, sizeof(scratch->context.attributes));
		if (exceeds(size, CONTEXT_ATTRIBUTES))
			size = CONTEXT_ATTRIBUTES;
		/* Its ids are as good without. */
		if (bpf_probe_read_user(
			    context->attributes, size,
			    (void *)(io->published + __builtin_offsetof(struct thread_context, attributes))))
			has_attributes = false;
	}
	fill_header(&event->header, EVENT_CONTEXT, io->flags, io->time);
	event->cookie = io->cookie;
	event->position = io->position;
	event->size = io->size;
	event->tid = task->pid;
	if (has_attributes)
		emit(&scratch->context, sizeof(scratch->context), false);
	else
		emit(event, sizeof(*event), false);
	return 0;
}

static __noinline void tell_context(struct moved *moved)
{
	struct scratch *scratch = get_scratch();

	if (!scratch)
		return;
	scratch->thread_io = (struct thread_io){
		.cookie = moved->conn->cookie,
		.position = moved->start,
		.time = moved->time,
		.published = moved->published,
		.size = moved->end - moved->start,
		.flags = moved->flags & IO_SENT,
	};
	VARIANT(tell_published)();
	moved->published = 0;
}

/*
 * What the running thread is in as it sends this. Whether its process has a
 * place is looked up every time, and not kept with the connection, which other
 * processes may share; that it has none is, until the places change.
 */
static AT_EACH_IO void find_context(struct moved *moved)
{
	u32 generation = places_generation();
	u64 record;

	if (likely(moved->conn->contextless == generation))
		return;
	record = VARIANT(find_record)();
	if (record == RECORD_NO_PLACE) {
		moved->conn->contextless = generation;
		return;
	}
	moved->published = record;
	/* These are too long for the record of the I/O. */
	if (unlikely(record == RECORD_LABELS || (context_attributes && record)))
		tell_context(moved);
}

#endif
