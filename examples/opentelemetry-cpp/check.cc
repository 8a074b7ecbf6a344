/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goes into spans and out of them, in several threads, and compares at each step what the thread publishes with the
 * span that is active. Needs no SDK: its spans have ids, and no more. Prints how many steps there were; ends with 1
 * where one was wrong.
 */
#include "thread_context_storage.hpp"

#include <opentelemetry/trace/scope.h>
#include <opentelemetry/trace/span_context.h>
#include <opentelemetry/trace/tracer.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

namespace common = opentelemetry::common;
namespace context = opentelemetry::context;
namespace nostd = opentelemetry::nostd;
namespace trace = opentelemetry::trace;

namespace
{

std::atomic<unsigned> steps, wrong;

/* A span with ids that follow from a number. */
class numbered final : public trace::Span
{
      public:
	explicit numbered(unsigned number, bool is_recording = true)
	    : context_(make(number)), is_recording_(is_recording)
	{
	}

	trace::SpanContext GetContext() const noexcept override
	{
		return context_;
	}
	bool IsRecording() const noexcept override
	{
		return is_recording_;
	}
	void SetAttribute(nostd::string_view, const common::AttributeValue &) noexcept override
	{
	}
	void AddEvent(nostd::string_view) noexcept override
	{
	}
	void AddEvent(nostd::string_view, common::SystemTimestamp) noexcept override
	{
	}
	void AddEvent(nostd::string_view, const common::KeyValueIterable &) noexcept override
	{
	}
	void AddEvent(nostd::string_view, common::SystemTimestamp, const common::KeyValueIterable &) noexcept override
	{
	}
	void SetStatus(trace::StatusCode, nostd::string_view) noexcept override
	{
	}
	void UpdateName(nostd::string_view) noexcept override
	{
	}
	void End(const trace::EndSpanOptions &) noexcept override
	{
	}

      private:
	static trace::SpanContext make(unsigned number)
	{
		uint8_t trace_id[16] = { 1 }, span_id[8] = { 2 };

		std::memcpy(trace_id + 8, &number, sizeof(number));
		std::memcpy(span_id + 4, &number, sizeof(number));
		return { trace::TraceId(trace_id), trace::SpanId(span_id), trace::TraceFlags(1), false };
	}

	trace::SpanContext context_;
	bool is_recording_;
};

nostd::shared_ptr<trace::Span> span(unsigned number, bool is_recording = true)
{
	return nostd::shared_ptr<trace::Span>(new numbered(number, is_recording));
}

/* expected: the active span, or nullptr. */
void step(const trace::Span *expected)
{
	const auto *record = otel_thread_context_current();
	bool is_right = !expected == !record;

	steps++;
	if (expected && record) {
		const auto ids = expected->GetContext();

		is_right = record->valid == 1 && record->trace_flags == ids.trace_flags().flags() &&
			   !std::memcmp(record->trace_id, ids.trace_id().Id().data(), 16) &&
			   !std::memcmp(record->span_id, ids.span_id().Id().data(), 8);
	}
	if (!is_right)
		wrong++;
}

void work(unsigned first)
{
	step(nullptr);
	for (unsigned number = first; number < first + 1000; number++) {
		auto outer = span(number), inner = span(number + 500000), silent = span(number, false);
		trace::Scope in_outer(outer);

		step(outer.get());
		{
			trace::Scope in_inner(inner);

			step(inner.get());
			{
				trace::Scope in_silent(silent);

				step(nullptr);
			}
			step(inner.get());
		}
		step(outer.get());
		{
			/* Nothing in it: as in a task that is nobody's. */
			auto token = context::RuntimeContext::Attach(context::Context());

			step(nullptr);
		}
		step(outer.get());
	}
	step(nullptr);
}

} // namespace

int main()
{
	std::vector<std::thread> threads;

	context::RuntimeContext::SetRuntimeContextStorage(
		nostd::shared_ptr<context::RuntimeContextStorage>(new otel_thread_context::thread_context_storage));
	for (unsigned i = 0; i < 4; i++)
		threads.emplace_back(work, 1 + i * 1000);
	for (auto &thread : threads)
		thread.join();
	std::printf("%u steps, %u wrong\n", steps.load(), wrong.load());
	return wrong == 0 ? 0 : 1;
}
