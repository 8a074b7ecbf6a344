/* SPDX-License-Identifier: Apache-2.0 */
/* A test program's output: one line for each title, `ok - …` or `not ok - …`, and why. TAP, near enough. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int failed_tests;
static bool test_failed;

#define EXPECT(condition)                                                                \
	do {                                                                             \
		if (!(condition)) {                                                      \
			printf("# %s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			test_failed = true;                                              \
		}                                                                        \
	} while (0)

#define EXPECT_EQUAL(actual, expected)                                                                              \
	do {                                                                                                        \
		long long actual_ = (long long)(actual), expected_ = (long long)(expected);                         \
		if (actual_ != expected_) {                                                                         \
			printf("# %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #actual, actual_, expected_); \
			test_failed = true;                                                                         \
		}                                                                                                   \
	} while (0)

/* For set-up that must work before anything can be said. */
#define REQUIRE(condition)                                                               \
	do {                                                                             \
		if (!(condition)) {                                                      \
			printf("Bail out! %s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(2);                                                         \
		}                                                                        \
	} while (0)

static inline void run_test(const char *title, void (*run)(void))
{
	test_failed = false;
	run();
	printf("%sok - %s\n", test_failed ? "not " : "", title);
	fflush(stdout);
	failed_tests += test_failed;
}

static inline int finish_tests(void)
{
	return failed_tests ? 1 : 0;
}

#endif
