/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A pool: a mount whose files outlive the machine, on persistent memory. What the C files of pools
 * offer to each other and to the rest. Read in this order:
 *
 *   pool_api.h     core/pool as C sees it; pool_core.cc has it
 *   pool_device.c  the block device: claimed, and found to be memory with struct pages
 *   pool_media.c   write-back
 *   pool_frames.c  frames: got, given back, and parked while somebody refers to them
 *   pool_inode.c   inodes on the medium: made, saved, freed
 *   pool_name.c    names on the medium
 *   pool_file.c    fsync, what mappings have written, what is bad
 *   pool_mount.c   mount, remount, unmount
 *
 * The rest of the module asks morsel_pool_of(), which is NULL on ordinary mounts.
 *
 * Every operation is durable when it returns. What is not: stores through mappings (fsync), and
 * access times (sync_fs, eviction).
 */
#ifndef MORSELFS_POOL_H
#define MORSELFS_POOL_H

#include <linux/blkdev.h>
#include <linux/dax.h>
#include <linux/fs_context.h>
#include <linux/memremap.h>
#include <linux/workqueue.h>

#include "morselfs.h"
#include "pool_api.h"

/**
 * struct morsel_pool - the pool of a mount
 * @sb: the mount
 * @bdev: the device, held alone
 * @bdev_file: the same, as 6.12 has it
 * @read_only_device: nothing can be written
 * @dax: its memory, held alone
 * @pgmap: holds its struct pages: unbinding the driver waits for the unmount
 * @start: where the pool begins in @dax, in bytes
 * @memory: frame 0
 * @first_pfn: its page frame number
 * @frames: how many the pool has
 * @core: core's part
 * @fixed: must stay read-only: "norecovery", damage, or features that are not known
 * @norecovery: the option was given
 * @shut_down: every operation fails from now on
 * @opening: what the mount has found
 * @told: findings so far
 * @walked: while mounting, the directory whose names come
 * @park_lock: guards @parked
 * @parked: frames that nothing leads to and somebody refers to, or has just referred to; linked by
 *	index
 * @parked_count: how many
 * @unpark: looks at them again
 * @dirty_lock: guards @dirty
 * @dirty: inodes whose access time is not saved yet, or that mappings may have written to
 */
struct morsel_pool {
	struct super_block *sb;
	struct block_device *bdev;
	struct file *bdev_file;
	bool read_only_device;
	struct dax_device *dax;
	struct dev_pagemap *pgmap;
	u64 start;
	void *memory;
	unsigned long first_pfn;
	unsigned long frames;
	struct morsel_core *core;
	bool fixed;
	bool norecovery;
	bool shut_down;
	struct morsel_opening opening;
	unsigned int told;
	struct dentry *walked;
	spinlock_t park_lock;
	struct page *parked;
	atomic_long_t parked_count;
	struct delayed_work unpark;
	spinlock_t dirty_lock;
	struct list_head dirty;
};

/**
 * struct morsel_medium - what an inode of a pool has more
 * @inode: the inode
 * @lock: guards @saved, and the writing of it
 * @saved: the attributes that were written last
 * @names: of a directory; under its i_rwsem
 * @dirty: link in the pool's list
 * @stored: mappings may have stored what is not written back
 * @damaged: only its name may be used
 * @bad: of a file: some pages can't be read, so each is looked at before it is mapped
 * @zeros_mapped: see morsel_pool_zeros_mapped()
 */
struct morsel_medium {
	struct inode *inode;
	struct mutex lock;
	struct morsel_attributes saved;
	struct morsel_directory names;
	struct list_head dirty;
	bool stored;
	bool damaged;
	bool bad;
	bool zeros_mapped;
};

/* As XFS has it, and many others. */
#define MORSEL_IOC_GOINGDOWN _IOR('X', 125, __u32)
#define MORSEL_GOING_FULL_SYNC 0
#define MORSEL_GOING_LOG_FLUSH 1
#define MORSEL_GOING_NO_FLUSH 2

static inline struct morsel_pool *morsel_pool_of(const struct inode *inode)
{
	return MORSEL_SB(inode->i_sb)->pool;
}

static inline bool morsel_pool_is_shut_down(const struct inode *inode)
{
	struct morsel_pool *pool = morsel_pool_of(inode);

	return pool && READ_ONCE(pool->shut_down);
}

/* What was written to a file of a pool is durable before what follows. */
static inline void morsel_order(const struct inode *inode)
{
	if (morsel_pool_of(inode))
		wmb();
}

static inline struct page *morsel_pool_page(struct morsel_pool *pool, unsigned long frame)
{
	return pfn_to_page(pool->first_pfn + frame);
}

static inline unsigned long morsel_pool_frame(struct morsel_pool *pool, struct page *page)
{
	return page_to_pfn(page) - pool->first_pfn;
}

/* pool_device.c */
int morsel_pool_open_device(struct fs_context *fc, struct morsel_pool *pool);
void morsel_pool_close_device(struct morsel_pool *pool);

/* pool_media.c */
void morsel_media_fence(void);
/* Zeroes, and begins to write back. */
void morsel_media_zero(void *address, size_t bytes);

/* pool_frames.c */
void morsel_pool_frames_init(struct morsel_pool *pool);
/* Frames that are parked and nobody refers to are free afterwards. */
void morsel_pool_unpark(struct morsel_pool *pool);
/* All frames that are parked become free; waits for whoever refers to them. */
void morsel_pool_drain_parked(struct morsel_pool *pool);
/* A frame of zeros, durable once the caller has fenced; NULL if there is none. */
struct page *morsel_pool_get_zeroed(struct morsel_pool *pool);
/* A frame of data whose leaf is gone, flushed from all TLBs. */
void morsel_pool_put_page(struct morsel_pool *pool, struct page *page);

/* pool_inode.c */
/* Gives a new inode its frame; nothing leads to it yet. */
int morsel_pool_new_inode(struct inode *inode, const char *link);
/* From what the walk has found. */
int morsel_pool_read_inode(struct inode *inode, const struct morsel_found *found);
void morsel_pool_set_attributes(struct inode *inode, const struct morsel_found *found);
/* Writes the attributes if they have changed. Orders all that was flushed before. */
void morsel_pool_save(struct inode *inode);
/* Eviction: frees what has no name, lets go of what has one. */
void morsel_pool_evict(struct inode *inode);
/* Nothing of the pool may be changed now. */
bool morsel_pool_is_read_only(struct morsel_pool *pool);
/* Something is to be saved by morsel_pool_sync(). */
void morsel_pool_mark_dirty(struct inode *inode);

/* pool_name.c: the names' places are in their dentries. */
int morsel_pool_add_name(struct inode *dir, struct dentry *dentry, struct inode *inode);
void morsel_pool_clear_name(struct inode *dir, struct dentry *dentry);
/* `whiteout` takes the old name's place; NULL for none. */
int morsel_pool_rename(struct inode *old_dir, struct dentry *old_dentry, struct inode *new_dir,
		       struct dentry *new_dentry, struct inode *whiteout);
void morsel_pool_exchange(struct dentry *old_dentry, struct dentry *new_dentry);

/* pool_file.c */
extern const struct file_operations morsel_pool_file_operations;
extern const struct file_operations morsel_pool_dir_operations;
extern const struct file_operations morsel_damaged_operations;
extern const struct inode_operations morsel_damaged_link_operations;
extern const struct address_space_operations morsel_pool_aops;
/* All leaves of an inode that was found: their frames are its own from now on. */
void morsel_pool_join_frames(struct inode *inode);
/* And are nobody's any more. Waits for whoever refers to them. */
void morsel_pool_leave_frames(struct inode *inode);
int morsel_pool_mmap(struct file *file, struct vm_area_struct *vma);
bool morsel_pool_may_graft(struct inode *inode);
/* Why there is no frame for it: -ENOSPC, -EROFS. */
int morsel_pool_refusal(struct inode *inode);
/* While nothing could be written, zeros were mapped where it has holes. */
void morsel_pool_zeros_mapped(struct inode *inode);
bool morsel_pool_has_zeros_mapped(struct inode *inode);
/* Of a pool that is shut down: nobody stores through a mapping any more, and faults fail. */
void morsel_pool_unmap(struct inode *inode);
/* What mappings may have stored so far. */
void morsel_pool_flush_stores(struct inode *inode);
/* What leads to these pages is durable afterwards; takes the invalidate lock, shared. */
void morsel_pool_persist(struct inode *inode, pgoff_t first, pgoff_t last);
int morsel_pool_sync(struct super_block *sb, int wait);
long morsel_pool_shutdown_ioctl(struct file *file, u32 __user *argument);

/* pool_mount.c */
int morsel_pool_fill_super(struct super_block *sb, struct fs_context *fc, bool norecovery);
int morsel_pool_reconfigure(struct super_block *sb, struct fs_context *fc);
/* After all inodes are gone. */
void morsel_pool_put_super(struct super_block *sb);
/* Nothing changes between the two: the medium is as an unmount leaves it. */
int morsel_pool_freeze(struct super_block *sb);
int morsel_pool_unfreeze(struct super_block *sb);
void morsel_pool_free(struct morsel_pool *pool);
void morsel_pool_statfs(struct morsel_pool *pool, struct kstatfs *buf);
void morsel_pool_shut_down(struct morsel_pool *pool, const char *why);

#endif
