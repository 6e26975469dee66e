// SPDX-License-Identifier: MIT
//
// Every execution of threads that take records of the log and give them back: each record has one
// user at a time, who knows that the last one has cleared it.
#include <gtest/gtest.h>

#include "core/pool/log_slots.h"
#include "exploration.h"
#include "explore.h"

namespace morsel::test {
namespace {

using core::pool::log_records;

struct Local {
  unsigned refused = 0;
  unsigned slot = log_records;  ///< in use
  std::vector<unsigned> used;   ///< and given back, or about to be
};

class LogPlay {
 public:
  /// So many records are free; each thread uses one so many times.
  LogPlay(unsigned threads, unsigned free, unsigned times) : free_(free), times_(times) {
    unsigned slot = 0;
    for (unsigned i = free; i < log_records; i++) EXPECT_TRUE(slots_.take(slot));
    std::vector<Explorer<Local>::Program> programs(threads, [this](Local& local) { use(local); });
    Explorer<Local> explorer(
        programs, [&](const auto& locals, bool over) { return look(explorer, locals, over); },
        outdated_loads());
    EXPECT_EQ(explorer.run(), "");
    EXPECT_GT(explorer.ends(), 1u);
    record({explorer.states(), explorer.ends()});
  }

 private:
  void use(Local& local) {
    for (unsigned i = 0; i < times_; i++) {
      unsigned slot = 0;
      if (!slots_.take(slot)) {
        local.refused++;
        continue;
      }
      local.slot = slot;
      // It writes to the record, makes the changes, and clears it.
      Run::learn(&cleared_[Run::current()->thread()][local.used.size()]);
      local.used.push_back(slot);
      slots_.give_back(slot);
      local.slot = log_records;
    }
  }

  /// While a thread uses a record it is alone, and knows what all that used it before have done.
  std::string look(Explorer<Local>& explorer, const std::vector<Local>& locals, bool over) {
    size_t used = 0, refused = 0;
    for (unsigned t = 0; t < locals.size(); t++) {
      used += locals[t].used.size();
      refused += locals[t].refused;
      const unsigned slot = locals[t].slot;
      for (unsigned u = 0; u < locals.size() && slot != log_records; u++) {
        if (u != t && locals[u].slot == slot) return "two users of a record";
        for (unsigned i = 0; u != t && i < locals[u].used.size(); i++)
          if (locals[u].used[i] == slot && !explorer.knows(t, &cleared_[u][i]))
            return "a record whose last user may still be clearing it";
      }
    }
    if (!over) return {};
    if (used + refused != locals.size() * times_ || used < free_) return "a record that is lost";
    return free_ >= locals.size() && refused != 0 ? "refused, though records were free" : "";
  }

  const unsigned free_, times_;
  core::pool::BasicLogSlots<ExploredAtomic> slots_;
  char cleared_[3][4];  ///< names of facts: thread, which of its uses
};

TEST(LogExplored, LastRecordOfTwo) { LogPlay(2, 1, 2); }
TEST(LogExplored, LastRecordOfThree) { LogPlay(3, 1, 1); }
TEST(LogExplored, OneEach) { LogPlay(2, 2, 2); }
TEST(LogExplored, TwoForThree) { LogPlay(3, 2, 1); }

}  // namespace
}  // namespace morsel::test
