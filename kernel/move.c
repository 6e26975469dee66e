// SPDX-License-Identifier: GPL-2.0
/*
 * The contents of 2-MiB slots go to other frames, while processes map the object: a full slot's
 * to a large frame, what is left of a large one to small ones.
 *
 * A move, under i_rwsem and the invalidate lock, both exclusively, so that nobody writes by a system
 * call, fills a hole or removes anything:
 *
 *   1  the leaves go out of both twins, and every mapping is un-grafted and flushed, as in a
 *      removal. Whoever touches a page now fills a hole, as it seems, and waits for the lock;
 *      who reads without a lock finds out by `moves`, which is odd meanwhile
 *   2  frames that anybody refers to (pins, readers, pipes) stay: their leaves go back
 *   3  the contents are copied, and the new leaves put in
 *   4  only then the old frames are given back
 *
 * A large leaf takes a table's place. The kernel's walkers keep pointers into tables while they
 * sleep, and do not expect that: so the pmd tables are exchanged for copies (core's promote()), and
 * the old tables, in which nothing turns into anything, are retired until nobody maps the object, or
 * until every process with grafts was without walkers once.
 * What is grafted by then is the old pmd tables, so there is a second shoot-down after the exchange.
 * (Where nobody maps the object, the leaf is put in in place.)
 */
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "frame.h"
#include "graft.h"
#include "inject.h"
#include "invalidate.h"
#include "move.h"
#include "opened.h"
#include "pool.h"
#include "scatter.h"
#include "trace.h"

/*
 * Retired tables that an object may have: all its slots can be moved twice while it is mapped, and then
 * they are reclaimed first.
 */
bool morsel_retired_are_many(const struct inode *inode)
{
	const struct morsel_inode *mi = MORSEL_I(inode);

	return READ_ONCE(mi->retired_pages) > 64 + atomic_long_read(&mi->frames) / 64;
}

/* Leaves of a split large frame that are worth keeping it for. */
#define LEAVES_WORTH_A_LARGE_FRAME (MORSEL_HUGE_PAGES / 2)

/**
 * struct move - slots on their way
 * @first, @count: which
 * @payer: the memory cgroup of the first frame; NULL: none
 * @demotes: to small frames
 * @chosen: those that are moved, by bits
 * @whole: those whose leaves are a split large frame's, which only has to be put together again
 * @target: the large frame of each
 * @pfn: the frames of each slot's leaves, 0 for a hole
 * @retired: for the tables
 */
struct move {
	struct inode *inode;
	pgoff_t first;
	unsigned int count;
	struct mem_cgroup *payer;
	bool demotes;
	unsigned long chosen, whole;
	struct folio *target[MOVE_SLOTS];
	struct retired *retired;
	unsigned long pfn[MOVE_SLOTS][MORSEL_HUGE_PAGES];
};

/**
 * struct retired - tables that one move has put out of use
 * @condemned: to be freed at the end of the reclaim that runs
 * @base: first page of the 1-GiB slot
 * @pmd: the pmd tables; they may have large leaves of other slots in them
 * @pte: the others, which are empty
 */
struct retired {
	struct list_head list;
	bool condemned;
	pgoff_t base;
	unsigned int pmd_count, pte_count;
	void *pmd[2];
	void *pte[2 * MOVE_SLOTS];
};

static void retire(void *context, void *table, enum morsel_level level)
{
	struct retired *retired = context;

	if (level == MORSEL_PMD)
		retired->pmd[retired->pmd_count++] = table;
	else
		retired->pte[retired->pte_count++] = table;
}

void morsel_retired_forget(struct inode *inode, pgoff_t first, pgoff_t last)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct retired *retired;
	unsigned int i;

	list_for_each_entry(retired, &mi->retired, list) {
		if (retired->base >= last ||
		    retired->base + PTRS_PER_PMD * MORSEL_HUGE_PAGES <= first)
			continue;
		for (i = 0; i < retired->pmd_count; i++)
			morsel_tree_forget(&mi->tree, retired->pmd[i], retired->base, first, last);
	}
}

static void free_retired(struct inode *inode, bool all)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct retired *retired, *next;
	unsigned int i;

	list_for_each_entry_safe(retired, next, &mi->retired, list) {
		if (!all && !retired->condemned)
			continue;
		WRITE_ONCE(mi->retired_pages,
			   mi->retired_pages - retired->pmd_count - retired->pte_count);
		for (i = 0; i < retired->pmd_count; i++)
			morsel_host_free_table(&mi->tree, retired->pmd[i], MORSEL_PMD);
		for (i = 0; i < retired->pte_count; i++)
			morsel_host_free_table(&mi->tree, retired->pte[i], MORSEL_PTE);
		list_del(&retired->list);
		kfree(retired);
	}
}

void morsel_retired_free(struct inode *inode)
{
	free_retired(inode, true);
}

bool morsel_retired_reclaim(struct inode *inode)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct retired *retired;
	bool quiet;

	morsel_invalidate_lock(inode);
	if (mi->reclaims) {
		morsel_invalidate_unlock(inode);
		return false;
	}
	mi->reclaims = true;
	list_for_each_entry(retired, &mi->retired, list)
		retired->condemned = true;
	morsel_invalidate_unlock(inode);
	quiet = morsel_graft_quiesce();
	/* Who walks by the file. */
	morsel_wait_for_rmap_walkers(inode);
	morsel_invalidate_lock(inode);
	mi->reclaims = false;
	if (quiet)
		free_retired(inode, false);
	morsel_invalidate_unlock(inode);
	return quiet;
}

static pgoff_t start_of(const struct move *move, unsigned int slot)
{
	return move->first + slot * MORSEL_HUGE_PAGES;
}

static bool is_chosen(const struct move *move, unsigned int slot)
{
	return move->chosen & BIT(slot);
}

static struct page *head_of(const struct move *move, unsigned int slot, unsigned int i)
{
	return compound_head(pfn_to_page(move->pfn[slot][i]));
}

bool morsel_slot_is_full(struct inode *inode, pgoff_t first)
{
	return morsel_tree_full(&MORSEL_I(inode)->tree, first);
}

bool morsel_slot_wastes(struct inode *inode, pgoff_t first)
{
	struct morsel_leaf leaf;
	unsigned int i;

	for (i = 0; i < MORSEL_HUGE_PAGES; i++) {
		struct page *page;

		if (!morsel_tree_lookup(&MORSEL_I(inode)->tree, MORSEL_RO, first + i, &leaf))
			continue;
		if (leaf.order)
			return false;
		/* A hint: without a lock the frame may be another one's by now, and its count any word. */
		page = pfn_to_page(leaf.pfn);
		if (PageCompound(page))
			return page_private(pfn_to_page(leaf.pfn | (MORSEL_HUGE_PAGES - 1))) <=
			       LEAVES_WORTH_A_LARGE_FRAME;
	}
	return false;
}

/* Notes where a slot's leaves are; how many, or 0 if they are not to be moved. */
static unsigned int note(struct move *move, unsigned int slot)
{
	struct morsel_tree *tree = &MORSEL_I(move->inode)->tree;
	unsigned int i, found = 0;
	struct morsel_leaf leaf;

	for (i = 0; i < MORSEL_HUGE_PAGES; i++) {
		move->pfn[slot][i] = 0;
		if (!morsel_tree_lookup(tree, MORSEL_RO, start_of(move, slot) + i, &leaf))
			continue;
		if (leaf.order || PageHWPoison(pfn_to_page(leaf.pfn)))
			return 0;
		move->pfn[slot][i] = leaf.pfn;
		found++;
	}
	return found;
}

/* All of a large frame that was split, in place. */
static bool is_whole(const struct move *move, unsigned int slot)
{
	struct page *head = head_of(move, slot, 0);
	unsigned int i;

	for (i = 0; PageCompound(head) && i < MORSEL_HUGE_PAGES; i++)
		if (move->pfn[slot][i] != page_to_pfn(head) + i)
			return false;
	return PageCompound(head);
}

/*
 * True if nobody but the leaves refers to a slot's frames. Before anything is disturbed, mappings do
 * not count, which can be taken out; grafts hold none. After the flush nobody finds the frames any
 * more, and who had found one and lost the race looks again and lets go.
 */
static bool is_quiet(const struct move *move, unsigned int slot, bool flushed)
{
	unsigned int i;

	for (i = 0; i < MORSEL_HUGE_PAGES; i++) {
		struct page *head;

		if (!move->pfn[slot][i])
			continue;
		head = head_of(move, slot, i);
		if (PageHWPoison(pfn_to_page(move->pfn[slot][i])))
			return false;
		if (folio_mapped(page_folio(head)) ?
			    flushed :
			    page_count(head) != max(morsel_frame_leaves(head), 1UL))
			return false;
	}
	return true;
}

/* A slot stays as it is. */
static void give_up(struct move *move, unsigned int slot, int err, struct morsel_moved *moved)
{
	move->chosen &= ~BIT(slot);
	if (err == -EBUSY)
		moved->busy++;
	else
		moved->lacking++;
	if (move->demotes)
		trace_morselfs_demote(move->inode, start_of(move, slot), err);
	else
		trace_morselfs_promote(move->inode, start_of(move, slot), err);
}

static void put_back(struct move *move, unsigned int slot)
{
	struct morsel_tree *tree = &MORSEL_I(move->inode)->tree;
	unsigned int i;

	/* The tables are there, and nobody fills meanwhile. */
	for (i = 0; i < MORSEL_HUGE_PAGES; i++)
		if (move->pfn[slot][i])
			WARN_ON_ONCE(morsel_tree_install(tree, start_of(move, slot) + i, 0,
							 move->pfn[slot][i]));
}

static void ignore(void *context, unsigned long pfn, unsigned int order)
{
}

/* Steps 1 and 2. */
static void take_out(struct move *move, struct morsel_moved *moved)
{
	struct morsel_inode *mi = MORSEL_I(move->inode);
	unsigned int slot, end;

	WRITE_ONCE(mi->moves, mi->moves + 1);
	smp_wmb(); /* before the first leaf goes: see morsel_object_get() */
	for (slot = 0; slot < move->count; slot = end + 1) {
		for (end = slot; end < move->count && is_chosen(move, end); end++)
			morsel_tree_remove(&mi->tree, start_of(move, end), start_of(move, end + 1),
					   false, ignore, NULL);
		if (slot == end)
			continue;
		morsel_retired_forget(move->inode, start_of(move, slot), start_of(move, end));
		morsel_object_unmap(move->inode, start_of(move, slot), start_of(move, end));
	}
	for (slot = 0; slot < move->count; slot++) {
		if (!is_chosen(move, slot) || is_quiet(move, slot, true))
			continue;
		put_back(move, slot);
		give_up(move, slot, -EBUSY, moved);
	}
}

static void end_move(struct move *move)
{
	struct morsel_inode *mi = MORSEL_I(move->inode);

	smp_wmb(); /* after the last leaf is in */
	WRITE_ONCE(mi->moves, mi->moves + 1);
}

/* The contents of a full slot, to its large frame. */
static void fill_target(struct move *move, unsigned int slot)
{
	struct folio *target = move->target[slot];
	unsigned int i;

	if (move->whole & BIT(slot))
		return;
	for (i = 0; i < MORSEL_HUGE_PAGES; i++)
		copy_highpage(folio_page(target, i), pfn_to_page(move->pfn[slot][i]));
	morsel_frame_join(&target->page, move->inode, start_of(move, slot));
}

/* The large leaf is in: what it replaces is given back. */
static void promoted(struct move *move, unsigned int slot)
{
	struct folio *target = move->target[slot];
	struct inode *inode = move->inode;

	if (move->whole & BIT(slot)) {
		morsel_object_count_whole(inode);
		morsel_frame_set_leaves(&target->page, 0);
		folio_put_refs(target, MORSEL_HUGE_PAGES - 1);
	} else {
		morsel_object_exchange(inode, start_of(move, slot), move->pfn[slot],
				       MORSEL_HUGE_ORDER, 1);
	}
	move->target[slot] = NULL;
	morsel_count(inode, promoted, 1);
	trace_morselfs_promote(inode, start_of(move, slot), 0);
}

/* Nobody maps the object, and readers without a lock never miss a page. */
static void promote_unmapped(struct move *move, struct morsel_moved *moved)
{
	struct morsel_inode *mi = MORSEL_I(move->inode);
	unsigned int slot;

	for (slot = 0; slot < move->count; slot++) {
		if (!is_chosen(move, slot))
			continue;
		if (!is_quiet(move, slot, true)) {
			give_up(move, slot, -EBUSY, moved);
			continue;
		}
		if (morsel_tree_grow(&mi->tree, start_of(move, slot), MORSEL_PMD)) {
			give_up(move, slot, -ENOMEM, moved);
			continue;
		}
		fill_target(move, slot);
		morsel_tree_merge(&mi->tree, start_of(move, slot),
				  page_to_pfn(&move->target[slot]->page), ignore, NULL);
		promoted(move, slot);
		moved->done++;
	}
}

static void promote_mapped(struct move *move, struct morsel_moved *moved)
{
	struct morsel_inode *mi = MORSEL_I(move->inode);
	unsigned long pfn[MOVE_SLOTS] = {};
	struct mem_cgroup *before;
	unsigned int slot;
	int err = -EBUSY;

	take_out(move, moved);
	for (slot = 0; slot < move->count; slot++) {
		if (!is_chosen(move, slot))
			continue;
		fill_target(move, slot);
		pfn[slot] = page_to_pfn(&move->target[slot]->page);
	}
	before = set_active_memcg(move->payer);
	if (move->chosen)
		err = morsel_tree_promote(&mi->tree, move->first, pfn, move->count, retire,
					  move->retired);
	set_active_memcg(before);
	for (slot = 0; err && slot < move->count; slot++) {
		if (!is_chosen(move, slot))
			continue;
		put_back(move, slot);
		if (!(move->whole & BIT(slot)))
			morsel_frame_leave(&move->target[slot]->page);
		give_up(move, slot, err, moved);
	}
	if (err) {
		end_move(move);
		return;
	}
	WRITE_ONCE(mi->retired_pages,
		   mi->retired_pages + move->retired->pmd_count + move->retired->pte_count);
	move->retired->base = round_down(move->first, PTRS_PER_PMD * MORSEL_HUGE_PAGES);
	list_add(&move->retired->list, &mi->retired);
	move->retired = NULL;
	mi->prune_later = true;
	/* The old pmd tables are grafted; nobody grafts them again. */
	morsel_unmap_pages(move->inode, move->first, move->count * MORSEL_HUGE_PAGES, false);
	end_move(move);
	for (slot = 0; slot < move->count; slot++) {
		if (!is_chosen(move, slot))
			continue;
		promoted(move, slot);
		moved->done++;
	}
}

/*
 * Frames are charged to the memory cgroup that has paid for what they replace, whoever moves
 * it: a worker would pay for nothing.
 */
static struct mem_cgroup *payer_of(struct inode *inode, pgoff_t first)
{
	struct page *page = morsel_object_get_nowait(inode, first);
	struct mem_cgroup *memcg = NULL;

#ifdef CONFIG_MEMCG
	if (page) {
		rcu_read_lock();
		memcg = folio_memcg(page_folio(page));
		if (memcg && !css_tryget(&memcg->css))
			memcg = NULL;
		rcu_read_unlock();
	}
#endif
	if (page)
		put_page(page);
	return memcg;
}

static struct folio *allocate_frame(struct move *move, pgoff_t index, unsigned int order, gfp_t gfp,
				    int node)
{
	struct mem_cgroup *before = set_active_memcg(move->payer);
	struct folio *folio;

	folio = morsel_may_fail(
		MOVE_FRAME,
		morsel_mpol_alloc_near(move->inode, index, gfp | __GFP_ACCOUNT, order, node));
	set_active_memcg(before);
	return folio;
}

static struct move *new_move(struct inode *inode, pgoff_t first, unsigned int count)
{
	struct move *move;

	if (WARN_ON_ONCE(first % MORSEL_HUGE_PAGES))
		return NULL;
	move = morsel_may_fail(MOVE, kvzalloc(sizeof(*move), GFP_KERNEL));
	if (!move)
		return NULL;
	move->inode = inode;
	move->first = first;
	move->count = count;
	move->payer = payer_of(inode, first);
	move->retired = morsel_may_fail(MOVE_RETIRED, kzalloc(sizeof(*move->retired), GFP_KERNEL));
	if (move->retired)
		return move;
	mem_cgroup_put(move->payer);
	kvfree(move);
	return NULL;
}

static void free_move(struct move *move)
{
	unsigned int slot;

	/* What was not needed. */
	for (slot = 0; slot < move->count; slot++)
		if (move->target[slot] && !(move->whole & BIT(slot)))
			folio_put(move->target[slot]);
	kfree(move->retired);
	mem_cgroup_put(move->payer);
	kvfree(move);
}

/* Slots that are full of small leaves, and the frames that these shall go to. */
static void choose(struct move *move, gfp_t gfp, struct morsel_moved *moved)
{
	unsigned int slot;

	for (slot = 0; slot < move->count; slot++) {
		/* Under i_rwsem a leaf that is there stays, until this move takes it out. */
		rcu_read_lock();
		if (note(move, slot) == MORSEL_HUGE_PAGES)
			move->chosen |= BIT(slot);
		rcu_read_unlock();
		if (!is_chosen(move, slot))
			continue;
		morsel_scatters_let_go(move->inode, start_of(move, slot), start_of(move, slot + 1));
		if (!is_quiet(move, slot, false)) {
			give_up(move, slot, -EBUSY, moved);
			continue;
		}
		if (is_whole(move, slot)) {
			move->whole |= BIT(slot);
			move->target[slot] = page_folio(pfn_to_page(move->pfn[slot][0]));
			continue;
		}
		move->target[slot] = allocate_frame(move, start_of(move, slot), MORSEL_HUGE_ORDER,
						    gfp, pfn_to_nid(move->pfn[slot][0]));
		if (move->target[slot])
			continue;
		give_up(move, slot, -ENOMEM, moved);
	}
}

void morsel_move_up(struct inode *inode, pgoff_t first, unsigned int count, gfp_t gfp,
		    struct morsel_moved *moved)
{
	struct move *move;

	move = morsel_retired_are_many(inode) ? NULL : new_move(inode, first, count);
	if (!move) {
		moved->lacking += count;
		return;
	}
	choose(move, gfp, moved);
	if (move->chosen) {
		morsel_invalidate_lock(inode);
		/* morsel_mmap() counts itself under this lock, so 0 stays 0. */
		if (morsel_is_mapped(inode))
			promote_mapped(move, moved);
		else
			promote_unmapped(move, moved);
		/* The last munmap may have been too early to find them. */
		if (!morsel_is_mapped(inode))
			morsel_retired_free(inode);
		morsel_invalidate_unlock(inode);
	}
	free_move(move);
}

/* Frames for all leaves that lie in a large one, linked by their lru. */
static bool allocate_small(struct move *move, struct list_head *frames)
{
	unsigned int i;

	for (i = 0; i < MORSEL_HUGE_PAGES; i++) {
		struct folio *folio;

		if (!move->pfn[0][i] || !PageCompound(pfn_to_page(move->pfn[0][i])))
			continue;
		folio = allocate_frame(move, move->first + i, 0,
				       GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY,
				       pfn_to_nid(move->pfn[0][i]));
		if (!folio)
			return false;
		list_add_tail(&folio->lru, frames);
	}
	return true;
}

/* Step 3, to small frames. What stays where it is goes back, and is forgotten. */
static unsigned int put_in_small(struct move *move, struct list_head *frames)
{
	struct morsel_tree *tree = &MORSEL_I(move->inode)->tree;
	unsigned int i, count = 0;

	for (i = 0; i < MORSEL_HUGE_PAGES; i++) {
		struct page *page = move->pfn[0][i] ? pfn_to_page(move->pfn[0][i]) : NULL;

		if (!page)
			continue;
		if (PageCompound(page)) {
			struct page *frame = list_first_entry(frames, struct page, lru);

			list_del(&frame->lru);
			copy_highpage(frame, page);
			morsel_frame_join(frame, move->inode, move->first + i);
			page = frame;
			count++;
		} else {
			move->pfn[0][i] = 0;
		}
		WARN_ON_ONCE(morsel_tree_install(tree, move->first + i, 0, page_to_pfn(page)));
	}
	return count;
}

void morsel_move_down(struct inode *inode, pgoff_t first, struct morsel_moved *moved)
{
	struct move *move = new_move(inode, first, 1);
	struct page *frame, *next;
	unsigned int count = 0;
	LIST_HEAD(frames);

	if (!move) {
		moved->lacking++;
		return;
	}
	rcu_read_lock();
	move->chosen = note(move, 0) ? 1 : 0;
	rcu_read_unlock();
	move->demotes = true;
	morsel_scatters_let_go(inode, first, first + MORSEL_HUGE_PAGES);
	if (move->chosen && !is_quiet(move, 0, false))
		give_up(move, 0, -EBUSY, moved);
	if (move->chosen && !allocate_small(move, &frames))
		give_up(move, 0, -ENOMEM, moved);
	if (move->chosen && !list_empty(&frames)) {
		morsel_invalidate_lock(inode);
		/* Holes may have been filled meanwhile, with small frames. */
		move->chosen = note(move, 0) ? 1 : 0;
		take_out(move, moved);
		if (move->chosen)
			count = put_in_small(move, &frames);
		end_move(move);
		if (move->chosen) {
			morsel_object_exchange(inode, first, move->pfn[0], 0, count);
			morsel_count(inode, demoted, 1);
			moved->done++;
			trace_morselfs_demote(inode, first, 0);
		}
		morsel_invalidate_unlock(inode);
	}
	list_for_each_entry_safe(frame, next, &frames, lru)
		__free_page(frame);
	free_move(move);
}

void morsel_move_apart(struct inode *inode, pgoff_t first, struct morsel_moved *moved)
{
	int split;

	morsel_invalidate_lock(inode);
	split = morsel_object_split(inode, first);
	/* A process that has the slot grafted alone has the large leaf in its own table. */
	if (split > 0)
		morsel_retired_forget(inode, first, first + MORSEL_HUGE_PAGES);
	if (split > 0)
		morsel_unmap_pages(inode, first, MORSEL_HUGE_PAGES, false);
	morsel_invalidate_unlock(inode);
	if (split < 0) {
		moved->lacking++;
		trace_morselfs_demote(inode, first, split);
	}
	if (split <= 0)
		return;
	moved->done++;
	morsel_count(inode, demoted, 1);
	trace_morselfs_demote(inode, first, 0);
}
