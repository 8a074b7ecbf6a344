/* SPDX-License-Identifier: Apache-2.0 */
/* The context that is active in opentelemetry-cpp → the record of the thread (OTEP 4947), whenever it changes. */
#ifndef OTEL_THREAD_CONTEXT_STORAGE_HPP
#define OTEL_THREAD_CONTEXT_STORAGE_HPP

#include "otel_thread_context.h"

#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/trace/span.h>
#include <opentelemetry/trace/span_metadata.h>

namespace otel_thread_context
{

/*
 * Where opentelemetry-cpp keeps the contexts of each thread, as ever, and publishes what is on top. To be set before
 * the first span is made:
 *
 *   opentelemetry::context::RuntimeContext::SetRuntimeContextStorage(
 *       opentelemetry::nostd::shared_ptr<opentelemetry::context::RuntimeContextStorage>(
 *           new otel_thread_context::thread_context_storage));
 */
class thread_context_storage : public opentelemetry::context::ThreadLocalContextStorage
{
	using base = opentelemetry::context::ThreadLocalContextStorage;

      public:
	opentelemetry::nostd::unique_ptr<opentelemetry::context::Token>
	Attach(const opentelemetry::context::Context &context) noexcept override
	{
		auto token = base::Attach(context);

		publish(context);
		return token;
	}

	bool Detach(opentelemetry::context::Token &token) noexcept override
	{
		bool is_detached = base::Detach(token);

		if (is_detached)
			publish(GetCurrent());
		return is_detached;
	}

      private:
	static void publish(const opentelemetry::context::Context &context) noexcept
	{
		namespace nostd = opentelemetry::nostd;
		namespace trace = opentelemetry::trace;
		const auto value = context.GetValue(trace::kSpanKey);
		const auto *span = nostd::get_if<nostd::shared_ptr<trace::Span>>(&value);

		/* A remote parent, and one that is not sampled, is no span that this process makes. */
		if (!span || !*span || !(*span)->IsRecording()) {
			otel_thread_context_detach();
			return;
		}
		const trace::SpanContext ids = (*span)->GetContext();
		auto *record = otel_thread_context_thread_record();

		if (otel_thread_context_record_update(record, ids.trace_id().Id().data(), ids.span_id().Id().data(),
						      ids.trace_flags().flags(), nullptr, 0) ||
		    otel_thread_context_attach(record))
			otel_thread_context_detach();
	}
};

} // namespace otel_thread_context

#endif
