// SPDX-License-Identifier: MIT
//
// morsel-sim: the crash simulator. README.md says what it tries.
#include <sys/resource.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "items.h"

namespace morsel::sim {
namespace {

constexpr const char* usage = R"(usage: morsel-sim [OPTION...]
  --sequences N   all sequences of up to N operations (2)
  --sample N      and so many of the next length (0)
  --random N      random sequences (0) ...
  --length N      ... of so many operations (30)
  --states N      goes on with random sequences until so many distinct images were tried
  --seed N        of all that is random (1)
  --jobs N        processes (as many as there are CPUs)
  --off SITE      with one flush or fence of core/site.h switched off: must fail
  --prove         that, for each of them; lists those that nothing misses
  --run 'OPERATION; ...'   one sequence
  --other WHAT[@EVENT]     another CPU does something (fsync, touch, fill, or an operation that has
                           nothing to do with the last one) at one or each event of the last one
  --repair N      one repair
)";

struct Options {
  Plan plan;
  Context context{};
  unsigned jobs = static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN));
  bool prove = false;
  std::optional<Item> only;
};

/// Takes items until there are none, or something has failed. In a process of its own.
void work(const Options& options, const Items& items, Tally::Text& where) {
  Tally& tally = *options.context.tally;
  const auto wanted = [&](u64 index) {
    return index < items.size() || tally.states < options.plan.states;
  };
  for (u64 index = tally.next_item++; wanted(index) && !tally.failed; index = tally.next_item++) {
    try {
      items.run(options.context, items.at(index), where);
    } catch (const Failure& failure) {
      if (!tally.failed.exchange(true))
        std::snprintf(tally.failure, sizeof(Tally::Text), "%s", failure.what());
    }
  }
}

/// Runs all items in `jobs` processes. False, with tally.failure, if something failed.
bool run(const Options& options, const Items& items) {
  Tally& tally = *options.context.tally;
  std::vector<pid_t> workers;
  for (unsigned job = 0; job < options.jobs; job++) {
    const pid_t pid = fork();
    if (pid < 0) throw std::runtime_error("fork");
    if (pid == 0) {
      work(options, items, tally.where[job]);
      _exit(0);
    }
    workers.push_back(pid);
  }
  for (unsigned job = 0; job < workers.size(); job++) {
    int status = 0;
    waitpid(workers[job], &status, 0);
    if (status == 0 || tally.failed.exchange(true)) continue;
    std::snprintf(tally.failure, sizeof(Tally::Text), "the process died (%s)\n  in: %s",
                  WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit", tally.where[job]);
  }
  return !tally.failed;
}

void print_figures(const Tally& tally, double seconds) {
  rusage used{};
  getrusage(RUSAGE_CHILDREN, &used);
  std::printf(
      "%lu operations cut short (%lu for want of space refused), %lu distinct images, %lu checks, "
      "%lu images gone on with, %.1f s (%ld s of CPU)\n",
      tally.operations.load(), tally.refused.load(), tally.states.load(), tally.checks.load(),
      tally.full_mounts.load(), seconds, used.ru_utime.tv_sec);
}

double now() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

int run_once(const Options& options, const Items& items) {
  const double begun = now();
  const bool passed = run(options, items);
  print_figures(*options.context.tally, now() - begun);
  if (!passed) std::printf("FAILED: %s\n", options.context.tally->failure);
  return passed ? 0 : 1;
}

/// Switches each site off in turn; something must fail each time.
int prove(Options options, const Items& items) {
  const double begun = now();
  unsigned missed = 0, useless = 0;
  for (unsigned site = 0; site < site_count; site++) {
    Tally* tally = Tally::make();
    options.context.tally = tally;
    options.context.off = static_cast<Site>(site);
    const double from = now();
    const bool passed = run(options, items);
    const std::string_view failure = tally->failure;
    (passed ? useless : missed)++;
    std::printf("%-20s %s after %lu images, %.1f s\n", std::string(site_names[site]).c_str(),
                passed ? "NOTHING MISSES IT" : "is missed", tally->states.load(), now() - from);
    if (!passed) {
      const size_t repeat = failure.find("  repeat: ");
      std::printf(
          "    %s%s\n", std::string(failure.substr(0, failure.find('\n'))).c_str(),
          repeat == failure.npos ? "" : ("\n  " + std::string(failure.substr(repeat))).c_str());
    }
    std::fflush(stdout);
    tally->free();
  }
  std::printf("%u flushes and fences are needed, %u are not, %.1f s\n", missed, useless,
              now() - begun);
  return useless == 0 ? 0 : 1;
}

Item parse_run(const std::string& text) {
  return {Item::Kind::sequence, parse_operations(text), {}, 0};
}

void parse_other(Item& item, const std::string& text) {
  item.kind = Item::Kind::nested;
  const size_t at = text.find('@');
  item.nest.at = at == text.npos ? ~0UL : std::stoul(text.substr(at + 1));
  const std::string what = text.substr(0, at);
  for (unsigned kind = 0; kind < std::size(nest_names); kind++)
    if (what == nest_names[kind]) item.nest.kind = static_cast<Nest::Kind>(kind);
  if (item.nest.kind != Nest::Kind::none) return;
  item.nest.kind = Nest::Kind::operation;
  item.nest.operation = parse_operation(what);
}

Options parse(int argc, char** argv) {
  Options options;
  const auto wrong = [](const std::string& what) {
    std::fprintf(stderr, "morsel-sim: %s\n%s", what.c_str(), usage);
    std::exit(2);
  };
  for (int i = 1; i < argc; i++) {
    const std::string option = argv[i];
    if (option == "--prove") {
      options.prove = true;
      continue;
    }
    if (++i == argc) wrong("what is " + option);
    const std::string value = argv[i];
    const auto number = [&] { return std::stoul(value); };
    if (option == "--sequences") {
      options.plan.sequences = static_cast<unsigned>(number());
    } else if (option == "--sample") {
      options.plan.sample = number();
    } else if (option == "--random") {
      options.plan.random = number();
    } else if (option == "--length") {
      options.plan.length = number();
    } else if (option == "--states") {
      options.plan.states = number();
    } else if (option == "--seed") {
      options.plan.seed = number();
    } else if (option == "--jobs") {
      options.jobs = std::min(64U, static_cast<unsigned>(number()));
    } else if (option == "--off") {
      options.context.off = site_of(value);
      if (options.context.off == Site::count) wrong("no site: " + value);
    } else if (option == "--run") {
      options.only = parse_run(value);
    } else if (option == "--other" && options.only) {
      parse_other(*options.only, value);
    } else if (option == "--repair") {
      options.only = Item{Item::Kind::repair, {}, {}, number()};
    } else {
      wrong("what is " + option);
    }
  }
  options.context.seed = options.plan.seed;
  return options;
}

int main_of(int argc, char** argv) {
  Options options = parse(argc, argv);
  options.context.tally = Tally::make();
  const Items items(options.plan, *options.context.tally);
  if (options.prove) return prove(options, items);
  if (!options.only) return run_once(options, items);
  try {
    items.run(options.context, *options.only, options.context.tally->where[0]);
  } catch (const Failure& failure) {
    std::printf("FAILED: %s\n", failure.what());
    return 1;
  }
  print_figures(*options.context.tally, 0);
  return 0;
}

}  // namespace
}  // namespace morsel::sim

int main(int argc, char** argv) {
  try {
    return morsel::sim::main_of(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "morsel-sim: %s\n", error.what());
    return 2;
  }
}
