/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Table pages, where the two kernels name things differently: 6.1 has struct
 * page constructors, 6.12 struct ptdesc ones.
 */
#ifndef MORSELFS_PGTABLE_H
#define MORSELFS_PGTABLE_H

#include <linux/mm.h>
#include <linux/version.h>
#include <asm/pgalloc.h>

#include "tree_api.h"

#if !(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0) &&      \
      LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)) &&      \
	!(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0) && \
	  LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0))
#error "morselfs depends on how the kernel handles page tables; it is known to be right on 6.1 and 6.12 only"
#endif

/*
 * Before that, PROCMAP_QUERY on /proc/PID/maps reads a build id through ->read_folio(), which a
 * file system without a page cache does not have. And 6.12.117 is known to keep userfaultfd's
 * asynchronous write protection off VM_DONTEXPAND mappings: with it mprotect() would make pte
 * tables below the empty table that the parked slots of all processes lead to (graft.c).
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0) && \
	LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 117)
#error "morselfs needs 6.12.117 or later: older 6.12 kernels are not tested, and some would crash in lib/buildid.c"
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)

#define MORSEL_SPLIT_PTLOCKS \
	(IS_ENABLED(CONFIG_SPLIT_PTE_PTLOCKS) && IS_ENABLED(CONFIG_SPLIT_PMD_PTLOCKS))

/* Levels above pte are made as pmd tables: all get a lock, core takes it. */
static inline bool morsel_table_construct(struct page *page, enum morsel_level level)
{
	struct ptdesc *table = page_ptdesc(page);

	return level == MORSEL_PTE ? pagetable_pte_ctor(table) : pagetable_pmd_ctor(table);
}

static inline void morsel_table_destroy(struct page *page, enum morsel_level level)
{
	struct ptdesc *table = page_ptdesc(page);

	if (level == MORSEL_PTE) {
		pagetable_pte_dtor(table);
	} else {
		table->pmd_huge_pte = NULL; /* where the rcu_head was */
		pagetable_pmd_dtor(table);
	}
}

#if MORSEL_SPLIT_PTLOCKS
static inline spinlock_t *morsel_table_lock(void *table)
{
	return ptlock_ptr(virt_to_ptdesc(table));
}
#endif

#else

#define MORSEL_SPLIT_PTLOCKS (USE_SPLIT_PTE_PTLOCKS && USE_SPLIT_PMD_PTLOCKS)

static inline bool morsel_table_construct(struct page *page, enum morsel_level level)
{
	return level == MORSEL_PTE ? pgtable_pte_page_ctor(page) : pgtable_pmd_page_ctor(page);
}

static inline void morsel_table_destroy(struct page *page, enum morsel_level level)
{
	if (level == MORSEL_PTE) {
		pgtable_pte_page_dtor(page);
	} else {
		page->pmd_huge_pte = NULL; /* where the rcu_head was */
		pgtable_pmd_page_dtor(page);
	}
}

#if MORSEL_SPLIT_PTLOCKS
static inline spinlock_t *morsel_table_lock(void *table)
{
	return ptlock_ptr(virt_to_page(table));
}
#endif

#endif

/*
 * The lock that the kernel takes for a pte table of the process's own. Without split locks
 * it is that of the upper tables, too.
 */
static inline spinlock_t *morsel_own_pte_lock(struct mm_struct *mm, void *table)
{
#if MORSEL_SPLIT_PTLOCKS
	return morsel_table_lock(table);
#else
	return &mm->page_table_lock;
#endif
}

#endif
