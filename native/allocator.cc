#include "allocator.h"

#include <malloc.h>

namespace usm {

Napi::Value LimitAllocator(const Napi::CallbackInfo& info) {
#ifdef M_MMAP_THRESHOLD
  const Napi::Object limits = info[0].As<Napi::Object>();
  const auto set = [&limits](int parameter, const char* name) {
    return mallopt(parameter, limits.Get(name).As<Napi::Number>().Int32Value()) == 1;
  };
  const bool is_set = set(M_MMAP_THRESHOLD, "mmapThreshold") &&
                      set(M_TRIM_THRESHOLD, "trimThreshold") && set(M_ARENA_MAX, "arenas");
  return Napi::Boolean::New(info.Env(), is_set);
#else
  return Napi::Boolean::New(info.Env(), false);
#endif
}

}  // namespace usm
