// SPDX-License-Identifier: GPL-2.0
/*
 * Faults that map single pages, as page-cache file systems do: private mappings
 * (a debugger's FOLL_FORCE would copy-on-write inside shared tables) and shared
 * ones that may not graft (executable, no notifier).
 *
 * The rule that keeps a removed page out of every mapping: a page is mapped while
 * it is locked and was seen to belong to the object under that lock. Who removes
 * it clears the leaf, unmaps, locks the page, and unmaps again if it is mapped.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pfn_t.h>
#include <linux/rcupdate.h>
#include <asm/pgalloc.h>

#include "morselfs.h"
#include "pool.h"

/* Pages that a read fault of a private mapping maps at most, aligned: 64 KiB as elsewhere. */
#define AROUND_PAGES 16UL

vm_fault_t morsel_fault_of(long error)
{
	return error == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

static bool is_at(struct inode *inode, pgoff_t index, struct page *page, unsigned int *order)
{
	struct morsel_leaf leaf;
	bool found;

	rcu_read_lock();
	found = morsel_tree_lookup(&MORSEL_I(inode)->tree, MORSEL_RO, index, &leaf);
	rcu_read_unlock();
	if (!found || leaf.pfn != page_to_pfn(page))
		return false;
	*order = leaf.order;
	return true;
}

/*
 * Gives the faulting slot a pte table first, so that the kernel maps the page and
 * not the whole folio.
 */
static void want_small_page(struct vm_fault *vmf)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	spinlock_t *ptl;

	if (!vmf->prealloc_pte)
		return;
	ptl = pmd_lock(mm, vmf->pmd);
	if (pmd_none(*vmf->pmd)) {
		mm_inc_nr_ptes(mm);
		smp_wmb(); /* the table is empty before it is seen */
		pmd_populate(mm, vmf->pmd, vmf->prealloc_pte);
		vmf->prealloc_pte = NULL;
	}
	spin_unlock(ptl);
}

/* Maps a neighbour if that takes no waiting. `locked` is locked by us already. */
static void map_neighbour(struct vm_fault *vmf, struct inode *inode, pgoff_t index,
			  struct folio *locked)
{
	unsigned long address = vmf->address + ((index - vmf->pgoff) << PAGE_SHIFT);
	struct page *page = morsel_object_get_nowait(inode, index);
	unsigned int order;
	struct folio *folio;

	if (!page)
		return;
	folio = page_folio(page);
	if (folio == locked || folio_trylock(folio)) {
		/* -EBUSY: mapped already, perhaps as a private copy. */
		if (!morsel_object_is_bad(inode, page) && is_at(inode, index, page, &order))
			(void)vm_insert_page(vmf->vma, address, page);
		if (folio != locked)
			folio_unlock(folio);
	}
	put_page(page);
}

/* Maps what is present around a read fault; the slot has its pte table. */
static void fault_around(struct vm_fault *vmf, struct inode *inode, struct folio *locked)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long window = AROUND_PAGES << PAGE_SHIFT;
	unsigned long start = max(round_down(vmf->address, window), vma->vm_start);
	unsigned long end = min(round_down(vmf->address, window) + window, vma->vm_end);
	pgoff_t index = linear_page_index(vma, start);
	pgoff_t last = min_t(pgoff_t, linear_page_index(vma, end),
			     DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE));

	for (; index < last; index++)
		if (index != vmf->pgoff)
			map_neighbour(vmf, inode, index, locked);
}

/* A hole on a pool that may not be written: it reads as zeros, and a private copy begins with them. */
static vm_fault_t map_zeros(struct vm_fault *vmf, struct inode *inode)
{
	morsel_pool_zeros_mapped(inode);
	return vmf_insert_mixed(vmf->vma, vmf->address, pfn_to_pfn_t(my_zero_pfn(vmf->address)));
}

vm_fault_t morsel_ordinary_fault(struct vm_fault *vmf)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	bool private = !(vmf->vma->vm_flags & VM_MAYSHARE);
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	struct page *page;
	unsigned int order;

	for (;;) {
		page = morsel_object_get(inode, vmf->pgoff) ?:
			       morsel_object_fill_fault(inode, vmf->pgoff,
							morsel_touch_of(vmf->vma));
		if (page == ERR_PTR(-EROFS) && (private || !write))
			return map_zeros(vmf, inode);
		if (IS_ERR(page))
			return morsel_fault_of(PTR_ERR(page));
		if (morsel_object_is_bad(inode, page)) {
			put_page(page);
			return VM_FAULT_HWPOISON;
		}
		folio_lock(page_folio(page));
		if (morsel_pool_is_shut_down(inode)) { /* see morsel_pool_unmap() */
			folio_unlock(page_folio(page));
			put_page(page);
			return VM_FAULT_SIGBUS;
		}
		if (is_at(inode, vmf->pgoff, page, &order))
			break;
		folio_unlock(page_folio(page));
		put_page(page);
	}
	/*
	 * The whole folio must not be mapped where a 2-MiB frame was split (its other
	 * pages may no longer be the file's), nor in private mappings: with VM_MIXEDMAP
	 * the kernel would not count the reference when it unmaps.
	 */
	if (private || (PageCompound(page) && !order))
		want_small_page(vmf);
	if (private && !write)
		fault_around(vmf, inode, page_folio(page));
	vmf->page = page;
	return VM_FAULT_LOCKED;
}
