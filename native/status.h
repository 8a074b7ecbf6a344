// The outcome of an operation: nothing, or an errno with what was attempted. TypeScript gives it
// words.
#pragma once

#include <string>
#include <utility>

namespace usm {

struct [[nodiscard]] Status {
  /** Positive errno, or a libbpf code from 4000; 0 is success. */
  int error = 0;
  /** What was attempted, on what: "load", "attach program 'x'". */
  std::string operation;
  /** What libbpf said meanwhile, its last lines first to survive. */
  std::string log;

  bool ok() const { return error == 0; }

  static Status Ok() { return {}; }
  static Status Failed(int error, std::string operation, std::string log = {}) {
    // libbpf returns negative codes, system calls set positive ones.
    return {error < 0 ? -error : error, std::move(operation), std::move(log)};
  }
};

}  // namespace usm
