// SPDX-License-Identifier: GPL-2.0
// core/'s tree, instantiated for the kernel, behind C doors. No kernel header is included.
#include "../core/tree.h"
#include "../core/pool/layout.h"

#include "pool_api.h"

namespace {

using namespace morsel::core;

static_assert(sizeof(Format) == sizeof(morsel_format));
static_assert(sizeof(Roots) == sizeof(morsel_tree::own));
static_assert(MORSEL_PTE == int(Level::pte) && MORSEL_P4D == int(Level::p4d));
static_assert(MORSEL_RW == int(Twin::rw) && MORSEL_RO == int(Twin::ro));
static_assert(MORSEL_TABLE == int(Subtree::Kind::table) && MORSEL_LEAF == int(Subtree::Kind::leaf));

constexpr int enomem = -12, eexist = -17, einval = -22, efbig = -27, enospc = -28, euclean = -117;
constexpr unsigned huge_order = index_bits;

Format machine_format;
u64 direct_map;  // virtual address of physical address 0

/// What tables in ordinary and in persistent memory have in common.
struct DirectMap {
  using Table = morsel::core::Table;

  const Format& format() const { return machine_format; }
  Table* table_at(Phys phys) const { return reinterpret_cast<Table*>(direct_map + phys); }
  Phys address_of(Table* table) const { return reinterpret_cast<u64>(table) - direct_map; }
  void lock(Table* table) { morsel_host_lock(table); }
  void unlock(Table* table) { morsel_host_unlock(table); }
  void wait(Table* table) { morsel_host_wait(table); }
};

struct KernelHost : DirectMap, VolatileHost {
  morsel_tree* tree;  // whose table count host.c keeps
  bool must;          // allocations wait for memory, however long

  KernelHost(morsel_tree* tree, bool must) : tree(tree), must(must) {}
  Table* allocate_table(Level level) {
    return static_cast<Table*>(morsel_host_allocate_table(tree, morsel_level(level), must));
  }
  void free_table(Table* table, Level level) {
    morsel_host_free_table(tree, table, morsel_level(level));
  }
  void hold_frame(Pfn pfn, u64 count) { morsel_host_hold_frame(pfn, count); }
};

/// Tables in a pool's frames. All leaves are small there.
struct PoolHost : DirectMap {
  morsel_tree* tree;

  explicit PoolHost(morsel_tree* tree) : tree(tree) {}
  Table* allocate_table(Level level) {
    return static_cast<Table*>(morsel_pool_allocate_table(tree, morsel_level(level)));
  }
  void free_table(Table* table, Level level) {
    morsel_pool_free_table(tree, table, morsel_level(level));
  }
  void hold_frame(Pfn, u64) {}
  void changed(Site, const void* from, u64 bytes) { morsel_media_flush(from, bytes); }
  void order(Site) { asm volatile("sfence" ::: "memory"); }
};

Roots& roots_of(morsel_tree* tree) { return *reinterpret_cast<Roots*>(tree->root); }

/// For whoever reads: all tables are in the direct map.
Tree<KernelHost> tree_of(morsel_tree* tree, bool must = false) {
  return {KernelHost{tree, must}, roots_of(tree)};
}

/// For whoever changes something: the tree as what it is.
template <class Change>
auto change(morsel_tree* tree, Change&& change_it) {
  if (tree->in_pool) return change_it(Tree<PoolHost>{PoolHost{tree}, roots_of(tree)});
  return change_it(tree_of(tree));
}

/// Who is at work on a tree in a pool: others may see what he installs or links before it is
/// durable. He counts himself before the first of it can be seen, and out when all of it is
/// durable.
class Installer {
 public:
  explicit Installer(morsel_tree* tree) : tree_(tree->in_pool ? tree : nullptr) {
    if (tree_ != nullptr) __atomic_add_fetch(&tree_->installers, 1, __ATOMIC_SEQ_CST);
  }
  Installer(const Installer&) = delete;
  Installer& operator=(const Installer&) = delete;
  ~Installer() {
    if (tree_ == nullptr) return;
    asm volatile("sfence" ::: "memory");  // who gives up may have linked a table
    __atomic_sub_fetch(&tree_->installers, 1, __ATOMIC_SEQ_CST);
  }

  static bool is_at_work(const morsel_tree* tree) {
    return __atomic_load_n(&tree->installers, __ATOMIC_SEQ_CST) != 0;
  }

 private:
  morsel_tree* tree_;
};

constexpr unsigned order_of(Level level) { return level == Level::pmd ? huge_order : 0; }

int errno_of(Status status, bool in_pool = false) {
  switch (status.error()) {
    case Error::none:
      return 0;
    case Error::no_memory:
      return in_pool ? enospc : enomem;
    case Error::too_large:
      return efbig;
    case Error::occupied:
      return eexist;
    case Error::no_space:
      return enospc;
    case Error::not_a_pool:
    case Error::unsupported:
      return einval;
    case Error::damaged:
      return euclean;
  }
  return enomem;
}

auto sink_to(morsel_sink sink, void* context) {
  return [=](Pfn pfn, Level level) { sink(context, pfn, order_of(level)); };
}

#ifdef MORSELS_PLANT_oob
/// A module that KASAN must complain about: core writes one entry past the end of a table.
alignas(Table) u64 planted[entries_per_table];

void write_out_of_bounds() {
  volatile u64 past_the_end = entries_per_table;
  reinterpret_cast<Table*>(planted)->at(past_the_end).publish(1);
}
#else
void write_out_of_bounds() {}
#endif

}  // namespace

extern "C" {

bool morsel_tree_init(const morsel_format* format, unsigned long map) {
  machine_format = {
      format->present, format->write,    format->accessed, format->dirty,
      format->huge,    format->pfn_mask, format->table,    {format->leaf[0], format->leaf[1]}};
  direct_map = map;
  write_out_of_bounds();
  return machine_format.sound();
}

bool morsel_tree_lookup(morsel_tree* tree, morsel_twin twin, unsigned long index,
                        morsel_leaf* leaf) {
  Leaf found{};
  if (!tree_of(tree).lookup(Twin(twin), index, found)) return false;
  *leaf = {found.pfn, order_of(found.level)};
  return true;
}

morsel_below morsel_tree_subtree(morsel_tree* tree, morsel_twin twin, unsigned long index,
                                 morsel_level slot, unsigned long* value) {
  const Subtree found = tree_of(tree).subtree(Twin(twin), index, Level(slot));
  *value = found.value;
  return morsel_below(found.kind);
}

unsigned long morsel_tree_run(morsel_tree* tree, morsel_twin twin, unsigned long first,
                              unsigned long count, unsigned long* ptes) {
  return tree_of(tree).run(Twin(twin), first, count, ptes);
}

unsigned long morsel_tree_next(morsel_tree* tree, unsigned long first, unsigned long last,
                               bool data) {
  return tree_of(tree).next({first, last}, data);
}

unsigned long morsel_tree_capacity(morsel_tree* tree) { return tree_of(tree).capacity(); }

void morsel_tree_prune(morsel_tree* tree, unsigned long first, unsigned long last) {
  change(tree, [=](auto it) { it.prune({first, last}); });
}

bool morsel_tree_full(morsel_tree* tree, unsigned long index) { return tree_of(tree).full(index); }

int morsel_tree_grow(morsel_tree* tree, unsigned long index, morsel_level level) {
  const Installer installer(tree);
  return errno_of(change(tree, [=](auto it) { return it.grow(index, Level(level)); }),
                  tree->in_pool);
}

int morsel_tree_install(morsel_tree* tree, unsigned long index, unsigned int order,
                        unsigned long pfn) {
  const Level level = order == 0 ? Level::pte : Level::pmd;
  const Installer installer(tree);
  return errno_of(change(tree, [=](auto it) { return it.install(index, level, pfn); }),
                  tree->in_pool);
}

int morsel_tree_split(morsel_tree* tree, unsigned long index, bool must) {
  return errno_of(tree_of(tree, must).split(index));
}

void morsel_tree_merge(morsel_tree* tree, unsigned long index, unsigned long pfn, morsel_sink sink,
                       void* context) {
  tree_of(tree).merge(index, pfn, sink_to(sink, context));
}

int morsel_tree_promote(morsel_tree* tree, unsigned long first, const unsigned long* pfns,
                        unsigned int count, void (*retire)(void*, void*, morsel_level),
                        void* context) {
  return errno_of(tree_of(tree).promote(first, pfns, count, [=](Table* table, Level level) {
    retire(context, table, morsel_level(level));
  }));
}

void morsel_tree_forget(morsel_tree* tree, void* retired, unsigned long base, unsigned long first,
                        unsigned long last) {
  tree_of(tree).forget(static_cast<Table*>(retired), base, {first, last});
}

void morsel_tree_remove(morsel_tree* tree, unsigned long first, unsigned long last, bool prune,
                        morsel_sink sink, void* context) {
  change(tree, [=](auto it) { it.remove({first, last}, prune, sink_to(sink, context)); });
}

/// The walk looks at every page of the range, and is for what somebody is about to make durable
/// himself; where nobody is, all that can be seen is.
void morsel_tree_persist(morsel_tree* tree, unsigned long first, unsigned long last) {
  if (!Installer::is_at_work(tree)) return;
  change(tree, [=](auto it) { it.persist({first, last}); });
}

bool morsel_tree_is_as_on_media(void) {
  const Format media = pool::media_format();
  const Format& machine = machine_format;
  return media.table == machine.table && media.leaf[0] == machine.leaf[0] &&
         media.leaf[1] == machine.leaf[1] && media.present == machine.present &&
         (machine.pfn_mask & media.pfn_mask) == machine.pfn_mask;
}

void morsel_tree_free(morsel_tree* tree, morsel_sink sink, void* context) {
  change(tree, [=](auto it) { it.free(sink_to(sink, context)); });
}

}  // extern "C"
