// SPDX-License-Identifier: GPL-2.0
/*
 * Files of a pool: whose their frames are, what mappings have stored into them, fsync, shutdown.
 *
 * Nobody is told of a store through a mapping, and the leaves' dirty bits are set from the start.
 * So a file that is mapped for writing, or was since the last fsync, counts as dirty from end to
 * end: fsync writes back every line of it.
 */
#include <linux/compat.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/uaccess.h>

#include "frame.h"
#include "invalidate.h"
#include "mm_compat.h"
#include "opened.h"
#include "pool.h"
#include "vfs.h"

/* Calls `each` for all pages that are there. */
static void for_each_page(struct inode *inode, pgoff_t first, pgoff_t last,
			  void (*each)(struct inode *inode, struct page *page, pgoff_t index))
{
	unsigned long ptes[MORSEL_RUN_PAGES];
	unsigned int count, i;

	while ((first = morsel_object_next(inode, first, last, true)) < last) {
		count = min_t(pgoff_t, last - first, MORSEL_RUN_PAGES);
		rcu_read_lock();
		morsel_tree_run(&MORSEL_I(inode)->tree, MORSEL_RO, first, count, ptes);
		rcu_read_unlock();
		for (i = 0; i < count; i++)
			if (ptes[i])
				each(inode, pte_page(__pte(ptes[i])), first + i);
		first += count;
		cond_resched();
	}
}

static pgoff_t end_of(struct inode *inode)
{
	return morsel_tree_capacity(&MORSEL_I(inode)->tree);
}

static void join(struct inode *inode, struct page *page, pgoff_t index)
{
	struct morsel_pool *pool = morsel_pool_of(inode);

	morsel_frame_join(page, inode, index);
	if (PageHWPoison(page) || !morsel_pool_is_readable(pool, morsel_pool_frame(pool, page)))
		MORSEL_I(inode)->medium->bad = true;
}

void morsel_pool_join_frames(struct inode *inode)
{
	for_each_page(inode, 0, end_of(inode), join);
	if (MORSEL_I(inode)->medium->bad)
		pr_warn("morselfs: %pg: inode %lu has pages that can't be read\n",
			morsel_pool_of(inode)->bdev, inode->i_ino);
}

static void leave(struct inode *inode, struct page *page, pgoff_t index)
{
	unsigned int turns = 0;

	for (; page_count(page) != 1; msleep(20))
		if (turns++ == 250)
			pr_warn("morselfs: %pg: unmounting waits for whoever has pinned page %lu of inode %lu\n",
				morsel_pool_of(inode)->bdev, index, inode->i_ino);
	lock_page(page); /* whoever looks at its mapping holds it */
	morsel_frame_leave(page);
	unlock_page(page);
}

void morsel_pool_leave_frames(struct inode *inode)
{
	for_each_page(inode, 0, end_of(inode), leave);
}

static void flush_page(struct inode *inode, struct page *page, pgoff_t index)
{
	morsel_media_flush(page_address(page), PAGE_SIZE);
}

/*
 * Before morsel_pool_flush_stores(): this completes leaves that somebody is installing, which the
 * flush would not see. As a fault does; so it keeps out of the way of removals as a fault does. Where
 * nothing may be written nobody installs, and half a leaf that a crash has left stays one.
 */
void morsel_pool_persist(struct inode *inode, pgoff_t first, pgoff_t last)
{
	struct inode **slot;

	if (!S_ISREG(inode->i_mode) || MORSEL_I(inode)->medium->damaged ||
	    morsel_pool_is_read_only(morsel_pool_of(inode)))
		return;
	slot = morsel_invalidate_lock_shared(inode);
	morsel_tree_persist(&MORSEL_I(inode)->tree, first, last);
	morsel_invalidate_unlock_shared(inode, slot);
}

void morsel_pool_flush_stores(struct inode *inode)
{
	struct morsel_medium *medium = MORSEL_I(inode)->medium;
	bool mapped;

	if (!S_ISREG(inode->i_mode) || !READ_ONCE(medium->stored))
		return;
	/*
	 * Cleared before the look and the flush: who maps it is counted first, then says that he may
	 * store. So either that comes after this, or he is counted by now.
	 */
	WRITE_ONCE(medium->stored, false);
	smp_mb();
	mapped = morsel_is_writably_mapped(inode);
	if (mapped)
		WRITE_ONCE(medium->stored, true);
	/* Removal waits: a frame that is somebody else's by now would be flushed, no more. */
	for_each_page(inode, 0, DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE), flush_page);
	if (mapped)
		morsel_pool_mark_dirty(inode);
}

static void unmap_page(struct inode *inode, struct page *page, pgoff_t index)
{
	lock_page(page);
	if (page_mapped(page))
		morsel_unmap_pages(inode, index, 1, false);
	unlock_page(page);
}

/*
 * A fault that is under way may have missed the shutdown. One that grafts holds the lock that
 * un-grafting takes, and asks again there (cover.c). One that maps a page has it locked, and asks
 * under that lock (ordinary.c); so it is over when its page has been locked here. Private copies
 * stay.
 */
void morsel_pool_unmap(struct inode *inode)
{
	morsel_unmap_pages(inode, 0, 0, false);
	if (!MORSEL_I(inode)->medium->damaged)
		for_each_page(inode, 0, end_of(inode), unmap_page);
}

int morsel_pool_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct inode *inode = file_inode(file);
	struct morsel_pool *pool = morsel_pool_of(inode);

	if (READ_ONCE(pool->shut_down))
		return -EIO;
	if ((vma->vm_flags & VM_SYNC) && !dax_synchronous(pool->dax))
		return -EOPNOTSUPP;
	if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE)) {
		WRITE_ONCE(MORSEL_I(inode)->medium->stored, true);
		morsel_pool_mark_dirty(inode);
	}
	return 0;
}

bool morsel_pool_may_graft(struct inode *inode)
{
	struct morsel_inode *mi = MORSEL_I(inode);

	if (READ_ONCE(mi->medium->bad))
		return false;
	/* A hole must be filled to be grafted. */
	return !morsel_pool_is_read_only(morsel_pool_of(inode)) ||
	       atomic_long_read(&mi->leaves_4k) >= DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE);
}

int morsel_pool_refusal(struct inode *inode)
{
	return morsel_pool_is_read_only(morsel_pool_of(inode)) ? -EROFS : -ENOSPC;
}

void morsel_pool_zeros_mapped(struct inode *inode)
{
	WRITE_ONCE(MORSEL_I(inode)->medium->zeros_mapped, true);
}

bool morsel_pool_has_zeros_mapped(struct inode *inode)
{
	return READ_ONCE(MORSEL_I(inode)->medium->zeros_mapped);
}

static int morsel_pool_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct inode *inode = file_inode(file);

	if (morsel_pool_is_shut_down(inode))
		return -EIO;
	morsel_pool_persist(inode, start >> PAGE_SHIFT, (end >> PAGE_SHIFT) + 1);
	morsel_pool_flush_stores(inode);
	morsel_pool_save(inode);
	return 0;
}

long morsel_pool_shutdown_ioctl(struct file *file, u32 __user *argument)
{
	struct inode *inode = file_inode(file);
	struct morsel_pool *pool = morsel_pool_of(inode);
	u32 how;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (get_user(how, argument))
		return -EFAULT;
	if (how > MORSEL_GOING_NO_FLUSH)
		return -EINVAL;
	/* With or without its log: there is nothing in memory but what mappings have stored. */
	if (how != MORSEL_GOING_NO_FLUSH)
		morsel_pool_sync(inode->i_sb, true);
	morsel_pool_shut_down(pool, "somebody has asked for it");
	return 0;
}

static long morsel_pool_dir_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	if (command == MORSEL_IOC_GOINGDOWN)
		return morsel_pool_shutdown_ioctl(file, (u32 __user *)argument);
	return -ENOTTY;
}

/* get_user_pages() tells of what a device has written, perhaps after the last munmap(). */
static bool morsel_pool_dirty_folio(struct address_space *mapping, struct folio *folio)
{
	WRITE_ONCE(MORSEL_I(mapping->host)->medium->stored, true);
	morsel_pool_mark_dirty(mapping->host);
	return noop_dirty_folio(mapping, folio);
}

const struct address_space_operations morsel_pool_aops = {
	.dirty_folio = morsel_pool_dirty_folio,
	.release_folio = morsel_release_folio,
};

const struct file_operations morsel_pool_file_operations = {
	MORSEL_FILE_OPERATIONS,
	.fsync = morsel_pool_fsync,
	MORSEL_TAKES_MAP_SYNC,
};

const struct file_operations morsel_pool_dir_operations = {
	.open = dcache_dir_open,
	.release = dcache_dir_close,
	.llseek = dcache_dir_lseek,
	.read = generic_read_dir,
	.iterate_shared = dcache_readdir,
	.fsync = morsel_pool_fsync,
	.unlocked_ioctl = morsel_pool_dir_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/* What the walk has found damaged. */
static int open_damaged(struct inode *inode, struct file *file)
{
	return -EUCLEAN;
}

const struct file_operations morsel_damaged_operations = {
	.open = open_damaged,
};

static const char *get_damaged_link(struct dentry *dentry, struct inode *inode,
				    struct delayed_call *done)
{
	return ERR_PTR(-EUCLEAN);
}

const struct inode_operations morsel_damaged_link_operations = {
	.get_link = get_damaged_link,
	.getattr = morsel_getattr,
};
