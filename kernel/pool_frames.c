// SPDX-License-Identifier: GPL-2.0
/*
 * Frames of a pool. Their struct pages are never freed, and have one reference at rest; whoever
 * pins or reads a page adds some. A frame goes to the next one who wants it when its count is back
 * at that. Until then it is parked:
 *
 *   data that was removed and is pinned (O_DIRECT, RDMA) until the pins are gone
 *   tables, for an RCU grace period: read(2) walks trees without a lock
 *
 * What the struct page of a frame is used for: mapping and index of data (frame.h); index as the
 * link of parked frames; private as a table's lock, and as the link of frames that are being
 * removed (object.c). The words of the list head are those of ZONE_DEVICE, and not ours.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "frame.h"
#include "inject.h"
#include "pool.h"

/* How long after that parked frames are looked at again. */
#define UNPARK_DELAY (HZ / 10)

static bool is_at_rest(struct page *page)
{
	return page_count(page) == 1;
}

static void park(struct morsel_pool *pool, struct page *page)
{
	spin_lock(&pool->park_lock);
	page->index = (unsigned long)pool->parked;
	pool->parked = page;
	spin_unlock(&pool->park_lock);
	atomic_long_inc(&pool->parked_count);
	schedule_delayed_work(&pool->unpark, UNPARK_DELAY);
}

static void give_back(struct morsel_pool *pool, unsigned long frame)
{
	WARN_ON_ONCE(!morsel_core_put_frame(pool->core, frame));
}

static void unpark(struct work_struct *work)
{
	struct morsel_pool *pool = container_of(work, struct morsel_pool, unpark.work);
	struct page *page, *next;

	spin_lock(&pool->park_lock);
	page = pool->parked;
	pool->parked = NULL;
	spin_unlock(&pool->park_lock);
	if (!page)
		return;
	synchronize_rcu(); /* some are tables */
	for (; page; page = next) {
		next = (struct page *)page->index;
		page->index = 0;
		if (is_at_rest(page))
			give_back(pool, morsel_pool_frame(pool, page));
		else
			park(pool, page);
		atomic_long_dec(&pool->parked_count); /* 0: all that were parked are free */
		cond_resched();
	}
}

void morsel_pool_frames_init(struct morsel_pool *pool)
{
	spin_lock_init(&pool->park_lock);
	INIT_DELAYED_WORK(&pool->unpark, unpark);
}

void morsel_pool_unpark(struct morsel_pool *pool)
{
	if (!atomic_long_read(&pool->parked_count))
		return;
	mod_delayed_work(system_wq, &pool->unpark, 0);
	flush_delayed_work(&pool->unpark);
}

/*
 * A device that has pinned a page may write to it yet; the next mount would give it to somebody
 * else. So an unmount waits.
 */
void morsel_pool_drain_parked(struct morsel_pool *pool)
{
	unsigned int turns = 0;

	while (morsel_pool_unpark(pool), atomic_long_read(&pool->parked_count)) {
		if (turns++ == 50)
			pr_warn("morselfs: %pg: unmounting waits for %ld pages that somebody has pinned\n",
				pool->bdev, atomic_long_read(&pool->parked_count));
		schedule_timeout_uninterruptible(HZ / 20);
	}
	cancel_delayed_work_sync(&pool->unpark);
}

/* As a frame is when nobody uses it, whatever file systems had the device before. */
static void reset(struct page *page)
{
	page->mapping = NULL;
	page->index = 0;
	set_page_private(page, 0);
	/* Mostly there is nothing to clear; a mount does this to every frame in use. */
	if (page->flags & (BIT(PG_dirty) | BIT(PG_referenced) | BIT(PG_active))) {
		folio_clear_dirty(page_folio(page));
		folio_clear_referenced(page_folio(page));
		folio_clear_active(page_folio(page));
	}
}

void morsel_pool_claimed(struct morsel_pool *pool, unsigned long frame)
{
	reset(morsel_pool_page(pool, frame));
}

static unsigned long get_one(struct morsel_pool *pool)
{
	for (;;) {
		unsigned long frame = morsel_core_get_frame(pool->core, raw_smp_processor_id());
		struct page *page = morsel_pool_page(pool, frame);

		if (!frame)
			return 0;
		/* What is broken is nobody's until the next mount. */
		if (PageHWPoison(page) || !morsel_pool_is_readable(pool, frame))
			continue;
		reset(page);
		if (is_at_rest(page))
			return frame;
		park(pool, page);
	}
}

unsigned long morsel_pool_get_frame(struct morsel_pool *pool)
{
	unsigned long frame;

	if (morsel_inject(POOL_FRAME) || morsel_pool_is_read_only(pool))
		return 0;
	frame = get_one(pool);
	if (!frame && atomic_long_read(&pool->parked_count)) {
		morsel_pool_unpark(pool);
		frame = get_one(pool);
	}
	return frame;
}

/* Nobody but the kernel has ever seen it. */
void morsel_pool_put_frame(struct morsel_pool *pool, unsigned long frame)
{
	give_back(pool, frame);
}

struct page *morsel_pool_get_zeroed(struct morsel_pool *pool)
{
	unsigned long frame = morsel_pool_get_frame(pool);
	struct page *page;

	if (!frame)
		return NULL;
	page = morsel_pool_page(pool, frame);
	morsel_media_zero(page_address(page), PAGE_SIZE);
	return page;
}

void morsel_pool_put_page(struct morsel_pool *pool, struct page *page)
{
	if (is_at_rest(page))
		give_back(pool, morsel_pool_frame(pool, page));
	else
		park(pool, page);
}

/* For core's trees. */

void *morsel_pool_allocate_table(struct morsel_tree *tree, enum morsel_level level)
{
	struct morsel_inode *mi = container_of(tree, struct morsel_inode, tree);
	struct page *page;

	if (morsel_too_many_tables(mi))
		return NULL;
	page = morsel_may_fail(TABLE, morsel_pool_get_zeroed(morsel_pool_of(&mi->vfs_inode)));
	if (!page)
		return NULL;
	/* Its lock is the word `private`, and 0 is an open one. */
	morsel_count(&mi->vfs_inode, table_pages, 1);
	return page_address(page);
}

void morsel_pool_free_table(struct morsel_tree *tree, void *table, enum morsel_level level)
{
	struct morsel_inode *mi = container_of(tree, struct morsel_inode, tree);

	morsel_count(&mi->vfs_inode, table_pages, -1);
	park(morsel_pool_of(&mi->vfs_inode), virt_to_page(table));
}
