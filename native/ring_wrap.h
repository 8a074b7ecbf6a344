// RingBuffer and its watch as a JavaScript object.
#pragma once

#include <napi.h>

#include "ring_buffer.h"
#include "ring_watch.h"

namespace usm {

class RingWrap : public Napi::ObjectWrap<RingWrap> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit RingWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Drain(const Napi::CallbackInfo& info);
  Napi::Value Pending(const Napi::CallbackInfo& info);
  Napi::Value Watch(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  // The watch waits on the ring's descriptor: it goes first.
  RingBuffer ring_;
  RingWatch::Handle watch_;
};

}  // namespace usm
