/* SPDX-License-Identifier: Apache-2.0 */
/* What a process publishes, as another process reads it; who may publish, when, and what a fork does to it. */
#define _GNU_SOURCE
#include "check.h"
#include "decode.h"
#include "otel_thread_context.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

static struct seen_process seen, later;
static char text[65536];

static const struct otel_thread_context_process_attribute resource[] = {
	{ "service.name", "checkout" },
	{ "service.instance.id", "627cc493-f310-47de-96bd-71410b7dec09" },
	{ "empty", "" },
};
static const struct otel_thread_context_process_attribute attributes[] = { { "vendor.note", "gr\303\274n" } };

static struct otel_thread_context_process options(void)
{
	return (struct otel_thread_context_process){
		.size = sizeof(struct otel_thread_context_process),
		.resource = resource,
		.resource_count = COUNT(resource),
		.attributes = attributes,
		.attributes_count = COUNT(attributes),
	};
}

static struct otel_thread_context_process named(const struct otel_thread_context_process_attribute *name)
{
	return (struct otel_thread_context_process){ .size = sizeof(struct otel_thread_context_process),
						     .resource = name,
						     .resource_count = 1 };
}

static bool sees(bool of_resource, const char *key, const char *value)
{
	return see_process_attribute(&seen, of_resource, key, text, sizeof(text)) && !strcmp(text, value);
}

static bool sees_key(int index, const char *name)
{
	return see_key(&seen, index, text, sizeof(text)) && !strcmp(text, name);
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

/* Runs in a child, and says whether it succeeded there. */
static bool in_child(bool (*run)(void))
{
	int status = -1;
	pid_t child = fork();

	REQUIRE(child >= 0);
	if (!child) {
		alarm(60);
		_exit(run() ? 0 : 1);
	}
	REQUIRE(waitpid(child, &status, 0) == child);
	return status == 0;
}

/* ---- publishing ---- */

static void publishes(void)
{
	struct otel_thread_context_process process = options();
	struct timespec before, after;
	uint32_t version;
	int descriptors = count_descriptors();

	EXPECT(!see_process(getpid(), &seen));
	EXPECT_EQUAL(otel_thread_context_process_update(&process), -ENOENT);
	EXPECT(!see_process(getpid(), &seen));
	clock_gettime(CLOCK_BOOTTIME, &before);
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), 0);
	clock_gettime(CLOCK_BOOTTIME, &after);
	EXPECT(see_process(getpid(), &seen));
	EXPECT_EQUAL(seen.mappings, 1);
	EXPECT(!strncmp(seen.permissions, "rw-p", 4));
	memcpy(&version, seen.header + 8, 4);
	EXPECT_EQUAL(version, 2);
	EXPECT(seen.published_at_ns >= (uint64_t)before.tv_sec * 1000000000U + (uint64_t)before.tv_nsec);
	EXPECT(seen.published_at_ns <= (uint64_t)after.tv_sec * 1000000000U + (uint64_t)after.tv_nsec);
	EXPECT_EQUAL(count_process_attributes(&seen, true), 3);
	EXPECT(sees(true, "service.name", "checkout") && sees(true, "empty", ""));
	EXPECT(sees(true, "service.instance.id", "627cc493-f310-47de-96bd-71410b7dec09"));
	EXPECT_EQUAL(count_process_attributes(&seen, false), 3);
	EXPECT(sees(false, "vendor.note", "gr\303\274n"));
	EXPECT(sees(false, "threadlocal.schema_version", "tlsdesc_v1_dev"));
	EXPECT_EQUAL(count_keys(&seen), 0);
	EXPECT_EQUAL(count_descriptors(), descriptors);
}

static void encodes_protobuf(void)
{
	/* ProcessContext by hand: resource { attributes { "a": "b" } }, schema, key map. */
	static const char expected[] = "\012\012"
				       "\012\010"
				       "\012\001a"
				       "\022\003\012\001b"
				       "\022\046"
				       "\012\032threadlocal.schema_version"
				       "\022\010\012\006tls_v1"
				       "\022\043"
				       "\012\035threadlocal.attribute_key_map"
				       "\022\002\052\000";
	const struct otel_thread_context_process_attribute name = { "a", "b" };
	struct otel_thread_context_process process = named(&name);

	process.schema_version = OTEL_THREAD_CONTEXT_SCHEMA_V1;
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), 0);
	EXPECT(see_process(getpid(), &seen));
	EXPECT_EQUAL(seen.payload_size, sizeof(expected) - 1);
	EXPECT(!memcmp(seen.payload, expected, sizeof(expected) - 1));
}

static void updates_in_place(void)
{
	struct otel_thread_context_process process = options();
	const struct otel_thread_context_process_attribute name = { "service.name", "cart" };

	EXPECT_EQUAL(otel_thread_context_process_publish(&process), 0);
	EXPECT(see_process(getpid(), &seen));
	for (int i = 0; i < 100; i++) {
		process = named(&name);
		EXPECT_EQUAL(i % 2 ? otel_thread_context_process_publish(&process)
				   : otel_thread_context_process_update(&process),
			     0);
		EXPECT(see_process(getpid(), &later));
		EXPECT(later.published_at_ns > seen.published_at_ns);
		EXPECT_EQUAL(later.header_address, seen.header_address);
		EXPECT_EQUAL(later.mappings, 1);
		seen = later;
	}
	EXPECT(sees(true, "service.name", "cart") && !sees(true, "empty", ""));
	EXPECT_EQUAL(count_process_attributes(&seen, true), 1);
}

static void takes_back(void)
{
	struct otel_thread_context_process process = options();

	EXPECT_EQUAL(otel_thread_context_process_publish(&process), 0);
	EXPECT(see_process(getpid(), &seen));
	EXPECT_EQUAL(otel_thread_context_process_unpublish(), 0);
	EXPECT(!see_process(getpid(), &later));
	EXPECT_EQUAL(later.mappings, 0);
	EXPECT_EQUAL(otel_thread_context_process_unpublish(), 0);
	EXPECT_EQUAL(otel_thread_context_process_update(&process), -ENOENT);
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), 0);
	EXPECT(see_process(getpid(), &later));
	EXPECT(later.published_at_ns > seen.published_at_ns);
}

/* ---- key map ---- */

static bool fill_key_map(void)
{
	struct otel_thread_context_process process = options();
	char name[24];

	test_failed = false;
	EXPECT_EQUAL(otel_thread_context_process_unpublish(), 0);
	for (int i = 0; i < 256; i++) {
		uint64_t before = 0;

		if (i == 100)
			EXPECT_EQUAL(otel_thread_context_process_publish(&process), 0);
		if (i >= 100) {
			EXPECT(see_process(getpid(), &seen));
			before = seen.published_at_ns;
		}
		snprintf(name, sizeof(name), "key.%d", i);
		EXPECT_EQUAL(otel_thread_context_process_register_key(name), i);
		EXPECT_EQUAL(otel_thread_context_process_register_key(name), i);
		if (i >= 100) {
			/* Readers know the name before anybody has the index. */
			EXPECT(see_process(getpid(), &seen) && seen.published_at_ns > before);
			EXPECT_EQUAL(count_keys(&seen), i + 1);
			EXPECT(sees_key(i, name) && sees_key(0, "key.0"));
			EXPECT(sees(true, "service.name", "checkout"));
		}
	}
	EXPECT_EQUAL(otel_thread_context_process_register_key("one more"), -ENOSPC);
	EXPECT_EQUAL(otel_thread_context_process_register_key("key.77"), 77);
	EXPECT_EQUAL(otel_thread_context_process_unpublish(), 0);
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), 0);
	EXPECT(see_process(getpid(), &seen));
	EXPECT_EQUAL(count_keys(&seen), 256);
	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "key.%d", i);
		EXPECT(sees_key(i, name));
	}
	return !test_failed;
}

static void has_256_keys(void)
{
	EXPECT(in_child(fill_key_map));
}

static void *register_keys(void *data)
{
	int *indexes = data;
	char name[24];

	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "shared.%d", i);
		indexes[i] = otel_thread_context_process_register_key(name);
	}
	return NULL;
}

static bool register_in_threads(void)
{
	struct otel_thread_context_process process = options();
	static int indexes[8][60];
	pthread_t threads[8];
	char name[24];

	test_failed = false;
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), 0);
	for (int i = 0; i < 8; i++)
		REQUIRE(pthread_create(&threads[i], NULL, register_keys, indexes[i]) == 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	EXPECT(see_process(getpid(), &seen));
	EXPECT_EQUAL(count_keys(&seen), 60);
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "shared.%d", i);
		EXPECT(sees_key(indexes[0][i], name));
		for (int j = 1; j < 8; j++)
			EXPECT_EQUAL(indexes[j][i], indexes[0][i]);
	}
	return !test_failed;
}

static void threads_register_the_same_keys(void)
{
	EXPECT(in_child(register_in_threads));
}

/* ---- bad input ---- */

static void refuses_bad_options(void)
{
	static struct otel_thread_context_process_attribute many[257];
	static char names[257][16], large[OTEL_THREAD_CONTEXT_PAYLOAD_MAX];
	const struct otel_thread_context_process_attribute twice[] = { { "a", "1" }, { "b", "2" }, { "a", "3" } };
	const struct {
		struct otel_thread_context_process_attribute attribute;
		int error;
	} bad[] = {
		{ { NULL, "value" }, -EINVAL },
		{ { "", "value" }, -EINVAL },
		{ { "key", NULL }, -EINVAL },
		{ { "key", "\377" }, -EILSEQ },
		{ { "\200", "value" }, -EILSEQ },
		{ { "key", "\303" }, -EILSEQ },
		{ { "key", "\300\257" }, -EILSEQ },
		{ { "key", "\355\240\200" }, -EILSEQ },
		{ { "key", "\364\220\200\200" }, -EILSEQ },
		{ { "key", "\340\200\200" }, -EILSEQ },
		{ { "key", "\360\200\200\200" }, -EILSEQ },
		{ { "key", "\342\202" }, -EILSEQ },
	};
	struct otel_thread_context_process process = options();

	REQUIRE(otel_thread_context_process_publish(&process) == 0);
	REQUIRE(see_process(getpid(), &seen));
	EXPECT_EQUAL(otel_thread_context_process_publish(NULL), -EINVAL);
	process.size--;
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_process_update(&process), -EINVAL);
	process = options();
	process.schema_version = "";
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), -EINVAL);
	process.schema_version = "\377";
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), -EILSEQ);
	for (size_t i = 0; i < COUNT(bad); i++) {
		process = named(&bad[i].attribute);
		EXPECT_EQUAL(otel_thread_context_process_publish(&process), bad[i].error);
		process.attributes = process.resource;
		process.attributes_count = 1;
		process.resource_count = 0;
		EXPECT_EQUAL(otel_thread_context_process_publish(&process), bad[i].error);
	}
	process = named(NULL);
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), -EINVAL);
	process = named(twice);
	process.resource_count = 3;
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), -EINVAL);
	process = options();
	process.attributes = &(struct otel_thread_context_process_attribute){ "threadlocal.other", "x" };
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), -EINVAL);

	for (size_t i = 0; i < COUNT(many); i++) {
		snprintf(names[i], sizeof(names[i]), "%zu", i);
		many[i] = (struct otel_thread_context_process_attribute){ names[i], "x" };
	}
	process = named(many);
	process.resource_count = 257;
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), -E2BIG);
	memset(large, 'x', sizeof(large) - 1);
	process = named(&(struct otel_thread_context_process_attribute){ "key", large });
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), -EMSGSIZE);
	EXPECT_EQUAL(otel_thread_context_process_register_key(large), -EMSGSIZE);
	EXPECT_EQUAL(otel_thread_context_process_register_key(NULL), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_process_register_key(""), -EINVAL);
	EXPECT_EQUAL(otel_thread_context_process_register_key("\377"), -EILSEQ);

	EXPECT(see_process(getpid(), &later));
	EXPECT(!memcmp(&seen, &later, offsetof(struct seen_process, payload)));
	EXPECT_EQUAL(count_keys(&later), 0);
	EXPECT(!memcmp(seen.payload, later.payload, seen.payload_size));
	process = named(many);
	process.resource_count = 256;
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), 0);
	EXPECT(see_process(getpid(), &seen));
	EXPECT_EQUAL(count_process_attributes(&seen, true), 256);
}

static void fits_to_the_byte(void)
{
	static char large[OTEL_THREAD_CONTEXT_PAYLOAD_MAX];
	const struct otel_thread_context_process_attribute attribute = { "key", large };
	struct otel_thread_context_process process = named(&attribute);
	size_t length = sizeof(large) - 1;

	memset(large, 'x', length);
	while (otel_thread_context_process_publish(&process) == -EMSGSIZE)
		large[--length] = '\0';
	EXPECT(see_process(getpid(), &seen));
	EXPECT_EQUAL(seen.payload_size, OTEL_THREAD_CONTEXT_PAYLOAD_MAX);
	EXPECT(sees(true, "key", large));
	EXPECT_EQUAL(otel_thread_context_process_register_key("k"), -EMSGSIZE);
	EXPECT(see_process(getpid(), &later) && later.published_at_ns == seen.published_at_ns);
}

/* ---- one for each process ---- */

static bool publish_beside_another(void)
{
	struct otel_thread_context_process process = options();
	int file = memfd_create("OTEL_CTX", MFD_CLOEXEC);
	void *other;

	test_failed = false;
	REQUIRE(otel_thread_context_process_unpublish() == 0);
	REQUIRE(file >= 0 && ftruncate(file, 4096) == 0);
	other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	REQUIRE(other != MAP_FAILED);
	close(file);
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), -EEXIST);
	see_process(getpid(), &seen);
	EXPECT_EQUAL(seen.mappings, 1);
	munmap(other, 4096);
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), 0);
	EXPECT(see_process(getpid(), &seen));
	return !test_failed;
}

static void is_the_only_one(void)
{
	EXPECT(in_child(publish_beside_another));
}

/* ---- fork ---- */

static bool publish_as_child(void)
{
	const struct otel_thread_context_process_attribute name = { "service.name", "child" };
	struct otel_thread_context_process process = named(&name);

	test_failed = false;
	EXPECT(!see_process(getpid(), &seen));
	EXPECT_EQUAL(otel_thread_context_process_update(&process), -ENOENT);
	EXPECT_EQUAL(otel_thread_context_process_register_key("of the parent"), 0);
	EXPECT_EQUAL(otel_thread_context_process_register_key("of the child"), 1);
	EXPECT(!see_process(getpid(), &seen));
	EXPECT_EQUAL(otel_thread_context_process_publish(&process), 0);
	EXPECT(see_process(getpid(), &seen));
	EXPECT(sees(true, "service.name", "child") && sees_key(0, "of the parent") && sees_key(1, "of the child"));
	EXPECT(see_process(getppid(), &seen));
	EXPECT(sees(true, "service.name", "checkout"));
	EXPECT_EQUAL(count_keys(&seen), 1);
	return !test_failed;
}

/* As a parent, in a process that has registered no key yet. */
static bool fork_with_key(void)
{
	struct otel_thread_context_process process = options();

	return otel_thread_context_process_register_key("of the parent") == 0 &&
	       otel_thread_context_process_publish(&process) == 0 && in_child(publish_as_child) &&
	       see_process(getpid(), &seen) && sees(true, "service.name", "checkout") && count_keys(&seen) == 1;
}

static void children_publish_their_own(void)
{
	EXPECT(in_child(fork_with_key));
}

static bool clone_with_key(void)
{
	struct otel_thread_context_process process = options();
	int status = -1;
	pid_t child;

	if (otel_thread_context_process_register_key("of the parent") || otel_thread_context_process_publish(&process))
		return false;
	/* No fork handler runs. */
	child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (!child)
		_exit(publish_as_child() ? 0 : 1);
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void clones_publish_their_own(void)
{
	EXPECT(in_child(clone_with_key));
}

static volatile bool stop;

static void *publish_on(void *data)
{
	struct otel_thread_context_process process = options();

	while (!stop)
		REQUIRE(otel_thread_context_process_publish(&process) == 0);
	return data;
}

static bool publish_after_fork(void)
{
	struct otel_thread_context_process process = options();

	return otel_thread_context_process_publish(&process) == 0 && see_process(getpid(), &seen) &&
	       sees(true, "service.name", "checkout");
}

static void forks_while_threads_publish(void)
{
	pthread_t threads[2];

	stop = false;
	for (int i = 0; i < 2; i++)
		REQUIRE(pthread_create(&threads[i], NULL, publish_on, NULL) == 0);
	for (int i = 0; i < 100; i++)
		EXPECT(in_child(publish_after_fork));
	stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* ---- readers on another CPU ---- */

enum { READS = 20000 };

static struct otel_thread_context_process_attribute sizes[2][40];
static char values[2][400];

/* Two contexts that have nothing in common: one small, one of several pages. */
static struct otel_thread_context_process sized(int which)
{
	static char keys[40][16];

	memset(values[which], 'a' + which, sizeof(values[which]) - 1);
	for (int i = 0; i < 40; i++) {
		snprintf(keys[i], sizeof(keys[i]), "key%d", i);
		sizes[which][i] = (struct otel_thread_context_process_attribute){ keys[i], values[which] };
	}
	return (struct otel_thread_context_process){ .size = sizeof(struct otel_thread_context_process),
						     .resource = sizes[which],
						     .resource_count = which ? 40 : 3 };
}

static bool read_parent(void)
{
	pid_t parent = getppid();
	int small = 0, large = 0, retries = 0;
	uint64_t last = 0;

	test_failed = !see_process(parent, &seen);
	/* However the CPUs are shared out: both must have been there. The alarm ends what does not. */
	while ((small + large < READS || small < 10 || large < 10) && !test_failed) {
		int count;

		EXPECT(see_process_at(parent, seen.header_address, &seen));
		EXPECT(seen.published_at_ns >= last);
		last = seen.published_at_ns;
		retries += seen.retries;
		count = count_process_attributes(&seen, true);
		EXPECT(count == 3 || count == 40);
		small += count == 3;
		large += count == 40;
		for (int j = 0; j < count; j++)
			EXPECT(sees(true, sizes[0][j].key, values[count == 40]));
	}
	printf("# %d reads: %d small, %d large, %d begun again\n", small + large, small, large, retries);
	fflush(stdout);
	return !test_failed;
}

static void *publish_alternately(void *data)
{
	struct otel_thread_context_process processes[2] = { sized(0), sized(1) };

	for (unsigned int i = 0; !stop; i++)
		REQUIRE(otel_thread_context_process_publish(&processes[i % 2]) == 0);
	return data;
}

static void readers_never_see_a_mixture(void)
{
	struct otel_thread_context_process first = sized(0);
	pthread_t thread;

	sized(1);
	stop = false;
	REQUIRE(otel_thread_context_process_publish(&first) == 0);
	REQUIRE(pthread_create(&thread, NULL, publish_alternately, NULL) == 0);
	EXPECT(in_child(read_parent));
	stop = true;
	pthread_join(thread, NULL);
}

int main(void)
{
	run_test("publishes Resource, attributes, schema and key map where readers look", publishes);
	run_test("the payload is the protobuf message, byte by byte", encodes_protobuf);
	run_test("an update keeps the mapping and has a later time", updates_in_place);
	run_test("what was taken back is gone, and can be published again", takes_back);
	run_test("the key map has 256 names, each published before its index is known", has_256_keys);
	run_test("threads that register the same names get the same indexes", threads_register_the_same_keys);
	run_test("bad options are refused, and nothing changes", refuses_bad_options);
	run_test("a payload of exactly the maximum is published, one byte more is not", fits_to_the_byte);
	run_test("where another library has published, it is refused", is_the_only_one);
	run_test("a child of fork has no context until it publishes its own, with the same indexes",
		 children_publish_their_own);
	run_test("so has a child by clone() without fork handlers", clones_publish_their_own);
	run_test("forks while threads publish leave children that can publish", forks_while_threads_publish);
	run_test("a reader on another CPU never sees a mixture of two contexts", readers_never_see_a_mixture);
	return finish_tests();
}
