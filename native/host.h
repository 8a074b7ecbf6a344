// Plain facts about this host and process, and the switch for the kernel's program statistics.
#pragma once

#include <napi.h>

#include "handles.h"

namespace usm {

/** { kernelRelease, machine, hasKernelBtf, possibleCpus, effective: bit mask as two u32 }. */
Napi::Value DescribeHost(const Napi::CallbackInfo& info);

/** The kernel measures programs while at least one of these is open anywhere. */
class StatsWrap : public Napi::ObjectWrap<StatsWrap> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit StatsWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  Napi::Value Open(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  Fd fd_;
};

}  // namespace usm
