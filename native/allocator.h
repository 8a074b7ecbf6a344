// How much freed memory the C library keeps for later.
#pragma once

#include <napi.h>

namespace usm {

/** limitAllocator({ mmapThreshold, trimThreshold, arenas }): true where the C library has these
 * knobs (glibc). */
Napi::Value LimitAllocator(const Napi::CallbackInfo& info);

}  // namespace usm
