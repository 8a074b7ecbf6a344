// Calls a JavaScript function when the kernel wakes the reader of a ring. Waits on the event loop
// itself (no thread, no queue) and does not keep the loop alive.
#pragma once

#include <napi.h>
#include <uv.h>

#include <memory>

#include "handles.h"
#include "status.h"

namespace usm {

class RingWatch {
 public:
  struct Stopper {
    void operator()(RingWatch* watch) const { watch->Stop(); }
  };
  /** Deleting stops it at once; its memory goes when the loop has closed the handle. */
  using Handle = std::unique_ptr<RingWatch, Stopper>;

  /** `watch` must stay where it is: it is emptied when the environment ends first. */
  static Status Start(Napi::Env env, int ring_fd, const Napi::Function& callback, Handle* watch);

  ~RingWatch() = default;
  RingWatch(const RingWatch&) = delete;
  RingWatch& operator=(const RingWatch&) = delete;

 private:
  RingWatch(Napi::Env env, Fd epoll, const Napi::Function& callback);

  static void OnReadable(uv_poll_t* poll, int status, int events);
  static void OnClosed(uv_handle_t* handle);
  static void OnExit(napi_async_cleanup_hook_handle hook, void* watch);

  void Stop();

  Napi::Env env_;
  Fd epoll_;
  std::unique_ptr<Napi::AsyncContext> context_;
  Napi::FunctionReference callback_;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  Handle* owner_ = nullptr;
  uv_poll_t poll_;
};

}  // namespace usm
