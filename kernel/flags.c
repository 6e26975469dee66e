// SPDX-License-Identifier: GPL-2.0
/*
 * What chattr(1) sets: immutable, append-only, no-dump, no-atime. The VFS asks for
 * CAP_LINUX_IMMUTABLE where it must, and refuses to open, rename, unlink, link,
 * punch or change the mode of what is immutable. Files that were open for writing by
 * then are ours to refuse: in morsel_write_iter(), morsel_setattr(), morsel_fallocate(),
 * morsel_mmap() and morsel_mprotect(). Writable mappings that exist stay, as they do on tmpfs: they hang in
 * page tables whose leaves allow writing, and taking them away would be a SIGBUS to
 * whoever holds one.
 */
#include <linux/fs.h>
#include <linux/fileattr.h> /* wants fs.h before it */

#include "vfs.h"

#define MORSEL_FLAGS (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)
#define MORSEL_FLAGS_INHERITED (FS_NODUMP_FL | FS_NOATIME_FL)

/* Under i_rwsem, or before anybody else sees the inode. */
void morsel_set_flags(struct inode *inode, unsigned int flags)
{
	unsigned int vfs_flags = 0;

	if (flags & FS_IMMUTABLE_FL)
		vfs_flags |= S_IMMUTABLE;
	if (flags & FS_APPEND_FL)
		vfs_flags |= S_APPEND;
	if (flags & FS_NOATIME_FL)
		vfs_flags |= S_NOATIME;
	MORSEL_I(inode)->flags = flags;
	inode_set_flags(inode, vfs_flags, S_IMMUTABLE | S_APPEND | S_NOATIME);
}

void morsel_inherit_flags(struct inode *inode, const struct inode *dir)
{
	if (dir)
		morsel_set_flags(inode, MORSEL_I(dir)->flags & MORSEL_FLAGS_INHERITED);
}

int morsel_fileattr_get(struct dentry *dentry, struct fileattr *attributes)
{
	fileattr_fill_flags(attributes, MORSEL_I(d_inode(dentry))->flags);
	return 0;
}

int morsel_fileattr_set(struct morsel_idmap *idmap, struct dentry *dentry,
			struct fileattr *attributes)
{
	if (fileattr_has_fsx(attributes) || attributes->flags & ~MORSEL_FLAGS)
		return -EOPNOTSUPP;
	morsel_set_flags(d_inode(dentry), attributes->flags);
	morsel_touch_ctime(d_inode(dentry));
	morsel_save(d_inode(dentry));
	return 0;
}

void morsel_fill_flags(struct inode *inode, struct kstat *stat)
{
	generic_fill_statx_attr(inode, stat);
	stat->attributes_mask |= STATX_ATTR_NODUMP;
	if (MORSEL_I(inode)->flags & FS_NODUMP_FL)
		stat->attributes |= STATX_ATTR_NODUMP;
}
