// SPDX-License-Identifier: MIT
//
// What an explored tree stands on: tables, frames and locks that belong to the threads of an
// exploration (explore.h), and the operations that a thread's program consists of.
//
// As in the arena, no table is used twice. Who gets which table depends on nobody else's steps, so
// that allocations commute: each thread has numbers of its own. All that a thread has taken and
// given back is in its Local, which goes back in time with it.
#pragma once

#include <algorithm>
#include <new>

#include "explore.h"
#include "image.h"

namespace morsel::test {

struct StageHost;
using StageTable = BasicTable<ExploredAtomic>;

inline constexpr u64 pages_2m = pages_per_entry(Level::pmd), pages_1g = pages_per_entry(Level::pud);

struct Outcome {
  Index index;
  Level level;
  Error error;
};

/// What one thread has, gave back and was told.
struct Local {
  std::vector<u64> tables, freed, retired;  ///< numbers
  std::vector<std::pair<Pfn, long>> references;
  unsigned small = 0, large = 0, allocations = 0;
  std::vector<Outcome> outcomes;

  void add(const Local& other) {
    const auto append = [](auto& to, const auto& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    append(tables, other.tables);
    append(freed, other.freed);
    append(retired, other.retired);
    append(references, other.references);
    append(outcomes, other.outcomes);
  }
  unsigned won() const {
    return unsigned(std::count_if(outcomes.begin(), outcomes.end(),
                                  [](const Outcome& it) { return it.error == Error::none; }));
  }
};

class Stage {
 public:
  static constexpr unsigned threads = 3, parties = threads + 1, each = 14;

  Stage() : tables_(new (std::align_val_t(sizeof(StageTable))) StageTable[parties * each]) {}
  ~Stage() { ::operator delete[](tables_, std::align_val_t(sizeof(StageTable))); }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const Format& format() const { return encrypted_format; }
  Phys address_of(const StageTable* table) const { return first_phys + number(table) * 4096; }

  StageTable* table_at(Phys phys) const {
    const u64 n = (phys - first_phys) / sizeof(StageTable);
    if (phys % sizeof(StageTable) != 0 || n >= parties * each)
      Run::fail("an address that is no table's");
    if (const Run* run = Run::current()) {
      if (n / each < threads && n / each != run->thread() && run->knows(&life_[n]) < complete)
        Run::fail("follows a table that is not complete as far as it knows");
      if (run->knew(&life_[n]) == freed)
        Run::fail("follows a table that it must know as given back");
    }
    return &tables_[n];
  }

  StageTable* allocate(Level) {
    Local& local = mine();
    if (++local.allocations == fails_at_ && Run::current() != nullptr) return nullptr;
    const u64 n = party() * each + local.tables.size();
    if (local.tables.size() == each) Run::fail("too few tables for this scene");
    local.tables.push_back(n);
    if (Run::current() == nullptr || !Run::current()->repeats())
      std::memset(static_cast<void*>(&tables_[n]), 0, sizeof(StageTable));
    Run::learn(&life_[n], complete);
    return &tables_[n];
  }
  /// What may have been found begins a grace period: see enter_reading().
  void free(StageTable* table) {
    mine().freed.push_back(number(table));
    Run::learn(&life_[number(table)], freed);
    if (number(table) / each != party()) ExploredAtomic::exchange<Order::release>(grace_, 0UL);
  }
  /// RCU's promise: a reader that nobody waits for any more, because it comes later, knows all that
  /// was done before.
  void enter_reading() {
    ExploredAtomic::exchange<Order::acquire>(grace_, 0UL);
    Run::enter();
  }
  StageTable* table_number(u64 n) const { return &tables_[n]; }
  void retire(StageTable* table) { mine().retired.push_back(number(table)); }
  ExploredLock& lock_of(StageTable* table) { return locks_[number(table)]; }
  ExploredLock removal;  ///< what installers share and who removes takes alone

  /// A frame for a page, its contents written.
  Pfn take(Level level) {
    Local& local = mine();
    const bool small = level == Level::pte;
    const u64 n = party() * each + (small ? local.small++ : local.large++);
    if (n % each == each - 1) Run::fail("too few frames for this scene");
    const Pfn pfn = small ? first_small + n : first_large + n * pages_2m;
    local.references.emplace_back(pfn, 1);
    Run::learn(contents_of(pfn));
    return pfn;
  }
  void drop(Pfn pfn, long n = 1) { mine().references.emplace_back(first_of(pfn), -n); }
  void hold(Pfn pfn, long n) { drop(pfn, -n); }
  /// A thread uses a frame that it has found.
  void use(Pfn pfn) const {
    const u64 n = (pfn < first_large ? pfn - first_small : (pfn - first_large) / pages_2m);
    if (n / each < threads && n / each != Run::current()->thread() && !Run::knows(contents_of(pfn)))
      Run::fail("a frame whose contents are not there as far as who finds it knows");
  }

  Local& mine() { return *local_; }
  void is_turn_of(Local& local) { local_ = &local; }
  Local before;  ///< what was done before the threads begin
  Roots roots{};
  void let_allocation_fail(unsigned nth) { fails_at_ = nth; }

  // For fault_of(): the sums of all are taken by sum_up().
  void sum_up(const std::vector<Local>& locals) {
    sum_ = before;
    for (const Local& local : locals) sum_.add(local);
  }
  const Local& sum() const { return sum_; }
  bool is_live(const StageTable* table) const {
    return std::count(sum_.freed.begin(), sum_.freed.end(), number(table)) == 0;
  }
  long live() const { return long(sum_.tables.size()) - long(sum_.freed.size()); }
  long held() const {
    long held = 0;
    for (const auto& [pfn, n] : sum_.references) held += n;
    return held;
  }
  /// The first frame that has not as many references as leaves; nothing if all have.
  std::string miscounted(const Leaves& leaves) const {
    std::map<Pfn, long> left;
    for (const auto& [pfn, n] : sum_.references) left[pfn] += n;
    for (const auto& [index, leaf] : leaves) left[first_of(leaf.pfn)]--;
    for (const auto& [pfn, n] : left)
      if (n != 0) return "frame " + std::to_string(pfn) + ": " + std::to_string(n) + " too many";
    return {};
  }

 private:
  static constexpr Phys first_phys = 0x12'3450'0000;
  static constexpr Pfn first_small = 0x1000000, first_large = 0x8000000;
  enum : unsigned char { complete = 1, freed = 2 };

  static unsigned party() { return Run::current() == nullptr ? threads : Run::current()->thread(); }
  static Pfn first_of(Pfn pfn) { return pfn < first_large ? pfn : pfn / pages_2m * pages_2m; }
  u64 number(const StageTable* table) const { return u64(table - tables_); }
  const void* contents_of(Pfn pfn) const {
    return pfn < first_large ? &small_[pfn - first_small] : &large_[(pfn - first_large) / pages_2m];
  }

  StageTable* const tables_;
  ExploredLock locks_[parties * each];
  // Names of facts: in which state a table is, that a frame has its contents.
  char life_[parties * each], small_[parties * each], large_[parties * each];
  Word grace_ = 0;
  Local* local_ = &before;
  Local sum_;
  unsigned fails_at_ = 0;
};

struct StageHost : VolatileHost {
  using Table = StageTable;
  Stage* stage;

  explicit StageHost(Stage* of_stage) : stage(of_stage) {}
  const Format& format() const { return stage->format(); }
  Table* table_at(Phys phys) const { return stage->table_at(phys); }
  Phys address_of(const Table* table) const { return stage->address_of(table); }
  Table* allocate_table(Level level) { return stage->allocate(level); }
  void free_table(Table* table, Level) { stage->free(table); }
  void lock(Table* table) { stage->lock_of(table).lock(); }
  void unlock(Table* table) { stage->lock_of(table).unlock(); }
  void wait(Table* table) {
    lock(table);
    unlock(table);
  }
  void hold_frame(Pfn pfn, u64 count) { stage->hold(pfn, long(count)); }
};
static_assert(Host<StageHost>);

/// A thread's operations: core's, with what a caller does around them.
class Player {
 public:
  explicit Player(Stage& stage) : stage_(stage) {}

  Error install(Index index, Level level = Level::pte) {
    Run::enter();
    const Pfn pfn = stage_.take(level);
    const Error error = tree_.install(index, level, pfn).error();
    if (error != Error::none) stage_.drop(pfn);
    stage_.mine().outcomes.push_back({index, level, error});
    return error;
  }
  /// Who has installed or lost finds the page in both twins at once.
  void install_and_find(Index index, Level level = Level::pte) {
    const Error error = install(index, level);
    if (error == Error::no_memory || (error != Error::none && level == Level::pmd)) return;
    Leaf leaf{};
    if (!tree_.lookup(Twin::ro, index, leaf)) Run::fail("installed, and not in ro");
    find(index);
  }
  /// Reads as software does: what is in ro is in rw, and its frame can be used.
  void find(Index index) {
    Run::enter();
    Leaf ro{}, rw{};
    if (!tree_.lookup(Twin::ro, index, ro)) return;
    stage_.use(ro.pfn);
    if (!tree_.lookup(Twin::rw, index, rw)) Run::fail("in ro, and not in rw");
    if (rw.pfn != ro.pfn) Run::fail("another frame in ro than in rw");
  }
  /// The same while others remove: no twin tells anything about the other one.
  void peek(Twin twin, Index index) {
    stage_.enter_reading();
    Leaf leaf{};
    if (tree_.lookup(twin, index, leaf)) stage_.use(leaf.pfn);
  }
  /// The page is there all the time, in whatever leaf.
  void keep_finding(Twin twin, Index index) {
    stage_.enter_reading();
    Leaf leaf{};
    if (!tree_.lookup(twin, index, leaf)) Run::fail("a page that was there is not");
    stage_.use(leaf.pfn);
  }
  /// What a graft leads to.
  void graft(Twin twin, Index index, Level slot) {
    Run::enter();
    const Subtree below = tree_.subtree(twin, index, slot);
    if (below.kind == Subtree::Kind::table) stage_.table_at(below.value);
    if (below.kind == Subtree::Kind::leaf) stage_.use(stage_.format().pfn(below.value));
  }
  void grow(Index index, Level level = Level::pte) {
    Run::enter();
    stage_.mine().outcomes.push_back({index, level, tree_.grow(index, level).error()});
  }
  /// What it knew of before is in both twins afterwards.
  void persist(Index index) {
    Run::enter();
    const bool known = has(Twin::rw, index);
    tree_.persist({index, index + 1});
    if (known && !has(Twin::ro, index)) Run::fail("persisted, and not in ro");
  }
  void remove(Range range, bool prune = false) {
    Run::enter();
    tree_.remove(range, prune, [this](Pfn pfn, Level) { stage_.drop(pfn); });
  }
  void prune(Range range) {
    Run::enter();
    tree_.prune(range);
  }
  void split(Index index) {
    Run::enter();
    stage_.mine().outcomes.push_back({index, Level::pmd, tree_.split(index).error()});
  }
  void merge(Index slot) {
    Run::enter();
    tree_.merge(slot, stage_.take(Level::pmd), [this](Pfn pfn, Level) { stage_.drop(pfn); });
  }
  void promote(Index slot) {
    Run::enter();
    const Pfn pfn = stage_.take(Level::pmd);
    const Error error =
        tree_.promote(slot, &pfn, 1, [this](StageTable* table, Level) { stage_.retire(table); })
            .error();
    if (error != Error::none) stage_.drop(pfn);
    stage_.mine().outcomes.push_back({slot, Level::pmd, error});
  }
  /// In the first table that was retired before.
  void forget_retired(Index first, Index last) {
    Run::enter();
    tree_.forget(retired_pmd(), 0, {first, last});
  }
  void rewrite_retired(Index slot) { rewrite(retired_pmd(), slot, Level::pmd); }

  /// The kernel, in a table that it has found before: it makes a 2-MiB leaf old (rewriter.h), or
  /// a small one young.
  void rewrite(StageTable* table, Index index, Level level) {
    Run::enter();
    const Format& format = stage_.format();
    auto& entry = table->at(slot_of(index, level));
    stage_.lock_of(table).lock();
    const u64 old = entry.load();
    if ((old & format.present) != 0 && level == Level::pte) entry.exchange(old | format.accessed);
    if ((old & format.present) != 0 && (old & format.huge) != 0) {
      entry.exchange((old & ~format.present) ^ format.pfn_mask);
      entry.exchange(old & ~format.accessed);
    }
    stage_.lock_of(table).unlock();
  }

  /// With the lock that installers share, or alone.
  template <class Body>
  void shared(Body&& body) {
    stage_.removal.lock_shared();
    body();
    stage_.removal.unlock_shared();
  }
  template <class Body>
  void alone(Body&& body) {
    stage_.removal.lock();
    body();
    stage_.removal.unlock();
  }

  /// The table of this level above the page.
  StageTable* table(Twin twin, Index index, Level level) {
    const Index first = index - index % pages_per_table(level);
    return stage_.table_at(tree_.subtree(twin, first, above(level)).value);
  }
  bool has_retired_leaf(Index index) {
    return (retired_pmd()->at(slot_of(index, Level::pmd)).load() & stage_.format().huge) != 0;
  }
  bool has(Twin twin, Index index) {
    Leaf leaf{};
    return tree_.lookup(twin, index, leaf);
  }

 private:
  StageTable* retired_pmd() { return stage_.table_number(stage_.before.retired[1]); }

  Stage& stage_;
  Tree<StageHost> tree_{StageHost{&stage_}, stage_.roots};
};

}  // namespace morsel::test
