// SPDX-License-Identifier: GPL-2.0
/*
 * Pools are mounted by walking them: from the root directory to every name, inode and table. What
 * can be reached is checked before the hardware or a program sees it, its frames are taken, and all
 * names and inodes stay in memory, as those of ordinary mounts do. What can't be reached is free.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/stringhash.h>
#include <linux/uuid.h>

#include "inject.h"
#include "opened.h"
#include "pool.h"
#include "vfs.h"

/* How many findings the log gets, of each mount. */
#define TOLD 20

/* As core has it. */
#define ROOT_FRAME 3

/* The walk. */

void *morsel_pool_get_memory(struct morsel_pool *pool, unsigned long bytes)
{
	return morsel_may_fail(POOL_WALK, kvmalloc(bytes, GFP_KERNEL));
}

void morsel_pool_free_memory(void *memory)
{
	kvfree(memory);
}

void morsel_pool_pace(struct morsel_pool *pool)
{
	cond_resched();
}

/* Names come in the last walk only. */
void morsel_pool_restart(struct morsel_pool *pool)
{
	WARN_ON_ONCE(pool->walked);
}

void morsel_pool_tell(struct morsel_pool *pool, bool damage, const char *what, unsigned long inode,
		      unsigned long place, unsigned long value)
{
	if (pool->told++ < TOLD)
		pr_notice("morselfs: %pg: %s: %s at byte %lu (%lx), of inode %lu\n", pool->bdev,
			  damage ? "damage" : "left by a crash", what, place, value, inode);
	else if (pool->told == TOLD + 1)
		pr_notice("morselfs: %pg: and so on\n", pool->bdev);
}

/* What is known already, with a reference; the root directory is in no hash. */
static struct inode *known_inode(struct morsel_pool *pool, unsigned long frame)
{
	if (frame == ROOT_FRAME)
		return igrab(d_inode(pool->sb->s_root));
	return ilookup(pool->sb, frame);
}

/* All names of a directory come in a row. */
static struct dentry *directory_of(struct morsel_pool *pool, unsigned long frame)
{
	struct inode *inode;

	if (pool->walked && d_inode(pool->walked)->i_ino == frame)
		return pool->walked;
	dput(pool->walked);
	pool->walked = NULL;
	inode = known_inode(pool, frame);
	if (inode)
		pool->walked = d_find_any_alias(inode);
	iput(inode);
	return pool->walked;
}

static void set_damaged_operations(struct inode *inode)
{
	inode->i_fop = &morsel_damaged_operations;
	if (S_ISLNK(inode->i_mode))
		inode->i_op = &morsel_damaged_link_operations;
}

/* Its contents, links and attributes; the attributes of stat(2) are there. */
static int read_contents(struct inode *inode, const struct morsel_found *found)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	int err;

	if (!found->sound) {
		set_damaged_operations(inode);
		return 0;
	}
	morsel_set_flags(inode, found->attributes.flags);
	if (found->link) {
		mi->link = morsel_may_fail(LINK, kstrdup(found->link, GFP_KERNEL_ACCOUNT));
		if (!mi->link)
			return -ENOMEM;
		inode->i_link = mi->link;
		inode->i_size = strlen(mi->link);
	}
	if (found->xattrs) {
		err = morsel_xattrs_read(inode, found->xattrs, found->xattr_bytes);
		if (err)
			return err;
	}
	mi->denies_writable = mi->sealed;
	if (S_ISREG(inode->i_mode))
		morsel_pool_join_frames(inode);
	return 0;
}

static struct inode *read_inode(struct morsel_pool *pool, const struct morsel_found *found)
{
	struct inode *inode = new_inode(pool->sb);
	int err;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	/* Attributes that are not sound may say anything. */
	inode->i_mode = found->birth.type | (found->attributes.mode & 07777);
	morsel_set_operations(inode, MKDEV(found->birth.rdev_major, found->birth.rdev_minor));
	err = morsel_pool_read_inode(inode, found);
	if (!err)
		err = read_contents(inode, found);
	if (err) {
		iput(inode);
		return ERR_PTR(err);
	}
	insert_inode_hash(inode);
	return inode;
}

static struct inode *inode_of(struct morsel_pool *pool, const struct morsel_found *found,
			      struct dentry *parent)
{
	struct inode *inode = known_inode(pool, found->frame);

	if (inode) {
		inc_nlink(inode);
		return inode;
	}
	inode = read_inode(pool, found);
	if (!IS_ERR(inode) && S_ISDIR(inode->i_mode))
		inc_nlink(d_inode(parent)); /* for its ".." */
	return inode;
}

int morsel_pool_name(struct morsel_pool *pool, unsigned long directory, unsigned long place,
		     const unsigned char *name, unsigned int length,
		     const struct morsel_found *found, bool first)
{
	struct dentry *parent = directory_of(pool, directory), *dentry;
	struct qstr text = QSTR_INIT(name, length);
	struct inode *inode;

	if (!parent)
		return -ENOMEM;
	text.hash = full_name_hash(parent, name, length);
	dentry = d_lookup(parent, &text);
	if (dentry) {
		dput(dentry);
		return -EEXIST;
	}
	dentry = morsel_may_fail(POOL_NAME, d_alloc(parent, &text));
	if (!dentry)
		return -ENOMEM;
	inode = inode_of(pool, found, parent);
	if (IS_ERR(inode)) {
		dput(dentry);
		return PTR_ERR(inode);
	}
	dentry->d_fsdata = (void *)place;
	d_add(dentry, inode); /* the reference stays: it pins the name until unlink */
	return 0;
}

void morsel_pool_directory(struct morsel_pool *pool, const struct morsel_directory *directory)
{
	struct inode *inode = known_inode(pool, directory->inode);

	/* Not if its only name was refused. */
	if (inode && MORSEL_I(inode)->medium)
		MORSEL_I(inode)->medium->names = *directory;
	iput(inode);
}

/* Mounting. */

static int make_root(struct morsel_pool *pool)
{
	struct morsel_found found = { .frame = ROOT_FRAME, .sound = true, .birth.type = S_IFDIR };
	struct inode *root = read_inode(pool, &found);

	if (IS_ERR(root))
		return PTR_ERR(root);
	pool->sb->s_root = d_make_root(root);
	return pool->sb->s_root ? 0 : -ENOMEM;
}

/* What it is like is known now that it is checked. */
static int describe_root(struct morsel_pool *pool)
{
	struct inode *root = d_inode(pool->sb->s_root);
	struct morsel_found found = {};

	morsel_core_describe_root(pool->core, &found);
	root->i_mode = S_IFDIR | (found.attributes.mode & 07777);
	morsel_pool_set_attributes(root, &found);
	return read_contents(root, &found);
}

static int read_pool(struct morsel_pool *pool, struct fs_context *fc)
{
	struct morsel_opening *opening = &pool->opening;
	unsigned long room = pool->frames, frame;
	const char *why;
	int err;

	for (frame = 0; frame <= ROOT_FRAME; frame++)
		if (!morsel_pool_is_readable(pool, frame))
			return errorf(fc,
				      "%s: the beginning of the pool can't be read: the memory is broken",
				      fc->source),
			       -EIO;
	pool->frames = morsel_core_frames(pool->memory, room, &why);
	if (!pool->frames)
		return errorf(fc, "%s: %s", fc->source, why), -EINVAL;
	pool->core = morsel_may_fail(
		POOL_CORE, kvzalloc(morsel_core_bytes(pool->frames, nr_cpu_ids), GFP_KERNEL));
	if (!pool->core)
		return -ENOMEM;
	morsel_core_init(pool->core, pool, pool->memory, (u64)pool->first_pfn << PAGE_SHIFT,
			 pool->frames, nr_cpu_ids);
	err = make_root(pool);
	if (err)
		return err;
	opening->may_write = !pool->norecovery && !pool->read_only_device;
	err = morsel_core_open(pool->core, opening);
	dput(pool->walked);
	pool->walked = NULL;
	if (!err)
		return describe_root(pool);
	if (opening->why)
		errorf(fc, "%s: %s", fc->source, opening->why);
	return err;
}

static void tell_opening(struct morsel_pool *pool)
{
	const struct morsel_opening *opening = &pool->opening;

	if (opening->moved)
		pr_info("morselfs: %pg: the pool was at another address, and is made for this one now\n",
			pool->bdev);
	if (opening->replayed || opening->mended)
		pr_info("morselfs: %pg: put in order after a crash: %lu changes of names, %lu leftovers\n",
			pool->bdev, opening->replayed, opening->mended);
	if (opening->pending && !opening->replayed)
		pr_warn("morselfs: %pg: %lu changes of names are under way, and stay so\n",
			pool->bdev, opening->pending);
	if (opening->damaged)
		pr_err("morselfs: %pg: DAMAGED in %lu places, read-only: repair it with fsck.morselfs\n",
		       pool->bdev, opening->damaged);
	pr_info("morselfs: %pg: pool %pU, %lu MiB, %lu MiB free%s\n", pool->bdev, opening->uuid,
		pool->frames >> (20 - PAGE_SHIFT),
		morsel_core_free_frames(pool->core) >> (20 - PAGE_SHIFT),
		opening->was_clean ? "" : ", was not unmounted");
}

int morsel_pool_fill_super(struct super_block *sb, struct fs_context *fc, bool norecovery)
{
	struct morsel_pool *pool;
	bool fixed;
	int err;

	if (norecovery && !(fc->sb_flags & SB_RDONLY))
		return errorf(fc, "norecovery needs ro: nothing may be written then"), -EINVAL;
	if (!morsel_tree_is_as_on_media())
		return errorf(fc,
			      "this machine's page-table entries are not those of pools (memory encryption?)"),
		       -EOPNOTSUPP;
	pool = morsel_may_fail(POOL, kzalloc(sizeof(*pool), GFP_KERNEL));
	if (!pool)
		return -ENOMEM;
	pool->sb = sb;
	pool->norecovery = norecovery;
	pool->fixed = true; /* nothing is written, but by the recovery */
	spin_lock_init(&pool->dirty_lock);
	INIT_LIST_HEAD(&pool->dirty);
	morsel_pool_frames_init(pool);
	MORSEL_SB(sb)->pool = pool; /* from here on morsel_pool_free() frees it */
	err = morsel_pool_open_device(fc, pool);
	if (!err)
		err = read_pool(pool, fc);
	if (err)
		return err;
	tell_opening(pool);
	sb->s_uuid = *(uuid_t *)pool->opening.uuid;
	fixed = !pool->opening.may_write || pool->opening.damaged;
	if (fixed && !(fc->sb_flags & SB_RDONLY)) {
		pr_warn("morselfs: %pg: mounted read-only\n", pool->bdev);
		sb->s_flags |= SB_RDONLY;
	}
	pool->fixed = fixed;
	if (!fixed)
		morsel_core_set_clean(pool->core, sb_rdonly(sb));
	return 0;
}

int morsel_pool_reconfigure(struct super_block *sb, struct fs_context *fc)
{
	struct morsel_pool *pool = MORSEL_SB(sb)->pool;
	bool read_only = fc->sb_flags & SB_RDONLY;

	if (read_only == sb_rdonly(sb))
		return 0;
	if (READ_ONCE(pool->shut_down))
		return errorf(fc, "the pool is shut down: unmount it"), -EIO;
	if (!read_only && pool->fixed)
		return errorf(fc,
			      "the pool must stay read-only: it is damaged, or was mounted with norecovery, or the device is read-only"),
		       -EROFS;
	if (read_only)
		morsel_pool_sync(sb, true);
	if (!pool->fixed)
		morsel_core_set_clean(pool->core, read_only);
	return 0;
}

int morsel_pool_freeze(struct super_block *sb)
{
	struct morsel_pool *pool = MORSEL_SB(sb)->pool;

	if (morsel_pool_is_read_only(pool))
		return READ_ONCE(pool->shut_down) ? -EIO : 0;
	morsel_pool_sync(sb, true);
	morsel_core_set_clean(pool->core, true);
	return 0;
}

int morsel_pool_unfreeze(struct super_block *sb)
{
	struct morsel_pool *pool = MORSEL_SB(sb)->pool;

	if (!morsel_pool_is_read_only(pool))
		morsel_core_set_clean(pool->core, false);
	return 0;
}

void morsel_pool_put_super(struct super_block *sb)
{
	struct morsel_pool *pool = MORSEL_SB(sb)->pool;

	if (!pool || !pool->core)
		return; /* the mount came to nothing */
	morsel_pool_drain_parked(pool);
	if (!pool->fixed && !pool->shut_down)
		morsel_core_set_clean(pool->core, true);
}

void morsel_pool_free(struct morsel_pool *pool)
{
	if (!pool)
		return;
	cancel_delayed_work_sync(&pool->unpark);
	morsel_pool_close_device(pool);
	kvfree(pool->core);
	kfree(pool);
}

void morsel_pool_statfs(struct morsel_pool *pool, struct kstatfs *buf)
{
	/* Tables that wait for a grace period are free as soon as anybody looks. */
	morsel_pool_unpark(pool);
	buf->f_blocks = pool->frames;
	buf->f_bfree = morsel_core_free_frames(pool->core);
	buf->f_bavail = buf->f_bfree;
	/* Every frame can be an inode. */
	buf->f_files = pool->frames;
	buf->f_ffree = buf->f_bfree;
	buf->f_fsid = uuid_to_fsid(pool->opening.uuid);
}

static void unmap_files(struct super_block *sb)
{
	struct inode *inode, *done = NULL;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		if (!morsel_is_open(inode) || !igrab(inode))
			continue;
		spin_unlock(&sb->s_inode_list_lock);
		iput(done); /* not under the lock */
		done = inode; /* holds our place in the list */
		morsel_pool_unmap(inode);
		spin_lock(&sb->s_inode_list_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(done);
}

void morsel_pool_shut_down(struct morsel_pool *pool, const char *why)
{
	if (!xchg(&pool->shut_down, true))
		pr_err("morselfs: %pg: shut down: %s\n", pool->bdev, why);
	unmap_files(pool->sb);
}
