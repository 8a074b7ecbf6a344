// BpfSession as a JavaScript object.
#pragma once

#include <napi.h>

#include <map>
#include <memory>

#include "bpf_session.h"

namespace usm {

class SessionWrap : public Napi::ObjectWrap<SessionWrap> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit SessionWrap(const Napi::CallbackInfo& info);
  ~SessionWrap() override;

  const BpfSession& session() const { return session_; }

 private:
  /** Kernel memory that JavaScript sees as an ArrayBuffer. */
  struct Memory {
    std::shared_ptr<Mapping> mapping;
    Napi::Reference<Napi::ArrayBuffer> buffer;
  };

  /** Opens a session on a thread of the pool, which is this object's once that is done. */
  class Opening;

  Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value OpenInBackground(const Napi::CallbackInfo& info);
  Napi::Value Attach(const Napi::CallbackInfo& info);
  Napi::Value AttachProbes(const Napi::CallbackInfo& info);
  void DetachProbes(const Napi::CallbackInfo& info);
  Napi::Value Iterate(const Napi::CallbackInfo& info);
  Napi::Value Programs(const Napi::CallbackInfo& info);
  Napi::Value FindMap(const Napi::CallbackInfo& info);
  Napi::Value Lookup(const Napi::CallbackInfo& info);
  Napi::Value Update(const Napi::CallbackInfo& info);
  Napi::Value Remove(const Napi::CallbackInfo& info);
  Napi::Value NextKey(const Napi::CallbackInfo& info);
  Napi::Value ShareMemory(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  int MapFd(const Napi::Value& index) const;

  static void AtExit(void* self);

  BpfSession session_;
  std::map<int, Memory> memories_;
  bool is_hooked_ = true;
};

}  // namespace usm
