// SPDX-License-Identifier: GPL-2.0
/*
 * Directories. They live in the dentry cache alone: every entry holds a
 * reference of its own on its dentry, as in other file systems in memory. On a pool they
 * lie on the medium, too, and change there first: what fails, fails before anything is seen.
 */
#include <linux/dcache.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "inject.h"
#include "pool.h"
#include "vfs.h"

/* A new inode gets no name after all. */
static void discard(struct inode *inode)
{
	clear_nlink(inode);
	iput(inode);
}

/* On a pool, gives a new inode its place on the medium; then its labels. `name`: NULL for none. */
static int complete_inode(struct inode *inode, struct inode *dir, const struct qstr *name)
{
	int err = 0;

	if (morsel_pool_of(dir))
		err = morsel_pool_new_inode(inode, inode->i_link);
	return err ?: morsel_init_security(inode, dir, name);
}

/* The name appears. On a pool, that can fail. */
static int morsel_add_entry(struct inode *dir, struct dentry *dentry, struct inode *inode)
{
	int err = 0;

	if (morsel_pool_of(dir))
		err = morsel_pool_add_name(dir, dentry, inode);
	if (err)
		return err;
	morsel_touch_mtime(dir);
	morsel_save(dir);
	d_instantiate(dentry, inode);
	dget(dentry); /* pins it in memory until unlink */
	return 0;
}

static int morsel_mknod(struct morsel_idmap *idmap, struct inode *dir, struct dentry *dentry,
			umode_t mode, dev_t dev)
{
	struct inode *inode = morsel_new_inode(dir->i_sb, dir, mode, dev);
	int err;

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	err = complete_inode(inode, dir, &dentry->d_name);
	if (!err)
		err = morsel_add_entry(dir, dentry, inode);
	if (err)
		discard(inode);
	return err;
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
	err = complete_inode(inode, dir, &dentry->d_name);
	if (err)
		goto fail;
	err = morsel_add_entry(dir, dentry, inode);
	if (err)
		goto fail;
	return 0;
fail:
	discard(inode);
	return err;
}

static int morsel_tmpfile(struct morsel_idmap *idmap, struct inode *dir, struct file *file,
			  umode_t mode)
{
	struct inode *inode = morsel_new_inode(dir->i_sb, dir, mode, 0);
	int err;

	if (IS_ERR(inode))
		return finish_open_simple(file, PTR_ERR(inode));
	err = complete_inode(inode, dir, NULL);
	if (err)
		discard(inode);
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

	struct inode *inode = d_inode(old_dentry);

	if (inode->i_nlink)
		err = morsel_charge_inode(dir->i_sb);
	if (!err && morsel_pool_of(dir)) {
		err = morsel_pool_add_name(dir, dentry, inode);
		if (err && inode->i_nlink)
			morsel_uncharge_inode(dir->i_sb);
	}
	if (err)
		return err;
	simple_link(old_dentry, dir, dentry); /* never fails */
	morsel_save(inode);
	morsel_save(dir);
	return 0;
}

/* A link goes; eviction gives back what the last one cost. */
static void morsel_uncharge_link(struct inode *inode)
{
	if (inode->i_nlink > 1 && !S_ISDIR(inode->i_mode))
		morsel_uncharge_inode(inode->i_sb);
}

/* Its change time is nobody's any more if it has no name. */
static void save_unlinked(struct inode *inode)
{
	if (inode->i_nlink)
		morsel_save(inode);
}

static int morsel_unlink(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);

	if (morsel_pool_is_shut_down(dir))
		return -EIO;
	if (morsel_pool_of(dir))
		morsel_pool_clear_name(dir, dentry);
	morsel_uncharge_link(inode);
	simple_unlink(dir, dentry);
	save_unlinked(inode);
	morsel_save(dir);
	return 0;
}

static int morsel_rmdir(struct inode *dir, struct dentry *dentry)
{
	if (!simple_empty(dentry))
		return -ENOTEMPTY;
	if (morsel_pool_is_shut_down(dir))
		return -EIO;
	if (morsel_pool_of(dir))
		morsel_pool_clear_name(dir, dentry);
	simple_rmdir(dir, dentry);
	morsel_save(dir);
	return 0;
}

/*
 * What is left where the old name was. It is hashed while the old dentry
 * still is, so a lookup finds one of them at any time; the VFS then moves the
 * old one away.
 */
static struct dentry *make_whiteout(struct inode *dir, struct dentry *old_dentry,
				    struct inode **inode)
{
	struct dentry *whiteout;
	int err;

	whiteout = morsel_may_fail(WHITEOUT, d_alloc(old_dentry->d_parent, &old_dentry->d_name));
	if (!whiteout)
		return ERR_PTR(-ENOMEM);
	*inode = morsel_new_inode(dir->i_sb, dir, S_IFCHR | WHITEOUT_MODE, WHITEOUT_DEV);
	err = PTR_ERR_OR_ZERO(*inode);
	if (!err) {
		err = complete_inode(*inode, dir, &whiteout->d_name);
		if (err)
			discard(*inode);
	}
	if (!err)
		return whiteout;
	dput(whiteout);
	return ERR_PTR(err);
}

static void put_whiteout(struct dentry *whiteout, struct inode *inode)
{
	/* On a pool it has the old name's place: so the old one may have got another. */
	d_instantiate(whiteout, inode);
	d_rehash(whiteout); /* the reference stays: it pins the name */
}

static void save_renamed(struct inode *old_dir, struct dentry *old_dentry, struct inode *new_dir,
			 struct inode *replaced)
{
	morsel_save(d_inode(old_dentry));
	if (replaced)
		save_unlinked(replaced);
	morsel_save(old_dir);
	morsel_save(new_dir);
}

static int morsel_rename(struct morsel_idmap *idmap, struct inode *old_dir,
			 struct dentry *old_dentry, struct inode *new_dir,
			 struct dentry *new_dentry, unsigned int flags)
{
	struct inode *replaced = d_inode(new_dentry), *inode = NULL;
	struct dentry *whiteout = NULL;
	void *old_place = old_dentry->d_fsdata;
	int err = 0;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if (morsel_pool_is_shut_down(old_dir))
		return -EIO;
	if (flags & RENAME_EXCHANGE) {
		if (morsel_pool_of(old_dir))
			morsel_pool_exchange(old_dentry, new_dentry);
		simple_rename_exchange(old_dir, old_dentry, new_dir, new_dentry);
		save_renamed(old_dir, old_dentry, new_dir, replaced);
		return 0;
	}
	/* Checked here, so that simple_rename() can't fail after what comes before it. */
	if (!simple_empty(new_dentry))
		return -ENOTEMPTY;
	if (flags & RENAME_WHITEOUT) {
		whiteout = make_whiteout(old_dir, old_dentry, &inode);
		if (IS_ERR(whiteout))
			return PTR_ERR(whiteout);
	}
	if (morsel_pool_of(old_dir))
		err = morsel_pool_rename(old_dir, old_dentry, new_dir, new_dentry, inode);
	if (err) {
		if (whiteout) {
			discard(inode);
			dput(whiteout);
		}
		return err;
	}
	if (whiteout) {
		whiteout->d_fsdata = old_place;
		put_whiteout(whiteout, inode);
	}
	if (replaced)
		morsel_uncharge_link(replaced);
	simple_rename(idmap, old_dir, old_dentry, new_dir, new_dentry, flags & ~RENAME_WHITEOUT);
	save_renamed(old_dir, old_dentry, new_dir, replaced);
	return 0;
}

const struct inode_operations morsel_dir_inode_operations = {
	.lookup = simple_lookup,
	.create = morsel_create,
	.link = morsel_link,
	.unlink = morsel_unlink,
	.symlink = morsel_symlink,
	.mkdir = morsel_mkdir,
	.rmdir = morsel_rmdir,
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
