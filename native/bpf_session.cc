// A BPF object from open to close.
#include "bpf_session.h"

#include <bpf/bpf.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>

#include "libbpf_log.h"

namespace usm {

namespace {

bool IsIterator(const bpf_program* program) {
  return bpf_program__expected_attach_type(program) == BPF_TRACE_ITER;
}

/** A program for places in files, which nobody but the caller knows. */
bool IsProbe(const bpf_program* program) {
  const char* section = bpf_program__section_name(program);
  return std::strcmp(section, "uprobe") == 0 || std::strcmp(section, "uprobe.s") == 0;
}

// From 6.6 on one link holds any number of probes of a file, and is set up and taken down at once;
// one by one each costs a grace period of the kernel. Newer than the libbpf and the headers that we
// build with: include/uapi/linux/bpf.h.
constexpr auto kTraceUprobeMulti = static_cast<bpf_attach_type>(48);

struct UprobeMultiLink {
  uint32_t program;
  uint32_t target;
  uint32_t attach_type;
  uint32_t flags;
  uint64_t path;
  uint64_t offsets;
  uint64_t reference_counters;
  uint64_t cookies;
  uint32_t count;
  uint32_t probe_flags;
  uint32_t pid;
  uint32_t pad;
};

bool HasUprobeMulti() {
  utsname name = {};
  int major = 0, minor = 0;
  if (::uname(&name) != 0 || std::sscanf(name.release, "%d.%d", &major, &minor) != 2) return false;
  return major > 6 || (major == 6 && minor >= 6);
}

/** The link, or -1 with errno set. */
int LinkUprobes(int program, const std::string& file, const std::vector<uint64_t>& offsets,
                const std::vector<uint64_t>& cookies) {
  UprobeMultiLink link = {};
  link.program = static_cast<uint32_t>(program);
  link.attach_type = kTraceUprobeMulti;
  link.path = reinterpret_cast<uint64_t>(file.c_str());
  link.offsets = reinterpret_cast<uint64_t>(offsets.data());
  link.cookies = reinterpret_cast<uint64_t>(cookies.data());
  link.count = static_cast<uint32_t>(offsets.size());
  return static_cast<int>(::syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof(link)));
}

std::string Listed(const std::vector<uint64_t>& numbers) {
  std::string text;
  for (const uint64_t number : numbers) text += (text.empty() ? "" : ", ") + std::to_string(number);
  return text;
}

/** Each waits for a grace period of the kernel; together they wait for one. */
void CloseAtOnce(std::map<uint32_t, Fd>* links) {
  constexpr size_t kMaxThreads = 16;
  std::vector<std::vector<Fd>> shares(std::min(links->size(), kMaxThreads));
  size_t next = 0;
  for (auto& entry : *links) shares[next++ % shares.size()].push_back(std::move(entry.second));
  links->clear();
  std::vector<std::thread> closers;
  for (auto& share : shares) closers.emplace_back([&share] { share.clear(); });
  for (std::thread& closer : closers) closer.join();
}

bool IsPerCpu(bpf_map_type type) {
  return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

std::string Quoted(const char* what, const std::string& name) {
  return std::string(what) + " '" + name + "'";
}

}  // namespace

Status BpfSession::Open(const OpenOptions& options) {
  LogScope log;
  object_.reset(bpf_object__open_file(options.path.c_str(), nullptr));
  if (!object_) return Status::Failed(errno, Quoted("open", options.path), log.Take());

  Status status = SetConstants(options);
  if (status.ok()) status = SetSizes(options);
  if (status.ok() && HasUprobeMulti()) {
    bpf_program* program;
    bpf_object__for_each_program(program, object_.get()) {
      if (IsProbe(program)) bpf_program__set_expected_attach_type(program, kTraceUprobeMulti);
    }
  }
  if (status.ok()) {
    const int error = bpf_object__load(object_.get());
    if (error != 0) status = Status::Failed(error, Quoted("load", options.path), log.Take());
  }
  if (!status.ok()) Close();
  return status;
}

Status BpfSession::SetConstants(const OpenOptions& options) {
  if (options.constants.empty()) return Status::Ok();
  const btf* types = bpf_object__btf(object_.get());
  bpf_map* map = bpf_object__find_map_by_name(object_.get(), ".rodata");
  const int section_id =
      types == nullptr ? -1 : btf__find_by_name_kind(types, ".rodata", BTF_KIND_DATASEC);
  size_t size = 0;
  uint8_t* data =
      map == nullptr ? nullptr
                     : static_cast<uint8_t*>(const_cast<void*>(bpf_map__initial_value(map, &size)));
  for (const auto& [name, value] : options.constants) {
    const std::string operation = Quoted("set constant", name);
    if (data == nullptr || section_id < 0)
      return Status::Failed(ENOENT, operation, "the object has no constants");
    const btf_type* section = btf__type_by_id(types, static_cast<uint32_t>(section_id));
    const btf_var_secinfo* variables = btf_var_secinfos(section);
    const btf_var_secinfo* end = variables + btf_vlen(section);
    const btf_var_secinfo* found =
        std::find_if(variables, end, [&, &name = name](const btf_var_secinfo& variable) {
          const btf_type* type = btf__type_by_id(types, variable.type);
          return name == btf__name_by_offset(types, type->name_off);
        });
    if (found == end) return Status::Failed(ENOENT, operation, "the object has no such constant");
    if (found->size != value.size() || found->offset + found->size > size)
      return Status::Failed(EINVAL, operation,
                            "it has " + std::to_string(found->size) + " bytes, " +
                                std::to_string(value.size()) + " were given");
    std::memcpy(data + found->offset, value.data(), value.size());
  }
  return Status::Ok();
}

Status BpfSession::SetSizes(const OpenOptions& options) {
  for (const auto& [name, count] : options.max_entries) {
    const std::string operation = Quoted("size map", name);
    bpf_map* map = bpf_object__find_map_by_name(object_.get(), name.c_str());
    if (map == nullptr) return Status::Failed(ENOENT, operation, "the object has no such map");
    const int error = bpf_map__set_max_entries(map, count);
    if (error != 0) return Status::Failed(error, operation);
  }
  for (const auto& [name, enabled] : options.autoload) {
    bpf_program* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
    if (program == nullptr)
      return Status::Failed(ENOENT, Quoted("select program", name),
                            "the object has no such program");
    bpf_program__set_autoload(program, enabled);
  }
  return Status::Ok();
}

std::vector<AttachFailure> BpfSession::Attach(const std::vector<std::string>& names) {
  std::vector<AttachFailure> failures;
  for (const std::string& name : names) {
    if (bpf_object__find_program_by_name(object_.get(), name.c_str()) == nullptr)
      failures.push_back({name, Status::Failed(ENOENT, Quoted("attach program", name),
                                               "the object has no such program")});
  }
  LogScope log;
  bpf_program* program;
  bpf_object__for_each_program(program, object_.get()) {
    const std::string name = bpf_program__name(program);
    const bool is_named = std::find(names.begin(), names.end(), name) != names.end();
    const bool is_attachable = !IsIterator(program) && !IsProbe(program);
    const bool is_wanted =
        names.empty() ? bpf_program__autoload(program) && is_attachable : is_named;
    if (!is_wanted || links_.count(name) != 0) continue;
    LinkHandle link(bpf_program__attach(program));
    if (link) {
      links_.emplace(name, std::move(link));
    } else {
      const int error = errno;
      failures.push_back({name, Status::Failed(error, Quoted("attach program", name), log.Take())});
    }
  }
  return failures;
}

Status BpfSession::AttachProbes(const std::string& name, const std::string& file,
                                const std::vector<uint64_t>& offsets,
                                const std::vector<uint64_t>& cookies, uint32_t* id) {
  const std::string operation =
      Quoted("attach program", name) + " to " + Quoted("file", file) + " at " + Listed(offsets);
  LogScope log;
  const bpf_program* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
  if (program == nullptr)
    return Status::Failed(ENOENT, operation, "the object has no such program");
  if (!IsProbe(program)) return Status::Failed(EINVAL, operation, "it is not a probe");
  if (bpf_program__expected_attach_type(program) == kTraceUprobeMulti) {
    Fd link(LinkUprobes(bpf_program__fd(program), file, offsets, cookies));
    if (!link) return Status::Failed(errno, operation);
    *id = ++last_probe_;
    multi_probes_.emplace(*id, std::move(link));
    return Status::Ok();
  }
  std::vector<LinkHandle> links;
  for (size_t i = 0; i < offsets.size(); i++) {
    LIBBPF_OPTS(bpf_uprobe_opts, options, .bpf_cookie = cookies[i]);
    constexpr pid_t kAllProcesses = -1;
    LinkHandle link(bpf_program__attach_uprobe_opts(program, kAllProcesses, file.c_str(),
                                                    offsets[i], &options));
    if (!link) {
      const int error = errno;
      return Status::Failed(error, operation, log.Take());
    }
    links.push_back(std::move(link));
  }
  *id = ++last_probe_;
  probes_.emplace(*id, std::move(links));
  return Status::Ok();
}

ProbeHandles BpfSession::TakeProbes(uint32_t id) {
  ProbeHandles taken;
  const auto links = probes_.find(id);
  if (links != probes_.end()) {
    taken.links = std::move(links->second);
    probes_.erase(links);
  }
  const auto multi = multi_probes_.find(id);
  if (multi != multi_probes_.end()) {
    taken.multi = std::move(multi->second);
    multi_probes_.erase(multi);
  }
  return taken;
}

Status BpfSession::Iterate(const std::string& name, const std::string& map_name, size_t limit,
                           std::vector<uint8_t>* output) {
  const std::string operation = Quoted("iterate", name);
  LogScope log;
  bpf_program* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
  if (program == nullptr)
    return Status::Failed(ENOENT, operation, "the object has no such program");
  if (!IsIterator(program)) return Status::Failed(EINVAL, operation, "it is not an iterator");

  bpf_iter_link_info target = {};
  LIBBPF_OPTS(bpf_iter_attach_opts, options);
  if (!map_name.empty()) {
    bpf_map* map = bpf_object__find_map_by_name(object_.get(), map_name.c_str());
    if (map == nullptr)
      return Status::Failed(ENOENT, operation, Quoted("the object has no map", map_name));
    target.map.map_fd = static_cast<uint32_t>(bpf_map__fd(map));
    options.link_info = &target;
    options.link_info_len = sizeof(target);
  }
  LinkHandle link(bpf_program__attach_iter(program, &options));
  if (!link) return Status::Failed(errno, operation, log.Take());
  Fd iterator(bpf_iter_create(bpf_link__fd(link.get())));
  if (!iterator) return Status::Failed(errno, operation, log.Take());

  constexpr size_t kPiece = 64 * 1024;
  size_t used = 0;
  for (;;) {
    output->resize(used + kPiece);
    const ssize_t got = ::read(iterator.get(), output->data() + used, kPiece);
    // The kernel ends a read early after a million objects without output, and wants to be asked
    // again.
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return Status::Failed(errno, operation);
    used += static_cast<size_t>(got);
    output->resize(used);
    if (got == 0) return Status::Ok();
    if (used > limit)
      return Status::Failed(EFBIG, operation,
                            "its output exceeds " + std::to_string(limit) + " bytes");
  }
}

Status BpfSession::Programs(std::vector<ProgramInfo>* programs) const {
  bpf_program* program;
  bpf_object__for_each_program(program, object_.get()) {
    const int fd = bpf_program__fd(program);
    if (fd < 0) continue;  // not loaded
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    const std::string name = bpf_program__name(program);
    if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0)
      return Status::Failed(errno, Quoted("describe program", name));
    programs->push_back({name, info.id, info.run_time_ns, info.run_cnt, info.recursion_misses});
  }
  return Status::Ok();
}

int BpfSession::FindMap(const std::string& name, MapInfo* info) {
  bpf_map* map = bpf_object__find_map_by_name(object_.get(), name.c_str());
  if (map == nullptr) return -1;
  const bpf_map_type type = bpf_map__type(map);
  const int cpus = IsPerCpu(type) ? libbpf_num_possible_cpus() : 1;
  *info = {static_cast<uint32_t>(type), bpf_map__map_flags(map),
           bpf_map__key_size(map),      bpf_map__value_size(map),
           bpf_map__max_entries(map),   static_cast<uint32_t>(std::max(cpus, 1))};
  const auto known = std::find(maps_.begin(), maps_.end(), map);
  if (known != maps_.end()) return static_cast<int>(known - maps_.begin());
  maps_.push_back(map);
  return static_cast<int>(maps_.size()) - 1;
}

int BpfSession::map_fd(size_t index) const {
  return index < maps_.size() ? bpf_map__fd(maps_[index]) : -1;
}

void BpfSession::Close() {
  links_.clear();
  probes_.clear();
  CloseAtOnce(&multi_probes_);
  maps_.clear();
  object_.reset();
}

}  // namespace usm
