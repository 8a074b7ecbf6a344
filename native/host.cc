// Plain facts about this host and process, and the switch for the kernel's program statistics.
#include "host.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>

#include "convert.h"

namespace usm {

Napi::Value DescribeHost(const Napi::CallbackInfo& info) {
  Napi::Object result = Napi::Object::New(info.Env());
  utsname kernel = {};
  ::uname(&kernel);
  result.Set("kernelRelease", static_cast<const char*>(kernel.release));
  result.Set("machine", static_cast<const char*>(kernel.machine));
  result.Set("hasKernelBtf", ::access("/sys/kernel/btf/vmlinux", R_OK) == 0);
  result.Set("possibleCpus", libbpf_num_possible_cpus());

  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  ::syscall(SYS_capget, &header, sets);
  Napi::Array effective = Napi::Array::New(info.Env());
  effective.Set(uint32_t{0}, sets[0].effective);
  effective.Set(uint32_t{1}, sets[1].effective);
  result.Set("effective", effective);
  return result;
}

Napi::Function StatsWrap::Define(Napi::Env env) {
  return DefineClass(
      env, "Stats",
      {InstanceMethod<&StatsWrap::Open>("open"), InstanceMethod<&StatsWrap::Close>("close")});
}

Napi::Value StatsWrap::Open(const Napi::CallbackInfo& info) {
  fd_ = Fd(bpf_enable_stats(BPF_STATS_RUN_TIME));
  return ToValue(info.Env(),
                 fd_ ? Status::Ok() : Status::Failed(errno, "enable program statistics"));
}

void StatsWrap::Close(const Napi::CallbackInfo&) { fd_ = Fd(); }

}  // namespace usm
