/* SPDX-License-Identifier: Apache-2.0 */
/* The C++ wrapper: scopes nest, move, and end in exceptions. */
#include "otel_thread_context.hpp"

#include "check.h"

#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace context = otel_thread_context;

static_assert(!std::is_copy_constructible_v<context::scope> && !std::is_copy_assignable_v<context::scope>);
static_assert(std::is_nothrow_move_constructible_v<context::scope> && !std::is_move_assignable_v<context::scope>);
static_assert(!std::is_copy_constructible_v<context::record<>> && !std::is_move_constructible_v<context::record<>>);
static_assert(sizeof(context::record<32>) == 64 && alignof(context::record<32>) == 64);

static const std::uint8_t id[16] = { 1 };

static void nests()
{
	context::record<> outer, inner;

	EXPECT(outer.update(id, id, 1) == 0);
	EXPECT(inner.update(id, id, 1) == 0);
	EXPECT(otel_thread_context_current() == nullptr);
	{
		context::scope first(outer);
		EXPECT(otel_thread_context_current() == outer.get());
		{
			context::scope second(inner);
			EXPECT(otel_thread_context_current() == inner.get());
		}
		EXPECT(otel_thread_context_current() == outer.get());
		first.end();
		EXPECT(otel_thread_context_current() == nullptr);
	}
	EXPECT(otel_thread_context_current() == nullptr);
}

static void unwinds()
{
	context::record<> record;

	try {
		context::scope scope(record);
		throw std::runtime_error("unwind");
	} catch (const std::runtime_error &) {
		EXPECT(otel_thread_context_current() == nullptr);
	}
}

static context::scope enter(context::record<> &record)
{
	context::scope scope(record);

	return scope;
}

static void moves()
{
	context::record<> record;
	{
		context::scope first = enter(record);
		context::scope second(std::move(first));
		EXPECT(otel_thread_context_current() == record.get());
		first.end();
		EXPECT(otel_thread_context_current() == record.get());
	}
	EXPECT(otel_thread_context_current() == nullptr);
}

static void keeps_attributes()
{
	context::record<300> record;

	EXPECT(record.update(id, id, 1) == 0);
	EXPECT(record.set_attribute(3, std::string(255, 'x')) == 0);
	EXPECT(record.set_attribute(4, std::string(41, 'x')) == 0);
	EXPECT(record.set_attribute(5, "") == -28);
	EXPECT(record.get()->attrs_data_size == 300);
	EXPECT(reinterpret_cast<std::uintptr_t>(record.get()) % 2 == 0);
}

static void works_in_threads()
{
	std::vector<std::thread> threads;

	for (int i = 0; i < 8; i++)
		threads.emplace_back([] {
			context::record<> record;
			for (int j = 0; j < 1000; j++) {
				context::scope scope(record);
				EXPECT(otel_thread_context_current() == record.get());
			}
			EXPECT(otel_thread_context_current() == nullptr);
		});
	for (std::thread &thread : threads)
		thread.join();
}

int main()
{
	run_test("scopes nest, and an early end is the only one", nests);
	run_test("an exception ends its scope", unwinds);
	run_test("a scope moves, and what it was moved from does nothing", moves);
	run_test("a record has the room that its type says", keeps_attributes);
	run_test("scopes of threads do not meet", works_in_threads);
	return finish_tests();
}
