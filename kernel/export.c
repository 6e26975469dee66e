// SPDX-License-Identifier: GPL-2.0
/*
 * dma-bufs: MORSELFS_IOC_EXPORT gives a descriptor by which drivers get at a range of a file's
 * memory. Who has the descriptor hands it to a driver (a GPU's, a NIC's), which attaches its device
 * and maps it. What that costs is in scatter.c and scatter_map.c; here is what a dma-buf does, and
 * who may have one.
 *
 * A dma-buf opens the file that it was made of once more, with its own rights, and so holds the mount
 * and the module; and it has its scatter list, which holds the frames. A writable one counts as a shared writable mapping of
 * that file (i_mmap_writable): nobody seals the file as long as there is one, and there will be
 * none when it is sealed. To map it into a process is to map the file, in its range.
 *
 * Holes of the range are filled first, as if somebody had touched them through a mapping.
 *
 * On a pool, only to read: nobody would tell fsync(2) of what a device writes, or stop it when the
 * pool is shut down.
 */
#include <linux/dma-buf.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "inject.h"
#include "mm_compat.h"
#include "opened.h"
#include "pool.h"
#include "scatter.h"
#include "vfs.h"

#ifdef CONFIG_DMA_SHARED_BUFFER

/* What a dma-buf is made of: the file, opened once more with the dma-buf's rights, and frames. */
struct exported {
	struct file *file;
	struct morsel_scatter *scatter;
};

static struct sg_table *map(struct dma_buf_attachment *attachment,
			    enum dma_data_direction direction)
{
	struct exported *exported = attachment->dmabuf->priv;

	if (exported->scatter->read_only && direction != DMA_TO_DEVICE)
		return ERR_PTR(-EACCES);
	return morsel_scatter_map(exported->scatter, attachment->dev);
}

static void unmap(struct dma_buf_attachment *attachment, struct sg_table *table,
		  enum dma_data_direction direction)
{
	struct exported *exported = attachment->dmabuf->priv;

	morsel_scatter_unmap(exported->scatter, table);
}

static int begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction direction)
{
	struct exported *exported = dmabuf->priv;

	morsel_scatter_sync(exported->scatter, direction, true);
	return 0;
}

static int end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction direction)
{
	struct exported *exported = dmabuf->priv;

	morsel_scatter_sync(exported->scatter, direction, false);
	return 0;
}

/* The kernel has asked whether the dma-buf may be mapped so; what is mapped is the file. */
static int export_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct exported *exported = dmabuf->priv;

	/* The file may be on a mount without execution; of the dma-buf the kernel does not know. */
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	morsel_vm_flags_clear(vma, VM_MAYEXEC);
	vma->vm_pgoff += exported->scatter->first;
	vma_set_file(vma, exported->file);
	return call_mmap(exported->file, vma);
}

static struct page **list_pages(const struct morsel_scatter *scatter)
{
	struct page **pages = kvmalloc_array(scatter->pages, sizeof(*pages), GFP_KERNEL_ACCOUNT);
	unsigned long i, k, n = 0;

	if (!pages)
		return NULL;
	for (i = 0; i < scatter->count; i++)
		for (k = 0; k < scatter->extents[i].pages; k++)
			pages[n++] = pfn_to_page(scatter->extents[i].pfn + k);
	return pages;
}

static int export_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct exported *exported = dmabuf->priv;
	struct morsel_scatter *scatter = exported->scatter;
	struct page **pages = list_pages(scatter);
	void *address = NULL;

	if (pages && scatter->pages <= UINT_MAX)
		address = vmap(pages, scatter->pages, VM_MAP,
			       scatter->read_only ? PAGE_KERNEL_RO : PAGE_KERNEL);
	kvfree(pages);
	if (!address)
		return -ENOMEM;
	iosys_map_set_vaddr(map, address);
	return 0;
}

static void export_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	vunmap(map->vaddr);
}

static void free_exported(struct exported *exported)
{
	struct inode *inode = file_inode(exported->file);
	bool writable = !exported->scatter->read_only;

	morsel_count(inode, dma_bufs, -1);
	morsel_scatter_put(inode, exported->scatter);
	if (writable)
		mapping_unmap_writable(exported->file->f_mapping);
	fput(exported->file);
	kfree(exported);
}

static void release(struct dma_buf *dmabuf)
{
	free_exported(dmabuf->priv);
}

static const struct dma_buf_ops export_ops = {
	.map_dma_buf = map,
	.unmap_dma_buf = unmap,
	.begin_cpu_access = begin_cpu_access,
	.end_cpu_access = end_cpu_access,
	.mmap = export_mmap,
	.vmap = export_vmap,
	.vunmap = export_vunmap,
	.release = release,
};

/* Every page of the range gets a frame. */
static int fill(struct inode *inode, pgoff_t first, pgoff_t last)
{
	pgoff_t index = first;

	while ((index = morsel_object_next(inode, index, last, false)) < last) {
		pgoff_t slot = round_down(index, MORSEL_HUGE_PAGES);
		bool whole = slot >= first && slot + MORSEL_HUGE_PAGES <= last;
		struct page *page;

		if (fatal_signal_pending(current))
			return -EINTR;
		page = morsel_object_fill_fault(inode, index,
						whole ? MORSEL_TOUCH_ADVISED : MORSEL_TOUCH_PART);
		if (IS_ERR(page))
			return PTR_ERR(page);
		put_page(page);
		cond_resched();
	}
	return 0;
}

/* The range in pages. Under i_rwsem. */
static int find_range(struct inode *inode, const struct morselfs_export *argument, pgoff_t *first,
		      pgoff_t *last)
{
	u64 size = round_up((u64)i_size_read(inode), PAGE_SIZE), end = size;

	if (argument->length && check_add_overflow(argument->start, argument->length, &end))
		return -EINVAL;
	if (argument->start % PAGE_SIZE || argument->start >= size || end > size)
		return -EINVAL;
	*first = argument->start >> PAGE_SHIFT;
	*last = DIV_ROUND_UP(end, PAGE_SIZE);
	return 0;
}

/* Under i_rwsem, shared. */
static struct morsel_scatter *get_scatter(struct inode *inode,
					  const struct morselfs_export *argument)
{
	bool read_only = argument->flags & MORSELFS_EXPORT_READ_ONLY;
	struct morsel_scatter *scatter;
	pgoff_t first, last;
	int err;

	if (morsel_pool_is_shut_down(inode))
		return ERR_PTR(-EIO);
	if (!read_only && (morsel_is_frozen(inode) || IS_APPEND(inode)))
		return ERR_PTR(-EPERM);
	err = find_range(inode, argument, &first, &last);
	if (err)
		return ERR_PTR(err);
	/* Where there is a list, there is no hole. */
	scatter = morsel_scatter_find(inode, first, last - first, read_only);
	if (scatter)
		return scatter;
	err = fill(inode, first, last);
	return err ? ERR_PTR(err) : morsel_scatter_make(inode, first, last - first, read_only);
}

static int open_and_scatter(struct exported *exported, const struct file *from,
			    const struct morselfs_export *argument)
{
	bool read_only = argument->flags & MORSELFS_EXPORT_READ_ONLY;
	struct inode *inode = file_inode(from);
	struct file *file;
	int err;

	/* Whoever has been given the descriptor has what it was opened with. */
	file = dentry_open(&from->f_path, (read_only ? O_RDONLY : O_RDWR) | O_LARGEFILE,
			   from->f_cred);
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = read_only ? 0 : mapping_map_writable(file->f_mapping);
	if (err)
		goto put;
	inode_lock_shared(inode);
	exported->scatter = get_scatter(inode, argument);
	inode_unlock_shared(inode);
	err = PTR_ERR_OR_ZERO(exported->scatter);
	if (err)
		goto unmap;
	exported->file = file;
	morsel_opened(file)->first = exported->scatter->first;
	morsel_opened(file)->pages = exported->scatter->pages;
	morsel_count(inode, dma_bufs, 1);
	return 0;

unmap:
	if (!read_only)
		mapping_unmap_writable(file->f_mapping);
put:
	fput(file);
	return err;
}

static struct exported *new_exported(struct file *file, const struct morselfs_export *argument)
{
	struct exported *exported;
	int err;

	exported = morsel_may_fail(EXPORT, kzalloc(sizeof(*exported), GFP_KERNEL_ACCOUNT));
	if (!exported)
		return ERR_PTR(-ENOMEM);
	err = open_and_scatter(exported, file, argument);
	if (!err)
		return exported;
	kfree(exported);
	return ERR_PTR(err);
}

static struct dma_buf *make_dma_buf(struct file *file, const struct morselfs_export *argument)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct exported *exported = new_exported(file, argument);
	struct dma_buf *dmabuf;

	if (IS_ERR(exported))
		return ERR_CAST(exported);
	info.exp_name = "morselfs";
	info.ops = &export_ops;
	info.size = exported->scatter->pages << PAGE_SHIFT;
	/* A mapping of it is one of the file, with these rights. */
	info.flags = exported->scatter->read_only ? O_RDONLY : O_RDWR;
	info.priv = exported;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf))
		free_exported(exported);
	return dmabuf;
}

static int check_rights(struct file *file, u32 flags)
{
	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	if (flags & MORSELFS_EXPORT_READ_ONLY)
		return 0;
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	return morsel_pool_of(file_inode(file)) ? -EOPNOTSUPP : 0;
}

long morsel_export_ioctl(struct file *file, struct morselfs_export __user *user)
{
	struct morselfs_export argument;
	struct dma_buf *dmabuf;
	int err, fd;

	if (copy_from_user(&argument, user, sizeof(argument)))
		return -EFAULT;
	if (argument.size < sizeof(argument) || (argument.flags & ~MORSELFS_EXPORT_READ_ONLY) ||
	    argument.reserved)
		return -EINVAL;
	err = check_rights(file, argument.flags);
	if (err)
		return err;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	dmabuf = make_dma_buf(file, &argument);
	err = PTR_ERR_OR_ZERO(dmabuf);
	if (!err) {
		argument.size = sizeof(argument);
		argument.length = dmabuf->size;
		argument.fd = fd;
		err = copy_to_user(user, &argument, sizeof(argument)) ? -EFAULT : 0;
		if (err)
			dma_buf_put(dmabuf);
	}
	if (err)
		put_unused_fd(fd);
	else
		fd_install(fd, dmabuf->file);
	return err;
}

MODULE_IMPORT_NS(DMA_BUF);

#else

long morsel_export_ioctl(struct file *file, struct morselfs_export __user *user)
{
	return -EOPNOTSUPP;
}

#endif
