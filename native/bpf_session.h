// A BPF object from open to close: constants and sizes set, loaded, attached, its maps and programs
// at hand. Knows nothing of JavaScript.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "handles.h"
#include "status.h"

namespace usm {

struct OpenOptions {
  std::string path;
  /** `const volatile` globals by name. */
  std::vector<std::pair<std::string, std::vector<uint8_t>>> constants;
  std::vector<std::pair<std::string, uint32_t>> max_entries;
  std::vector<std::pair<std::string, bool>> autoload;
};

struct MapInfo {
  uint32_t type;
  uint32_t flags;
  uint32_t key_size;
  uint32_t value_size;
  uint32_t max_entries;
  /** 1, or the number of possible CPUs; then each value is padded to 8 bytes. */
  uint32_t slots;

  size_t lookup_size() const {
    return slots == 1 ? value_size : static_cast<size_t>((value_size + 7u) & ~7u) * slots;
  }
};

struct ProgramInfo {
  std::string name;
  uint32_t id;
  uint64_t run_time_ns;
  uint64_t run_count;
  uint64_t recursion_misses;
};

struct AttachFailure {
  std::string program;
  Status status;
};

/** Probes that were attached together. */
struct ProbeHandles {
  std::vector<LinkHandle> links;
  Fd multi;
};

class BpfSession {
 public:
  /** Opens, prepares and loads. Either all of it happens or nothing stays. */
  Status Open(const OpenOptions& options);

  /** Attaches the named programs, or without names all but iterators and probes. Those that fail
   * are listed. */
  std::vector<AttachFailure> Attach(const std::vector<std::string>& names);

  /** Has a program run before the instructions at `offsets` of the file, in all processes that map
   * it now or later: all of them, or none. On success `id` is what DetachProbes takes. */
  Status AttachProbes(const std::string& program, const std::string& file,
                      const std::vector<uint64_t>& offsets, const std::vector<uint64_t>& cookies,
                      uint32_t* id);
  /** They stay attached until what is returned is destroyed, which takes the kernel some time. */
  ProbeHandles TakeProbes(uint32_t id);

  /** Runs an iterator program to its end and collects its output. `map`: what it walks, or ''. */
  Status Iterate(const std::string& program, const std::string& map, size_t limit,
                 std::vector<uint8_t>* output);

  Status Programs(std::vector<ProgramInfo>* programs) const;

  /** An index for the calls below, or -1. */
  int FindMap(const std::string& name, MapInfo* info);
  int map_fd(size_t index) const;

  /** Detaches, then unloads. May be called twice. */
  void Close();
  bool is_open() const { return object_ != nullptr; }

 private:
  Status SetConstants(const OpenOptions& options);
  Status SetSizes(const OpenOptions& options);

  ObjectHandle object_;
  // After object_, so that they are destroyed before it.
  std::map<std::string, LinkHandle> links_;
  std::map<uint32_t, std::vector<LinkHandle>> probes_;
  /** Those that one link holds. */
  std::map<uint32_t, Fd> multi_probes_;
  uint32_t last_probe_ = 0;
  std::vector<bpf_map*> maps_;
};

}  // namespace usm
