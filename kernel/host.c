// SPDX-License-Identifier: GPL-2.0
/*
 * What core/ needs of the kernel: table pages that the kernel's walkers can
 * lock like its own, references to frames, and the machine's entry format.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <asm/pgalloc.h>
#include <asm/pgtable.h>

#include "frame.h"
#include "inject.h"
#include "morselfs.h"
#include "pgtable.h"

#if defined(CONFIG_PREEMPT_RT) || (MORSEL_SPLIT_PTLOCKS && ALLOC_SPLIT_PTLOCKS)
#error "morselfs needs page-table locks inside struct page: no PREEMPT_RT, and no lockdep unless NR_CPUS < 4"
#endif

/*
 * Tables are accounted to the memory cgroup that makes them. Frames of tables
 * and data alike are unmovable: what pins or grafts them would block migration.
 * `must` is for callers that could not go back.
 */
void *morsel_host_allocate_table(struct morsel_tree *tree, enum morsel_level level, bool must)
{
	struct morsel_inode *mi = container_of(tree, struct morsel_inode, tree);
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO;
	struct page *page;

	if (!must && morsel_too_many_tables(mi))
		return NULL;
	page = must ? alloc_page(gfp | __GFP_NOFAIL) : morsel_may_fail(TABLE, alloc_page(gfp));
	if (!page)
		return NULL;
	if ((!must && morsel_inject(TABLE_LOCK)) || !morsel_table_construct(page, level)) {
		__free_page(page);
		return NULL;
	}
	morsel_count(&mi->vfs_inode, table_pages, 1);
	return page_address(page);
}

static void free_pte_table(struct rcu_head *head)
{
	struct page *page = container_of(head, struct page, rcu_head);

	morsel_table_destroy(page, MORSEL_PTE);
	__free_page(page);
}

static void free_upper_table(struct rcu_head *head)
{
	struct page *page = container_of(head, struct page, rcu_head);

	morsel_table_destroy(page, MORSEL_PMD);
	__free_page(page);
}

/*
 * After a grace period: read(2) walks the tree under rcu_read_lock() only, and
 * so do the kernel's own lockless walkers. rcu_head lies over the words that a
 * table page leaves free (_pt_pad_1, pmd_huge_pte, which is NULL in ours).
 */
void morsel_table_free(struct page *page, enum morsel_level level)
{
	call_rcu(&page->rcu_head, level == MORSEL_PTE ? free_pte_table : free_upper_table);
}

void morsel_host_free_table(struct morsel_tree *tree, void *table, enum morsel_level level)
{
	struct morsel_inode *mi = container_of(tree, struct morsel_inode, tree);

	morsel_count(&mi->vfs_inode, table_pages, -1);
	morsel_table_free(virt_to_page(table), level);
}

#if MORSEL_SPLIT_PTLOCKS

void morsel_host_lock(void *table)
{
	spin_lock(morsel_table_lock(table));
}

void morsel_host_unlock(void *table)
{
	spin_unlock(morsel_table_lock(table));
}

void morsel_host_wait(void *table)
{
	morsel_host_lock(table);
	morsel_host_unlock(table);
}

#else

void morsel_host_lock(void *table)
{
	morsel_graft_lock_walkers();
}

void morsel_host_unlock(void *table)
{
	morsel_graft_unlock_walkers();
}

/* The caller may hold the lock of its own mm; who rewrites an entry holds another one's. */
void morsel_host_wait(void *table)
{
	cpu_relax();
}

#endif

/* Called when a 2-MiB leaf becomes 512 small ones, each with its own reference. */
void morsel_host_hold_frame(unsigned long pfn, unsigned long count)
{
	folio_ref_add(page_folio(pfn_to_page(pfn)), count);
	morsel_frame_set_leaves(pfn_to_page(pfn), count + 1);
}

int morsel_host_init(void)
{
	const struct morsel_format format = {
		.present = _PAGE_PRESENT,
		.write = _PAGE_RW,
		.accessed = _PAGE_ACCESSED,
		.dirty = _PAGE_DIRTY,
		.huge = _PAGE_PSE,
		.pfn_mask = PTE_PFN_MASK,
		.table = _PAGE_TABLE,
		/* pgprot_val(): with the memory-encryption mask; NX where the CPU has it. */
		.leaf[MORSEL_RW] = (pgprot_val(vm_get_page_prot(VM_SHARED | VM_READ | VM_WRITE)) &
				    __supported_pte_mask) |
				   _PAGE_DIRTY | _PAGE_SOFT_DIRTY,
		.leaf[MORSEL_RO] =
			pgprot_val(vm_get_page_prot(VM_SHARED | VM_READ)) & __supported_pte_mask,
	};

	if (!morsel_tree_init(&format, PAGE_OFFSET)) {
		pr_err("morselfs: this CPU's page-table entry format is not supported (rw %lx, ro %lx, table %lx)\n",
		       format.leaf[MORSEL_RW], format.leaf[MORSEL_RO], format.table);
		return -EOPNOTSUPP;
	}
	return 0;
}

void morsel_host_exit(void)
{
	rcu_barrier();
}
