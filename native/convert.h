// JavaScript values from ours and back. index.ts has validated what comes in.
#pragma once

#include <napi.h>

#include <string>
#include <utility>
#include <vector>

#include "bpf_session.h"
#include "status.h"

namespace usm {

/** Undefined when the operation succeeded, else { errno, operation, log }. */
Napi::Value ToValue(Napi::Env env, const Status& status);

struct Bytes {
  uint8_t* data;
  size_t size;
};

/** The view's own bytes, valid during the call. */
Bytes ToBytes(const Napi::Value& view);

std::string ToString(const Napi::Value& value);

/** Of a BigUint64Array. */
std::vector<uint64_t> ToWords(const Napi::Value& view);

OpenOptions ToOpenOptions(const Napi::Object& options);

}  // namespace usm
