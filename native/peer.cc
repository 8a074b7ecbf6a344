// Who is at the other end of a UNIX socket, as the kernel noted it at connect(2).
#include "peer.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>

#include "convert.h"
#include "status.h"

namespace usm {

Napi::Value PeerOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int fd = info[0].As<Napi::Number>().Int32Value();
  ucred peer = {};
  socklen_t peer_size = sizeof(peer);
  uint64_t cookie = 0;
  socklen_t cookie_size = sizeof(cookie);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) != 0)
    return ToValue(env, Status::Failed(errno, "read the credentials of a peer"));
  if (::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &cookie_size) != 0)
    return ToValue(env, Status::Failed(errno, "read the cookie of a socket"));

  Napi::Object result = Napi::Object::New(env);
  result.Set("pid", peer.pid);
  result.Set("uid", peer.uid);
  Napi::Array halves = Napi::Array::New(env);
  halves.Set(uint32_t{0}, static_cast<uint32_t>(cookie));
  halves.Set(uint32_t{1}, static_cast<uint32_t>(cookie >> 32));
  result.Set("cookie", halves);
  return result;
}

}  // namespace usm
