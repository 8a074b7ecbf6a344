// BpfSession as a JavaScript object. Calls on a map return 0 or a negative errno.
#include "session_wrap.h"

#include <bpf/bpf.h>

#include <cerrno>

#include "convert.h"

namespace usm {

namespace {

using SharedMapping = std::shared_ptr<Mapping>;

/** The pages stay as long as either the session or the ArrayBuffer does. */
Napi::ArrayBuffer MakeBuffer(Napi::Env env, const SharedMapping& mapping, size_t size) {
  auto holder = std::make_unique<SharedMapping>(mapping);
  const auto release = [](Napi::Env, void*, SharedMapping* held) {
    std::unique_ptr<SharedMapping> released(held);
  };
  return Napi::ArrayBuffer::New(env, mapping->data(), size, release, holder.release());
}

/** The kernel waits until nobody can be in a probe any more: tens of milliseconds, on a thread of
 * the pool. */
class Release : public Napi::AsyncWorker {
 public:
  Release(Napi::Env env, ProbeHandles probes) : AsyncWorker(env), probes_(std::move(probes)) {}

 protected:
  void Execute() override { ProbeHandles released = std::move(probes_); }

 private:
  ProbeHandles probes_;
};

Napi::Value Result(const Napi::CallbackInfo& info, int error) {
  return Napi::Number::New(info.Env(), error == 0 ? 0 : -errno);
}

}  // namespace

class SessionWrap::Opening : public Napi::AsyncWorker {
 public:
  Opening(SessionWrap* wrap, OpenOptions options)
      : AsyncWorker(wrap->Env()),
        wrap_(wrap),
        held_(Napi::Persistent(wrap->Value())),
        options_(std::move(options)),
        deferred_(wrap->Env()) {}

  Napi::Promise Promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override { status_ = session_.Open(options_); }

  void OnOK() override {
    wrap_->session_ = std::move(session_);
    deferred_.Resolve(ToValue(Env(), status_));
  }

 private:
  SessionWrap* wrap_;
  Napi::ObjectReference held_;
  OpenOptions options_;
  Napi::Promise::Deferred deferred_;
  BpfSession session_;
  Status status_;
};

Napi::Function SessionWrap::Define(Napi::Env env) {
  return DefineClass(env, "Session",
                     {InstanceMethod<&SessionWrap::Open>("open"),
                      InstanceMethod<&SessionWrap::OpenInBackground>("openInBackground"),
                      InstanceMethod<&SessionWrap::Attach>("attach"),
                      InstanceMethod<&SessionWrap::AttachProbes>("attachProbes"),
                      InstanceMethod<&SessionWrap::DetachProbes>("detachProbes"),
                      InstanceMethod<&SessionWrap::Iterate>("iterate"),
                      InstanceMethod<&SessionWrap::Programs>("programs"),
                      InstanceMethod<&SessionWrap::FindMap>("findMap"),
                      InstanceMethod<&SessionWrap::Lookup>("lookup"),
                      InstanceMethod<&SessionWrap::Update>("update"),
                      InstanceMethod<&SessionWrap::Remove>("remove"),
                      InstanceMethod<&SessionWrap::NextKey>("nextKey"),
                      InstanceMethod<&SessionWrap::ShareMemory>("memory"),
                      InstanceMethod<&SessionWrap::Close>("close")});
}

SessionWrap::SessionWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  napi_add_env_cleanup_hook(info.Env(), AtExit, this);
}

// A worker may end without close(); its programs must not stay attached in a process that lives on.
void SessionWrap::AtExit(void* self) {
  auto* wrap = static_cast<SessionWrap*>(self);
  wrap->is_hooked_ = false;
  wrap->session_.Close();
}

SessionWrap::~SessionWrap() {
  if (is_hooked_) napi_remove_env_cleanup_hook(Env(), AtExit, this);
}

Napi::Value SessionWrap::Open(const Napi::CallbackInfo& info) {
  return ToValue(info.Env(), session_.Open(ToOpenOptions(info[0].As<Napi::Object>())));
}

Napi::Value SessionWrap::OpenInBackground(const Napi::CallbackInfo& info) {
  // Deletes itself when it is done.
  auto* opening = new Opening(this, ToOpenOptions(info[0].As<Napi::Object>()));
  const Napi::Promise promise = opening->Promise();
  opening->Queue();
  return promise;
}

Napi::Value SessionWrap::Attach(const Napi::CallbackInfo& info) {
  const Napi::Array given = info[0].As<Napi::Array>();
  std::vector<std::string> names;
  for (uint32_t index = 0; index < given.Length(); ++index)
    names.push_back(ToString(given.Get(index)));
  Napi::Array failures = Napi::Array::New(info.Env());
  for (const AttachFailure& failure : session_.Attach(names)) {
    Napi::Object item = ToValue(info.Env(), failure.status).As<Napi::Object>();
    item.Set("program", failure.program);
    failures.Set(failures.Length(), item);
  }
  return failures;
}

Napi::Value SessionWrap::AttachProbes(const Napi::CallbackInfo& info) {
  uint32_t id = 0;
  const Status status = session_.AttachProbes(ToString(info[0]), ToString(info[1]),
                                              ToWords(info[2]), ToWords(info[3]), &id);
  if (!status.ok()) return ToValue(info.Env(), status);
  return Napi::Number::New(info.Env(), id);
}

void SessionWrap::DetachProbes(const Napi::CallbackInfo& info) {
  ProbeHandles probes = session_.TakeProbes(info[0].As<Napi::Number>().Uint32Value());
  // Deletes itself when it is done.
  if (info[1].As<Napi::Boolean>()) (new Release(info.Env(), std::move(probes)))->Queue();
}

Napi::Value SessionWrap::Iterate(const Napi::CallbackInfo& info) {
  std::vector<uint8_t> output;
  const auto limit = static_cast<size_t>(info[2].As<Napi::Number>().Int64Value());
  const Status status = session_.Iterate(ToString(info[0]), ToString(info[1]), limit, &output);
  if (!status.ok()) return ToValue(info.Env(), status);
  auto bytes = Napi::Uint8Array::New(info.Env(), output.size());
  std::copy(output.begin(), output.end(), bytes.Data());
  return bytes;
}

Napi::Value SessionWrap::Programs(const Napi::CallbackInfo& info) {
  std::vector<ProgramInfo> programs;
  const Status status = session_.Programs(&programs);
  if (!status.ok()) return ToValue(info.Env(), status);
  Napi::Array result = Napi::Array::New(info.Env(), programs.size());
  uint32_t index = 0;
  for (const ProgramInfo& program : programs) {
    Napi::Object item = Napi::Object::New(info.Env());
    item.Set("name", program.name);
    item.Set("id", program.id);
    item.Set("runTimeNs", static_cast<double>(program.run_time_ns));
    item.Set("runCount", static_cast<double>(program.run_count));
    item.Set("recursionMisses", static_cast<double>(program.recursion_misses));
    result.Set(index++, item);
  }
  return result;
}

Napi::Value SessionWrap::FindMap(const Napi::CallbackInfo& info) {
  MapInfo map;
  const int index = session_.FindMap(ToString(info[0]), &map);
  if (index < 0) return info.Env().Undefined();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("index", index);
  result.Set("type", map.type);
  result.Set("flags", map.flags);
  result.Set("keySize", map.key_size);
  result.Set("valueSize", map.value_size);
  result.Set("maxEntries", map.max_entries);
  result.Set("slots", map.slots);
  return result;
}

int SessionWrap::MapFd(const Napi::Value& index) const {
  return session_.map_fd(index.As<Napi::Number>().Uint32Value());
}

Napi::Value SessionWrap::Lookup(const Napi::CallbackInfo& info) {
  return Result(info,
                bpf_map_lookup_elem(MapFd(info[0]), ToBytes(info[1]).data, ToBytes(info[2]).data));
}

Napi::Value SessionWrap::Update(const Napi::CallbackInfo& info) {
  return Result(info, bpf_map_update_elem(MapFd(info[0]), ToBytes(info[1]).data,
                                          ToBytes(info[2]).data, BPF_ANY));
}

Napi::Value SessionWrap::Remove(const Napi::CallbackInfo& info) {
  return Result(info, bpf_map_delete_elem(MapFd(info[0]), ToBytes(info[1]).data));
}

Napi::Value SessionWrap::NextKey(const Napi::CallbackInfo& info) {
  const void* key = info[1].IsUndefined() ? nullptr : ToBytes(info[1]).data;
  return Result(info, bpf_map_get_next_key(MapFd(info[0]), key, ToBytes(info[2]).data));
}

Napi::Value SessionWrap::ShareMemory(const Napi::CallbackInfo& info) {
  const int index = info[0].As<Napi::Number>().Int32Value();
  const auto size = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  Memory& memory = memories_[index];
  if (!memory.mapping) {
    Mapping mapping = Mapping::Create(size, PROT_READ | PROT_WRITE,
                                      session_.map_fd(static_cast<size_t>(index)), 0);
    if (!mapping) {
      const int error = errno;
      memories_.erase(index);
      return ToValue(info.Env(), Status::Failed(error, "map memory"));
    }
    memory.mapping = std::make_shared<Mapping>(std::move(mapping));
    memory.buffer = Napi::Persistent(MakeBuffer(info.Env(), memory.mapping, size));
  }
  return memory.buffer.Value();
}

void SessionWrap::Close(const Napi::CallbackInfo&) {
  // Views become empty at once; the pages go when the engine lets go of the buffer.
  for (auto& [index, memory] : memories_) memory.buffer.Value().Detach();
  memories_.clear();
  session_.Close();
}

}  // namespace usm
