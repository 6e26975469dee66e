/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What 6.1 and 6.12 say differently about the VFS, so that the other files say
 * it once.
 */
#ifndef MORSELFS_COMPAT_H
#define MORSELFS_COMPAT_H

#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/splice.h>
#include <linux/version.h>

/* The mount's id mapping, first argument of many operations; we allow none. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define morsel_idmap user_namespace
#define morsel_nop_idmap init_user_ns
#else
#define morsel_idmap mnt_idmap
#define morsel_nop_idmap nop_mnt_idmap
#endif

/*
 * Both read through ->read_iter into fresh pages. On 6.1 the iterator is a pipe,
 * in which copy_page_to_iter() would leave pages that wait for a page cache they
 * are not in; copy_to_iter() copies.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define morsel_splice_read generic_file_splice_read
#else
#define morsel_splice_read copy_splice_read
#endif

static inline void morsel_fillattr(struct morsel_idmap *idmap, u32 request_mask,
				   struct inode *inode, struct kstat *stat)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	generic_fillattr(idmap, inode, stat);
#else
	generic_fillattr(idmap, request_mask, inode, stat);
#endif
}

/* The inode's status changes now. */
static inline void morsel_touch_ctime(struct inode *inode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	inode->i_ctime = current_time(inode);
#else
	inode_set_ctime_current(inode);
#endif
}

/* Its content changes now. */
static inline void morsel_touch_mtime(struct inode *inode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	inode->i_mtime = inode->i_ctime = current_time(inode);
#else
	inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
#endif
}

static inline void morsel_get_times(const struct inode *inode, struct timespec64 *access,
				    struct timespec64 *modification, struct timespec64 *change)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	*access = inode->i_atime;
	*modification = inode->i_mtime;
	*change = inode->i_ctime;
#else
	*access = inode_get_atime(inode);
	*modification = inode_get_mtime(inode);
	*change = inode_get_ctime(inode);
#endif
}

static inline void morsel_set_times(struct inode *inode, struct timespec64 access,
				    struct timespec64 modification, struct timespec64 change)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	inode->i_atime = access;
	inode->i_mtime = modification;
	inode->i_ctime = change;
#else
	inode_set_atime_to_ts(inode, access);
	inode_set_mtime_to_ts(inode, modification);
	inode_set_ctime_to_ts(inode, change);
#endif
}

/* mmap(2) may be asked for MAP_SYNC: whoever stores through it flushes by himself. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define MORSEL_TAKES_MAP_SYNC .mmap_supported_flags = MAP_SYNC
#else
#define MORSEL_TAKES_MAP_SYNC .fop_flags = FOP_MMAP_SYNC
#endif

/* It comes into being now. */
static inline struct timespec64 morsel_init_times(struct inode *inode)
{
	morsel_touch_mtime(inode);
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	inode->i_atime = inode->i_mtime;
#else
	inode_set_atime_to_ts(inode, inode_get_mtime(inode));
#endif
	return inode_get_ctime(inode);
}

#endif
