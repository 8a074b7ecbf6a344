/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A process describes itself at its first observed I/O, in its own context:
 * /proc may be gone by the time that user space looks.
 */
#ifndef USM_PROCESS_H
#define USM_PROCESS_H

#include "kernel.h"

/* Emits a process_event for the current process; returns the filter rules that want its executable and cgroup. */
u64 describe_process(u64 time);

#endif
