// Collects what libbpf prints during an operation, so that a failure can carry its reason.
#pragma once

#include <string>

namespace usm {

/** Sends libbpf's output to the LogScope of the calling thread, and nowhere when there is none. */
void InstallLog();

/** While it lives, what libbpf prints on this thread is kept: the last 16 KiB. Scopes do not nest.
 */
class LogScope {
 public:
  LogScope();
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

  /** What was printed since the last call. */
  std::string Take();

 private:
  friend void AppendToLog(const char* text, size_t size);
  std::string text_;
};

}  // namespace usm
