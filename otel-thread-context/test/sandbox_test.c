/* SPDX-License-Identifier: Apache-2.0 */
/* Under seccomp: thread context works where no system call is allowed, process context where no memfd is. */
#define _GNU_SOURCE
#include "check.h"
#include "decode.h"
#include "otel_thread_context.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Every function of thread context, many times, with nothing but read, write and exit left. Anything else is SIGKILL.
 */
static void use_thread_context(void)
{
	static uint64_t memory[OTEL_THREAD_CONTEXT_SIZE(64) / 8];
	const uint8_t id[16] = { 1 };
	const struct otel_thread_context_attribute attributes[] = { { "GET", 3, 0 }, { "/checkout", 9, 1 } };
	struct otel_thread_context_record *record;

	for (int i = 0; i < 100000; i++) {
		otel_thread_context_record_init(memory, sizeof(memory), &record);
		otel_thread_context_record_update(record, id, id, 1, attributes, 2);
		otel_thread_context_attach(record);
		otel_thread_context_record_set_attribute(record, 1, "/cart", 5);
		otel_thread_context_record_set_trace_flags(record, 0);
		otel_thread_context_swap(otel_thread_context_thread_record());
		otel_thread_context_record_update(otel_thread_context_current(), id, id, 1, attributes, 2);
		otel_thread_context_detach();
	}
}

static void makes_no_system_call(void)
{
	int status = -1;
	pid_t child = fork();

	REQUIRE(child >= 0);
	if (!child) {
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
		use_thread_context();
		syscall(SYS_exit, 7);
	}
	EXPECT(waitpid(child, &status, 0) == child);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void refuse_calls(unsigned int first, unsigned int second)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, second, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* Returns the result of publishing, or 1 if readers find something else than it says. */
static int publish_without(unsigned int first, unsigned int second)
{
	static struct seen_process seen;
	int channel[2], result = 2;
	pid_t child;

	REQUIRE(pipe(channel) == 0);
	child = fork();
	REQUIRE(child >= 0);
	if (!child) {
		struct otel_thread_context_process process = { .size = sizeof(process) };

		refuse_calls(first, second);
		result = otel_thread_context_process_publish(&process);
		if (see_process(getpid(), &seen) != !result || seen.mappings != !result)
			result = 1;
		REQUIRE(write(channel[1], &result, sizeof(result)) == sizeof(result));
		_exit(0);
	}
	EXPECT(read(channel[0], &result, sizeof(result)) == sizeof(result));
	close(channel[0]);
	close(channel[1]);
	waitpid(child, NULL, 0);
	return result;
}

static void publishes_in_sandboxes(void)
{
	int without_file;

	EXPECT_EQUAL(publish_without(SYS_prctl, SYS_prctl), 0);
	EXPECT_EQUAL(publish_without(SYS_memfd_create, SYS_prctl), -ENOTSUP);
	without_file = publish_without(SYS_memfd_create, SYS_memfd_create);
	printf("# without memfd_create: %d (a kernel without CONFIG_ANON_VMA_NAME gives %d)\n", without_file, -ENOTSUP);
	EXPECT(without_file == 0 || without_file == -ENOTSUP);
}

int main(void)
{
	run_test("thread context makes no system call", makes_no_system_call);
	run_test("process context is published without a name or without a file, and refused without both",
		 publishes_in_sandboxes);
	return finish_tests();
}
