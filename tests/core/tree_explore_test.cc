// SPDX-License-Identifier: MIT
//
// Every execution of two or three threads on a small tree. At every moment what is in ro is in rw;
// whoever follows an entry finds behind it what was to be there; and in the end the twins are
// equal, and no table and no frame is lost or has two places. tests/core/prove-mutants changes
// core, one order or one check at a time, and these tests must notice.
#include <gtest/gtest.h>

#include <memory>

#include "exploration.h"
#include "tree_stage.h"

namespace morsel::test {
namespace {

constexpr Index tall = 7 * pages_1g;

using Program = std::function<void(Player&)>;

struct Scene {
  const char* name;
  Program before;
  std::vector<Program> threads;
  std::function<std::string(Player&, const Local& sum)> wrong;  ///< in the end
  Index watched = 0;      ///< in rw whenever it is in ro; 0: the kernel rewrites it
  unsigned fails_at = 0;  ///< which allocation of each thread fails
};

class Play {
 public:
  explicit Play(const Scene& scene) : scene_(scene) {
    stage_.let_allocation_fail(scene.fails_at);
    stage_.is_turn_of(stage_.before);
    scene.before(player_);
    std::vector<Explorer<Local>::Program> programs;
    for (const Program& program : scene.threads)
      programs.push_back([this, &program](Local& local) {
        stage_.is_turn_of(local);
        program(player_);
      });
    Explorer<Local> explorer(
        programs, [this](const auto& locals, bool over) { return look(locals, over); },
        outdated_loads());
    fault = explorer.run();
    size = {explorer.states(), explorer.ends()};
  }

  std::string fault;
  Size size;

 private:
  std::string look(const std::vector<Local>& locals, bool over) {
    if (scene_.watched != 0 && player_.has(Twin::ro, scene_.watched) &&
        !player_.has(Twin::rw, scene_.watched))
      return "a page in ro that is not in rw";
    if (!over) return {};
    stage_.sum_up(locals);
    std::string what = fault_of(stage_, stage_, stage_.roots, stage_.sum().retired.size());
    if (what.empty())
      what = stage_.miscounted(ImageReader<Stage>(stage_, Twin::rw).read(stage_.roots).leaves);
    return what.empty() ? scene_.wrong(player_, stage_.sum()) : what;
  }

  const Scene& scene_;
  Stage stage_;
  Player player_{stage_};
};

void nothing(Player&) {}

Program install(Index index, Level level = Level::pte) {
  return [=](Player& p) { p.install_and_find(index, level); };
}
Program find(Index index) {
  return [=](Player& p) { p.find(index); };
}
Program grow(Index index) {
  return [=](Player& p) { p.grow(index); };
}
Program peek(Twin twin, Index index) {
  return [=](Player& p) { p.peek(twin, index); };
}
Program keep_finding(Twin twin, Index index) {
  return [=](Player& p) { p.keep_finding(twin, index); };
}
Program graft(Twin twin, Index index, Level slot) {
  return [=](Player& p) { p.graft(twin, index, slot); };
}
Program remove(Index first, Index last) {
  return [=](Player& p) { p.remove({first, last}); };
}
Program remove_and_prune(Index first, Index last) {
  return [=](Player& p) { p.remove({first, last}, /*prune=*/true); };
}
Program split(Index index) {
  return [=](Player& p) { p.split(index); };
}
Program merge(Index slot) {
  return [=](Player& p) { p.merge(slot); };
}
Program promote(Index slot) {
  return [=](Player& p) { p.promote(slot); };
}
/// One after the other; with the lock that installers share, or alone.
Program both(Program one, Program other) {
  return [=](Player& p) {
    one(p);
    other(p);
  };
}
Program shared(Program body) {
  return [=](Player& p) { p.shared([&] { body(p); }); };
}
Program alone(Program body) {
  return [=](Player& p) { p.alone([&] { body(p); }); };
}
/// Half of a 1-GiB slot's tables are there.
void prepare_tables(Player& p) { p.install(601); }
/// Slot 1 has empty tables, and slot 2 a page.
void prepare_promotion(Player& p) {
  p.install(512);
  remove(512, 513)(p);
  p.install(1024);
}
void prepare_large(Player& p) { p.install(512, Level::pmd); }
void prepare_full(Player& p) {
  p.install(512, Level::pmd);
  p.split(512);
}

auto wins(unsigned count) {
  return [=](Player&, const Local& sum) {
    return sum.won() == count ? "" : std::to_string(sum.won()) + " succeeded";
  };
}
auto is_there(bool yes, Index index) {
  return [=](Player& p, const Local&) {
    return p.has(Twin::rw, index) == yes ? "" : yes ? "a page is lost" : "a page is back";
  };
}
std::string anything(Player&, const Local&) { return {}; }

/// Minutes.
const Scene large_scenes[] = {
    {"SameHoleUnderNewTables", nothing, {install(600), install(600)}, wins(1), 600},
    {"WithoutFourthTable", nothing, {install(600), install(600)}, anything, 600, 4},
    {"PromoteAndGrowTwice",
     prepare_promotion,
     {promote(512), grow(pages_1g), grow(tall)},
     is_there(true, 1024),
     600},
    {"PromoteOfTheFirstSlotAndGrow",
     both(install(0), remove(0, 1)),
     {promote(0), grow(pages_1g), find(5)},
     is_there(true, 5),
     5},
    {"LargeAndTwoSmall",
     nothing,
     {install(512, Level::pmd), install(512), install(600)},
     [](Player&, const Local& sum) { return sum.won() == 1 || sum.won() == 2 ? "" : "won"; },
     600},
};

const Scene scenes[] = {
    // install() and grow() with each other and with readers: no lock.
    {"SameHole", nothing, {install(5), install(5)}, wins(1), 5},
    {"SameHoleUnderTables", prepare_tables, {install(600), install(600)}, wins(2), 600},
    {"SameHoleUnderNewTable", install(5000), {install(600), install(600)}, wins(2), 600},
    {"SameHoleThreeTimes",
     prepare_tables,
     {install(600), install(600), install(600)},
     wins(2),
     600},
    {"SameHoleAndReader", prepare_tables, {install(600), install(600), find(600)}, wins(2), 600},
    {"NewTablesAndReader", nothing, {install(600), find(600)}, wins(1), 600},
    {"NewTableAndTwoReaders", prepare_promotion, {install(5), find(5), find(5)}, wins(3), 5},
    {"Neighbours", nothing, {install(5), install(6)}, wins(2), 5},
    {"OneHigherThanTheOther", nothing, {install(5), install(600)}, wins(2), 5},
    {"GrowAndInstall", nothing, {grow(pages_1g), install(5)}, wins(2), 5},
    {"GrowAndGrow", install(5), {grow(600), grow(pages_1g), find(5)}, wins(3), 5},
    {"SmallAndLarge", nothing, {install(512, Level::pmd), install(600)}, wins(1), 600},
    {"SmallAndLargeUnderTables",
     install(5000),
     {install(512, Level::pmd), install(600), find(600)},
     wins(2),
     600},
    {"LargeAndLarge",
     install(5000),
     {install(512, Level::pmd), install(512, Level::pmd), find(700)},
     wins(2),
     600},
    {"LargeAndTwoSmall",
     install(5000),
     {install(512, Level::pmd), install(512), install(600)},
     [](Player&, const Local& sum) { return sum.won() == 2 || sum.won() == 3 ? "" : "won"; },
     600},
    {"PersistMeetsInstall",
     prepare_tables,
     {install(600), both([](Player& p) { p.persist(600); }, find(600))},
     wins(2),
     600},
    {"WithoutSecondTable", nothing, {install(600), install(600)}, anything, 600, 2},
    {"WithoutThirdTable", nothing, {install(600), install(600)}, anything, 600, 3},
    {"GraftMeetsInstall",
     install(5000),
     {install(600), both(graft(Twin::rw, 512, Level::pmd), graft(Twin::ro, 0, Level::pud)),
      graft(Twin::ro, 512, Level::pmd)},
     wins(2),
     600},

    // What returns to `none` or replaces, with readers, with growth, and with the kernel.
    {"RemoveAndReaders",
     prepare_tables,
     {remove(601, 602), peek(Twin::rw, 601), peek(Twin::ro, 601)},
     is_there(false, 601),
     601},
    {"PruneAndReaders",
     prepare_tables,
     {remove_and_prune(512, 1024), peek(Twin::rw, 601), peek(Twin::ro, 601)},
     is_there(false, 601),
     601},
    {"RemoveAndGrow", install(5), {remove(5, 6), grow(pages_1g)}, is_there(false, 5), 5},
    {"RemoveAndInstall",
     prepare_tables,
     {alone(remove(600, 602)), shared(install(600)), peek(Twin::ro, 600)},
     is_there(false, 601),
     600},
    {"PruneAndInstall",
     prepare_tables,
     {alone(remove_and_prune(512, 1024)), shared(install(600)), peek(Twin::ro, 600)},
     is_there(false, 601),
     600},
    {"SplitAndReaders",
     prepare_large,
     {split(512), keep_finding(Twin::rw, 700), keep_finding(Twin::ro, 700)},
     is_there(true, 700),
     700},
    {"SplitAndGrow",
     prepare_large,
     {split(512), grow(tall), keep_finding(Twin::ro, 700)},
     is_there(true, 700),
     700},
    {"MergeAndReaders",
     prepare_full,
     {merge(512), keep_finding(Twin::rw, 700), keep_finding(Twin::ro, 700)},
     is_there(true, 700),
     700},
    {"PromoteAndReaders",
     prepare_promotion,
     {promote(512), keep_finding(Twin::rw, 1024), both(find(600), keep_finding(Twin::ro, 1024))},
     is_there(true, 600),
     1024},
    {"PromoteAndGrow",
     prepare_promotion,
     {promote(512), grow(tall), keep_finding(Twin::ro, 1024)},
     is_there(true, 600),
     1024},
    {"PromoteOfTheFirstSlotAndGrow",
     both(install(0), remove(0, 1)),
     {promote(0), grow(pages_1g)},
     is_there(true, 5),
     5},
    {"PromoteAndInstall",
     prepare_promotion,
     {alone(both(remove(600, 601), promote(512))), shared(install(5)), shared(install(600))},
     is_there(true, 600),
     1024},
    {"PromoteRemoveAndReader",
     prepare_promotion,
     {alone(promote(512)), alone(remove(512, 1024)), peek(Twin::rw, 600)},
     anything,
     600},
};

/// The kernel rewrites the leaf of page 512 in one twin's table, meanwhile.
Scene with_kernel(const char* name, Twin twin, Level level, Program before, Program act,
                  std::function<std::string(Player&, const Local&)> wrong) {
  auto table = std::make_shared<StageTable*>();
  return {name,
          [=](Player& p) {
            before(p);
            *table = p.table(twin, 512, level);
          },
          {act, [=](Player& p) { p.rewrite(*table, 512, level); }},
          wrong};
}
std::string retired_is_clear(Player& p, const Local&) {
  return p.has_retired_leaf(512) ? "a leaf in a retired table is back" : "";
}
const Scene kernel_scenes[] = {
    with_kernel("RemoveRw", Twin::rw, Level::pmd, prepare_large, remove(512, 1024),
                is_there(false, 600)),
    with_kernel("RemoveRo", Twin::ro, Level::pmd, prepare_large, remove(512, 1024),
                is_there(false, 600)),
    with_kernel("RemoveSmallRw", Twin::rw, Level::pte, install(512), remove(512, 1024),
                is_there(false, 512)),
    with_kernel("RemoveSmallRo", Twin::ro, Level::pte, install(512), remove(512, 1024),
                is_there(false, 512)),
    with_kernel("SplitRw", Twin::rw, Level::pmd, prepare_large, split(512), is_there(true, 600)),
    with_kernel("SplitRo", Twin::ro, Level::pmd, prepare_large, split(512), is_there(true, 600)),
    {"ForgetRw",
     [](Player& p) {
       prepare_large(p);
       p.install(1024);
       remove(1024, 1025)(p);
       p.promote(1024);
       remove(512, 1024)(p);
     },
     {[](Player& p) { p.forget_retired(512, 1024); }, [](Player& p) { p.rewrite_retired(512); }},
     retired_is_clear},
};

std::ostream& operator<<(std::ostream& out, const Scene& scene) { return out << scene.name; }
std::string name_of(const testing::TestParamInfo<Scene>& info) { return info.param.name; }

class TreeExplored : public testing::TestWithParam<Scene> {};
INSTANTIATE_TEST_SUITE_P(With, TreeExplored, testing::ValuesIn(scenes), name_of);
INSTANTIATE_TEST_SUITE_P(WithTheKernel, TreeExplored, testing::ValuesIn(kernel_scenes), name_of);

class TreeExploredAtLength : public testing::TestWithParam<Scene> {};
INSTANTIATE_TEST_SUITE_P(With, TreeExploredAtLength, testing::ValuesIn(large_scenes), name_of);

void expect_right(const Scene& scene) {
  const Play play(scene);
  EXPECT_EQ(play.fault, "");
  EXPECT_GT(play.size.ends, 1u);
  record(play.size);
}

TEST_P(TreeExplored, Holds) { expect_right(GetParam()); }

TEST_P(TreeExploredAtLength, Holds) {
  if (outdated_loads() != all_outdated_loads) GTEST_SKIP() << "only with MORSELS_EXPLORE=all";
  expect_right(GetParam());
}

}  // namespace
}  // namespace morsel::test
