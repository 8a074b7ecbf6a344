// Who is at the other end of a UNIX socket, which Node.js cannot be asked.
#pragma once

#include <napi.h>

namespace usm {

/** peerOf(fd): { pid, uid, cookie: two u32, low first }, or a failure. unix(7), SO_PEERCRED;
 * socket(7), SO_COOKIE. */
Napi::Value PeerOf(const Napi::CallbackInfo& info);

}  // namespace usm
