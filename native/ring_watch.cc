// Calls a JavaScript function when the kernel wakes the reader of a ring.
#include "ring_watch.h"

#include <sys/epoll.h>

#include <cerrno>

namespace usm {

Status RingWatch::Start(Napi::Env env, int ring_fd, const Napi::Function& callback, Handle* watch) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return Status::Failed(ENOTSUP, "watch ring");

  // A ring is readable as long as it holds anything, and a busy one always does. Edge-triggered,
  // the callback follows the kernel's wake-ups alone: batches stay as large as the writers want
  // them.
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return Status::Failed(errno, "watch ring");
  epoll_event interest = {};
  interest.events = EPOLLIN | EPOLLET;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, ring_fd, &interest) != 0)
    return Status::Failed(errno, "watch ring");

  std::unique_ptr<RingWatch> started(new RingWatch(env, std::move(epoll), callback));
  int error = uv_poll_init(loop, &started->poll_, started->epoll_.get());
  if (error != 0) return Status::Failed(error, "watch ring");
  // From here on only the loop can end it.
  watch->reset(started.release());
  RingWatch* self = watch->get();
  self->poll_.data = self;
  self->owner_ = watch;
  napi_add_async_cleanup_hook(env, OnExit, self, &self->hook_);
  uv_unref(reinterpret_cast<uv_handle_t*>(&self->poll_));
  error = uv_poll_start(&self->poll_, UV_READABLE, OnReadable);
  if (error != 0) watch->reset();
  return error == 0 ? Status::Ok() : Status::Failed(error, "watch ring");
}

RingWatch::RingWatch(Napi::Env env, Fd epoll, const Napi::Function& callback)
    : env_(env),
      epoll_(std::move(epoll)),
      context_(std::make_unique<Napi::AsyncContext>(env, "usm:ring")),
      callback_(Napi::Persistent(callback)) {}

void RingWatch::OnReadable(uv_poll_t* poll, int, int) {
  auto* watch = static_cast<RingWatch*>(poll->data);
  epoll_event event;
  if (::epoll_wait(watch->epoll_.get(), &event, 1, 0) <= 0) return;

  // The callback may stop the watch, which then only lives until this function has returned.
  const Napi::Env env = watch->env_;
  const Napi::HandleScope scope(env);
  napi_value result;
  const napi_status called = napi_make_callback(env, *watch->context_, env.Global(),
                                                watch->callback_.Value(), 0, nullptr, &result);
  // Any other failure means that the environment is being terminated, and nobody is there to hear.
  napi_value exception;
  if (called == napi_pending_exception &&
      napi_get_and_clear_last_exception(env, &exception) == napi_ok)
    napi_fatal_exception(env, exception);
}

void RingWatch::Stop() {
  callback_.Reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), OnClosed);
}

void RingWatch::OnClosed(uv_handle_t* handle) {
  std::unique_ptr<RingWatch> closed(static_cast<RingWatch*>(handle->data));
  const Napi::HandleScope scope(closed->env_);
  napi_remove_async_cleanup_hook(closed->hook_);
}

// The environment ends, and waits until our handle has left its loop.
void RingWatch::OnExit(napi_async_cleanup_hook_handle, void* data) {
  auto* watch = static_cast<RingWatch*>(data);
  // Null when it was stopped already and its handle is about to close.
  if (!watch->callback_.IsEmpty()) watch->owner_->reset();
}

}  // namespace usm
