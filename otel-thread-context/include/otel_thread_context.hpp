/* SPDX-License-Identifier: Apache-2.0 */
/* The C library in C++17 terms: a record that has its memory, and a guard that attaches one for a scope. Header only.
 */
#ifndef OTEL_THREAD_CONTEXT_HPP
#define OTEL_THREAD_CONTEXT_HPP

#include "otel_thread_context.h"

#include <string_view>
#include <utility>

namespace otel_thread_context
{

/*
 * A record with room for so many attribute bytes; 32 make one cache line. Neither copied nor moved: observers know it
 * by its address. Must not be attached any more when it ends.
 */
template <std::size_t AttributeBytes = 32> class record
{
      public:
	static_assert(AttributeBytes <= OTEL_THREAD_CONTEXT_ATTRIBUTES_MAX, "a record has at most 640 bytes");

	record() noexcept
	{
		otel_thread_context_record *record;

		otel_thread_context_record_init(memory_, sizeof(memory_), &record);
	}

	record(const record &) = delete;
	record &operator=(const record &) = delete;

	/* As otel_thread_context_record_update(): 0 or a negative errno. */
	int update(const std::uint8_t *trace_id, const std::uint8_t *span_id, std::uint8_t trace_flags,
		   const otel_thread_context_attribute *attributes = nullptr, std::size_t count = 0) noexcept
	{
		return otel_thread_context_record_update(get(), trace_id, span_id, trace_flags, attributes, count);
	}

	/* As otel_thread_context_record_set_attribute(): 0 or a negative errno. */
	int set_attribute(std::uint8_t key, std::string_view value) noexcept
	{
		return otel_thread_context_record_set_attribute(get(), key, value.data(), value.size());
	}

	otel_thread_context_record *get() noexcept
	{
		return reinterpret_cast<otel_thread_context_record *>(memory_ + OTEL_THREAD_CONTEXT_RECORD_OFFSET);
	}

      private:
	alignas(64) unsigned char memory_[OTEL_THREAD_CONTEXT_SIZE(AttributeBytes)];
};

/*
 * Attaches a record to this thread until the end of the scope, then what was attached before. Scopes of a thread end in
 * the reverse order of their beginning, in that thread. Moved from, it does nothing.
 */
class scope
{
      public:
	explicit scope(otel_thread_context_record *next) noexcept
	    : previous_(otel_thread_context_swap(next)), is_active_(true)
	{
	}

	template <std::size_t AttributeBytes> explicit scope(record<AttributeBytes> &next) noexcept : scope(next.get())
	{
	}

	scope(scope &&other) noexcept : previous_(other.previous_), is_active_(std::exchange(other.is_active_, false))
	{
	}

	/* Not assigned: the scope that would end here is not the one that began last. */
	scope &operator=(scope &&) = delete;
	scope(const scope &) = delete;
	scope &operator=(const scope &) = delete;

	~scope()
	{
		end();
	}

	/* Ends it early. */
	void end() noexcept
	{
		if (std::exchange(is_active_, false))
			otel_thread_context_swap(previous_);
	}

      private:
	otel_thread_context_record *previous_;
	bool is_active_;
};

} // namespace otel_thread_context

#endif
