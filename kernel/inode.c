// SPDX-License-Identifier: GPL-2.0
/*
 * Inodes: life, attributes, and their number per mount.
 *
 * Nothing is ever in an inode's page cache: the object's tables are the only map
 * of its pages.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "inject.h"
#include "pool.h"
#include "scatter.h"
#include "vfs.h"

/* Bytes of attributes and link that come with an inode. */
#define MORSEL_INODE_ROOM 1024

static struct kmem_cache *morsel_inode_cache;

/* 64 bits that never come round: unlike get_next_ino(), no number returns. A CPU takes many at once. */
#define INO_BATCH 1024
static atomic64_t morsel_last_ino;
static DEFINE_PER_CPU(u64, cpu_last_ino);

static u64 next_ino(void)
{
	u64 *last = get_cpu_ptr(&cpu_last_ino);
	u64 ino = *last;

	if (!(ino % INO_BATCH))
		ino = atomic64_fetch_add(INO_BATCH, &morsel_last_ino);
	*last = ++ino;
	put_cpu_ptr(&cpu_last_ino);
	return ino;
}

static void morsel_construct_inode(void *object)
{
	struct morsel_inode *mi = object;

	inode_init_once(&mi->vfs_inode);
}

int morsel_inode_cache_init(void)
{
	morsel_inode_cache = morsel_may_fail(
		LOAD_INODES, kmem_cache_create("morselfs_inode", sizeof(struct morsel_inode), 0,
					       SLAB_ACCOUNT, morsel_construct_inode));
	return morsel_inode_cache ? 0 : -ENOMEM;
}

void morsel_inode_cache_exit(void)
{
	/* Inodes are freed after an RCU grace period. */
	rcu_barrier();
	kmem_cache_destroy(morsel_inode_cache);
}

struct inode *morsel_alloc_inode(struct super_block *sb)
{
	struct morsel_inode *mi;

	mi = morsel_may_fail(INODE, alloc_inode_sb(sb, morsel_inode_cache, GFP_KERNEL));
	if (!mi)
		return NULL;
	morsel_object_init(mi);
	morsel_small_init(mi, !MORSEL_SB(sb)->pool);
	spin_lock_init(&mi->xattr_lock);
	INIT_LIST_HEAD(&mi->xattrs);
	mi->flags = 0;
	mi->sealed = false;
	mi->extra_inodes = 0;
	mi->link = NULL;
	mi->medium = NULL;
	return &mi->vfs_inode;
}

/* After a grace period: a path walk may still have been reading the link. */
void morsel_free_inode(struct inode *inode)
{
	struct morsel_inode *mi = MORSEL_I(inode);

	kfree(mi->link);
	kfree(mi->medium);
	kmem_cache_free(morsel_inode_cache, mi);
}

static int charge_inodes(struct super_block *sb, unsigned int count)
{
	struct morsel_sb *msb = MORSEL_SB(sb);

	return morsel_charge(msb, &msb->used_inodes, &msb->max_inodes, count) ? 0 : -ENOSPC;
}

static void uncharge_inodes(struct super_block *sb, unsigned int count)
{
	morsel_uncharge(&MORSEL_SB(sb)->used_inodes, count);
}

int morsel_charge_inode(struct super_block *sb)
{
	return charge_inodes(sb, 1);
}

void morsel_uncharge_inode(struct super_block *sb)
{
	uncharge_inodes(sb, 1);
}

int morsel_charge_room(struct inode *inode, size_t bytes)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	unsigned int wanted = bytes / MORSEL_INODE_ROOM;
	int err = 0;

	if (wanted > mi->extra_inodes)
		err = charge_inodes(inode->i_sb, wanted - mi->extra_inodes);
	else if (wanted < mi->extra_inodes)
		uncharge_inodes(inode->i_sb, mi->extra_inodes - wanted);
	if (!err)
		mi->extra_inodes = wanted;
	return err;
}

void morsel_evict_inode(struct inode *inode)
{
	bool in_pool = MORSEL_SB(inode->i_sb)->pool;

	if (S_ISREG(inode->i_mode) && !in_pool)
		morsel_promote_forget(inode);
	morsel_scatters_forget(inode, 0, ULONG_MAX);
	truncate_inode_pages_final(&inode->i_data);
	if (in_pool)
		morsel_pool_evict(inode);
	else if (S_ISREG(inode->i_mode))
		morsel_object_free(inode);
	morsel_xattrs_free(MORSEL_I(inode));
	uncharge_inodes(inode->i_sb, 1 + MORSEL_I(inode)->extra_inodes);
	clear_inode(inode);
}

static const struct inode_operations morsel_special_inode_operations;

void morsel_set_operations(struct inode *inode, dev_t dev)
{
	bool in_pool = MORSEL_SB(inode->i_sb)->pool;

	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &morsel_file_inode_operations;
		inode->i_fop = in_pool ? &morsel_pool_file_operations : &morsel_file_operations;
		inode->i_mapping->a_ops = in_pool ? &morsel_pool_aops : &morsel_aops;
		mapping_set_release_always(inode->i_mapping); /* see morsel_release_folio() */
		break;
	case S_IFDIR:
		/* "." is a link, too. Programs take directories of size 0 for broken. */
		inc_nlink(inode);
		inode->i_size = PAGE_SIZE;
		inode->i_op = &morsel_dir_inode_operations;
		inode->i_fop = in_pool ? &morsel_pool_dir_operations : &simple_dir_operations;
		break;
	case S_IFLNK:
		inode->i_op = &morsel_symlink_inode_operations;
		break;
	default:
		inode->i_op = &morsel_special_inode_operations;
		init_special_inode(inode, inode->i_mode, dev);
	}
}

/*
 * Nothing is written back. An inode that gets dirty, as by its first change of times, takes the lock
 * of a list that all such mounts of the machine share, to be put there if it were hashed
 * (__mark_inode_dirty). One that is dirty already does not, as alloc_anon_inode() has it.
 */
static void stay_dirty(struct inode *inode)
{
	spin_lock(&inode->i_lock); /* a walk through the mount's inodes may change the state, too */
	inode->i_state |= I_DIRTY;
	spin_unlock(&inode->i_lock);
}

struct inode *morsel_new_inode(struct super_block *sb, struct inode *dir, umode_t mode, dev_t dev)
{
	struct inode *inode;
	int err;

	if (MORSEL_SB(sb)->pool && READ_ONCE(MORSEL_SB(sb)->pool->shut_down))
		return ERR_PTR(-EIO);
	err = morsel_charge_inode(sb);
	if (err)
		return ERR_PTR(err);
	inode = new_inode(sb);
	if (!inode) {
		morsel_uncharge_inode(sb);
		return ERR_PTR(-ENOMEM);
	}
	inode->i_ino = next_ino();
	inode_init_owner(&morsel_nop_idmap, inode, dir, mode);
	MORSEL_I(inode)->btime = morsel_init_times(inode);
	morsel_inherit_flags(inode, dir);
	morsel_set_operations(inode, dev);
	inode_has_no_xattr(inode); /* the first write need not look for privileges, alone: file.c */
	if (!MORSEL_SB(sb)->pool)
		stay_dirty(inode);
	return inode;
}

int morsel_getattr(struct morsel_idmap *idmap, const struct path *path, struct kstat *stat,
		   u32 request_mask, unsigned int query_flags)
{
	struct inode *inode = d_inode(path->dentry);

	morsel_fillattr(idmap, request_mask, inode, stat);
	morsel_fill_flags(inode, stat);
	if (request_mask & STATX_BTIME) {
		stat->result_mask |= STATX_BTIME;
		stat->btime = MORSEL_I(inode)->btime;
	}
	stat->blocks = atomic_long_read(&MORSEL_I(inode)->frames) * (PAGE_SIZE / 512);
	/* Who writes in blocks of this size fills large leaves at once. */
	if (S_ISREG(inode->i_mode) && morsel_huge_policy(inode) != MORSEL_HUGE_NEVER)
		stat->blksize = MORSEL_HUGE_PAGES << PAGE_SHIFT;
	return 0;
}

int morsel_setattr(struct morsel_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err;

	if (morsel_pool_is_shut_down(inode))
		return -EIO;
	/* ftruncate(2) of a file that was open by then; the VFS refuses the rest. */
	if (IS_IMMUTABLE(inode) ||
	    ((IS_APPEND(inode) || morsel_is_sealed(inode)) && (attr->ia_valid & ATTR_SIZE)))
		return -EPERM;
	err = setattr_prepare(idmap, dentry, attr);
	if (err)
		return err;
	if (S_ISREG(inode->i_mode) && (attr->ia_valid & ATTR_SIZE) &&
	    attr->ia_size != i_size_read(inode)) {
		err = morsel_object_truncate(inode, attr->ia_size);
		if (err)
			return err;
		morsel_touch_mtime(inode);
	}
	setattr_copy(idmap, inode, attr);
	morsel_save(inode);
	return 0;
}

const struct inode_operations morsel_file_inode_operations = {
	.getattr = morsel_getattr,
	.setattr = morsel_setattr,
	.listxattr = morsel_listxattr,
	.fileattr_get = morsel_fileattr_get,
	.fileattr_set = morsel_fileattr_set,
};

/* Devices, FIFOs, sockets */
static const struct inode_operations morsel_special_inode_operations = {
	.getattr = morsel_getattr,
	.setattr = morsel_setattr,
	.listxattr = morsel_listxattr,
};
