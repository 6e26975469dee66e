/* SPDX-License-Identifier: GPL-2.0 */
/* Memory management, where 6.1 and 6.12 differ. */
#ifndef MORSELFS_MM_COMPAT_H
#define MORSELFS_MM_COMPAT_H

#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/version.h>

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

static inline void morsel_release_fault_lock(struct vm_fault *vmf)
{
	release_fault_lock(vmf);
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

#endif
