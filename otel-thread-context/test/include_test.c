/* SPDX-License-Identifier: Apache-2.0 */
/* The header alone, for each language that it promises. */
#include "otel_thread_context.h"

int main(void)
{
	return otel_thread_context_current() ? 1 : 0;
}
