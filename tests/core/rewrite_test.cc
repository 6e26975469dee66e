// SPDX-License-Identifier: MIT
//
// Rule 3: the kernel rewrites a 2-MiB leaf under its table's lock (6.1's MADV_COLD), and for a
// moment it is neither present nor zero. Nobody may take it for a hole, nor for a leaf, and a
// removal in that moment must not be undone. Every moment of an operation is tried in turn.
#include <thread>

#include "rewriter.h"
#include "world.h"

namespace morsel::test {
namespace {

constexpr Index slot = 512;

struct Doing {
  const char* name;
  std::function<void(World&)> act;
  std::function<void(World&)> check;
};

void is_gone(World& w) { EXPECT_FALSE(w.has(slot, Twin::ro) || w.has(slot, Twin::rw)); }
void is_there(World& w) { EXPECT_TRUE(w.right(slot + 9, Level::pmd)); }

const Doing doings[] = {
    {"Lookup",
     [](World& w) {
       is_there(w);
       EXPECT_EQ(w.tree.next({slot, 4096}, true), slot);
       EXPECT_EQ(w.tree.next({slot, 4096}, false), slot + 512);
     },
     is_there},
    {"Subtree",
     [](World& w) {
       for (const Twin twin : twins) {
         const Subtree found = w.tree.subtree(twin, slot, Level::pmd);
         EXPECT_EQ(found.kind, Subtree::Kind::leaf);
         EXPECT_TRUE(w.arena.format().is_present(found.value));
       }
     },
     is_there},
    {"InstallSmall", [](World& w) { EXPECT_EQ(w.install(slot + 9), Error::occupied); }, is_there},
    {"InstallLarge", [](World& w) { EXPECT_EQ(w.install(slot, Level::pmd), Error::occupied); },
     is_there},
    {"Split", [](World& w) { EXPECT_TRUE(w.tree.split(slot).ok()); },
     [](World& w) { EXPECT_TRUE(w.right(slot) && w.right(slot + 511)); }},
    {"Remove",
     [](World& w) {
       w.remove({slot, slot + 512});
     },
     is_gone},
    {"Prune",
     [](World& w) {
       w.remove({0, 4096}, true);
     },
     is_gone},
};

class Rewritten : public testing::TestWithParam<std::tuple<Doing, Twin>> {};
INSTANTIATE_TEST_SUITE_P(While, Rewritten,
                         testing::Combine(testing::ValuesIn(doings), testing::ValuesIn(twins)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) +
                                  (std::get<1>(info.param) == Twin::rw ? "Rw" : "Ro");
                         });

/// The kernel begins to rewrite just before the k-th call of an operation into its host, and ends
/// when the operation waits for the lock, or has ended without it. True if there is a k-th call.
bool rewrite_at_call(World& world, Twin twin, const std::function<void(World&)>& act, int k) {
  Table* const table = world.arena.table_at(world.tree.subtree(twin, 0, Level::pud).value);
  std::atomic<bool> go{false}, begun{false}, ended{false};
  std::thread kernel([&] {
    while (!go && !ended) std::this_thread::yield();
    rewrite_leaf(world.arena, table, slot_of(slot, Level::pmd), [&] {
      begun = true;
      // One is the kernel itself.
      while (!ended && world.arena.interested(table) < 2) std::this_thread::yield();
    });
    begun = true;
  });
  int calls = 0;
  world.arena.on_call([&] {
    // The kernel cannot begin while the operation has the lock itself.
    if (++calls != k || world.arena.interested(table) != 0) return;
    go = true;
    while (!begun) std::this_thread::yield();
  });
  act(world);
  world.arena.on_call({});
  ended = true;
  kernel.join();
  return calls >= k;
}

TEST_P(Rewritten, AtEveryMoment) {
  const auto& [doing, twin] = GetParam();
  for (int k = 1;; k++) {
    SCOPED_TRACE("rewritten at call " + std::to_string(k));
    World world(16, 16, 16);
    ASSERT_TRUE(world.put(slot, Level::pmd));
    const bool more = rewrite_at_call(world, twin, doing.act, k);
    doing.check(world);
    world.free();
    ASSERT_EQ(world.arena.live(), 0);
    ASSERT_EQ(world.frames.held(), 0);
    if (!more) break;
  }
}

}  // namespace
}  // namespace morsel::test
