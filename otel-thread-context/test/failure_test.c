/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation and system call of the process context fails once, one after the other: each time the call that met
 * it must say so or do without, and readers must find what they found before, or what the call promised. Linked with
 * --wrap for each function.
 */
#define _GNU_SOURCE
#include "check.h"
#include "decode.h"
#include "otel_thread_context.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum function {
	ALLOCATE,
	DUPLICATE,
	CREATE_FILE,
	RESIZE,
	MAP,
	ADVISE,
	NAME,
	CLOCK,
	UNMAP,
	LOOK,
	WATCH_FORK,
	FUNCTIONS,
};

static const char *const function_names[] = { "malloc", "strdup",  "memfd_create",  "ftruncate",
					      "mmap",	"madvise", "prctl",	    "clock_gettime",
					      "munmap", "open",	   "pthread_atfork" };

/* Which call fails: number `fails_at` of `failing`, counted from 1; 0 for none. `fails_on`: that one and all after it.
 */
static enum function failing;
static int fails_at, calls, names_given;
static bool fails_on, accepts_names, stops_clock;
static void *named_address;

static bool must_fail(enum function function)
{
	if (!fails_at || function != failing)
		return false;
	calls++;
	return calls == fails_at || (fails_on && calls > fails_at);
}

void *__real_malloc(size_t size);
char *__real_strdup(const char *text);
int __real_memfd_create(const char *name, unsigned int flags);
int __real_ftruncate(int fd, off_t size);
void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_madvise(void *address, size_t size, int advice);
int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __real_munmap(void *address, size_t size);
int __real_open(const char *path, int flags, ...);
int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

void *__wrap_malloc(size_t size);
char *__wrap_strdup(const char *text);
int __wrap_memfd_create(const char *name, unsigned int flags);
int __wrap_ftruncate(int fd, off_t size);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_madvise(void *address, size_t size, int advice);
int __wrap_prctl(int option, ...);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_munmap(void *address, size_t size);
int __wrap_open(const char *path, int flags, ...);
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

static int fail(int error)
{
	errno = error;
	return -1;
}

void *__wrap_malloc(size_t size)
{
	return must_fail(ALLOCATE) ? NULL : __real_malloc(size);
}

char *__wrap_strdup(const char *text)
{
	return must_fail(DUPLICATE) ? NULL : __real_strdup(text);
}

int __wrap_memfd_create(const char *name, unsigned int flags)
{
	return must_fail(CREATE_FILE) ? fail(EPERM) : __real_memfd_create(name, flags);
}

int __wrap_ftruncate(int fd, off_t size)
{
	return must_fail(RESIZE) ? fail(EPERM) : __real_ftruncate(fd, size);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (!must_fail(MAP))
		return __real_mmap(address, size, protection, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

int __wrap_madvise(void *address, size_t size, int advice)
{
	return must_fail(ADVISE) ? fail(EINVAL) : __real_madvise(address, size, advice);
}

/* What the kernel says to the name depends on the kernel: here it is this test that says. */
int __wrap_prctl(int option, ...)
{
	unsigned long what, size;
	const char *name;
	va_list arguments;

	va_start(arguments, option);
	what = va_arg(arguments, unsigned long);
	named_address = va_arg(arguments, void *);
	size = va_arg(arguments, unsigned long);
	name = va_arg(arguments, const char *);
	va_end(arguments);
	EXPECT_EQUAL(option, 0x53564d41);
	EXPECT_EQUAL(what & 0xffffffff, 0);
	EXPECT_EQUAL(size, sysconf(_SC_PAGESIZE));
	EXPECT(!strcmp(name, "OTEL_CTX"));
	names_given++;
	return must_fail(NAME) || !accepts_names ? fail(EINVAL) : 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	if (stops_clock) {
		*time = (struct timespec){ 1, 2 };
		return 0;
	}
	return must_fail(CLOCK) ? fail(EPERM) : __real_clock_gettime(clock, time);
}

int __wrap_munmap(void *address, size_t size)
{
	return must_fail(UNMAP) ? fail(ENOMEM) : __real_munmap(address, size);
}

int __wrap_open(const char *path, int flags, ...)
{
	return must_fail(LOOK) ? fail(ENOENT) : __real_open(path, flags);
}

int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	return must_fail(WATCH_FORK) ? ENOMEM : __real_pthread_atfork(prepare, parent, child);
}

/* ---- what is expected ---- */

static struct seen_process seen;

static bool sees(const char *service, int keys)
{
	char value[64];

	return see_process(getpid(), &seen) && seen.mappings == 1 && count_keys(&seen) == keys &&
	       see_process_attribute(&seen, true, "service.name", value, sizeof(value)) && !strcmp(value, service);
}

static bool sees_nothing(void)
{
	return !see_process(getpid(), &seen);
}

static int publish(const char *service)
{
	struct otel_thread_context_process_attribute name = { "service.name", service };
	struct otel_thread_context_process process = { .size = sizeof(process),
						       .resource = &name,
						       .resource_count = 1 };

	return otel_thread_context_process_publish(&process);
}

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	REQUIRE(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* What readers find after a call. */
static void expect_step(int result, bool is_as_before, bool is_as_promised)
{
	if (result < 0 && !is_as_before) {
		printf("# failed with %d, but readers do not find what was before\n", result);
		test_failed = true;
	}
	if (result >= 0 && !is_as_promised) {
		printf("# succeeded, but readers do not find what was promised\n");
		test_failed = true;
	}
}

/* A life of a process context, each step tried until it works. Returns the number of steps that failed. */
static int live(void)
{
	int failures = 0, descriptors = count_descriptors(), keys, result;

	do {
		result = otel_thread_context_process_register_key("first");
		expect_step(result, sees_nothing(), sees_nothing());
		failures += result < 0;
	} while (result < 0 && failures < 10);
	EXPECT_EQUAL(result, 0);
	do {
		result = publish("one");
		expect_step(result, sees_nothing(), sees("one", 1));
		failures += result != 0;
	} while (result && failures < 10);
	do {
		result = publish("two");
		expect_step(result, sees("one", 1), sees("two", 1));
		failures += result != 0;
	} while (result && failures < 10);
	keys = names_given;
	do {
		result = otel_thread_context_process_register_key("second");
		expect_step(result, sees("two", 1), sees("two", 2));
		failures += result < 0;
	} while (result < 0 && failures < 10);
	EXPECT_EQUAL(result, 1);
	/* Who watches for the name hears of every change, and where it is. */
	EXPECT_EQUAL(names_given - keys, 1);
	EXPECT(named_address == (void *)(uintptr_t)seen.header_address);
	do {
		result = otel_thread_context_process_unpublish();
		expect_step(result, sees_nothing(), sees_nothing());
		failures += result != 0;
	} while (result && failures < 10);
	EXPECT_EQUAL(seen.mappings, 0);
	EXPECT_EQUAL(count_descriptors(), descriptors);
	return failures;
}

/* In a process of its own: what the library keeps in one life is not to help the next. Returns the failures, or -1. */
static int live_in_child(enum function function, int at, bool on, int *calls_made)
{
	int channel[2], told[3] = { -1, 0, 0 };
	pid_t child;

	REQUIRE(pipe(channel) == 0);
	child = fork();
	REQUIRE(child >= 0);
	if (!child) {
		failing = function;
		fails_at = at;
		fails_on = on;
		test_failed = false;
		told[0] = live();
		told[1] = calls;
		told[2] = test_failed;
		fflush(stdout);
		REQUIRE(write(channel[1], told, sizeof(told)) == sizeof(told));
		/* Not _exit: the leak checker of a sanitizer wants to say something. */
		exit(0);
	}
	close(channel[1]);
	if (read(channel[0], told, sizeof(told)) != sizeof(told))
		told[0] = -1;
	close(channel[0]);
	{
		int status = -1;

		waitpid(child, &status, 0);
		if (status)
			told[0] = -1;
	}
	if (told[2]) {
		printf("# ... when call %d of %s failed\n", at, function_names[function]);
		test_failed = true;
	}
	*calls_made = told[1];
	return told[0];
}

static void each_call_fails_once(void)
{
	int injected = 0, tolerated = 0;

	for (int function = 0; function < WATCH_FORK; function++) {
		int of_this = 0;

		for (int at = 1;; at++) {
			int made = 0, failures = live_in_child((enum function)function, at, false, &made);

			EXPECT(failures >= 0);
			if (made < at)
				break;
			of_this++;
			tolerated += failures == 0;
		}
		if (!of_this) {
			printf("# %s is never called\n", function_names[function]);
			test_failed = true;
		}
		injected += of_this;
	}
	printf("# %d failures injected, %d of them done without\n", injected, tolerated);
}

static bool publishes_with(enum function function, bool on, bool names, int *result, char *name)
{
	int channel[2], status = -1;
	struct {
		int result;
		char name[64];
		bool found;
	} told = { -1, "", false };
	pid_t child;

	REQUIRE(pipe(channel) == 0);
	child = fork();
	REQUIRE(child >= 0);
	if (!child) {
		accepts_names = names;
		failing = function;
		fails_at = 1;
		fails_on = on;
		told.result = publish("one");
		told.found = see_process(getpid(), &seen);
		if (seen.mappings)
			memcpy(told.name, seen.name, sizeof(told.name));
		REQUIRE(write(channel[1], &told, sizeof(told)) == sizeof(told));
		exit(0);
	}
	close(channel[1]);
	EXPECT(read(channel[0], &told, sizeof(told)) == sizeof(told));
	close(channel[0]);
	EXPECT(waitpid(child, &status, 0) == child && status == 0);
	*result = told.result;
	memcpy(name, told.name, sizeof(told.name));
	return told.found;
}

static void falls_back(void)
{
	char name[64];
	int result;

	/* A kernel without names: the file's own name is enough. */
	EXPECT(publishes_with(FUNCTIONS, true, false, &result, name));
	EXPECT_EQUAL(result, 0);
	EXPECT(!strncmp(name, "/memfd:OTEL_CTX", 15));
	/* A kernel that does not know the newest flag: once more without it. */
	EXPECT(publishes_with(CREATE_FILE, false, false, &result, name));
	EXPECT_EQUAL(result, 0);
	EXPECT(!strncmp(name, "/memfd:OTEL_CTX", 15));
	/* No file: by its name alone. This test only says that the name was given, so nothing is found, but it is
	 * there. */
	publishes_with(CREATE_FILE, true, true, &result, name);
	EXPECT_EQUAL(result, 0);
	publishes_with(RESIZE, true, true, &result, name);
	EXPECT_EQUAL(result, 0);
	/* Neither. */
	EXPECT(!publishes_with(CREATE_FILE, true, false, &result, name));
	EXPECT_EQUAL(result, -ENOTSUP);
	EXPECT(!name[0]);
}

static bool refuses_everything(void)
{
	failing = WATCH_FORK;
	fails_at = 1;
	return otel_thread_context_process_register_key("name") == -ENOMEM && publish("one") == -ENOMEM &&
	       otel_thread_context_process_unpublish() == -ENOMEM && sees_nothing();
}

static void needs_to_watch_fork(void)
{
	int status = -1;
	pid_t child = fork();

	REQUIRE(child >= 0);
	if (!child)
		exit(refuses_everything() ? 0 : 1);
	EXPECT(waitpid(child, &status, 0) == child && status == 0);
}

static bool publishes_at_one_time(void)
{
	uint64_t last = 0;

	stops_clock = true;
	for (int i = 0; i < 10; i++) {
		if (publish("one") || !see_process(getpid(), &seen) || seen.published_at_ns <= last)
			return false;
		last = seen.published_at_ns;
		if (i == 5 && otel_thread_context_process_unpublish())
			return false;
	}
	return true;
}

static void needs_no_clock_that_moves(void)
{
	int status = -1;
	pid_t child = fork();

	REQUIRE(child >= 0);
	if (!child)
		exit(publishes_at_one_time() ? 0 : 1);
	EXPECT(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
	run_test("each allocation and system call fails once: readers find what was before, or what was promised",
		 each_call_fails_once);
	run_test("a file without a name will do, a name without a file too, but not neither", falls_back);
	run_test("a process whose forks cannot be watched publishes nothing", needs_to_watch_fork);
	run_test("each time is later than the one before, also when the clock stands still", needs_no_clock_that_moves);
	return finish_tests();
}
