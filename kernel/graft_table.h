/* SPDX-License-Identifier: GPL-2.0 */
/* The records of graft.c (taking out) and cover.c (putting in). */
#ifndef MORSELFS_GRAFT_TABLE_H
#define MORSELFS_GRAFT_TABLE_H

#include <linux/interval_tree.h>
#include <linux/mmu_notifier.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "morselfs.h"

/*
 * Slot states. Else: the page of the process's own table that is kept for the slot, and flags.
 */
#define SLOT_EMPTY 0UL /* nothing of ours */
#define SLOT_BARE 1UL /* ours, over nothing */
#define SLOT_PARKED 2UL /* was ours; leads to an empty table of the module */
/* Flags. FILLED, 2-MiB slots: the table is in place and holds 512 raw entries. */
#define SLOT_FILLED 1UL
/* 1-GiB slots: HOLLOW: it leads to no other table. BACK: it is in place again, and to be freed. */
#define SLOT_HOLLOW 1UL
#define SLOT_BACK 2UL
#define SLOT_FLAGS 3UL

/* Invalidations whose ranges are known one by one; beyond that, their hull is. */
#define KNOWN_RANGES 8

/**
 * struct graft_run - consecutive slots of one level in one VMA
 * @node: first and last address
 * @dead: link while it is being freed
 * @inode: the object; @opened: the open file; pinned by the VMA, which outlives the run
 * @level: of the table entries are written to: MORSEL_PUD, _PMD or _PTE (raw)
 * @entries: entry of the first slot in the process's table, which exists as long
 *	as the VMA
 * @page: struct page of that table, for its lock; unused for pud
 * @grafted: slots that are ours
 * @cut_short: the fault that put them in had done enough before it was through
 * @count: slots in all
 * @slots: state of each
 */
struct graft_run {
	struct interval_tree_node node;
	struct list_head dead;
	struct inode *inode;
	struct morsel_opened *opened;
	enum morsel_level level;
	void *entries;
	unsigned int grafted;
	bool cut_short;
	unsigned int count;
	unsigned long slots[];
};

struct address_range {
	unsigned long start, end;
};

/**
 * struct graft_table - the grafts of one mm
 * @notifier: holds the mm (mmgrab) and the count of users
 * @references: the notifier's and those of faults that wait
 * @list: in all_tables
 * @kept: one of the notifier's users is the table itself: see morsel_graft_table_get()
 * @let_go: its end as such a user, when the mm ends
 * @lock: guards @runs, @ranges, @others, @hull, and every graft and its removal
 * @runs: by address; they never overlap
 * @ranges: invalidations between start and end; free where start == end
 * @others: how many more run than there is room for, and @hull around them
 * @ended: woken when one ends
 * @unflushed: removals whose TLB flush is not done yet. Who takes out nothing
 *	must flush all the same while it is not 0: another CPU may have taken
 *	the graft out and not flushed yet.
 */
struct graft_table {
	struct mmu_notifier notifier;
	refcount_t references;
	struct list_head list;
	unsigned long kept;
	struct work_struct let_go;
	spinlock_t lock;
	struct rb_root_cached runs;
	struct address_range ranges[KNOWN_RANGES];
	unsigned int others;
	struct address_range hull;
	wait_queue_head_t ended;
	atomic_t unflushed;
};

static inline struct graft_table *table_of(struct mmu_notifier *notifier)
{
	return container_of(notifier, struct graft_table, notifier);
}

/* The first run that touches [first, last], or NULL. Under table->lock. */
static inline struct graft_run *find_run(struct graft_table *table, unsigned long first,
					 unsigned long last)
{
	struct interval_tree_node *node = interval_tree_iter_first(&table->runs, first, last);

	return node ? container_of(node, struct graft_run, node) : NULL;
}

static inline unsigned long slot_size(enum morsel_level level)
{
	return level == MORSEL_PUD ? PUD_SIZE : level == MORSEL_PMD ? PMD_SIZE : PAGE_SIZE;
}

static inline bool slot_is_ours(unsigned long state)
{
	return state != SLOT_EMPTY && state != SLOT_PARKED;
}

/* A table that is kept for the slot, or NULL. */
static inline struct page *slot_table(unsigned long state)
{
	return state > SLOT_PARKED ? (struct page *)(state & ~SLOT_FLAGS) : NULL;
}

/* graft.c. Counts slots of a run that came (or went, with a negative number). */
void morsel_graft_account(struct graft_run *run, long slots);
/* True if an invalidation that runs concerns [start, end). Under table->lock. */
bool morsel_graft_invalidating(const struct graft_table *table, unsigned long start,
			       unsigned long end);
void morsel_graft_unref(struct graft_table *table);

#endif
