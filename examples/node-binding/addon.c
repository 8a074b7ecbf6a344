/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otel-thread-context for Node.js: publish(service), enter(ids), leave(), current(). Each thread that runs JavaScript
 * (the main one, workers) has one record, which is updated in place.
 */
#include <node_api.h>

#include "otel_thread_context.h"

#include <string.h>

enum { IDS_SIZE = 16 + 8 + 1 };

static napi_value fail(napi_env env, const char *what)
{
	napi_throw_error(env, NULL, what);
	return NULL;
}

/* publish(service: string): from now on observers know that this process publishes contexts. */
static napi_value publish(napi_env env, napi_callback_info info)
{
	char service[256];
	const struct otel_thread_context_process_attribute resource[] = {
		{ "service.name", service },
		{ "telemetry.sdk.language", "nodejs" },
	};
	const struct otel_thread_context_process process = { .size = sizeof(process),
							     .resource = resource,
							     .resource_count = 2 };
	napi_value argument;
	size_t count = 1;

	if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != napi_ok || count < 1 ||
	    napi_get_value_string_utf8(env, argument, service, sizeof(service), NULL) != napi_ok)
		return fail(env, "publish: the name of the service must be a string");
	if (otel_thread_context_process_publish(&process))
		return fail(env, "publish: the process context could not be published");
	return NULL;
}

/* enter(ids: Uint8Array): 16 bytes of the trace id, 8 of the span id, the flags. */
static napi_value enter(napi_env env, napi_callback_info info)
{
	struct otel_thread_context_record *record = otel_thread_context_thread_record();
	napi_value argument;
	size_t count = 1, length;
	const uint8_t *ids;
	void *data;

	if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != napi_ok || count < 1 ||
	    napi_get_typedarray_info(env, argument, NULL, &length, &data, NULL, NULL) != napi_ok || length != IDS_SIZE)
		return fail(env, "enter: the ids must be a Uint8Array of 25 bytes");
	ids = data;
	if (otel_thread_context_record_update(record, ids, ids + 16, ids[24], NULL, 0))
		return fail(env, "enter: a trace id and a span id are both zero, or neither");
	otel_thread_context_attach(record);
	return NULL;
}

/* leave(): the thread is in no span. */
static napi_value leave(napi_env env, napi_callback_info info)
{
	(void)env;
	(void)info;
	otel_thread_context_detach();
	return NULL;
}

/* current(): the 25 bytes that the thread has published, a copy; undefined if it is in no span. */
static napi_value current(napi_env env, napi_callback_info info)
{
	const struct otel_thread_context_record *record = otel_thread_context_current();
	napi_value buffer, ids;
	void *data;

	(void)info;
	if (!record || record->valid != 1)
		return NULL;
	if (napi_create_arraybuffer(env, IDS_SIZE, &data, &buffer) != napi_ok ||
	    napi_create_typedarray(env, napi_uint8_array, IDS_SIZE, buffer, 0, &ids) != napi_ok)
		return fail(env, "current: there is no memory");
	memcpy(data, record->trace_id, 24);
	((uint8_t *)data)[24] = record->trace_flags;
	return ids;
}

NAPI_MODULE_INIT()
{
	const napi_property_descriptor functions[] = {
		{ "publish", NULL, publish, NULL, NULL, NULL, napi_enumerable, NULL },
		{ "enter", NULL, enter, NULL, NULL, NULL, napi_enumerable, NULL },
		{ "leave", NULL, leave, NULL, NULL, NULL, napi_enumerable, NULL },
		{ "current", NULL, current, NULL, NULL, NULL, napi_enumerable, NULL },
	};

	if (napi_define_properties(env, exports, sizeof(functions) / sizeof(*functions), functions) != napi_ok)
		return fail(env, "the functions could not be defined");
	return exports;
}
