// SPDX-License-Identifier: MIT
//
// The kinds of operations, as they are counted and reported.
#ifndef MORSELS_TORTURE_KINDS_H
#define MORSELS_TORTURE_KINDS_H

// clang-format off

// Every advice of madvise(2), but those that declare memory broken.
#define TORTURE_ADVICES(X)                                                                      \
  X(normal, 0) X(random, 1) X(sequential, 2) X(willneed, 3) X(dontneed, 4) X(free, 8)           \
  X(dontfork, 10) X(dofork, 11) X(mergeable, 12) X(unmergeable, 13) X(hugepage, 14)             \
  X(nohugepage, 15) X(dontdump, 16) X(dodump, 17) X(wipeonfork, 18) X(keeponfork, 19)           \
  X(cold, 20) X(pageout, 21) X(populate_read, 22) X(populate_write, 23) X(dontneed_locked, 24)  \
  X(collapse, 25) X(guard_install, 102) X(guard_remove, 103)

#define TORTURE_KINDS(X)                                                                        \
  X(open) X(create) X(unlink) X(rename) X(rename_noreplace) X(rename_exchange)                  \
  X(rename_whiteout)                                                                            \
  X(map_shared_rw) X(map_shared_ro) X(map_private) X(map_fixed) X(munmap) X(munmap_part)        \
  X(mremap_shrink) X(mremap_move) X(mremap_dontunmap) X(mremap_grow) X(mprotect)                \
  X(mlock) X(mlock2) X(munlock) X(mincore) X(msync)                                             \
  X(load) X(store) X(store_private) X(store_refused) X(load_refused) X(load_of_others)          \
  X(read) X(pread) X(preadv_private) X(write) X(pwrite) X(pwritev) X(truncate) X(extend)        \
  X(promote) X(demote) X(huge_policy)                                                           \
  X(punch) X(zero_range) X(fallocate) X(fallocate_keep) X(seal) X(remove_mapped) X(seek) X(splice)      \
  X(fork) X(fork_killed) X(vfork) X(exec) X(exit) X(sigkill)                                    \
  X(ptrace_peek) X(ptrace_poke) X(ptrace_poke_refused) X(proc_mem_read) X(proc_mem_write)       \
  X(vm_readv_self) X(vm_readv_other) X(vm_writev) X(vm_writev_refused)                          \
  X(direct_in) X(direct_out) X(direct_in_refused) X(uring_register) X(uring_in) X(uring_out)    \
  X(userfaultfd) X(migrate_pages) X(move_pages)                                                 \
  X(smaps) X(pagemap) X(maps) X(numa_maps) X(clear_refs) X(statfs) X(info) X(sysfs)             \
  X(drop_caches) X(compact_memory) X(balloon) X(balloon_in_cgroup) X(cpu_offline) X(cpu_online)

// clang-format on

namespace torture {

enum class Kind : unsigned char {
#define X(name) name,
#define ADVICE(name, number) advise_##name,
  TORTURE_KINDS(X) TORTURE_ADVICES(ADVICE)
#undef ADVICE
#undef X
      count
};

constexpr unsigned kind_count = unsigned(Kind::count);
const char* name_of(Kind kind);

}  // namespace torture

#endif
