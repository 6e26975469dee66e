// SPDX-License-Identifier: MIT
//
//     lib-native [--backend NAME]            the stock backends
//     lib-conformance DIR [DISK] [--only S]  all of them; DIR is on morselfs (tests/vm/run-all)
//
// One line per test: "ok NAME", "not ok NAME", "skip NAME: why"; and "skip all: why".
#include <fstream>
#include <iostream>

#include "fixture.h"

using namespace conformance;

namespace {

constexpr const char* overcommit = "/proc/sys/vm/nr_overcommit_hugepages";
constexpr uint64_t wanted_pages = 1500;

// Allows 2-MiB pages on demand while it lives, if it may.
class HugePages {
 public:
  HugePages() {
    if (!(std::ifstream(overcommit) >> before_) || before_ >= wanted_pages) return;
    raised_ = bool(std::ofstream(overcommit) << wanted_pages << std::flush);
  }
  ~HugePages() {
    if (raised_) std::ofstream(overcommit) << before_ << std::flush;
  }
  HugePages(const HugePages&) = delete;
  HugePages& operator=(const HugePages&) = delete;

 private:
  uint64_t before_ = 0;
  bool raised_ = false;
};

class Lines : public testing::EmptyTestEventListener {
 public:
  void OnTestPartResult(const testing::TestPartResult& part) override {
    // What belongs to no test line by line: the reasons.
    if (part.failed())
      std::cout << "# " << (part.file_name() ? part.file_name() : "") << ":" << part.line_number()
                << "\n# " << one_line(part.message()) << "\n";
    if (part.skipped()) why_ = one_line(part.message());
  }
  void OnTestEnd(const testing::TestInfo& test) override {
    std::string name = std::string("lib_") + test.test_suite_name() + "_" + test.name();
    for (char& c : name)
      if (c == '/') c = '_';
    if (test.result()->Failed()) {
      std::string first;
      for (int i = 0; i < test.result()->total_part_count() && first.empty(); i++)
        if (test.result()->GetTestPartResult(i).failed())
          first = one_line(test.result()->GetTestPartResult(i).message());
      std::cout << "not ok " << name << ": " << first << "\n";
    } else if (test.result()->Skipped()) {
      std::cout << "skip " << name << ": " << why_ << "\n";
      skipped_++;
    } else {
      std::cout << "ok " << name << "\n";
      ran_++;
    }
    std::cout.flush();
  }
  void OnTestProgramEnd(const testing::UnitTest&) override {
    if (ran_ == 0 && skipped_ > 0) std::cout << "skip all: " << why_ << std::endl;
  }

 private:
  static std::string one_line(std::string text) {
    if (size_t end = text.find("Skipped\n"); end == 0) text.erase(0, 8);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    for (char& c : text)
      if (c == '\n') c = ' ';
    return text;
  }

  std::string why_;
  int ran_ = 0, skipped_ = 0;
};

void read_arguments(int argc, char** argv) {
  std::string only;
  for (int i = 1; i < argc; i++) {
    std::string argument = argv[i];
    if (argument == "--backend" && i + 1 < argc)
      settings.backend = argv[++i];
    else if (argument == "--only" && i + 1 < argc)
      only = argv[++i];
    else if (settings.directory.empty())
      settings.directory = argument;
  }
  std::string filter = settings.backend.empty() ? "*" : "*/" + settings.backend;
  if (!only.empty()) filter = "*" + only + filter;
  testing::GTEST_FLAG(filter) = filter;
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  read_arguments(argc, argv);
  signal(SIGPIPE, SIG_DFL);
  HugePages pages;
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new Lines);
  return RUN_ALL_TESTS();
}
