// SPDX-License-Identifier: GPL-2.0
/*
 * An object: frames in a tree, charged to a mount. What is small and has not been mapped so far
 * does without a tree: small.c.
 *
 * Who excludes whom: filling a hole holds the invalidate lock (invalidate.c) shared,
 * whatever removes, splits or merges leaves holds it exclusively. So no leaf can
 * reappear in one twin while it is being taken out of the other. Reading,
 * mapping and touching what is present take no lock.
 *
 * Removal, in this order: leaves out of both twins; then every mapping un-grafted
 * and every TLB flushed (unmap_mapping_pages() raises the mmu notifiers); only
 * then are frames given back.
 */
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "frame.h"
#include "inject.h"
#include "invalidate.h"
#include "mm_compat.h"
#include "morselfs.h"
#include "move.h"
#include "opened.h"
#include "pool.h"
#include "scatter.h"
#include "trace.h"

/* Above any page number that a file can have: s_maxbytes is 2^47. */
#define LAST_INDEX (1UL << 36)
/* Pages that a fault fills at most: 128 KiB. */
#define AHEAD_PAGES 32U
/* Work done between two chances for the scheduler. */
#define CHUNK_PAGES (1UL << 18)

void morsel_object_init(struct morsel_inode *mi)
{
	memset(&mi->tree, 0, sizeof(mi->tree));
	mi->tree.root = mi->tree.own;
	atomic_long_set(&mi->frames, 0);
	atomic_long_set(&mi->leaves_4k, 0);
	atomic_long_set(&mi->leaves_2m, 0);
	atomic_long_set(&mi->table_pages, 0);
	mi->excluded = false;
	init_rwsem(&mi->opened_lock);
	INIT_LIST_HEAD(&mi->opened);
	mi->denies_writable = false;
	mi->moves = 0;
	INIT_LIST_HEAD(&mi->retired);
	mi->retired_pages = 0;
	mi->reclaims = false;
	timerqueue_init(&mi->promote_node);
	mi->promote_known = false;
	mi->promote_queued = false;
	mi->promote_next = 0;
	mi->promote_tries = 0;
	mi->promote_again = false;
	mi->prune_later = false;
	atomic_long_set(&mi->promoted, 0);
	atomic_long_set(&mi->demoted, 0);
	atomic_long_set(&mi->promote_failed, 0);
	atomic_long_set(&mi->waste_pages, 0);
	atomic_long_set(&mi->dma_bufs, 0);
	mi->huge = MORSELFS_HUGE_MOUNT;
	mi->advised = false;
	mutex_init(&mi->scatters_lock);
	INIT_LIST_HEAD(&mi->scatters);
	mi->scatters_kept = 0;
}

static bool charge(struct inode *inode, long pages)
{
	struct morsel_sb *sb = MORSEL_SB(inode->i_sb);

	if (!morsel_charge(sb, &sb->used_blocks, &sb->max_blocks, pages))
		return false;
	atomic_long_add(pages, &MORSEL_I(inode)->frames);
	return true;
}

static void uncharge(struct inode *inode, long pages)
{
	morsel_uncharge(&MORSEL_SB(inode->i_sb)->used_blocks, pages);
	atomic_long_sub(pages, &MORSEL_I(inode)->frames);
}

static void count_leaves(struct inode *inode, unsigned int order, long change)
{
	if (order)
		morsel_count(inode, leaves_2m, change);
	else
		morsel_count(inode, leaves_4k, change);
}

static bool lookup(struct inode *inode, pgoff_t index, struct morsel_leaf *leaf)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct page *frame;

	if (morsel_small_lookup(mi, index, &frame)) {
		if (frame)
			*leaf = (struct morsel_leaf){ .pfn = page_to_pfn(frame) };
		return frame;
	}
	/* The read-only twin is filled last: what is in it is in both. */
	return morsel_tree_lookup(&mi->tree, MORSEL_RO, index, leaf);
}

/* Pages that the object can hold as it is now. */
static pgoff_t capacity(struct morsel_inode *mi)
{
	return morsel_is_small(mi) ? MORSEL_HUGE_PAGES : morsel_tree_capacity(&mi->tree);
}

/*
 * Speculative, like the page cache: the frame may be freed and belong to
 * somebody else by the time we have a reference, so look again.
 */
struct page *morsel_object_get_nowait(struct inode *inode, pgoff_t index)
{
	struct morsel_leaf leaf, again;
	struct page *page = NULL;

	rcu_read_lock();
	while (lookup(inode, index, &leaf)) {
		struct folio *folio = page_folio(pfn_to_page(leaf.pfn));

		if (!folio_try_get(folio))
			continue;
		/* The large frame that it was part of may have been broken up, too. */
		if (page_folio(pfn_to_page(leaf.pfn)) == folio && lookup(inode, index, &again) &&
		    again.pfn == leaf.pfn) {
			page = pfn_to_page(leaf.pfn);
			break;
		}
		folio_put(folio);
	}
	rcu_read_unlock();
	return page;
}

struct page *morsel_object_get(struct inode *inode, pgoff_t index)
{
	struct morsel_inode *mi = MORSEL_I(inode);

	for (;;) {
		unsigned int moves = smp_load_acquire(&mi->moves);
		struct page *page = morsel_object_get_nowait(inode, index);

		if (page)
			return page;
		smp_rmb(); /* the leaf was looked for before that */
		if (!(moves & 1) && READ_ONCE(mi->moves) == moves)
			return NULL;
		/* It may have been on its way elsewhere: see move.c. */
		morsel_invalidate_wait(inode);
	}
}

bool morsel_object_look(struct inode *inode, pgoff_t index, bool *is_bad)
{
	struct morsel_leaf leaf;
	bool found;

	rcu_read_lock();
	found = lookup(inode, index, &leaf);
	rcu_read_unlock();
	*is_bad = found && morsel_object_is_bad(inode, pfn_to_page(leaf.pfn));
	return found;
}

#define GFP_FRAME (GFP_KERNEL_ACCOUNT | __GFP_ZERO)
/*
 * What can be done without, pages that nobody has asked for and large frames: nobody waits, or is
 * killed, for want of it. The kernel is told that it is wanted, and makes room in its own time.
 */
#define GFP_OPTIONAL ((GFP_FRAME & ~__GFP_DIRECT_RECLAIM) | __GFP_NOWARN | __GFP_NOMEMALLOC)

unsigned int morsel_object_run(struct inode *inode, pgoff_t index, unsigned int most,
			       struct page **first)
{
	struct morsel_pool *pool = morsel_pool_of(inode);
	unsigned long ptes[MORSEL_RUN_PAGES], pfn;
	unsigned int count;

	most = min(most, MORSEL_RUN_PAGES);
	rcu_read_lock();
	morsel_tree_run(&MORSEL_I(inode)->tree, MORSEL_RO, index, most, ptes);
	rcu_read_unlock();
	pfn = pte_pfn(__pte(ptes[0]));
	*first = pfn_to_page(pfn);
	for (count = 0; count < most; count++)
		if (!ptes[count] || pte_pfn(__pte(ptes[count])) != pfn + count ||
		    PageHWPoison(*first + count))
			break;
	return count && morsel_pool_are_readable(pool, pfn - pool->first_pfn, count) ? count : 0;
}

/* Of the leaves from `index` on, all of one slot, those that lie in a row. */
static unsigned int row_of_small(struct inode *inode, pgoff_t index, unsigned int most,
				 unsigned long *pfn)
{
	unsigned long ptes[MORSEL_RUN_PAGES];
	unsigned int count;

	rcu_read_lock();
	morsel_tree_run(&MORSEL_I(inode)->tree, MORSEL_RO, index, most, ptes);
	rcu_read_unlock();
	*pfn = pte_pfn(__pte(ptes[0]));
	for (count = 0; count < most; count++)
		if (!ptes[count] || pte_pfn(__pte(ptes[count])) != *pfn + count ||
		    morsel_object_is_bad(inode, pfn_to_page(*pfn + count)))
			break;
	return count;
}

unsigned long morsel_object_row(struct inode *inode, pgoff_t index, unsigned long most,
				unsigned long *pfn)
{
	unsigned long left = MORSEL_HUGE_PAGES - index % MORSEL_HUGE_PAGES;
	struct morsel_leaf leaf;
	bool found;

	rcu_read_lock();
	found = lookup(inode, index, &leaf);
	rcu_read_unlock();
	if (!found)
		return 0;
	*pfn = leaf.pfn;
	if (leaf.order)
		return min(most, left);
	if (morsel_is_small(MORSEL_I(inode)))
		return !morsel_object_is_bad(inode, pfn_to_page(leaf.pfn));
	return row_of_small(inode, index, min3(most, left, (unsigned long)MORSEL_RUN_PAGES), pfn);
}

static struct page *allocate_frame(struct inode *inode, pgoff_t first, unsigned int order,
				   gfp_t gfp)
{
	struct morsel_pool *pool = morsel_pool_of(inode);
	struct folio *folio;

	if (pool)
		return morsel_pool_get_zeroed(pool);
	folio = order ? morsel_may_fail(HUGE_FRAME, morsel_mpol_alloc(inode, first, gfp, order)) :
			morsel_may_fail(FRAME, morsel_mpol_alloc(inode, first, gfp, 0));
	return folio ? &folio->page : NULL;
}

/* Wholly below the end of the file, so that no page beyond it gets mapped. */
static bool slot_is_below(pgoff_t index, loff_t size)
{
	return (loff_t)(round_down(index, MORSEL_HUGE_PAGES) + MORSEL_HUGE_PAGES) << PAGE_SHIFT <=
	       size;
}

/* The slot is empty, and may be filled at once. */
static bool slot_takes_huge(struct inode *inode, pgoff_t index, loff_t size,
			    enum morsel_touch touch)
{
	pgoff_t first = round_down(index, MORSEL_HUGE_PAGES);
	enum morsel_below below;
	unsigned long value;

	if (!morsel_huge_wanted(inode, touch) || !slot_is_below(index, size))
		return false;
	rcu_read_lock();
	below = morsel_tree_subtree(&MORSEL_I(inode)->tree, MORSEL_RW, first, MORSEL_PMD, &value);
	rcu_read_unlock();
	return below == MORSEL_NOTHING;
}

/* A small object ends before a large leaf would. Under the invalidate lock. */
static int install_leaf(struct morsel_inode *mi, pgoff_t index, struct page *frame,
			unsigned int order)
{
	if (morsel_is_small(mi))
		return morsel_small_install(mi, index, frame);
	return morsel_tree_install(&mi->tree, index, order, page_to_pfn(frame));
}

/* Installs a fresh frame; -EEXIST if somebody else was quicker, -ERANGE beyond the end. */
static int install(struct inode *inode, pgoff_t index, struct page *frame, unsigned int order,
		   loff_t size)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct inode **slot;
	int err = -ERANGE;

	morsel_frame_join(frame, inode, index);
	slot = morsel_invalidate_lock_shared(inode);
	/* Under the lock, a truncation that is through counts. A large leaf must end there, too. */
	if (index + (1UL << order) <= DIV_ROUND_UP(max(i_size_read(inode), size), PAGE_SIZE))
		err = install_leaf(mi, index, frame, order);
	morsel_invalidate_unlock_shared(inode, slot);
	if (err == -ENOMEM && morsel_too_many_tables(mi))
		err = -ENOSPC;
	if (err)
		return err;
	count_leaves(inode, order, 1);
	if (mi->medium && morsel_pool_has_zeros_mapped(inode))
		morsel_unmap_pages(inode, index, 1, false);
	return 0;
}

/* A frame that no leaf leads to (any more), with `references` of ours, and which no TLB knows. */
static void free_frame(struct inode *inode, struct folio *folio, unsigned long references)
{
	struct morsel_pool *pool = morsel_pool_of(inode);

	if (pool)
		morsel_pool_put_page(pool, &folio->page);
	else
		folio_put_refs(folio, references);
}

static struct page *fill_with(struct inode *inode, pgoff_t index, loff_t size, unsigned int order,
			      gfp_t gfp)
{
	pgoff_t first = round_down(index, 1UL << order);
	struct page *frame;
	int err;

	if (!charge(inode, 1L << order))
		return ERR_PTR(-ENOSPC);
	frame = allocate_frame(inode, first, order, gfp);
	if (!frame) {
		uncharge(inode, 1L << order);
		return ERR_PTR(morsel_pool_of(inode) ? morsel_pool_refusal(inode) : -ENOMEM);
	}
	get_page(frame); /* the caller's; the first one becomes the leaf's */
	err = install(inode, first, frame, order, size);
	if (!err) {
		trace_morselfs_fill(inode, first, order);
		if (!order && morsel_huge_policy(inode) != MORSEL_HUGE_NEVER &&
		    slot_is_below(index, max(i_size_read(inode), size)))
			morsel_promote_later(inode);
		return frame + (index - first);
	}
	morsel_frame_leave(frame);
	put_page(frame);
	free_frame(inode, page_folio(frame), 1);
	uncharge(inode, 1L << order);
	return ERR_PTR(err);
}

bool morsel_object_write_new(struct inode *inode, pgoff_t index, struct iov_iter *from, loff_t size)
{
	struct morsel_pool *pool = morsel_pool_of(inode);
	unsigned long number;
	struct page *frame;
	size_t copied;

	if (!charge(inode, 1))
		return false;
	number = morsel_pool_get_frame(pool);
	if (!number)
		goto uncharge;
	frame = morsel_pool_page(pool, number);
	copied = morsel_object_copy_in(inode, frame, 0, PAGE_SIZE, from);
	if (copied == PAGE_SIZE && !install(inode, index, frame, 0, size)) {
		trace_morselfs_fill(inode, index, 0);
		return true;
	}
	iov_iter_revert(from, copied);
	morsel_frame_leave(frame);
	morsel_pool_put_frame(pool, number);
uncharge:
	uncharge(inode, 1);
	return false;
}

struct page *morsel_object_fill(struct inode *inode, pgoff_t index, loff_t size,
				enum morsel_touch touch)
{
	struct page *page;

	for (;;) {
		page = morsel_object_get(inode, index);
		if (page)
			return page;
		if (slot_takes_huge(inode, index, max(i_size_read(inode), size), touch)) {
			page = fill_with(inode, index, size, MORSEL_HUGE_ORDER, GFP_OPTIONAL);
			if (!IS_ERR(page))
				return page;
			/* Small leaves take less room, and may fit where a table is by now. */
		}
		page = fill_with(inode, index, size, 0, GFP_FRAME);
		if (!IS_ERR(page) || PTR_ERR(page) != -EEXIST)
			return page;
	}
}

struct page *morsel_object_fill_fault(struct inode *inode, pgoff_t index, enum morsel_touch touch)
{
	bool in_pool = morsel_pool_of(inode);
	struct page *page;

	if (in_pool)
		sb_start_pagefault(inode->i_sb);
	page = morsel_object_fill(inode, index, 0, touch);
	if (in_pool)
		sb_end_pagefault(inode->i_sb);
	return page;
}

/* What a mount may still charge, roughly. */
static bool has_plenty(struct inode *inode)
{
	struct morsel_sb *sb = MORSEL_SB(inode->i_sb);
	unsigned long limit = READ_ONCE(sb->max_blocks);
	s64 slack = MORSEL_HUGE_PAGES * num_online_cpus();

	return !limit || percpu_counter_read(&sb->used_blocks) + slack < (s64)limit;
}

/* In the twin whose tables are made last: a page there needs no new table. */
static bool has_small_table(struct inode *inode, pgoff_t index)
{
	pgoff_t slot = round_down(index, MORSEL_HUGE_PAGES);
	enum morsel_below below;
	unsigned long value;

	rcu_read_lock();
	below = morsel_tree_subtree(&MORSEL_I(inode)->tree, MORSEL_RO, slot, MORSEL_PMD, &value);
	rcu_read_unlock();
	return below == MORSEL_TABLE;
}

/* True if the page is there now. */
static bool fill_optional(struct inode *inode, pgoff_t index)
{
	struct page *page;
	bool is_bad;

	if (fatal_signal_pending(current) || !has_plenty(inode) || !has_small_table(inode, index))
		return false;
	if (morsel_object_look(inode, index, &is_bad))
		return true;
	if (morsel_pool_of(inode))
		page = morsel_object_fill_fault(inode, index, MORSEL_TOUCH_PART);
	else
		page = fill_with(inode, index, 0, 0, GFP_OPTIONAL);
	if (IS_ERR(page))
		return PTR_ERR(page) == -EEXIST;
	put_page(page);
	return true;
}

void morsel_object_fill_ahead(struct morsel_opened *opened, pgoff_t index, pgoff_t end)
{
	struct inode *inode = opened->mapping.host;
	unsigned long distance = index - READ_ONCE(opened->last_touched);
	unsigned int count = 1;

	if (distance && distance <= MORSEL_HUGE_PAGES &&
	    distance == READ_ONCE(opened->touch_distance))
		count = min(2 * READ_ONCE(opened->touch_count), AHEAD_PAGES);
	WRITE_ONCE(opened->touch_distance, distance);
	WRITE_ONCE(opened->touch_count, count);
	end = min_t(pgoff_t, end, DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE));
	while (--count && index + distance < end && fill_optional(inode, index + distance))
		index += distance;
	WRITE_ONCE(opened->last_touched, index);
}

unsigned long morsel_object_room(struct super_block *sb)
{
	struct morsel_sb *msb = MORSEL_SB(sb);
	s64 used;

	if (msb->pool)
		return morsel_core_free_frames(msb->pool->core);
	used = percpu_counter_sum(&msb->used_blocks);
	return max((s64)READ_ONCE(msb->max_blocks) - used, 0LL);
}

unsigned long morsel_object_size_limit(struct super_block *sb)
{
	struct morsel_sb *msb = MORSEL_SB(sb);

	return msb->pool ? msb->pool->frames : READ_ONCE(msb->max_blocks);
}

int morsel_object_reserve(struct inode *inode, pgoff_t index_end)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	int err;

	if (!index_end || (index_end < MORSEL_HUGE_PAGES && morsel_is_small(mi)))
		return 0;
	err = morsel_small_become_tree(inode, index_end - 1);
	return err ?: morsel_tree_grow(&mi->tree, index_end - 1, morsel_level_for(index_end - 1));
}

/*
 * What a removal collects; frames are given back after the TLB flushes. Those of a pool are linked
 * by their word `private`, and have a leaf each. Of leaves that have moved elsewhere the charge is
 * kept, and counted.
 */
struct removal {
	struct inode *inode;
	bool keeps_charge;
	long pages;
	struct list_head frames;
	struct page *pool_frames;
};

/* A frame's leaf is gone. A frame that no leaf needs any more is not charged any more. */
static void account_removed(struct removal *removal, struct page *page, unsigned int order)
{
	struct page *head = compound_head(page);
	struct inode *inode = removal->inode;
	long pages = PageCompound(page) ? MORSEL_HUGE_PAGES : 1;

	count_leaves(inode, order, -1);
	if (!order && PageCompound(page)) {
		if (morsel_frame_drop_leaf(head)) {
			atomic_long_inc(&MORSEL_I(inode)->waste_pages);
			return;
		}
		atomic_long_sub(MORSEL_HUGE_PAGES - 1, &MORSEL_I(inode)->waste_pages);
	}
	if (removal->keeps_charge)
		removal->pages += pages;
	else
		uncharge(inode, pages);
}

static void enlist(struct removal *removal, struct page *head)
{
	if (morsel_pool_of(removal->inode)) {
		set_page_private(head, (unsigned long)removal->pool_frames);
		removal->pool_frames = head;
		return;
	}
	if (!page_private(head))
		list_add_tail(&head->lru, &removal->frames);
	set_page_private(head, page_private(head) + 1);
}

static void collect(void *context, unsigned long pfn, unsigned int order)
{
	struct removal *removal = context;

	account_removed(removal, pfn_to_page(pfn), order);
	enlist(removal, compound_head(pfn_to_page(pfn)));
}

/*
 * A large folio with a poisoned page must not go back to the allocator, which looks
 * at single pages only. The kernel marks the page, but not a folio that is on no LRU.
 */
static bool poisoned(struct folio *folio)
{
	long i;

	for (i = 0; folio_test_large(folio) && i < folio_nr_pages(folio); i++)
		if (PageHWPoison(folio_page(folio, i)))
			return true;
	return false;
}

/*
 * Ordinary mappings (private ones, executable ones) lock the page, check that it
 * still belongs to the object, and map it under that lock. So after our lock no
 * new mapping of it can appear, and one that slipped in is seen here. Under the same lock
 * the frame leaves the object: whoever looks at its mapping (to split it, to call it
 * dirty) holds it, and reckons with a mapping that stays.
 */
static void release_frame(struct inode *inode, struct page *head, pgoff_t first, pgoff_t last,
			  bool even_cows, unsigned long references)
{
	struct folio *folio = page_folio(head);
	/* Not beyond what is removed: private copies of the rest stay. */
	pgoff_t from = max(first, folio->index);
	pgoff_t to = min_t(pgoff_t, last, folio->index + folio_nr_pages(folio));

	set_page_private(head, 0);
	folio_lock(folio);
	if (folio_mapped(folio) && from < to)
		morsel_unmap_pages(inode, from, to - from, even_cows);
	if (!morsel_frame_leaves(head))
		morsel_frame_leave(head);
	folio_unlock(folio);
	if (!poisoned(folio))
		free_frame(inode, folio, references);
	cond_resched();
}

static void release_frames(struct removal *removal, pgoff_t first, pgoff_t last, bool even_cows)
{
	struct page *head, *next;

	list_for_each_entry_safe(head, next, &removal->frames, lru) {
		list_del(&head->lru);
		release_frame(removal->inode, head, first, last, even_cows, page_private(head));
	}
	for (head = removal->pool_frames; head; head = next) {
		next = (struct page *)page_private(head);
		release_frame(removal->inode, head, first, last, even_cows, 1);
	}
}

/* A large leaf becomes small ones: 1 if there was one, 0 if not, or -ENOMEM. */
static int split_leaf(struct inode *inode, pgoff_t index, bool must)
{
	struct morsel_leaf leaf;
	int err;

	if (!lookup(inode, index, &leaf) || !leaf.order)
		return 0;
	err = morsel_tree_split(&MORSEL_I(inode)->tree, index, must);
	if (err)
		return err;
	count_leaves(inode, MORSEL_HUGE_ORDER, -1);
	count_leaves(inode, 0, MORSEL_HUGE_PAGES);
	return 1;
}

int morsel_object_split(struct inode *inode, pgoff_t index)
{
	return split_leaf(inode, index, false);
}

/*
 * Large leaves that the range would cut become small ones. Nothing is lost if it fails;
 * it cannot if it `must` succeed.
 */
static int split_ends(struct inode *inode, pgoff_t first, pgoff_t last, bool must)
{
	pgoff_t ends[] = { first, last };
	int i, err;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		err = ends[i] % MORSEL_HUGE_PAGES ? split_leaf(inode, ends[i], must) : 0;
		if (err < 0)
			return err;
	}
	return 0;
}

static void count_returned(void *context, unsigned long pfn, unsigned int order)
{
	++*(unsigned long *)context;
}

/*
 * Every mapping of [first, last), whose leaves are gone. A fault that holds the wrong lock
 * (MORSEL_LEAVES_MAY_RETURN) has seen a leaf before it went, and is over when its table was
 * looked through here, since that takes this lock; so what it has put back is found now: in
 * the writable twin, since only write faults write an entry back as it was. Its frame is on
 * the removal's list already.
 */
static void unmap(struct inode *inode, pgoff_t first, pgoff_t last, bool even_cows)
{
	unsigned long returned;

	do {
		returned = 0;
		morsel_unmap_pages(inode, first, last - first, even_cows);
		if (MORSEL_LEAVES_MAY_RETURN)
			morsel_tree_remove(&MORSEL_I(inode)->tree, first, last, false,
					   count_returned, &returned);
	} while (returned);
}

void morsel_object_unmap(struct inode *inode, pgoff_t first, pgoff_t last)
{
	unmap(inode, first, last, false);
}

void morsel_object_count_whole(struct inode *inode)
{
	count_leaves(inode, 0, -(long)MORSEL_HUGE_PAGES);
	count_leaves(inode, MORSEL_HUGE_ORDER, 1);
}

static void remove_chunk(struct inode *inode, pgoff_t first, pgoff_t last, bool mapped,
			 bool even_cows)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct removal removal = { .inode = inode };

	INIT_LIST_HEAD(&removal.frames);
	if (morsel_is_small(mi))
		morsel_small_remove(mi, first, last, collect, &removal);
	else
		morsel_tree_remove(&mi->tree, first, last, !mapped, collect, &removal);
	morsel_retired_forget(inode, first, last);
	if (mapped)
		unmap(inode, first, last, even_cows);
	release_frames(&removal, first, last, even_cows);
	cond_resched();
}

/* The charge goes over in one step: nobody meets a limit because there are two frames for a while. */
void morsel_object_exchange(struct inode *inode, pgoff_t first, const unsigned long *pfns,
			    unsigned int order, unsigned long leaves)
{
	struct removal removal = { .inode = inode, .keeps_charge = true };
	unsigned int i;

	INIT_LIST_HEAD(&removal.frames);
	for (i = 0; i < MORSEL_HUGE_PAGES; i++)
		if (pfns[i])
			collect(&removal, pfns[i], 0);
	uncharge(inode, removal.pages - (long)(leaves << order));
	count_leaves(inode, order, leaves);
	release_frames(&removal, first, first + MORSEL_HUGE_PAGES, false);
}

/* Under the invalidate lock, exclusively; ends are split already. */
static void remove_range(struct inode *inode, pgoff_t first, pgoff_t last, bool even_cows)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	bool mapped = morsel_is_mapped(inode);
	pgoff_t end = min_t(pgoff_t, last, capacity(mi));

	if (mapped)
		mi->prune_later = true;
	while (first < end) {
		pgoff_t stop = min(end, round_down(first, CHUNK_PAGES) + CHUNK_PAGES);

		remove_chunk(inode, first, stop, mapped, even_cows);
		first = stop;
		/* Where nothing is mapped by us there may be private copies still. */
		if (mapped) {
			stop = morsel_object_next(inode, first, end, true);
			if (stop > first)
				morsel_unmap_pages(inode, first, stop - first, even_cows);
			first = stop;
		}
	}
	if (mapped && first < last)
		morsel_unmap_pages(inode, first, last - first, even_cows);
}

/*
 * Removals under a mapping leave empty tables, which walkers may hold pointers
 * into. They go when the last mapping has gone.
 */
void morsel_object_unmapped(struct inode *inode)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	pgoff_t first, end;

	if (!READ_ONCE(mi->prune_later))
		return;
	morsel_invalidate_lock(inode);
	if (mi->prune_later && !morsel_is_mapped(inode)) {
		mi->prune_later = false;
		morsel_retired_free(inode);
		end = morsel_tree_capacity(&mi->tree);
		for (first = 0; first < end; first += CHUNK_PAGES) {
			morsel_tree_prune(&mi->tree, first, first + CHUNK_PAGES);
			cond_resched();
		}
	}
	morsel_invalidate_unlock(inode);
}

/* Large frames with few leaves left are worth a look of the worker's. */
static void look_for_waste(struct inode *inode)
{
	if (atomic_long_read(&MORSEL_I(inode)->waste_pages) >= (long)MORSEL_HUGE_PAGES / 2)
		morsel_promote_later(inode);
}

int morsel_object_punch(struct inode *inode, pgoff_t first, pgoff_t last)
{
	int err;

	if (first >= last)
		return 0;
	morsel_scatters_forget(inode, first, last);
	morsel_invalidate_lock(inode);
	err = split_ends(inode, first, last, false);
	if (!err)
		remove_range(inode, first, last, false);
	morsel_invalidate_unlock(inode);
	look_for_waste(inode);
	return err;
}

void morsel_object_drop(struct inode *inode, pgoff_t first, pgoff_t last)
{
	if (first >= last)
		return;
	morsel_scatters_forget(inode, first, last);
	morsel_invalidate_lock(inode);
	split_ends(inode, first, last, true);
	remove_range(inode, first, last, true);
	morsel_invalidate_unlock(inode);
}

/* From a byte to the end of its page, if the page is there. */
static void zero_tail(struct inode *inode, loff_t from)
{
	unsigned int offset = offset_in_page(from);
	struct page *page = offset ? morsel_object_get(inode, from >> PAGE_SHIFT) : NULL;

	if (!page)
		return;
	if (!morsel_object_is_bad(inode, page))
		morsel_object_zero(inode, page, offset, PAGE_SIZE - offset);
	put_page(page);
}

size_t morsel_object_copy_in(struct inode *inode, struct page *page, size_t offset, size_t bytes,
			     struct iov_iter *from)
{
	if (morsel_pool_of(inode))
		return _copy_from_iter_flushcache(page_address(page) + offset, bytes, from);
	return copy_from_iter(page_address(page) + offset, bytes, from);
}

void morsel_object_zero(struct inode *inode, struct page *page, size_t offset, size_t bytes)
{
	if (morsel_pool_of(inode))
		morsel_media_zero(page_address(page) + offset, bytes);
	else
		memzero_page(page, offset, bytes);
}

bool morsel_object_is_bad(struct inode *inode, struct page *page)
{
	struct morsel_pool *pool = morsel_pool_of(inode);

	return PageHWPoison(page) ||
	       (pool && !morsel_pool_is_readable(pool, morsel_pool_frame(pool, page)));
}

int morsel_object_truncate(struct inode *inode, loff_t size)
{
	loff_t old = i_size_read(inode);
	pgoff_t first = DIV_ROUND_UP(size, PAGE_SIZE);
	int err;

	if (size >= old) {
		/* Somebody may have written behind the end through a mapping. */
		zero_tail(inode, old);
		err = morsel_object_reserve(inode, first);
		if (!err) {
			morsel_order(inode);
			i_size_write(inode, size);
		}
		return err;
	}
	morsel_scatters_forget(inode, first, LAST_INDEX);
	morsel_invalidate_lock(inode);
	err = split_ends(inode, first, LAST_INDEX, false);
	if (!err) {
		/* First the size: faults and fills beyond it fail from now on. */
		i_size_write(inode, size);
		morsel_save(inode); /* on the medium, too */
		remove_range(inode, first, LAST_INDEX, true);
		zero_tail(inode, size);
	}
	morsel_invalidate_unlock(inode);
	look_for_waste(inode);
	return err;
}

pgoff_t morsel_object_next(struct inode *inode, pgoff_t index, pgoff_t end, bool data)
{
	struct morsel_inode *mi = MORSEL_I(inode);

	while (index < end) {
		pgoff_t stop = min(end, round_down(index, CHUNK_PAGES) + CHUNK_PAGES);
		pgoff_t found;

		if (data && index >= capacity(mi))
			break;
		rcu_read_lock();
		if (!morsel_small_next(mi, index, stop, data, &found))
			found = morsel_tree_next(&mi->tree, index, stop, data);
		rcu_read_unlock();
		if (found < stop)
			return found;
		index = stop;
		cond_resched();
	}
	return end;
}

void morsel_object_free(struct inode *inode)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	pgoff_t end = capacity(mi);
	pgoff_t first;

	/*
	 * Frames that are pinned outlive the inode. Who calls one dirty at the end of its I/O
	 * looks at the frame's mapping with the frame locked, and so it is given up.
	 */
	for (first = 0; first < end; first += CHUNK_PAGES)
		remove_chunk(inode, first, first + CHUNK_PAGES, false, false);
	morsel_retired_free(inode);
	morsel_tree_free(&mi->tree, collect, NULL); /* no leaf is left for collect() */
	WARN_ON_ONCE(atomic_long_read(&mi->frames) || atomic_long_read(&mi->table_pages));
}

static bool slot_is_full(struct inode *inode, pgoff_t first)
{
	bool full;

	rcu_read_lock(); /* the last munmap may be freeing tables */
	full = morsel_slot_is_full(inode, first);
	rcu_read_unlock();
	return full;
}

/* What nobody maps is moved at once, by who has filled it. */
static void settle_slot(struct inode *inode, pgoff_t first)
{
	struct morsel_moved moved = {};

	if (!slot_is_full(inode, first))
		return;
	if (!morsel_is_mapped(inode))
		morsel_move_up(inode, first, 1, GFP_OPTIONAL & ~__GFP_ZERO, &moved);
	if (!moved.done)
		morsel_promote_later(inode);
}

/*
 * To look whether a slot is full is not worth it for each small write into it. So this ends where the
 * last slot ends whose last page was written.
 */
static loff_t settling_end(struct inode *inode, loff_t end)
{
	return morsel_huge_policy(inode) == MORSEL_HUGE_NEVER ?
		       0 :
		       min(round_up(end, PAGE_SIZE), i_size_read(inode));
}

void morsel_object_settle(struct inode *inode, loff_t start, loff_t end)
{
	pgoff_t first = round_down(start >> PAGE_SHIFT, MORSEL_HUGE_PAGES);

	end = settling_end(inode, end);
	for (; slot_is_below(first, end); first += MORSEL_HUGE_PAGES)
		settle_slot(inode, first);
}

bool morsel_object_is_unsettled(struct inode *inode, loff_t start, loff_t end)
{
	pgoff_t first = round_down(start >> PAGE_SHIFT, MORSEL_HUGE_PAGES);

	end = settling_end(inode, end);
	for (; slot_is_below(first, end); first += MORSEL_HUGE_PAGES)
		if (slot_is_full(inode, first))
			return true;
	return false;
}

void morsel_object_info(struct inode *inode, struct morselfs_info *info)
{
	struct morsel_opened_counts sum = morsel_opened_sum(inode);
	struct morsel_inode *mi = MORSEL_I(inode);

	info->flags = READ_ONCE(mi->sealed) ? MORSELFS_INFO_SEALED : 0;
	info->bytes = i_size_read(inode);
	info->leaves_4k = atomic_long_read(&mi->leaves_4k);
	info->leaves_2m = atomic_long_read(&mi->leaves_2m);
	info->table_bytes = atomic_long_read(&mi->table_pages) * PAGE_SIZE;
	info->mappings = sum.mappings;
	info->graft_pud_slots = sum.pud_slots;
	info->graft_pmd_slots = sum.pmd_slots;
	info->raw_pages = sum.raw_pages;
	info->grafted_bytes = sum.grafted_pages * PAGE_SIZE;
	info->promoted = atomic_long_read(&mi->promoted);
	info->demoted = atomic_long_read(&mi->demoted);
	info->promote_failed = atomic_long_read(&mi->promote_failed);
	info->waste_bytes = atomic_long_read(&mi->waste_pages) * PAGE_SIZE;
	info->huge = READ_ONCE(mi->huge);
}
