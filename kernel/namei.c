// SPDX-License-Identifier: GPL-2.0
/*
 * Directories. They live in the dentry cache alone: every entry holds a
 * reference of its own on its dentry, as in other file systems in memory.
 */
#include <linux/dcache.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "inject.h"
#include "vfs.h"

static void morsel_add_entry(struct inode *dir, struct dentry *dentry, struct inode *inode)
{
	morsel_touch_mtime(dir);
	d_instantiate(dentry, inode);
	dget(dentry); /* pins it in memory until unlink */
}

static int morsel_mknod(struct morsel_idmap *idmap, struct inode *dir, struct dentry *dentry,
			umode_t mode, dev_t dev)
{
	struct inode *inode = morsel_new_inode(dir->i_sb, dir, mode, dev);
	int err;

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	err = morsel_init_security(inode, dir, &dentry->d_name);
	if (err) {
		iput(inode);
		return err;
	}
	morsel_add_entry(dir, dentry, inode);
	return 0;
}

static int morsel_create(struct morsel_idmap *idmap, struct inode *dir, struct dentry *dentry,
			 umode_t mode, bool excl)
{
	return morsel_mknod(idmap, dir, dentry, mode | S_IFREG, 0);
}

static int morsel_mkdir(struct morsel_idmap *idmap, struct inode *dir, struct dentry *dentry,
			umode_t mode)
{
	int err = morsel_mknod(idmap, dir, dentry, mode | S_IFDIR, 0);

	if (!err)
		inc_nlink(dir); /* for its ".." */
	return err;
}

static int morsel_symlink(struct morsel_idmap *idmap, struct inode *dir, struct dentry *dentry,
			  const char *target)
{
	struct inode *inode = morsel_new_inode(dir->i_sb, dir, S_IFLNK | 0777, 0);
	int err;

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	err = -ENOMEM;
	inode->i_link = morsel_may_fail(LINK, kstrdup(target, GFP_KERNEL_ACCOUNT));
	if (!inode->i_link)
		goto fail;
	MORSEL_I(inode)->link = inode->i_link;
	inode->i_size = strlen(target);
	err = morsel_charge_room(inode, inode->i_size);
	if (err)
		goto fail;
	err = morsel_init_security(inode, dir, &dentry->d_name);
	if (err)
		goto fail;
	morsel_add_entry(dir, dentry, inode);
	return 0;
fail:
	iput(inode);
	return err;
}

static int morsel_tmpfile(struct morsel_idmap *idmap, struct inode *dir, struct file *file,
			  umode_t mode)
{
	struct inode *inode = morsel_new_inode(dir->i_sb, dir, mode, 0);
	int err;

	if (IS_ERR(inode))
		return finish_open_simple(file, PTR_ERR(inode));
	err = morsel_init_security(inode, dir, NULL);
	if (err)
		iput(inode);
	else
		d_tmpfile(file, inode);
	return finish_open_simple(file, err);
}

/*
 * Every further link counts as an inode: its dentry can't be reclaimed, so
 * nr_inodes must bound links, too. The first link of an O_TMPFILE is paid for.
 */
static int morsel_link(struct dentry *old_dentry, struct inode *dir, struct dentry *dentry)
{
	int err = 0;

	if (d_inode(old_dentry)->i_nlink)
		err = morsel_charge_inode(dir->i_sb);
	return err ?: simple_link(old_dentry, dir, dentry);
}

/* A link goes; eviction gives back what the last one cost. */
static void morsel_uncharge_link(struct inode *inode)
{
	if (inode->i_nlink > 1 && !S_ISDIR(inode->i_mode))
		morsel_uncharge_inode(inode->i_sb);
}

static int morsel_unlink(struct inode *dir, struct dentry *dentry)
{
	morsel_uncharge_link(d_inode(dentry));
	return simple_unlink(dir, dentry);
}

/*
 * Leaves a whiteout where the old name was. It is hashed while the old dentry
 * still is, so a lookup finds one of them at any time; the VFS then moves the
 * old one away.
 */
static int morsel_whiteout(struct morsel_idmap *idmap, struct inode *dir, struct dentry *old_dentry)
{
	struct dentry *whiteout;
	int err;

	whiteout = morsel_may_fail(WHITEOUT, d_alloc(old_dentry->d_parent, &old_dentry->d_name));
	if (!whiteout)
		return -ENOMEM;
	err = morsel_mknod(idmap, dir, whiteout, S_IFCHR | WHITEOUT_MODE, WHITEOUT_DEV);
	if (!err)
		d_rehash(whiteout);
	dput(whiteout);
	return err;
}

static int morsel_rename(struct morsel_idmap *idmap, struct inode *old_dir,
			 struct dentry *old_dentry, struct inode *new_dir,
			 struct dentry *new_dentry, unsigned int flags)
{
	int err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if (flags & RENAME_EXCHANGE)
		return simple_rename_exchange(old_dir, old_dentry, new_dir, new_dentry);
	/* Checked here, so that simple_rename() can't fail after the whiteout. */
	if (!simple_empty(new_dentry))
		return -ENOTEMPTY;
	if (flags & RENAME_WHITEOUT) {
		err = morsel_whiteout(idmap, old_dir, old_dentry);
		if (err)
			return err;
	}
	if (d_really_is_positive(new_dentry))
		morsel_uncharge_link(d_inode(new_dentry));
	return simple_rename(idmap, old_dir, old_dentry, new_dir, new_dentry,
			     flags & ~RENAME_WHITEOUT);
}

const struct inode_operations morsel_dir_inode_operations = {
	.lookup = simple_lookup,
	.create = morsel_create,
	.link = morsel_link,
	.unlink = morsel_unlink,
	.symlink = morsel_symlink,
	.mkdir = morsel_mkdir,
	.rmdir = simple_rmdir,
	.mknod = morsel_mknod,
	.rename = morsel_rename,
	.tmpfile = morsel_tmpfile,
	.getattr = morsel_getattr,
	.setattr = morsel_setattr,
	.listxattr = morsel_listxattr,
	.fileattr_get = morsel_fileattr_get,
	.fileattr_set = morsel_fileattr_set,
};

const struct inode_operations morsel_symlink_inode_operations = {
	.get_link = simple_get_link,
	.getattr = morsel_getattr,
	.setattr = morsel_setattr,
	.listxattr = morsel_listxattr,
};
