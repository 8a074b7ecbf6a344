// The module: libbpf in, bytes out. index.ts is its only user.
#include <napi.h>

#include "allocator.h"
#include "host.h"
#include "libbpf_log.h"
#include "peer.h"
#include "ring_wrap.h"
#include "session_wrap.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  usm::InstallLog();
  exports.Set("Session", usm::SessionWrap::Define(env));
  exports.Set("Ring", usm::RingWrap::Define(env));
  exports.Set("Stats", usm::StatsWrap::Define(env));
  exports.Set("limitAllocator", Napi::Function::New<usm::LimitAllocator>(env, "limitAllocator"));
  exports.Set("peerOf", Napi::Function::New<usm::PeerOf>(env, "peerOf"));
  exports.Set("describeHost", Napi::Function::New<usm::DescribeHost>(env, "describeHost"));
  return exports;
}

}  // namespace

NODE_API_MODULE(usm, Init)
