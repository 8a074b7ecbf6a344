/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Go: no variable of the thread, but the pprof labels of the goroutine that
 * runs. Its address is in a register while Go code calls the system, and it
 * proves itself: its thread says that it runs it. What the labels mean is for
 * user space. Schema go_pprof_labels_v1.
 */
#ifndef USM_THREAD_CONTEXT_GO_H
#define USM_THREAD_CONTEXT_GO_H

#include "compat.h"
#include "emit.h"
#include "thread_variable.h"

/* Of a goroutine (runtime.g): its thread. The same since Go 1.13 at least. */
#define GO_THREAD 48
#define GO_MAX_LABELS 16

#if defined(__TARGET_ARCH_x86)
#define goroutine_register(regs) ((regs)->r14)
#elif defined(__TARGET_ARCH_arm64)
#define goroutine_register(frame) ((frame)->user_regs.regs[28])
#endif

/* The labels of the goroutine that runs; the counter of what was in the way, or COUNTER_COUNT. */
static __always_inline u32 find_labels(struct task_struct *task, const struct context_place *place,
				       struct go_slice *labels)
{
	u64 goroutine = goroutine_register((struct pt_regs *)bpf_task_pt_regs(task)), thread, running, address;

	/* C code has something else in the register. */
	if ((goroutine & 7) || bpf_probe_read_user(&thread, sizeof(thread), (void *)(goroutine + GO_THREAD)) ||
	    bpf_probe_read_user(&running, sizeof(running), (void *)(thread + place->dtv_offset)) ||
	    running != goroutine)
		return COUNTER_CONTEXT_NONE;
	if (bpf_probe_read_user(&address, sizeof(address), (void *)(goroutine + place->count_offset)))
		return COUNTER_CONTEXT_FAULT;
	if (!address)
		return COUNTER_CONTEXT_NONE;
	if (bpf_probe_read_user(labels, sizeof(*labels), (void *)address))
		return COUNTER_CONTEXT_FAULT;
	if (!labels->size)
		return COUNTER_CONTEXT_NONE;
	return labels->size <= labels->capacity && labels->size < 65536 ? COUNTER_COUNT : COUNTER_CONTEXT_IMPLAUSIBLE;
}

/* Copies the labels that are short enough to be ids; returns how many. */
static __always_inline u32 copy_labels(struct labels_event *event, struct scratch *scratch)
{
	const struct go_slice *labels = &scratch->labels;
	struct go_label *label = &scratch->label;
	u32 count = 0, key_size, value_size;

	for (u32 i = 0; i < GO_MAX_LABELS && i < labels->size && count < MAX_LABELS; i++) {
		struct label *to = &event->labels[count];

		if (bpf_probe_read_user(label, sizeof(*label), (void *)(labels->array + i * sizeof(*label))))
			break;
		if (!label->key.size || label->key.size > sizeof(to->key) || !label->value.size ||
		    label->value.size > sizeof(to->value))
			continue;
		key_size = label->key.size;
		value_size = label->value.size;
		if (exceeds(key_size, sizeof(to->key)) || exceeds(value_size, sizeof(to->value)))
			continue;
		if (bpf_probe_read_user(to->key, key_size, (void *)label->key.text) ||
		    bpf_probe_read_user(to->value, value_size, (void *)label->value.text))
			continue;
		to->key_size = key_size;
		to->value_size = value_size;
		count++;
	}
	return count;
}

/* The counter of what was in the way, or COUNTER_COUNT. */
static __noinline u32 send_labels(struct scratch *scratch, struct task_struct *task)
{
	u32 result = find_labels(task, &scratch->place, &scratch->labels);
	const struct thread_io *io = &scratch->thread_io;
	struct labels_event *event;

	if (result != COUNTER_COUNT)
		return result;
	event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
	if (!event) {
		struct event_header attempt;

		fill_header(&attempt, EVENT_LABELS, 0, 0);
		return COUNTER_RING_FULL;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->count = copy_labels(event, scratch);
	if (!event->count) {
		bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
		return COUNTER_CONTEXT_NONE;
	}
	fill_header(&event->header, EVENT_LABELS, io->flags, io->time);
	event->cookie = io->cookie;
	event->position = io->position;
	event->size = io->size;
	bpf_ringbuf_submit(event, wakeup(&event->header, false));
	return COUNTER_COUNT;
}

#endif
