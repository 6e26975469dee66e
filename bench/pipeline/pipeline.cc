// SPDX-License-Identifier: MIT
#include "pipeline.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stdexcept>

#include "board.h"
#include "process.h"
#include "system.h"
#include "work.h"

namespace morsel::bench {
namespace {

/// Packets that only warm up, those that count, and those whose work is done once more.
struct Counts {
  explicit Counts(unsigned packets)
      : warm(std::clamp(packets / 20, 2U, 20U)),
        counted(packets),
        repeated(std::clamp(packets / 10, 3U, 50U)) {}
  [[nodiscard]] unsigned all() const { return warm + counted + repeated; }
  [[nodiscard]] bool is_repeated(unsigned packet) const { return packet >= warm + counted; }

  unsigned warm, counted, repeated;
};

class Pipeline {
 public:
  explicit Pipeline(const PipelineOptions& options)
      : counts_(options.packets),
        board_(counts_.all(), counts_.repeated),
        way_(make_way(options.way)),
        work_(options.work) {}

  void be_first() {
    way_->enter(Stage::first);
    for (unsigned packet = 0; packet < counts_.all(); ++packet) {
      const uint64_t start = now_ns();
      const Bytes data = way_->make();
      work(0, packet, [&] { work_.fill(data, packet); });
      hand_over(0);
      way_->pass();
      way_->await_end();
      note_wait(2, packet);
      board_.round_trip(packet) = now_ns() - start;
    }
    way_->leave();
  }

  void be_middle() {
    way_->enter(Stage::middle);
    for (unsigned packet = 0; packet < counts_.all(); ++packet) {
      way_->await();
      note_wait(0, packet);
      const Bytes from = way_->open();
      const Bytes to = way_->result(from);
      work(1, packet, [&] { work_.change(from, to); });
      // Twice is as if nothing had been done.
      if (counts_.is_repeated(packet) && from.data() == to.data()) work_.change(from, to);
      hand_over(1);
      way_->pass();
    }
    way_->leave();
  }

  void be_last() {
    way_->enter(Stage::last);
    for (unsigned packet = 0; packet < counts_.all(); ++packet) {
      way_->await();
      note_wait(1, packet);
      const Bytes data = way_->open();
      bool right = true;
      work(2, packet, [&] { right = work_.is_right(data, packet) && right; });
      if (!right) throw std::runtime_error("packet " + std::to_string(packet) + " is wrong");
      hand_over(2);
      way_->finish();
    }
    way_->leave();
  }

  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] const Board& board() const { return board_; }
  [[nodiscard]] const Way& way() const { return *way_; }

 private:
  template <typename Do>
  void work(unsigned stage, unsigned packet, Do once) {
    once();
    if (!counts_.is_repeated(packet)) return;
    const uint64_t start = now_ns();
    once();
    board_.worked(stage, packet) = now_ns() - start;
  }
  void hand_over(unsigned stage) { board_.handed_over(stage) = now_ns(); }
  void note_wait(unsigned stage, unsigned packet) {
    board_.waited(packet) += now_ns() - board_.handed_over(stage);
  }

  Counts counts_;
  Board board_;
  std::unique_ptr<Way> way_;
  Work work_;
};

/// Processes that end with this one.
class Stages {
 public:
  Stages() = default;
  Stages(const Stages&) = delete;
  Stages& operator=(const Stages&) = delete;
  ~Stages() {
    for (const pid_t pid : running_) ::kill(pid, SIGKILL);
    while (!running_.empty()) forget(::waitpid(running_.back(), nullptr, 0));
  }

  void start(const char* name, const std::function<void()>& body) {
    const pid_t pid = checked(::fork(), "fork");
    if (pid != 0) return running_.push_back(pid);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      body();
      std::exit(0);  // a library may have something to do at the end
    } catch (const std::exception& error) {
      std::fprintf(stderr, "pipeline-bench: the %s stage: %s\n", name, error.what());
    }
    ::_exit(1);
  }
  /// Until all have ended, or one has failed, for which the others would wait for ever.
  void await() {
    while (!running_.empty()) {
      int status = 0;
      const pid_t pid = checked(::waitpid(-1, &status, 0), "waitpid");
      if (!forget(pid)) throw std::runtime_error("what the stages need has ended");
      if (status != 0) throw std::runtime_error("a stage failed");
    }
  }

 private:
  bool forget(pid_t pid) { return std::erase(running_, pid) == 1; }

  std::vector<pid_t> running_;
};

double median_us(std::vector<uint64_t> ns) {
  std::sort(ns.begin(), ns.end());
  const size_t middle = ns.size() / 2;
  const uint64_t twice = ns.size() % 2 ? 2 * ns[middle] : ns[middle - 1] + ns[middle];
  return static_cast<double>(twice) / 2000.0;
}

double work_us(const Pipeline& pipeline, unsigned stage) {
  const Counts& counts = pipeline.counts();
  std::vector<uint64_t> all;
  for (unsigned packet = counts.warm + counts.counted; packet < counts.all(); ++packet)
    all.push_back(pipeline.board().worked(stage, packet));
  return median_us(std::move(all));
}

}  // namespace

nlohmann::ordered_json measure_pipeline(const PipelineOptions& options) {
  Pipeline pipeline(options);
  Stages stages;
  stages.start("first", [&] { pipeline.be_first(); });
  stages.start("middle", [&] { pipeline.be_middle(); });
  stages.start("last", [&] { pipeline.be_last(); });
  stages.await();

  const Counts& counts = pipeline.counts();
  std::vector<uint64_t> counted, waits;
  for (unsigned packet = counts.warm; packet < counts.warm + counts.counted; ++packet) {
    counted.push_back(pipeline.board().round_trip(packet));
    waits.push_back(pipeline.board().waited(packet));
  }
  const auto [least, most] = std::minmax_element(counted.begin(), counted.end());

  const double rtt = median_us(counted), wait = median_us(waits);
  const double user = work_us(pipeline, 0) + work_us(pipeline, 1) + work_us(pipeline, 2);
  nlohmann::ordered_json row{{"system", options.way.system},
                             {"packet_bytes", options.way.bytes},
                             {"work", options.work},
                             {"packets", counts.counted},
                             {"rtt_us", rtt},
                             {"rtt_min_us", static_cast<double>(*least) / 1000.0},
                             {"rtt_max_us", static_cast<double>(*most) / 1000.0},
                             {"user_us", user},
                             {"wait_us", wait},
                             {"kernel_us", std::max(0.0, rtt - user - wait)}};
  if (const std::string note = pipeline.way().note(); !note.empty()) row["note"] = note;
  return row;
}

}  // namespace morsel::bench
