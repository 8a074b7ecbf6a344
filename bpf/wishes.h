/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space has said of a connection, through shared memory. */
#ifndef USM_WISHES_H
#define USM_WISHES_H

#include "maps.h"

static __always_inline void read_wishes(u64 cookie, u32 direction, struct wishes *wishes)
{
	u32 slot = cookie % MAX_CONTROLS;
	volatile struct control *control = bpf_map_lookup_elem(&controls, &slot);

	wishes->until = wishes->parsed = wishes->walk = 0;
	wishes->ignore = false;
	if (!control || likely(control->cookie != cookie))
		return;
	wishes->until = control->until[direction];
	wishes->parsed = control->parsed[direction];
	wishes->walk = control->walk[direction];
	wishes->ignore = control->ignore;
	/* The slot may have changed hands as we read. Cookies never come back, so this is proof. */
	if (control->cookie != cookie) {
		wishes->until = wishes->parsed = wishes->walk = 0;
		wishes->ignore = false;
	}
}

#endif
