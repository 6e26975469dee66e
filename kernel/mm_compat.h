/* SPDX-License-Identifier: GPL-2.0 */
/* Memory management, where 6.1 and 6.12 differ. */
#ifndef MORSELFS_MM_COMPAT_H
#define MORSELFS_MM_COMPAT_H

#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/version.h>
#include <asm/tlbflush.h>

#include "../uapi/morselfs.h"
#include "tree_api.h"

/* Exported by both kernels, which do not show it to modules. */
struct tlb_state_shared {
	bool is_lazy;
};
DECLARE_PER_CPU_SHARED_ALIGNED(struct tlb_state_shared, cpu_tlbstate_shared);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)

static inline void morsel_vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vm_flags_set(vma, flags);
}

static inline void morsel_vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vm_flags_clear(vma, flags);
}

/* Keeps faults under the per-VMA lock out until the mmap lock is dropped. */
static inline void morsel_vma_start_write(struct vm_area_struct *vma)
{
	vma_start_write(vma);
}

/* There is no mmap_write_trylock(). */
static inline bool morsel_mmap_write_trylock(struct mm_struct *mm)
{
	if (!down_write_trylock(&mm->mmap_lock))
		return false;
#ifdef CONFIG_PER_VMA_LOCK
	mm_lock_seqcount_begin(mm); /* mmap_write_unlock() ends it */
#endif
	return true;
}

/*
 * vma_start_write(), or false if a fault runs. That may take long (memory is reclaimed), and whoever waited for it
 * here would keep another process's mmap lock meanwhile.
 */
static inline bool morsel_vma_try_start_write(struct vm_area_struct *vma)
{
#ifdef CONFIG_PER_VMA_LOCK
	unsigned int sequence = vma->vm_mm->mm_lock_seq.sequence;

	if (vma->vm_lock_seq == sequence)
		return true;
	if (!down_write_trylock(&vma->vm_lock->lock))
		return false;
	WRITE_ONCE(vma->vm_lock_seq, sequence);
	up_write(&vma->vm_lock->lock);
#endif
	return true;
}

/*
 * Keeps faults out of all mappings of ours, with the mmap lock held for writing and until it is dropped.
 * False if one runs.
 */
static inline bool morsel_keep_faults_out(struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	VMA_ITERATOR(vmi, mm, 0);

	for_each_vma(vmi, vma)
		if (vma->vm_file &&
		    file_inode(vma->vm_file)->i_sb->s_magic == MORSELFS_SUPER_MAGIC &&
		    !morsel_vma_try_start_write(vma))
			return false;
	return true;
}

/* The fault has its VMA's lock, and not the mmap lock. */
static inline bool morsel_has_vma_lock(const struct vm_fault *vmf)
{
	return vmf->flags & FAULT_FLAG_VMA_LOCK;
}

static inline void morsel_release_fault_lock(struct vm_fault *vmf)
{
	release_fault_lock(vmf);
}

/* Of a CPU that has an mm loaded without using it. */
static inline void morsel_leave_mm(void)
{
	leave_mm();
}

/* Raises the mmu notifiers for the range, and zaps what is mapped the ordinary way. */
static inline void morsel_zap(struct vm_area_struct *vma, unsigned long start, unsigned long size)
{
	zap_page_range_single(vma, start, size, NULL);
}

static inline bool morsel_mm_has_pasid(struct mm_struct *mm)
{
	return mm_valid_pasid(mm);
}

static inline unsigned long morsel_find_area(struct file *file, unsigned long addr,
					     unsigned long len, unsigned long pgoff,
					     unsigned long flags)
{
	return mm_get_unmapped_area(current->mm, file, addr, len, pgoff, flags);
}

#else

#include <linux/ioasid.h>
#include <linux/sched/mm.h>

/* There are no faults without the mmap lock. */
static inline bool morsel_keep_faults_out(struct mm_struct *mm)
{
	return true;
}

static inline bool morsel_has_vma_lock(const struct vm_fault *vmf)
{
	return false;
}

static inline bool morsel_mmap_write_trylock(struct mm_struct *mm)
{
	return mmap_write_trylock(mm);
}

static inline void morsel_vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}

static inline void morsel_vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}

static inline void morsel_vma_start_write(struct vm_area_struct *vma)
{
}

static inline void morsel_release_fault_lock(struct vm_fault *vmf)
{
	mmap_read_unlock(vmf->vma->vm_mm);
}

static inline void morsel_leave_mm(void)
{
	leave_mm(smp_processor_id());
}

static inline void morsel_zap(struct vm_area_struct *vma, unsigned long start, unsigned long size)
{
	zap_page_range(vma, start, size);
}

static inline bool morsel_mm_has_pasid(struct mm_struct *mm)
{
#ifdef CONFIG_IOMMU_SVA
	return pasid_valid(mm->pasid);
#else
	return false;
#endif
}

static inline unsigned long morsel_find_area(struct file *file, unsigned long addr,
					     unsigned long len, unsigned long pgoff,
					     unsigned long flags)
{
	return current->mm->get_unmapped_area(file, addr, len, pgoff, flags);
}

#endif

/*
 * What this CPU remembers of the mm that it uses, upper entries too, under both of the ids that
 * page-table isolation has for it; with interrupts off. The kernel's functions for it are not exported,
 * their hooks are. What it remembers of other mms, and of the kernel's own pages, stays.
 */
static inline void morsel_flush_used_mm(void)
{
#ifdef CONFIG_PARAVIRT
	__flush_tlb_local();
#else
	__flush_tlb_all();
#endif
}

/*
 * The same of one address, whatever the size of its page; and of upper entries, all or the address's. Without
 * the hooks it is dear.
 */
static inline void morsel_flush_used_address(unsigned long address)
{
#ifdef CONFIG_PARAVIRT
	__flush_tlb_one_user(address);
#else
	__flush_tlb_all();
#endif
}

/*
 * Walkers look at an entry, and again when they go on to its table: one that leads to a table
 * must not become nothing under them. Only 6.12's, at a pmd, look a last time when they have the
 * table's lock. Those that come by a file hold i_mmap_rwsem.
 *
 * unmap_mapping_range() calls notifiers with it held, and this is called in notifiers, which
 * lockdep takes for a cycle. It is none: those called by unmap_mapping_range() do not get here,
 * and none of them waits for another.
 */
static inline bool morsel_rmap_walkers_matter(enum morsel_level level)
{
	return LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0) || level > MORSEL_PMD;
}

static inline void morsel_keep_rmap_walkers_out(struct address_space *mapping,
						enum morsel_level level)
{
	if (!morsel_rmap_walkers_matter(level))
		return;
	lockdep_off();
	i_mmap_lock_write(mapping);
	lockdep_on();
}

static inline void morsel_let_rmap_walkers_in(struct address_space *mapping,
					      enum morsel_level level)
{
	if (!morsel_rmap_walkers_matter(level))
		return;
	lockdep_off();
	i_mmap_unlock_write(mapping);
	lockdep_on();
}

/*
 * 6.1 takes the lock of the table that it finds in the pmd after it has computed where the pte
 * is: with an un-graft between the two, a write fault holds the lock of another table than the
 * pte's, and may write back a leaf that is being removed.
 */
#define MORSEL_LEAVES_MAY_RETURN (LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0))

#endif
