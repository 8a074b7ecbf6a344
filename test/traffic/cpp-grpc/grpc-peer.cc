// gRPC server and client of the traffic generator (see ../README.md) on gRPC's C++ library, without
// generated code: messages are bytes.
//
//	grpc-peer-cpp server HOST:PORT
//	grpc-peer-cpp client HOST:PORT
#include <grpcpp/alarm.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_context.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using grpc::ByteBuffer;
using nlohmann::json;

namespace {

void Say(const json& line) {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);

  std::cout << line << std::endl;
}

std::string ReadFile(const char* path) {
  std::ifstream file(path, std::ios::binary);

  return {std::istreambuf_iterator<char>(file), {}};
}

ByteBuffer Message(size_t size) {
  const grpc::Slice bytes(std::string(size, '\0'));

  return {&bytes, 1};
}

std::chrono::system_clock::time_point In(int ms) {
  return std::chrono::system_clock::now() + std::chrono::milliseconds(ms);
}

// A number of what the metadata asks for, which is a query.
int NumberIn(const std::string& plan, const std::string& name) {
  const std::string text = "&" + plan, key = "&" + name + "=";
  const size_t at = text.find(key);

  return at == std::string::npos ? 0 : std::atoi(text.c_str() + at + key.size());
}

// Does with a call what its metadata asks for. One step causes the next; what a cancelled call was
// about to do fails.
class Answer final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Answer(grpc::GenericCallbackServerContext* context) : context_(context) {
    const auto& metadata = context->client_metadata();
    const auto plan = metadata.find("plan");

    if (plan != metadata.end()) plan_.assign(plan->second.data(), plan->second.size());
    message_ = Message(NumberIn(plan_, "size"));
    left_ = NumberIn(plan_, "messages");
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    const int delay = NumberIn(plan_, "delay");

    if (ok && NumberIn(plan_, "each"))
      StartWrite(&message_);
    else if (ok)
      StartRead(&request_);
    else if (delay)
      Wait(delay);
    else
      Go();
  }

  void OnWriteDone(bool ok) override {
    if (!ok)
      End(grpc::Status::CANCELLED);
    else if (NumberIn(plan_, "each"))
      StartRead(&request_);
    else
      Go();
  }

  void OnCancel() override {
    bool is_waiting;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      is_cancelled_ = true;
      is_waiting = is_holding_;
    }
    alarm_.Cancel();
    if (is_waiting) End(grpc::Status::CANCELLED);
  }

  void OnDone() override { delete this; }

 private:
  void Wait(int ms) {
    const std::lock_guard<std::mutex> lock(mutex_);

    // An alarm that is cancelled before it is set never comes.
    alarm_.Set(is_cancelled_ ? In(0) : In(ms), [this](bool is_due) {
      if (is_due)
        Go();
      else
        End(grpc::Status::CANCELLED);
    });
  }

  void Go() {
    if (left_-- > 0) {
      StartWrite(&message_);
      return;
    }
    if (NumberIn(plan_, "hold")) {
      const std::lock_guard<std::mutex> lock(mutex_);

      is_holding_ = true;
      if (!is_cancelled_) return;
    }
    context_->AddTrailingMetadata("server-took", "1");
    const int code = NumberIn(plan_, "code");
    End(code ? grpc::Status(static_cast<grpc::StatusCode>(code), "as asked for")
             : grpc::Status::OK);
  }

  void End(const grpc::Status& status) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);

      if (is_ended_) return;
      is_ended_ = true;
    }
    Finish(status);
  }

  grpc::GenericCallbackServerContext* context_;
  std::string plan_;
  ByteBuffer request_, message_;
  int left_;
  grpc::Alarm alarm_;
  std::mutex mutex_;  // for what follows: a call is cancelled on another thread
  bool is_cancelled_ = false;
  bool is_holding_ = false;
  bool is_ended_ = false;
};

class AnyMethod final : public grpc::CallbackGenericService {
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new Answer(context);
  }
};

int Serve(const std::string& where) {
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  const char* certificate = std::getenv("TLS_CERTIFICATE");
  AnyMethod service;
  grpc::ServerBuilder builder;
  int port = 0;

  if (certificate) {
    grpc::SslServerCredentialsOptions options;

    options.pem_key_cert_pairs.push_back({ReadFile(std::getenv("TLS_KEY")), ReadFile(certificate)});
    credentials = grpc::SslServerCredentials(options);
  }
  builder.AddListeningPort(where, credentials, &port);
  builder.RegisterCallbackGenericService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) return 1;
  Say({{"kind", "listening"}, {"pid", getpid()}, {"port", port}});
  std::cin.ignore(std::numeric_limits<std::streamsize>::max());
  std::_Exit(0);
}

// One call, made step by step on a thread of its own.
class Call {
 public:
  Call(grpc::GenericStub& stub, const json& planned)
      : stub_(stub),
        planned_(planned),
        method_("/" + planned.at("method").get<std::string>()),
        message_(Message(planned.at("requestSize").get<size_t>())) {
    context_.AddMetadata("plan", planned.at("plan").get<std::string>());
    if (planned.contains("deadline")) context_.set_deadline(In(planned["deadline"].get<int>()));
  }

  json Make() {
    const auto shape = planned_.at("shape").get<std::string>();

    if (shape == "unary")
      Unary();
    else
      Stream(shape);
    return {{"kind", "call"},
            {"id", planned_.at("id")},
            {"code", static_cast<int>(status_.error_code())},
            {"responses", responses_},
            {"size", size_}};
  }

 private:
  // The step under way is done; false where it came to nothing.
  bool Done() {
    void* tag;
    bool ok;

    return queue_.Next(&tag, &ok) && ok;
  }

  void Unary() {
    ByteBuffer response;
    const auto call = stub_.PrepareUnaryCall(&context_, method_, message_, &queue_);

    call->StartCall();
    call->Finish(&response, &status_, this);
    Done();
    if (status_.ok()) Take(response);
  }

  void Stream(const std::string& shape) {
    const int requests = shape == "server" ? 1 : planned_.at("requests").get<int>();
    const auto call = stub_.PrepareCall(&context_, method_, &queue_);
    ByteBuffer response;
    bool is_open;

    call->StartCall(this);
    is_open = Done();
    for (int i = 0; is_open && i < requests; i++) {
      call->Write(message_, this);
      is_open = Done();
      if (is_open && shape == "bidi") {
        call->Read(&response, this);
        is_open = Done() && Take(response);
      }
    }
    if (is_open) {
      call->WritesDone(this);
      is_open = Done();
    }
    while (is_open) {
      call->Read(&response, this);
      is_open = Done() && Take(response);
    }
    call->Finish(&status_, this);
    Done();
  }

  bool Take(const ByteBuffer& response) {
    responses_++;
    size_ += response.Length();
    if (planned_.value("cancel", false)) context_.TryCancel();
    return true;
  }

  grpc::GenericStub& stub_;
  const json& planned_;
  const std::string method_;
  const ByteBuffer message_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  grpc::Status status_;
  int responses_ = 0;
  size_t size_ = 0;
};

std::shared_ptr<grpc::Channel> Connect(const std::string& where) {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  grpc::ChannelArguments arguments;

  // A connection of its own.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (std::getenv("TLS")) {
    grpc::SslCredentialsOptions options;

    options.pem_root_certs = ReadFile(std::getenv("TLS_CERTIFICATE"));
    credentials = grpc::SslCredentials(options);
  }
  return grpc::CreateCustomChannel(where, credentials, arguments);
}

// Keeps so many calls under way at each connection as the plan says.
void Run(std::vector<std::unique_ptr<grpc::GenericStub>>& stubs, const std::string& where,
         const json& plan) {
  const auto connections = plan.at("connections").get<size_t>();
  const auto streams = plan.at("streams").get<size_t>();
  std::deque<const json*> left;
  std::vector<std::thread> workers;
  std::mutex mutex;

  while (stubs.size() < connections)
    stubs.push_back(std::make_unique<grpc::GenericStub>(Connect(where)));
  for (const json& planned : plan.at("calls")) left.push_back(&planned);
  for (size_t i = 0; i < connections * streams; i++) {
    workers.emplace_back([&, i] {
      for (;;) {
        const json* planned;
        {
          const std::lock_guard<std::mutex> lock(mutex);

          if (left.empty()) return;
          planned = left.front();
          left.pop_front();
        }
        Say(Call(*stubs[i % connections], *planned).Make());
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  Say({{"kind", "done"}});
}

int Ask(const std::string& where) {
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs;
  std::string line;

  Say({{"kind", "ready"}, {"pid", getpid()}});
  while (std::getline(std::cin, line)) Run(stubs, where, json::parse(line));
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string role = argc == 3 ? argv[1] : "";

  if (role == "server") return Serve(argv[2]);
  if (role == "client") return Ask(argv[2]);
  std::cerr << "usage: grpc-peer-cpp server|client HOST:PORT" << std::endl;
  return 2;
}
