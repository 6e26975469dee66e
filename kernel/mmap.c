// SPDX-License-Identifier: GPL-2.0
/*
 * A VMA of a morselfs file: how it is set up, what a fault in it does, and what
 * must happen before the kernel splits it or changes its protection.
 *
 * Kinds, fixed while the VMA is not write-locked:
 *   grafting  shared, readable, not executable, default protection key: faults
 *             put subtrees in; no page is ever returned
 *   ordinary  everything else (private, executable, PROT_NONE under ptrace, no
 *             notifier to be had): faults return locked pages as page-cache file
 *             systems do
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/pkeys.h>
#include <linux/version.h>

#include "graft.h"
#include "invalidate.h"
#include "mm_compat.h"
#include "morselfs.h"
#include "opened.h"
#include "pool.h"

static bool grafting(const struct vm_area_struct *vma)
{
	const unsigned long wanted = VM_MAYSHARE | VM_READ;

	return vma->vm_private_data && (vma->vm_flags & (wanted | VM_EXEC)) == wanted &&
	       vma_pkey((struct vm_area_struct *)vma) == 0;
}

/*
 * A pool may be frozen, and a removal may take long. Who waits for that with the lock of a VMA makes others wait for him
 * who have the mmap lock and cannot be killed: so not with that one alone.
 */
static bool may_wait_long(struct inode *inode)
{
	return morsel_pool_of(inode) || READ_ONCE(MORSEL_I(inode)->excluded);
}

static vm_fault_t morsel_fault(struct vm_fault *vmf)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	struct page *page;
	bool was_hole, is_bad;

	if (morsel_has_vma_lock(vmf) && may_wait_long(inode)) {
		morsel_release_fault_lock(vmf);
		return VM_FAULT_RETRY; /* and it comes back with the mmap lock */
	}
	if (vmf->pgoff >= DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE))
		return VM_FAULT_SIGBUS;
	if (morsel_pool_is_shut_down(inode))
		return VM_FAULT_SIGBUS;
	if (!grafting(vmf->vma))
		return morsel_ordinary_fault(vmf);
	was_hole = !morsel_object_look(inode, vmf->pgoff, &is_bad);
	if (was_hole) {
		page = morsel_object_fill_fault(inode, vmf->pgoff, morsel_touch_of(vmf->vma));
		if (IS_ERR(page))
			return morsel_fault_of(PTR_ERR(page));
		is_bad = morsel_object_is_bad(inode, page);
		put_page(page);
	}
	if (is_bad)
		return VM_FAULT_HWPOISON;
	/* Before the graft: a raw run gets what is there by then. */
	if (was_hole && !(vmf->vma->vm_flags & VM_RAND_READ))
		morsel_object_fill_ahead(morsel_opened(vmf->vma->vm_file), vmf->pgoff,
					 linear_page_index(vmf->vma, vmf->vma->vm_end));
	return morsel_graft_fault(vmf, vmf->vma->vm_private_data);
}

/* fork, split, move: a VMA more. In the child of a fork the table is another one. */
static void morsel_vm_open(struct vm_area_struct *vma)
{
	morsel_opened_count(morsel_opened(vma->vm_file), mappings, 1);
	if (vma->vm_private_data)
		vma->vm_private_data = morsel_graft_table_get(vma->vm_mm);
}

static void morsel_vm_close(struct vm_area_struct *vma)
{
	struct morsel_opened *opened = morsel_opened(vma->vm_file);
	struct inode *inode = file_inode(vma->vm_file);

	if (vma->vm_private_data)
		morsel_graft_table_put(vma->vm_private_data);
	this_cpu_dec(MORSEL_SB(inode->i_sb)->counts->mappings);
	/* morsel_opened_count(), but the last one must know that it is. */
	if (atomic_long_dec_and_test(&opened->mappings))
		morsel_object_unmapped(inode);
}

/*
 * The kernel would split a 2-MiB leaf that it finds at `address` through our
 * tables, clear the shared entry and drop the frame. Whatever hangs there must go
 * before; the rest is put in anew by the next fault.
 */
static int morsel_may_split(struct vm_area_struct *vma, unsigned long address)
{
	morsel_vma_start_write(vma);
	if (vma->vm_private_data)
		morsel_graft_take_out(vma->vm_private_data, vma->vm_start, vma->vm_end);
	return 0;
}

/*
 * Leaves carry the protection, so all grafts go before it changes. And by a zap, too:
 * where our tables are gone, 6.1 finds nothing to protect and calls no
 * notifier, and a secondary MMU (KVM, RDMA) would keep the old rights.
 */
static int morsel_mprotect(struct vm_area_struct *vma, unsigned long start, unsigned long end,
			   unsigned long newflags)
{
	struct inode *inode = file_inode(vma->vm_file);

	/* A mapping that is not writable when chattr(1) is called does not become so. */
	if ((newflags & ~vma->vm_flags & VM_WRITE) && (IS_IMMUTABLE(inode) || IS_APPEND(inode)))
		return -EACCES;
	morsel_vma_start_write(vma);
	if (vma->vm_private_data)
		morsel_graft_take_out(vma->vm_private_data, start, end);
	morsel_zap(vma, start, end - start);
	return 0;
}

#ifdef CONFIG_NUMA
/* No policy keeps NUMA hinting away: it would write to shared leaves. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
static struct mempolicy *morsel_get_policy(struct vm_area_struct *vma, unsigned long address,
					   pgoff_t *ilx)
{
	*ilx = 0;
	return NULL;
}
#else
static struct mempolicy *morsel_get_policy(struct vm_area_struct *vma, unsigned long address)
{
	return NULL;
}
#endif
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
/*
 * Pages around a fault are never installed in tables that are shared. But who has no such operation has his faults
 * served under the mmap lock, where they wait for threads that map and unmap other things.
 */
static vm_fault_t morsel_map_pages(struct vm_fault *vmf, pgoff_t first, pgoff_t last)
{
	return 0;
}
#endif

/*
 * No page_mkwrite: with it, long-term pins (RDMA, VFIO, io_uring) are refused as needing dirty tracking.
 */
static const struct vm_operations_struct shared_ops = {
	.open = morsel_vm_open,
	.close = morsel_vm_close,
	.may_split = morsel_may_split,
	.mprotect = morsel_mprotect,
	.fault = morsel_fault,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	.map_pages = morsel_map_pages,
#endif
#ifdef CONFIG_NUMA
	.get_policy = morsel_get_policy,
#endif
};

static const struct vm_operations_struct private_ops = {
	.open = morsel_vm_open,
	.close = morsel_vm_close,
	.fault = morsel_fault,
};

/*
 * On a pool, what a graft needs may not be there, and not to be had: a pmd table for a 1-GiB slot.
 * And nothing is to be grafted that has pages which can't be read.
 */
static bool morsel_may_graft(struct vm_area_struct *vma)
{
	struct inode *inode = file_inode(vma->vm_file);

	if (!morsel_pool_of(inode))
		return true;
	return morsel_pool_may_graft(inode) &&
	       (vma->vm_end - vma->vm_start < PUD_SIZE ||
		!morsel_tree_grow(&MORSEL_I(inode)->tree, 0, MORSEL_PMD));
}

/* Of a dma-buf's file only its range can be had, by remap_file_pages(2) neither. */
static bool is_in_range(const struct morsel_opened *opened, struct vm_area_struct *vma)
{
	return !opened->pages || (vma->vm_pgoff >= opened->first &&
				  vma->vm_pgoff + vma_pages(vma) <= opened->first + opened->pages);
}

int morsel_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct inode *inode = file_inode(file);
	bool shared = vma->vm_flags & VM_MAYSHARE;
	struct inode **slot;
	int err;

	if (!is_in_range(morsel_opened(file), vma))
		return -EINVAL;
	/* The kernel has asked a file of overlayfs instead, if the mapping is made by way of one. */
	if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE) &&
	    READ_ONCE(MORSEL_I(inode)->denies_writable))
		return -EPERM;

	if (shared && IS_IMMUTABLE(inode)) {
		if (vma->vm_flags & VM_WRITE)
			return -EPERM;
		morsel_vm_flags_clear(vma, VM_MAYWRITE); /* nor by mprotect() later */
	}
	if (morsel_pool_of(inode)) {
		err = morsel_pool_mmap(file, vma);
		if (err)
			return err;
	}
	/* Before the mapping counts, under the same lock: what is mapped has tables. */
	err = morsel_small_become_tree(inode, 0);
	if (err)
		return err;
	file_accessed(file);
	vma->vm_ops = shared ? &shared_ops : &private_ops;
	/* Keeps merging, mlock, khugepaged, KSM and userfaultfd away from the tables. */
	morsel_vm_flags_set(vma, VM_DONTEXPAND);
	if (!shared) {
		/* For vm_insert_page() in faults; nothing is ever grafted here. */
		morsel_vm_flags_set(vma, VM_MIXEDMAP);
	} else {
		/*
		 * LOCKONFAULT without LOCKED: MAP_POPULATE returns at once, the
		 * first fault maps everything anyway. DONTDUMP: an unlinked shared
		 * object would be dumped whole.
		 */
		morsel_vm_flags_set(vma, VM_DONTDUMP | VM_LOCKONFAULT);
		if (morsel_may_graft(vma))
			vma->vm_private_data = morsel_graft_table_get(vma->vm_mm);
		else
			morsel_vm_flags_set(vma, VM_MIXEDMAP); /* for zeros in holes; as above */
	}
	/* Who frees tables holds this lock exclusively and has seen no mapping. */
	slot = morsel_invalidate_lock_shared(inode);
	morsel_opened_count(morsel_opened(file), mappings, 1);
	morsel_invalidate_unlock_shared(inode, slot);
	return 0;
}

/*
 * Addresses that are congruent with the file as far as its slots reach, and beyond that,
 * so that the slots lie in one table of the process: modulo the next power of two.
 */
unsigned long morsel_get_unmapped_area(struct file *file, unsigned long addr, unsigned long len,
				       unsigned long pgoff, unsigned long flags)
{
	unsigned long align = 0, area, skew;

	if (len >= PMD_SIZE && len <= TASK_SIZE)
		align = min(roundup_pow_of_two(len), PTRS_PER_PUD * PUD_SIZE);
	if (!align || addr || (flags & MAP_FIXED) || len + align < len)
		return morsel_find_area(file, addr, len, pgoff, flags);
	area = morsel_find_area(file, 0, len + align - PAGE_SIZE, 0, flags);
	if (IS_ERR_VALUE(area))
		return morsel_find_area(file, addr, len, pgoff, flags);
	skew = ((pgoff << PAGE_SHIFT) - area) & (align - 1);
	return area + skew;
}
