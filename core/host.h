/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// What core needs of the world around it. Hosts: the kernel (kernel/tree.cc), the tests' arena
// (tests/core/arena_host.h), pools in user space (core/pool/tree_host.h).
#pragma once

#include "site.h"
#include "table.h"

namespace morsel::core {

/// A host hands out and takes back tables, and knows the machine's entry format.
///
///   Table                  of hardware's atomics, but in some tests
///   format()               the encoding; never changes while a tree lives
///   table_at(phys)         pointer to a table, from the address in an entry
///   address_of(table)      the reverse
///   allocate_table(level)  a zeroed table that nobody else sees, or nullptr
///   free_table(t, level)   takes it back; the memory must stay a readable table until every
///                          reader that entered before (RCU) has left
///   lock(t), unlock(t)     the table's own lock, the one that the kernel takes for its entries
///   wait(t)                gives who holds that lock the time to leave it
///   hold_frame(pfn, n)     n more references to the 2-MiB frame that begins at pfn
///
/// Where trees outlive the machine (pools), a table comes zeroed on the medium, and:
///
///   changed(site, p, n)    n bytes of entries or root words at p were written: begins to write
///                          them back
///   order(site)            what this CPU has begun to write back is durable before what follows
template <class H>
concept Host = requires(H& host, typename H::Table* table, Phys phys, Level level, Pfn pfn, u64 n) {
  { host.format() } -> Is<const Format&>;
  { host.table_at(phys) } -> Is<typename H::Table*>;
  { host.address_of(table) } -> Is<Phys>;
  { host.allocate_table(level) } -> Is<typename H::Table*>;
  { host.free_table(table, level) } -> Is<void>;
  { host.lock(table) } -> Is<void>;
  { host.unlock(table) } -> Is<void>;
  { host.wait(table) } -> Is<void>;
  { host.hold_frame(pfn, n) } -> Is<void>;
  { host.changed(Site::leaf_installed, static_cast<const void*>(table), n) } -> Is<void>;
  { host.order(Site::leaf_installed) } -> Is<void>;
};

/// For hosts whose memory does not outlive the machine.
struct VolatileHost {
  void changed(Site, const void*, u64) {}
  void order(Site) {}
};

/// Holds a table's lock for a scope.
template <Host H>
class TableLock {
  using Table = typename H::Table;

 public:
  TableLock(H& host, Table* table) : host_(host), table_(table) { host_.lock(table_); }
  ~TableLock() { host_.unlock(table_); }
  TableLock(const TableLock&) = delete;
  TableLock& operator=(const TableLock&) = delete;

 private:
  H& host_;
  Table* table_;
};

}  // namespace morsel::core
