// SPDX-License-Identifier: GPL-2.0
/*
 * Names of a pool. Each has a place on the medium, which its dentry knows (d_fsdata). The VFS holds
 * the directories' i_rwsem over all of this.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/sched.h>

#include "pool.h"

static unsigned long place_of(const struct dentry *dentry)
{
	return (unsigned long)dentry->d_fsdata;
}

static void set_place(struct dentry *dentry, unsigned long place)
{
	dentry->d_fsdata = (void *)place;
}

static struct morsel_directory *names_of(struct inode *dir)
{
	return &MORSEL_I(dir)->medium->names;
}

int morsel_pool_add_name(struct inode *dir, struct dentry *dentry, struct inode *inode)
{
	unsigned long place;
	int err;

	err = morsel_core_add_name(morsel_pool_of(dir)->core, names_of(dir), dentry->d_name.name,
				   dentry->d_name.len, inode->i_ino, &place);
	if (!err)
		set_place(dentry, place);
	return err;
}

void morsel_pool_clear_name(struct inode *dir, struct dentry *dentry)
{
	morsel_core_clear_name(morsel_pool_of(dir)->core, names_of(dir), place_of(dentry));
}

/* Both at once. Records of the log come free as soon as others are through with theirs. */
static void move(struct morsel_pool *pool, unsigned long first, unsigned long first_inode,
		 unsigned long second, unsigned long second_inode)
{
	while (!morsel_core_move(pool->core, first, first_inode, second, second_inode))
		cond_resched();
}

int morsel_pool_rename(struct inode *old_dir, struct dentry *old_dentry, struct inode *new_dir,
		       struct dentry *new_dentry, struct inode *whiteout)
{
	struct morsel_pool *pool = morsel_pool_of(old_dir);
	unsigned long from = place_of(old_dentry), to;
	int err;

	if (d_really_is_positive(new_dentry)) {
		to = place_of(new_dentry);
	} else {
		err = morsel_core_prepare_name(pool->core, names_of(new_dir),
					       new_dentry->d_name.name, new_dentry->d_name.len,
					       &to);
		if (err)
			return err;
	}
	move(pool, to, d_inode(old_dentry)->i_ino, from, whiteout ? whiteout->i_ino : 0);
	if (!whiteout)
		morsel_core_free_name(pool->core, names_of(old_dir), from);
	set_place(old_dentry, to); /* it will have the new name */
	return 0;
}

void morsel_pool_exchange(struct dentry *old_dentry, struct dentry *new_dentry)
{
	unsigned long old = place_of(old_dentry), new = place_of(new_dentry);

	move(morsel_pool_of(d_inode(old_dentry)), old, d_inode(new_dentry)->i_ino, new,
	     d_inode(old_dentry)->i_ino);
	set_place(old_dentry, new);
	set_place(new_dentry, old);
}
