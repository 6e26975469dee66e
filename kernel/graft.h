/* SPDX-License-Identifier: GPL-2.0 */
/*
 * graft.c for mmap.c: which subtrees hang in a process's page table.
 *
 * One graft table per mm, kept alive by the mmu notifier's user count: every
 * VMA that may graft holds one use, from .mmap or .open to .close.
 */
#ifndef MORSELFS_GRAFT_H
#define MORSELFS_GRAFT_H

#include <linux/mm.h>
#include <linux/mmu_notifier.h>

/*
 * The graft table of an mm, made if there is none. Call with mmap_lock held for
 * writing. NULL if it can't be had now (memory, a signal while the kernel takes
 * all locks of the mm, a PASID): then the VMA is an ordinary one.
 */
struct mmu_notifier *morsel_graft_table_get(struct mm_struct *mm);
void morsel_graft_table_put(struct mmu_notifier *table);

/*
 * Makes vmf's page reachable by grafts, and on the first fault of a mapping all
 * others too. The page is in the object already. Returns VM_FAULT_NOPAGE, _OOM,
 * _SIGBUS, or _RETRY with the lock dropped.
 */
vm_fault_t morsel_graft_fault(struct vm_fault *vmf, struct mmu_notifier *table);

/*
 * Takes out every run of slots that touches [start, end) and flushes. The VMA is
 * write-locked, so nothing can graft it again before the caller is done.
 */
void morsel_graft_take_out(struct mmu_notifier *table, unsigned long start, unsigned long end);

/*
 * Waits until everybody who was in the page tables of a process with grafts has left them: then nobody
 * has a pointer into a table that is grafted no more. To be called with no lock that a fault
 * wants. False if a process's mmap lock was not to be had for long.
 */
bool morsel_graft_quiesce(void);

#endif
