// RingBuffer and its watch as a JavaScript object.
#include "ring_wrap.h"

#include <cerrno>

#include "convert.h"
#include "session_wrap.h"

namespace usm {

Napi::Function RingWrap::Define(Napi::Env env) {
  return DefineClass(
      env, "Ring",
      {InstanceMethod<&RingWrap::Open>("open"), InstanceMethod<&RingWrap::Drain>("drain"),
       InstanceMethod<&RingWrap::Pending>("pending"), InstanceMethod<&RingWrap::Watch>("watch"),
       InstanceMethod<&RingWrap::Close>("close")});
}

Napi::Value RingWrap::Open(const Napi::CallbackInfo& info) {
  const SessionWrap* session = SessionWrap::Unwrap(info[0].As<Napi::Object>());
  const auto map = static_cast<size_t>(info[1].As<Napi::Number>().Uint32Value());
  const auto size = static_cast<size_t>(info[2].As<Napi::Number>().Uint32Value());
  return ToValue(info.Env(), ring_.Open(session->session().map_fd(map), size));
}

Napi::Value RingWrap::Drain(const Napi::CallbackInfo& info) {
  if (!ring_.is_open()) return Napi::Number::New(info.Env(), -EBADF);
  const Bytes target = ToBytes(info[0]);
  return Napi::Number::New(info.Env(), static_cast<double>(ring_.Drain(target.data, target.size)));
}

Napi::Value RingWrap::Pending(const Napi::CallbackInfo& info) {
  if (!ring_.is_open()) return Napi::Number::New(info.Env(), -EBADF);
  return Napi::Number::New(info.Env(), static_cast<double>(ring_.Pending()));
}

Napi::Value RingWrap::Watch(const Napi::CallbackInfo& info) {
  watch_.reset();
  return ToValue(info.Env(),
                 RingWatch::Start(info.Env(), ring_.fd(), info[0].As<Napi::Function>(), &watch_));
}

void RingWrap::Close(const Napi::CallbackInfo&) {
  watch_.reset();
  ring_.Close();
}

}  // namespace usm
