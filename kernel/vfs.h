/* SPDX-License-Identifier: GPL-2.0 */
/* What super.c, inode.c, namei.c, file.c and xattr.c share among themselves. */
#ifndef MORSELFS_VFS_H
#define MORSELFS_VFS_H

#include "compat.h"
#include "morselfs.h"

/* inode.c */
int morsel_inode_cache_init(void);
void morsel_inode_cache_exit(void);
struct inode *morsel_alloc_inode(struct super_block *sb);
void morsel_free_inode(struct inode *inode);
void morsel_evict_inode(struct inode *inode);
/* One of the mount's nr_inodes for an inode or a further link to it; -ENOSPC. */
int morsel_charge_inode(struct super_block *sb);
void morsel_uncharge_inode(struct super_block *sb);
/*
 * What an inode keeps in attributes and a link's target: the first KiB is in its
 * price, each further one costs another of nr_inodes. -ENOSPC only if it grows.
 */
int morsel_charge_room(struct inode *inode, size_t bytes);
void morsel_set_operations(struct inode *inode, dev_t dev);
int morsel_getattr(struct morsel_idmap *idmap, const struct path *path, struct kstat *stat,
		   u32 request_mask, unsigned int query_flags);
int morsel_setattr(struct morsel_idmap *idmap, struct dentry *dentry, struct iattr *attr);

/*
 * flags.c: what chattr(1) sets. A new inode takes over what its directory hands on
 * (`dir` is NULL for the root); what statx(2) says about flags.
 */
void morsel_set_flags(struct inode *inode, unsigned int flags);
void morsel_inherit_flags(struct inode *inode, const struct inode *dir);
void morsel_fill_flags(struct inode *inode, struct kstat *stat);
int morsel_fileattr_get(struct dentry *dentry, struct fileattr *attributes);
int morsel_fileattr_set(struct morsel_idmap *idmap, struct dentry *dentry,
			struct fileattr *attributes);

/*
 * seal.c: -EBUSY while somebody could write by a mapping or a pin. Afterwards write(2) and its like
 * give EPERM; who changes contents asks under i_rwsem.
 */
int morsel_seal(struct file *file);
static inline bool morsel_is_sealed(const struct inode *inode)
{
	return READ_ONCE(MORSEL_I(inode)->sealed);
}

/* flags.c, seal.c: contents and size may not change at all, or only grow by appending. */
static inline bool morsel_is_frozen(const struct inode *inode)
{
	return IS_IMMUTABLE(inode) || morsel_is_sealed(inode);
}

/* export.c: MORSELFS_IOC_EXPORT */
long morsel_export_ioctl(struct file *file, struct morselfs_export __user *user);

/* What all regular files have; pools have more. */
int morsel_open(struct inode *inode, struct file *file);
loff_t morsel_llseek(struct file *file, loff_t offset, int whence);
ssize_t morsel_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t morsel_write_iter(struct kiocb *iocb, struct iov_iter *from);
long morsel_fallocate(struct file *file, int mode, loff_t offset, loff_t length);
long morsel_ioctl(struct file *file, unsigned int command, unsigned long argument);
bool morsel_release_folio(struct folio *folio, gfp_t gfp);

/* clang-format off */
#define MORSEL_FILE_OPERATIONS                                                            \
	.open = morsel_open,                                                              \
	.release = morsel_release,                                                        \
	.llseek = morsel_llseek,                                                          \
	.read_iter = morsel_read_iter,                                                    \
	.write_iter = morsel_write_iter,                                                  \
	.mmap = morsel_mmap,                                                              \
	.get_unmapped_area = morsel_get_unmapped_area,                                    \
	.splice_read = morsel_splice_read,                                                \
	.splice_write = iter_file_splice_write,                                           \
	.fallocate = morsel_fallocate,                                                    \
	.unlocked_ioctl = morsel_ioctl,                                                   \
	.compat_ioctl = compat_ptr_ioctl
/* clang-format on */

/* xattr.c: from a pool. */
int morsel_xattrs_read(struct inode *inode, const unsigned char *data, unsigned long bytes);
/* xattr.c: gives a new inode the labels that the security modules want on it. */
int morsel_init_security(struct inode *inode, struct inode *dir, const struct qstr *name);

#endif
