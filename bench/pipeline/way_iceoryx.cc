// SPDX-License-Identifier: MIT
// Eclipse iceoryx: chunks of its pool, published from stage to stage. What was received may not be
// written to, so the middle stage writes its result to a chunk of its own. Its daemon runs as long
// as this does, with a pool of the packet's size.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>
#include <optional>
#include <stdexcept>

#include "system.h"
#include "way.h"

namespace morsel::bench {
namespace {

class Daemon {
 public:
  explicit Daemon(uint64_t bytes) {
    std::array<char, 32> path{"/tmp/pipeline-iceoryx-XXXXXX"};
    const int config = checked(::mkstemp(path.data()), "mkstemp");
    const std::string text =
        "[general]\nversion = 1\n[[segment]]\n[[segment.mempool]]\nsize = 1024\ncount = 16\n"
        "[[segment.mempool]]\nsize = " +
        std::to_string(bytes + 1024) + "\ncount = 6\n";
    checked(::write(config, text.data(), text.size()), "write");
    ::close(config);

    std::array<int, 2> said{};
    checked(::pipe2(said.data(), O_CLOEXEC), "pipe");
    pid_ = checked(::fork(), "fork");
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      ::dup2(said[1], STDOUT_FILENO);
      ::dup2(said[1], STDERR_FILENO);
      ::execlp("iox-roudi", "iox-roudi", "-m", "off", "-c", path.data(), nullptr);
      ::_exit(127);
    }
    ::close(said[1]);
    wait_until_ready(said[0]);
    output_ = said[0];
    ::unlink(path.data());
  }
  ~Daemon() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
    ::close(output_);
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

 private:
  static void wait_until_ready(int output) {
    std::string said;
    std::array<char, 512> buffer{};
    while (said.find("ready") == std::string::npos) {
      const ssize_t got = ::read(output, buffer.data(), buffer.size());
      if (got <= 0) throw std::runtime_error("iox-roudi ended: " + said);
      said.append(buffer.data(), static_cast<size_t>(got));
    }
  }

  pid_t pid_ = -1;
  int output_ = -1;
};

iox::capro::ServiceDescription service(unsigned from) {
  const char* const names[] = {"first", "middle", "last"};
  return {"pipeline", iox::capro::IdString_t(iox::cxx::TruncateToCapacity, names[from]), "packet"};
}

/// What one process has of it.
struct Ports {
  explicit Ports(unsigned stage) : out(service(stage)), in(service((stage + 2) % 3)) {
    waiting.attachState(in, iox::popo::SubscriberState::HAS_DATA).or_else([](auto) {
      throw std::runtime_error("iceoryx: no room in the wait set");
    });
    while (!out.hasSubscribers() || in.getSubscriptionState() != iox::SubscribeState::SUBSCRIBED)
      ::usleep(1000);
  }

  iox::popo::UntypedPublisher out;
  iox::popo::UntypedSubscriber in;
  iox::popo::WaitSet<> waiting;
};

class IceoryxWay final : public Way {
 public:
  explicit IceoryxWay(const WayOptions& options) : bytes_(options.bytes), daemon_(options.bytes) {}

  void enter(Stage stage) override {
    const char* const names[] = {"pipeline-first", "pipeline-middle", "pipeline-last"};
    const auto number = static_cast<unsigned>(stage);
    iox::runtime::PoshRuntime::initRuntime(
        iox::RuntimeName_t(iox::cxx::TruncateToCapacity, names[number]));
    ports_.emplace(number);
  }
  void leave() override { ports_.reset(); }
  Bytes make() override { return loan(bytes_); }
  void await() override {
    for (received_ = nullptr; !received_;) {
      ports_->waiting.wait();
      ports_->in.take().and_then([&](const void* data) { received_ = data; });
    }
  }
  Bytes open() override { return {static_cast<std::byte*>(const_cast<void*>(received_)), bytes_}; }
  Bytes result(Bytes) override { return loan(bytes_); }
  void pass() override {
    ports_->out.publish(loaned_);
    let_go();
  }
  void finish() override {
    let_go();
    loan(8);
    pass();
  }
  void await_end() override {
    await();
    let_go();
  }

 private:
  Bytes loan(uint64_t bytes) {
    loaned_ = nullptr;
    ports_->out.loan(static_cast<uint32_t>(bytes), 64).and_then([&](void* data) {
      loaned_ = data;
    });
    if (!loaned_) throw std::runtime_error("iceoryx has no chunk");
    return {static_cast<std::byte*>(loaned_), bytes};
  }
  void let_go() {
    if (received_) ports_->in.release(received_);
    received_ = nullptr;
  }

  uint64_t bytes_;
  Daemon daemon_;
  std::optional<Ports> ports_;
  void* loaned_ = nullptr;
  const void* received_ = nullptr;
};

}  // namespace

std::unique_ptr<Way> make_iceoryx_way(const WayOptions& options) {
  return std::make_unique<IceoryxWay>(options);
}

}  // namespace morsel::bench
