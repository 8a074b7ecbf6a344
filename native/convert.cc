// JavaScript values from ours and back.
#include "convert.h"

namespace usm {

namespace {

/** Calls take(name, value) for each [name, value] of an array. */
template <typename Take>
void ForEachPair(const Napi::Value& value, Take take) {
  const Napi::Array pairs = value.As<Napi::Array>();
  for (uint32_t index = 0; index < pairs.Length(); ++index) {
    const Napi::Array pair = pairs.Get(index).As<Napi::Array>();
    take(ToString(pair.Get(uint32_t{0})), pair.Get(uint32_t{1}));
  }
}

}  // namespace

Napi::Value ToValue(Napi::Env env, const Status& status) {
  if (status.ok()) return env.Undefined();
  Napi::Object failure = Napi::Object::New(env);
  failure.Set("errno", status.error);
  failure.Set("operation", status.operation);
  failure.Set("log", status.log);
  return failure;
}

Bytes ToBytes(const Napi::Value& view) {
  Napi::Uint8Array bytes = view.As<Napi::Uint8Array>();
  return {bytes.Data(), bytes.ByteLength()};
}

std::string ToString(const Napi::Value& value) { return value.As<Napi::String>().Utf8Value(); }

std::vector<uint64_t> ToWords(const Napi::Value& view) {
  const auto words = view.As<Napi::BigUint64Array>();
  return {words.Data(), words.Data() + words.ElementLength()};
}

OpenOptions ToOpenOptions(const Napi::Object& options) {
  OpenOptions result;
  result.path = ToString(options.Get("path"));
  ForEachPair(options.Get("constants"), [&](std::string name, const Napi::Value& value) {
    const Bytes bytes = ToBytes(value);
    result.constants.emplace_back(std::move(name),
                                  std::vector<uint8_t>(bytes.data, bytes.data + bytes.size));
  });
  ForEachPair(options.Get("mapEntries"), [&](std::string name, const Napi::Value& value) {
    result.max_entries.emplace_back(std::move(name), value.As<Napi::Number>().Uint32Value());
  });
  ForEachPair(options.Get("autoload"), [&](std::string name, const Napi::Value& value) {
    result.autoload.emplace_back(std::move(name), value.As<Napi::Boolean>().Value());
  });
  return result;
}

}  // namespace usm
