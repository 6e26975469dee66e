// SPDX-License-Identifier: GPL-2.0
/*
 * Inodes of a pool: their frames, and what of them is saved when. An inode's number is its frame's.
 *
 * An operation changes the inode in memory, and saves it before it returns; so what is on the
 * medium is what some operation has left. The size moves in memory only when what it covers is
 * durable (growing) and before anything goes (shrinking), so whoever saves saves a size that holds.
 */
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "inject.h"
#include "pool.h"

static struct morsel_medium *new_medium(struct inode *inode)
{
	struct morsel_medium *medium;

	medium = morsel_may_fail(POOL_INODE, kzalloc(sizeof(*medium), GFP_KERNEL_ACCOUNT));
	if (!medium)
		return NULL;
	medium->inode = inode;
	mutex_init(&medium->lock);
	INIT_LIST_HEAD(&medium->dirty);
	return medium;
}

static struct morsel_time from_time(struct timespec64 time)
{
	return (struct morsel_time){ time.tv_sec, time.tv_nsec };
}

static struct timespec64 to_time(struct morsel_time time)
{
	return (struct timespec64){ time.seconds, time.nanoseconds };
}

static unsigned long size_of(const struct inode *inode)
{
	return S_ISREG(inode->i_mode) || S_ISLNK(inode->i_mode) ? i_size_read(inode) : 0;
}

static void describe(struct inode *inode, struct morsel_attributes *attributes)
{
	struct timespec64 access, modification, change;

	morsel_get_times(inode, &access, &modification, &change);
	attributes->size = size_of(inode);
	attributes->mode = inode->i_mode & 07777;
	attributes->uid = from_kuid(&init_user_ns, inode->i_uid);
	attributes->gid = from_kgid(&init_user_ns, inode->i_gid);
	attributes->flags = MORSEL_I(inode)->flags;
	attributes->sealed = READ_ONCE(MORSEL_I(inode)->sealed);
	attributes->access = from_time(access);
	attributes->modification = from_time(modification);
	attributes->change = from_time(change);
}

static void have_medium(struct inode *inode, struct morsel_medium *medium, unsigned long frame)
{
	struct morsel_inode *mi = MORSEL_I(inode);

	inode->i_ino = frame;
	medium->names.inode = frame;
	if (S_ISREG(inode->i_mode)) {
		mi->tree.root = morsel_core_roots(morsel_pool_of(inode)->core, frame);
		mi->tree.in_pool = true;
	}
	mi->medium = medium;
}

int morsel_pool_new_inode(struct inode *inode, const char *link)
{
	struct morsel_medium *medium = new_medium(inode);
	struct morsel_birth birth = {
		.type = inode->i_mode & S_IFMT,
		.rdev_major = MAJOR(inode->i_rdev),
		.rdev_minor = MINOR(inode->i_rdev),
		.time = from_time(MORSEL_I(inode)->btime),
	};
	unsigned long frame;
	int err;

	if (!medium)
		return -ENOMEM;
	describe(inode, &medium->saved);
	err = morsel_core_make_inode(morsel_pool_of(inode)->core, &birth, &medium->saved, link,
				     &frame);
	if (err) {
		kfree(medium);
		return err;
	}
	have_medium(inode, medium, frame);
	return 0;
}

void morsel_pool_set_attributes(struct inode *inode, const struct morsel_found *found)
{
	const struct morsel_attributes *saved = &found->attributes;

	MORSEL_I(inode)->medium->saved = *saved;
	i_uid_write(inode, saved->uid);
	i_gid_write(inode, saved->gid);
	morsel_set_times(inode, to_time(saved->access), to_time(saved->modification),
			 to_time(saved->change));
	MORSEL_I(inode)->btime = to_time(found->birth.time);
	MORSEL_I(inode)->sealed = saved->sealed;
	if (S_ISREG(inode->i_mode))
		i_size_write(inode, saved->size);
}

int morsel_pool_read_inode(struct inode *inode, const struct morsel_found *found)
{
	struct morsel_medium *medium = new_medium(inode);

	if (!medium)
		return -ENOMEM;
	medium->damaged = !found->sound;
	have_medium(inode, medium, found->frame);
	morsel_pool_set_attributes(inode, found);
	if (!S_ISREG(inode->i_mode) || medium->damaged)
		return 0;
	morsel_count(inode, table_pages, found->tables);
	morsel_count(inode, leaves_4k, found->leaves);
	atomic_long_set(&MORSEL_I(inode)->frames, found->leaves);
	percpu_counter_add(&MORSEL_SB(inode->i_sb)->used_blocks, found->leaves);
	return 0;
}

bool morsel_pool_is_read_only(struct morsel_pool *pool)
{
	return pool->fixed || sb_rdonly(pool->sb) || READ_ONCE(pool->shut_down);
}

static bool may_write(struct inode *inode)
{
	return !morsel_pool_is_read_only(morsel_pool_of(inode)) &&
	       !MORSEL_I(inode)->medium->damaged;
}

void morsel_pool_save(struct inode *inode)
{
	struct morsel_medium *medium = MORSEL_I(inode)->medium;
	struct morsel_attributes next;

	morsel_media_fence();
	if (!may_write(inode))
		return;
	mutex_lock(&medium->lock);
	next = medium->saved; /* with sequence and checksum */
	describe(inode, &next);
	if (memcmp(&next, &medium->saved, sizeof(next))) {
		morsel_core_write_attributes(morsel_pool_of(inode)->core, inode->i_ino, &next);
		medium->saved = next;
	}
	mutex_unlock(&medium->lock);
}

void morsel_pool_mark_dirty(struct inode *inode)
{
	struct morsel_medium *medium = MORSEL_I(inode)->medium;
	struct morsel_pool *pool = morsel_pool_of(inode);

	if (!medium || !list_empty_careful(&medium->dirty))
		return;
	spin_lock(&pool->dirty_lock);
	if (list_empty(&medium->dirty))
		list_add_tail(&medium->dirty, &pool->dirty);
	spin_unlock(&pool->dirty_lock);
}

static void mark_clean(struct inode *inode)
{
	struct morsel_pool *pool = morsel_pool_of(inode);

	spin_lock(&pool->dirty_lock);
	list_del_init(&MORSEL_I(inode)->medium->dirty);
	spin_unlock(&pool->dirty_lock);
}

int morsel_pool_sync(struct super_block *sb, int wait)
{
	struct morsel_pool *pool = MORSEL_SB(sb)->pool;
	LIST_HEAD(some);

	spin_lock(&pool->dirty_lock);
	list_splice_init(&pool->dirty, &some);
	while (!list_empty(&some)) {
		struct morsel_medium *medium = list_first_entry(&some, struct morsel_medium, dirty);
		struct inode *inode = igrab(medium->inode);

		list_del_init(&medium->dirty);
		if (!inode) /* eviction saves it */
			continue;
		spin_unlock(&pool->dirty_lock);
		morsel_pool_persist(inode, 0, DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE));
		morsel_pool_flush_stores(inode);
		morsel_pool_save(inode);
		iput(inode);
		cond_resched();
		spin_lock(&pool->dirty_lock);
	}
	spin_unlock(&pool->dirty_lock);
	return READ_ONCE(pool->shut_down) ? -EIO : 0;
}

void morsel_pool_evict(struct inode *inode)
{
	struct morsel_medium *medium = MORSEL_I(inode)->medium;
	bool file = S_ISREG(inode->i_mode);

	if (!medium)
		return;
	mark_clean(inode);
	if (inode->i_nlink || !may_write(inode)) {
		if (file && !medium->damaged) {
			morsel_pool_flush_stores(inode);
			morsel_pool_leave_frames(inode);
		}
		morsel_pool_save(inode);
		return;
	}
	/* Nothing on the medium leads to it. */
	if (file)
		morsel_object_free(inode);
	morsel_core_free_inode(morsel_pool_of(inode)->core, inode->i_ino);
}
