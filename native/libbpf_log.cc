// Collects what libbpf prints during an operation. libbpf has one print function for the whole
// process and calls it on the thread that called libbpf, so the open scope is kept per thread.
#include "libbpf_log.h"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <utility>
#include <vector>

namespace usm {

namespace {

constexpr size_t kKept = 16 * 1024;

thread_local LogScope* open_scope = nullptr;

}  // namespace

void AppendToLog(const char* text, size_t size) {
  std::string& kept = open_scope->text_;
  // The end of a verifier log says why; its beginning only says how it got there.
  if (size >= kKept) {
    kept.assign(text + (size - kKept), kKept);
    return;
  }
  if (kept.size() + size > kKept) kept.erase(0, kept.size() + size - kKept);
  kept.append(text, size);
}

namespace {

int Print(libbpf_print_level level, const char* format, va_list arguments) {
  if (open_scope == nullptr || level == LIBBPF_DEBUG) return 0;
  va_list measured;
  va_copy(measured, arguments);
  const int size = std::vsnprintf(nullptr, 0, format, measured);
  va_end(measured);
  if (size <= 0) return 0;
  std::vector<char> text(static_cast<size_t>(size) + 1);
  std::vsnprintf(text.data(), text.size(), format, arguments);
  AppendToLog(text.data(), static_cast<size_t>(size));
  return size;
}

}  // namespace

void InstallLog() { libbpf_set_print(Print); }

LogScope::LogScope() { open_scope = this; }

LogScope::~LogScope() { open_scope = nullptr; }

std::string LogScope::Take() { return std::exchange(text_, {}); }

}  // namespace usm
