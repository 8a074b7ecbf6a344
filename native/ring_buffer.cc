// The reading side of a BPF ring buffer. Hot path.
#include "ring_buffer.h"

#include <fcntl.h>
#include <linux/bpf.h>

#include <cerrno>
#include <cstring>

namespace usm {

namespace {

constexpr uint64_t RoundUp8(uint64_t size) { return (size + 7) & ~uint64_t{7}; }

}  // namespace

Status RingBuffer::Open(int map_fd, size_t data_size) {
  Close();
  fd_ = Fd(::fcntl(map_fd, F_DUPFD_CLOEXEC, 0));
  if (!fd_) return Status::Failed(errno, "open ring");
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  consumer_page_ = Mapping::Create(page, PROT_READ | PROT_WRITE, fd_.get(), 0);
  if (consumer_page_) {
    // The kernel offers the data twice in a row, so that a record never wraps. We map it once, for
    // half the resident memory, and copy what wraps in two pieces.
    producer_pages_ =
        Mapping::Create(page + data_size, PROT_READ, fd_.get(), static_cast<off_t>(page));
  }
  if (!producer_pages_) {
    const int error = errno;
    Close();
    return Status::Failed(error, "map ring");
  }
  consumer_ = reinterpret_cast<uint64_t*>(consumer_page_.data());
  producer_ = reinterpret_cast<const uint64_t*>(producer_pages_.data());
  data_ = producer_pages_.data() + page;
  mask_ = data_size - 1;
  return Status::Ok();
}

int64_t RingBuffer::Drain(uint8_t* target, size_t size) {
  uint64_t position = __atomic_load_n(consumer_, __ATOMIC_RELAXED);
  uint64_t written = 0;
  for (;;) {
    const uint64_t before = position;
    const uint64_t end = __atomic_load_n(producer_, __ATOMIC_ACQUIRE);
    bool is_full = false;
    while (position < end) {
      const uint8_t* record = data_ + (position & mask_);
      const uint32_t header =
          __atomic_load_n(reinterpret_cast<const uint32_t*>(record), __ATOMIC_ACQUIRE);
      if (header & BPF_RINGBUF_BUSY_BIT) break;
      const uint32_t length = header & ~BPF_RINGBUF_DISCARD_BIT;
      if (!(header & BPF_RINGBUF_DISCARD_BIT)) {
        const uint64_t room = kHeaderSize + RoundUp8(length);
        if (room > size - written) {
          is_full = true;
          break;
        }
        uint8_t* place = target + written;
        const uint64_t head = length;
        const uint64_t padding = 0;
        std::memcpy(place, &head, sizeof(head));
        std::memcpy(place + room - sizeof(padding), &padding, length > 0 ? sizeof(padding) : 0);
        const uint64_t from = (position + BPF_RINGBUF_HDR_SZ) & mask_;
        const uint64_t first = length < mask_ + 1 - from ? length : mask_ + 1 - from;
        std::memcpy(place + kHeaderSize, data_ + from, first);
        std::memcpy(place + kHeaderSize + first, data_, length - first);
        written += room;
      }
      position += RoundUp8(length + BPF_RINGBUF_HDR_SZ);
    }
    if (position != before) {
      // The kernel wakes a reader that has caught up. Our position must be visible before we look
      // for more, or both sides could miss each other.
      __atomic_store_n(consumer_, position, __ATOMIC_SEQ_CST);
      __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    if (is_full) return written > 0 ? static_cast<int64_t>(written) : -EMSGSIZE;
    if (position == before) return static_cast<int64_t>(written);
  }
}

uint64_t RingBuffer::Pending() const {
  return __atomic_load_n(producer_, __ATOMIC_ACQUIRE) -
         __atomic_load_n(consumer_, __ATOMIC_RELAXED);
}

void RingBuffer::Close() {
  producer_pages_ = Mapping();
  consumer_page_ = Mapping();
  fd_ = Fd();
}

}  // namespace usm
