# SPDX-License-Identifier: MIT
"""Contended locks, from the trace of lock:contention_begin with stacks."""

import re
from collections import Counter

# What waits for a lock, and not who wants it.
OF_LOCKS = re.compile(
    r"^(trace_|__traceiter_|__bpf_|perf_|native_|__pv_|queued_|do_raw_|_raw_|__raw_|raw_|"
    r"rwsem_|up_|downgrade_|down_|__down|mutex_|__mutex|ww_|percpu_|__percpu|rtlock|osq_|lock_|_atomic_dec_and_)")
# Of the kernel, those that take a lock of a file's mapping, or of an inode. Not the list of a mount's inodes.
PER_FILE = re.compile(
    r"^(vma_link|__vma_link|unlink_file_vma|vma_prepare|vma_complete|vma_adjust|__vma_adjust|vma_link_file|"
    r"unlink_file_vma_batch|dup_mmap|move_ptes|take_rmap_locks|unmap_mapping_|zap_|filemap_|"
    r"page_cache_|generic_file_|ext4_|shmem_|hugetlb|__do_fault|inode_(?!sb_list_)|mmap_region|touch_atime|"
    r"file_update_time|__mark_inode_dirty|rw_verify|__i_mmap)")

# Of ours, those that take the lock of the process's graft table, or of its own page tables.
OF_PROCESS = re.compile(
    r"^(morsel_graft_fault|is_covered|is_parked_over_leaf|prepare|put_in|quiet|make_way|take_out|clear_parked|"
    r"invalidate_range_start|invalidate_range_end) \[morselfs\]")


def events(trace: str) -> list:
    """The stack of each event of scale-bench, innermost function first, as `function [module]`."""
    found = []
    mine = False
    for line in trace.splitlines():
        if ": contention_begin:" in line:
            mine = "scale-bench-" in line
            if mine:
                found.append([])
        elif mine and line.startswith(" =>"):
            frame = re.sub(r"\+0x[0-9a-f]+/0x[0-9a-f]+", "", line[3:]).strip()
            found[-1].append(frame)
    return found


def taker(stack: list) -> str:
    """Who wanted the lock, and who called him."""
    rest = [frame for frame in stack if not OF_LOCKS.match(frame)]
    return " < ".join(rest[:2]) if rest else "unknown"


def kind(stack: list) -> str:
    """Whose lock it is: ours, ours and the process's own, of a file, or another one of the kernel."""
    rest = [frame for frame in stack if not OF_LOCKS.match(frame)]
    if rest and "[morselfs]" in rest[0]:
        return "process" if OF_PROCESS.match(rest[0]) else "morselfs"
    return "file" if rest and PER_FILE.match(rest[0]) else "kernel"


def contended(trace: str) -> list:
    """[kind, who, how often], the most often first."""
    counts = Counter((kind(stack), taker(stack)) for stack in events(trace))
    return [[*what, count] for what, count in counts.most_common()]
