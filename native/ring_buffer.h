// The reading side of a BPF ring buffer (kernel/bpf/ringbuf.c): whole records are copied out of the
// shared pages in order, and only those that fit are consumed. Knows nothing of JavaScript.
#pragma once

#include <cstdint>

#include "handles.h"
#include "status.h"

namespace usm {

class RingBuffer {
 public:
  /** Each record in `target` begins with its length as u32 and 4 zero bytes, and is padded to 8. */
  static constexpr size_t kHeaderSize = 8;

  /** The ring keeps a descriptor of its own. There must be one reader of a ring. */
  Status Open(int map_fd, size_t data_size);

  /** Bytes written, 0 when nothing is ready, -EMSGSIZE when the next record exceeds all of target.
   */
  int64_t Drain(uint8_t* target, size_t size);

  /** Bytes between the reader and the writers, headers and unfinished records included. */
  uint64_t Pending() const;

  int fd() const { return fd_.get(); }
  bool is_open() const { return static_cast<bool>(producer_pages_); }
  void Close();

 private:
  Fd fd_;
  Mapping consumer_page_;
  Mapping producer_pages_;
  uint64_t* consumer_ = nullptr;
  const uint64_t* producer_ = nullptr;
  const uint8_t* data_ = nullptr;
  uint64_t mask_ = 0;
};

}  // namespace usm
