// SPDX-License-Identifier: GPL-2.0
/*
 * A process: which subtrees hang in its page table, and how they come out of it.
 *
 * Taking out happens in the notifier's invalidate_range_start(), before the kernel
 * walks, and before a VMA is split. No walker may meet a cleared slot: where a slot held
 * the process's own empty table (the kernel's fault path puts one there), that table was
 * kept with the slot and is put back now; other slots are parked, which is to say they
 * lead to an empty table of the module. Who takes out for good, with no walker
 * about, then clears what is parked, and the tables that were put back: for the kernel
 * nothing is left to walk through or to free, however large the mapping is. Putting in is
 * in cover.c.
 *
 * Locks: table->lock, then the kernel's own lock of the level that is written
 * (page_table_lock for pud, split pmd and pte locks below).
 */
#include <linux/delay.h>
#include <linux/interval_tree.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <asm/pgalloc.h>
#include <asm/pgtable.h>

#include "graft.h"
#include "graft_table.h"
#include "inject.h"
#include "mm_compat.h"
#include "morselfs.h"
#include "opened.h"
#include "pgtable.h"
#include "tlb.h"
#include "trace.h"

/* Runs that are counted in one go, under the lock, and entries that are taken out. */
#define RUNS_AT_ONCE 64
#define ENTRIES_AT_ONCE (64 * PTRS_PER_PMD)
/* Milliseconds that one mmap lock is waited for, when all are wanted, one after the other. */
#define QUIESCE_TURNS 100

/* For the info ioctl, which asks about current->mm, and for the end. */
static LIST_HEAD(all_tables);
static DEFINE_SPINLOCK(all_tables_lock);

/* Where tables are let go of when their mm ends. */
static struct workqueue_struct *workers;

/* Empty tables, by level, for the slots above whose graft was taken out under a walker. */
static struct page *parking[MORSEL_PUD];

void morsel_graft_account(struct graft_run *run, long slots)
{
	run->grafted += slots;
	if (run->level == MORSEL_PUD)
		morsel_opened_count(run->opened, pud_slots, slots);
	else if (run->level == MORSEL_PMD)
		morsel_opened_count(run->opened, pmd_slots, slots);
	else
		morsel_opened_count(run->opened, raw_pages, slots);
	atomic_long_add(slots * (long)(slot_size(run->level) / PAGE_SIZE),
			&run->opened->grafted_pages);
}

/* Taking out. Under table->lock. */

/*
 * Returns the new state. A table must not become nothing under a walker, who looks at the
 * entry, looks again, and would walk frame 0. Such a slot is pointed at an empty table of
 * ours, until clear_parked() comes by: the tables are never freed before that. Nobody else
 * takes the states that it waits for away, so the run stays. Under the pud's lock.
 */
static unsigned long take_out_pud(struct mm_struct *mm, pud_t *pud, unsigned long state,
				  bool for_good)
{
	struct page *kept = slot_table(state);

	if (kept && (state & SLOT_BACK))
		return state;
	pud_populate(mm, pud, page_address(kept ?: parking[MORSEL_PMD]));
	if (!kept)
		return SLOT_PARKED;
	return for_good && (state & SLOT_HOLLOW) ? state | SLOT_BACK : SLOT_EMPTY;
}

/*
 * 6.1's walkers look at an entry twice, first for the lock, then for the table. A slot that was parked
 * and then filled may have one that holds the parking's lock and reads the process's own table: he is
 * through when this has the lock.
 */
static void lock_parking(void)
{
#if MORSEL_SPLIT_PTLOCKS
	if (MORSEL_LEAVES_MAY_RETURN)
		spin_lock(morsel_table_lock(page_address(parking[MORSEL_PTE])));
#endif
}

static void unlock_parking(void)
{
#if MORSEL_SPLIT_PTLOCKS
	if (MORSEL_LEAVES_MAY_RETURN)
		spin_unlock(morsel_table_lock(page_address(parking[MORSEL_PTE])));
#endif
}

static void clear_filled(struct mm_struct *mm, struct page *page)
{
	spinlock_t *ptl = morsel_own_pte_lock(mm, page_address(page));
	pte_t *pte = page_address(page);
	unsigned int i;

	lock_parking();
	spin_lock_nested(ptl, SINGLE_DEPTH_NESTING);
	for (i = 0; i < PTRS_PER_PTE; i++)
		set_pte(pte + i, __pte(0));
	spin_unlock(ptl);
	unlock_parking();
}

/* The same, but for the lock; and a leaf may become nothing. */
static unsigned long take_out_pmd(struct mm_struct *mm, pmd_t *pmd, unsigned long state)
{
	unsigned long left = SLOT_EMPTY;
	spinlock_t *ptl;

	if (slot_table(state) && (state & SLOT_FILLED)) {
		clear_filled(mm, slot_table(state));
		return SLOT_EMPTY;
	}
	ptl = pmd_lock(mm, pmd);
	if (slot_table(state)) {
		pmd_populate(mm, pmd, slot_table(state));
	} else if (pmd_leaf(*pmd)) {
		set_pmd(pmd, __pmd(0));
	} else {
		pmd_populate(mm, pmd, parking[MORSEL_PTE]);
		left = SLOT_PARKED;
	}
	spin_unlock(ptl);
	return left;
}

static void take_out_raw(struct mm_struct *mm, struct graft_run *run)
{
	spinlock_t *ptl = morsel_own_pte_lock(mm, run->entries);
	pte_t *pte = run->entries;
	unsigned int i;

	spin_lock(ptl);
	for (i = 0; i < run->count; i++)
		if (run->slots[i] != SLOT_EMPTY)
			set_pte(pte + i, __pte(0));
	spin_unlock(ptl);
}

/* What has been taken out: the runs that are done with, if there was one, its slots, and what to flush. */
struct taken {
	struct list_head dead;
	bool any;
	unsigned long slots;
	struct morsel_tlb_range translations;
};

/*
 * Before it is taken out. Only the bits of use may change without the table's lock. What is a leaf now has been one
 * since CPUs last forgot this slot: a leaf goes over nothing only (put_in_pmd()).
 */
static void note_pmd(struct morsel_tlb_range *translations, const struct graft_run *run,
		     unsigned int i)
{
	unsigned long start = run->node.start + i * PMD_SIZE;

	if (pmd_leaf(READ_ONCE(((pmd_t *)run->entries)[i])))
		morsel_tlb_add(translations, start, start + PMD_SIZE, PMD_SIZE);
	else
		translations->all = true;
}

/* Adds to the entries written. True if slots are to be cleared yet, so that the run must stay. */
static bool take_out_run(struct mm_struct *mm, struct graft_run *run, bool for_good,
			 struct taken *taken, unsigned long *entries)
{
	spinlock_t *ptl = NULL;
	bool stays = false;
	unsigned int i;

	*entries += run->count;
	if (run->level == MORSEL_PTE) {
		morsel_tlb_add(&taken->translations, run->node.start, run->node.last + 1,
			       PAGE_SIZE);
		take_out_raw(mm, run);
	}
	if (run->level == MORSEL_PUD) {
		taken->translations.all = true;
		ptl = pud_lock(mm, (pud_t *)run->entries); /* one for all of them */
	}
	for (i = 0; run->level != MORSEL_PTE && i < run->count; i++) {
		if (run->slots[i] == SLOT_EMPTY)
			continue;
		if (run->level == MORSEL_PUD) {
			run->slots[i] = take_out_pud(mm, (pud_t *)run->entries + i, run->slots[i],
						     for_good);
		} else {
			if (slot_table(run->slots[i]) && (run->slots[i] & SLOT_FILLED))
				*entries += PTRS_PER_PTE;
			note_pmd(&taken->translations, run, i);
			run->slots[i] = take_out_pmd(mm, (pmd_t *)run->entries + i, run->slots[i]);
		}
		stays |= run->slots[i] != SLOT_EMPTY;
	}
	if (ptl)
		spin_unlock(ptl);
	morsel_graft_account(run, -(long)run->grafted);
	return stays;
}

/*
 * Takes out runs that touch [*first, last], some at a time, so that nobody waits long
 * for the lock. True if there may be more, from *first on.
 */
static bool take_out_some(struct graft_table *table, unsigned long *first, unsigned long last,
			  bool for_good, struct taken *taken)
{
	struct interval_tree_node *node;
	unsigned long entries = 0;

	while (entries < ENTRIES_AT_ONCE && *first <= last &&
	       (node = interval_tree_iter_first(&table->runs, *first, last))) {
		struct graft_run *run = container_of(node, struct graft_run, node);

		*first = node->last + 1;
		if (!taken->any)
			atomic_inc(&table->unflushed); /* before the first entry goes */
		taken->any = true;
		taken->slots += run->grafted;
		if (!take_out_run(table->notifier.mm, run, for_good, taken, &entries)) {
			interval_tree_remove(node, &table->runs);
			list_add(&run->dead, &taken->dead);
		}
	}
	return *first <= last && interval_tree_iter_first(&table->runs, *first, last);
}

/*
 * What leads to empty tables. One of the process's own that is not empty after all is the
 * kernel's to free, with what is in it.
 */
static void clear_run(struct mm_struct *mm, struct graft_run *run)
{
	spinlock_t *ptl = NULL;
	unsigned int i;

	if (run->level == MORSEL_PUD)
		ptl = pud_lock(mm, (pud_t *)run->entries);
	for (i = 0; i < run->count; i++) {
		pmd_t *pmd = (pmd_t *)run->entries + i;
		spinlock_t *own;

		if (slot_table(run->slots[i]) &&
		    WARN_ON_ONCE(memchr_inv(page_address(slot_table(run->slots[i])), 0, PAGE_SIZE)))
			run->slots[i] = SLOT_EMPTY;
		if (run->slots[i] == SLOT_EMPTY)
			continue;
		if (run->level == MORSEL_PUD) {
			set_pud((pud_t *)run->entries + i, __pud(0));
			continue;
		}
		own = pmd_lock(mm, pmd);
		set_pmd(pmd, __pmd(0));
		spin_unlock(own);
	}
	if (ptl)
		spin_unlock(ptl);
}

/*
 * After all of [first, last] was taken out: what is left are runs with slots that lead to
 * empty tables, and they are cleared now. Nobody finds these VMAs by their mm (its lock is
 * held for writing, or they are out of its tree); who finds them by their file
 * (truncation, reclaim) is kept out here, run by run. The VMAs still pin their inodes.
 */
static void clear_parked(struct graft_table *table, unsigned long first, unsigned long last,
			 struct taken *taken)
{
	struct graft_run *run;

	for (;;) {
		struct address_space *mapping;

		spin_lock(&table->lock);
		run = find_run(table, first, last);
		spin_unlock(&table->lock);
		if (!run)
			return;
		mapping = &run->opened->mapping;
		morsel_keep_rmap_walkers_out(mapping, run->level);
		spin_lock(&table->lock);
		clear_run(table->notifier.mm, run);
		interval_tree_remove(&run->node, &table->runs);
		spin_unlock(&table->lock);
		morsel_let_rmap_walkers_in(mapping, run->level);
		list_add(&run->dead, &taken->dead);
		cond_resched();
	}
}

/* A run that is out, and flushed: with it the process's own tables that were cleared. */
static void free_run(struct mm_struct *mm, struct graft_run *run)
{
	unsigned int i;

	for (i = 0; run->level == MORSEL_PUD && i < run->count; i++) {
		struct page *page = slot_table(run->slots[i]);

		if (!page)
			continue;
		mm_dec_nr_pmds(mm);
		morsel_table_free(page, MORSEL_PMD);
	}
	kfree(run);
}

/* In which way somebody takes out. */
enum taker {
	TAKER_ATOMIC, /* may not sleep: the OOM reaper */
	TAKER_BESIDE_WALKERS, /* may sleep */
	TAKER_ALONE, /* may sleep, and no walker gets to these VMAs through their mm */
};

/*
 * All of [start, end), with the flush. Nothing comes back between two rounds: an
 * invalidation runs, or the VMA is write-locked, or the mm has no user left.
 */
static void take_out(struct graft_table *table, unsigned long start, unsigned long end,
		     enum taker taker)
{
	struct taken taken = { .dead = LIST_HEAD_INIT(taken.dead) };
	struct graft_run *run, *next;
	unsigned long first = start;
	/* A device may have cached what leads to a table of ours, and we can't flush it: the kernel can. */
	bool for_good = taker == TAKER_ALONE && !morsel_mm_has_pasid(table->notifier.mm);
	bool more;
	int unflushed;

	do {
		spin_lock(&table->lock);
		more = take_out_some(table, &first, end - 1, for_good, &taken);
		spin_unlock(&table->lock);
		if (taker != TAKER_ATOMIC)
			cond_resched();
	} while (more);
	/*
	 * Only if there was anything: then the VMAs are ours, and whoever calls holds no
	 * i_mmap_rwsem. (6.1 unmaps hugetlb pages with the one of theirs held.)
	 */
	if (taker == TAKER_ALONE && taken.any)
		clear_parked(table, start, end - 1, &taken);
	/* Also for what another CPU has taken out and not flushed yet, whatever it is. */
	unflushed = atomic_read(&table->unflushed);
	if (unflushed)
		morsel_tlb_flush(table->notifier.mm,
				 taken.any && unflushed == 1 ? &taken.translations : NULL);
	if (taken.any)
		atomic_dec(&table->unflushed);
	if (unflushed)
		trace_morselfs_ungraft(start, end, taken.slots);
	list_for_each_entry_safe(run, next, &taken.dead, dead) {
		free_run(table->notifier.mm, run);
		if (taker != TAKER_ATOMIC)
			cond_resched();
	}
}

void morsel_graft_take_out(struct mmu_notifier *notifier, unsigned long start, unsigned long end)
{
	take_out(table_of(notifier), start, end, TAKER_ALONE);
}

/* The ranges that run. Under table->lock. */

static bool overlap(const struct address_range *range, unsigned long start, unsigned long end)
{
	return range->start < end && range->end > start;
}

bool morsel_graft_invalidating(const struct graft_table *table, unsigned long start,
			       unsigned long end)
{
	unsigned int i;

	for (i = 0; i < KNOWN_RANGES; i++)
		if (overlap(&table->ranges[i], start, end))
			return true;
	return table->others && overlap(&table->hull, start, end);
}

static void range_begins(struct graft_table *table, unsigned long start, unsigned long end)
{
	unsigned int i;

	for (i = 0; i < KNOWN_RANGES; i++) {
		if (table->ranges[i].start != table->ranges[i].end)
			continue;
		table->ranges[i] = (struct address_range){ start, end };
		return;
	}
	if (!table->others++)
		table->hull = (struct address_range){ start, end };
	table->hull.start = min(table->hull.start, start);
	table->hull.end = max(table->hull.end, end);
}

/* Which of several equal ranges ends makes no difference. */
static void range_ends(struct graft_table *table, unsigned long start, unsigned long end)
{
	unsigned int i;

	for (i = 0; i < KNOWN_RANGES; i++) {
		if (table->ranges[i].start != start || table->ranges[i].end != end)
			continue;
		table->ranges[i] = (struct address_range){ 0, 0 };
		return;
	}
	if (!WARN_ON_ONCE(!table->others))
		table->others--;
}

/* The mmu notifier. */

static int invalidate_range_start(struct mmu_notifier *notifier,
				  const struct mmu_notifier_range *range)
{
	struct graft_table *table = table_of(notifier);

	spin_lock(&table->lock);
	range_begins(table, range->start, range->end);
	spin_unlock(&table->lock);
	/*
	 * munmap, mremap and exit come with UNMAP and the mmap lock held for writing (or
	 * the VMA out of reach); the OOM reaper too, but it may not block.
	 */
	take_out(table, range->start, range->end,
		 !mmu_notifier_range_blockable(range) ? TAKER_ATOMIC :
		 range->event == MMU_NOTIFY_UNMAP     ? TAKER_ALONE :
							TAKER_BESIDE_WALKERS);
	return 0;
}

static void invalidate_range_end(struct mmu_notifier *notifier,
				 const struct mmu_notifier_range *range)
{
	struct graft_table *table = table_of(notifier);

	spin_lock(&table->lock);
	range_ends(table, range->start, range->end);
	spin_unlock(&table->lock);
	/* Who waits looks at the ranges under the same lock, after he has joined the queue. */
	if (wq_has_sleeper(&table->ended))
		wake_up_all(&table->ended);
}

/*
 * The table itself is no user of its notifier any more. Not in the way of a process that ends: it
 * is to wait for the notifiers' readers next, and would wait for the end of the table, too.
 */
static void let_go_later(struct work_struct *work)
{
	mmu_notifier_put(&container_of(work, struct graft_table, let_go)->notifier);
}

/*
 * exit_mmap(): no user of the mm is left, its tables are freed next. The OOM reaper and
 * process_mrelease(2) may still walk them, with the lock held for reading.
 */
static void release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	mmap_write_lock(mm);
	morsel_graft_take_out(notifier, 0, TASK_SIZE_MAX);
	mmap_write_unlock(mm);
	if (test_and_clear_bit(0, &table_of(notifier)->kept))
		queue_work(workers, &table_of(notifier)->let_go);
}

void morsel_graft_unref(struct graft_table *table)
{
	if (refcount_dec_and_test(&table->references))
		kfree(table);
}

static struct mmu_notifier *alloc_notifier(struct mm_struct *mm)
{
	struct graft_table *table;

	table = morsel_may_fail(GRAFT_TABLE, kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT));
	if (!table)
		return ERR_PTR(-ENOMEM);
	table->notifier.mm = mm; /* the kernel sets it later, others find it in the list now */
	refcount_set(&table->references, 1);
	spin_lock_init(&table->lock);
	table->runs = RB_ROOT_CACHED;
	init_waitqueue_head(&table->ended);
	INIT_WORK(&table->let_go, let_go_later);
	spin_lock(&all_tables_lock);
	list_add(&table->list, &all_tables);
	spin_unlock(&all_tables_lock);
	return &table->notifier;
}

static void free_notifier(struct mmu_notifier *notifier)
{
	struct graft_table *table = table_of(notifier);

	spin_lock(&all_tables_lock);
	list_del(&table->list);
	spin_unlock(&all_tables_lock);
	WARN_ON_ONCE(!RB_EMPTY_ROOT(&table->runs.rb_root));
	morsel_graft_unref(table);
}

static const struct mmu_notifier_ops notifier_ops = {
	.release = release,
	.invalidate_range_start = invalidate_range_start,
	.invalidate_range_end = invalidate_range_end,
	.alloc_notifier = alloc_notifier,
	.free_notifier = free_notifier,
};

/*
 * Once made, a table stays until its mm or the module goes, as one more user of its notifier:
 * registering takes all locks of the mm, and who maps one file after the other would do it each
 * time.
 */
struct mmu_notifier *morsel_graft_table_get(struct mm_struct *mm)
{
	struct mmu_notifier *notifier;

	/* A device would walk the grafts, and no un-graft of ours reaches its IOTLB. */
	if (morsel_mm_has_pasid(mm))
		return NULL;
	notifier = mmu_notifier_get_locked(&notifier_ops, mm);
	if (IS_ERR(notifier))
		return NULL;
	/* It is registered, so getting it only counts. The mmap lock is held for writing. */
	if (!test_bit(0, &table_of(notifier)->kept) &&
	    !IS_ERR(mmu_notifier_get_locked(&notifier_ops, mm)))
		set_bit(0, &table_of(notifier)->kept);
	return notifier;
}

void morsel_graft_table_put(struct mmu_notifier *notifier)
{
	mmu_notifier_put(notifier);
}

/* Of some runs from *first on, which moves; false if there are no more. */
static bool count_some(struct graft_table *table, struct inode *inode, unsigned long *first,
		       u64 *bytes)
{
	struct interval_tree_node *node = interval_tree_iter_first(&table->runs, *first, ULONG_MAX);
	unsigned int budget;

	for (budget = RUNS_AT_ONCE; budget && node; budget--) {
		struct graft_run *run = container_of(node, struct graft_run, node);

		if (run->inode == inode)
			*bytes += run->grafted * (u64)slot_size(run->level);
		*first = node->last + 1;
		node = interval_tree_iter_next(node, *first, ULONG_MAX);
	}
	return node;
}

/* A reference to the table of an mm that has runs, or NULL. */
static struct graft_table *find_table(const struct mm_struct *mm)
{
	struct graft_table *table, *found = NULL;

	spin_lock(&all_tables_lock);
	list_for_each_entry(table, &all_tables, list) {
		if (table->notifier.mm == mm) {
			refcount_inc(&table->references);
			found = table;
			break;
		}
	}
	spin_unlock(&all_tables_lock);
	return found;
}

/* A process may have a great many runs, and nobody else shall wait while they are counted. */
u64 morsel_graft_self_bytes(struct inode *inode)
{
	struct graft_table *table = find_table(current->mm);
	unsigned long first = 0;
	u64 bytes = 0;
	bool more;

	if (!table)
		return 0;
	do {
		spin_lock(&table->lock);
		more = count_some(table, inode, &first, &bytes);
		spin_unlock(&table->lock);
		cond_resched();
	} while (more);
	morsel_graft_unref(table);
	return bytes;
}

/* All mms that have had grafts, with a use of each; NULL without memory. */
static struct mm_struct **get_mms(unsigned int *count)
{
	struct mm_struct **mms = NULL;
	struct graft_table *table;
	unsigned int room, all;

	for (room = 16;; room = all + 16) {
		mms = kvmalloc_array(room, sizeof(*mms), GFP_KERNEL);
		if (!mms)
			return NULL;
		all = 0;
		*count = 0;
		spin_lock(&all_tables_lock);
		list_for_each_entry(table, &all_tables, list) {
			/* Without users it is on its way out, and its grafts with it. */
			if (all++ < room && mmget_not_zero(table->notifier.mm))
				mms[(*count)++] = table->notifier.mm;
		}
		spin_unlock(&all_tables_lock);
		if (all <= room)
			return mms;
		while (*count)
			mmput(mms[--*count]);
		kvfree(mms);
	}
}

/* False if somebody is in it, by either lock. */
static bool quiesce_mm(struct mm_struct *mm)
{
	bool quiet;

	if (!morsel_mmap_write_trylock(mm))
		return false;
	quiet = morsel_keep_faults_out(mm);
	mmap_write_unlock(mm);
	return quiet;
}

bool morsel_graft_quiesce(void)
{
	unsigned int count, i, turns;
	struct mm_struct **mms = get_mms(&count);
	bool quiet = mms;

	for (i = 0; mms && i < count; i++) {
		for (turns = 0; quiet && !quiesce_mm(mms[i]); turns++) {
			if (turns == QUIESCE_TURNS)
				quiet = false;
			else
				msleep(1);
		}
		mmput(mms[i]);
		cond_resched();
	}
	kvfree(mms);
	return quiet;
}

#if !MORSEL_SPLIT_PTLOCKS
/*
 * Without split locks, who walks a table of an object holds the page_table_lock of his
 * mm, another one in each. So the lock of such a table is all of them together. Nobody
 * else takes two, and while the list is locked no mm gets its first graft, or loses its
 * graft table. Preemption is off already; its counter has no room for so many locks.
 */
void morsel_graft_lock_walkers(void)
{
	struct graft_table *table;

	spin_lock(&all_tables_lock);
	list_for_each_entry(table, &all_tables, list) {
		spin_lock_nest_lock(&table->notifier.mm->page_table_lock, &all_tables_lock);
		preempt_enable();
	}
}

void morsel_graft_unlock_walkers(void)
{
	struct graft_table *table;

	list_for_each_entry(table, &all_tables, list) {
		preempt_disable();
		spin_unlock(&table->notifier.mm->page_table_lock);
	}
	spin_unlock(&all_tables_lock);
}
#endif

static void free_parking(void)
{
	enum morsel_level level;

	for (level = MORSEL_PTE; level < MORSEL_PUD; level++) {
		if (!parking[level])
			continue;
		WARN_ON(memchr_inv(page_address(parking[level]), 0, PAGE_SIZE));
		morsel_table_destroy(parking[level], level);
		__free_page(parking[level]);
		parking[level] = NULL;
	}
}

static int make_parking(void)
{
	enum morsel_level level;
	struct page *page;

	for (level = MORSEL_PTE; level < MORSEL_PUD; level++) {
		page = morsel_may_fail(LOAD_PARKING, alloc_page(GFP_KERNEL | __GFP_ZERO));
		if (!page || morsel_inject(LOAD_PARKING_LOCK) ||
		    !morsel_table_construct(page, level)) {
			if (page)
				__free_page(page);
			free_parking();
			return -ENOMEM;
		}
		parking[level] = page;
	}
	return 0;
}

int morsel_graft_init(void)
{
	const char *why = NULL;

	if (cpu_feature_enabled(X86_FEATURE_XENPV))
		why = "page tables of a Xen PV guest belong to the hypervisor";
	else if (boot_cpu_has_bug(X86_BUG_AMD_TLB_MMATCH))
		why = "this CPU (AMD family 10h, erratum 383) cannot split large pages in place";
	else if (!boot_cpu_has(X86_FEATURE_NX))
		why = "this CPU has no NX bit";
	if (!why) {
		workers = morsel_may_fail(LOAD_WORKERS, alloc_workqueue("morselfs", 0, 0));
		if (workers && !make_parking())
			return 0;
		if (workers)
			destroy_workqueue(workers);
		return -ENOMEM;
	}
	pr_err("morselfs: not loaded: %s\n", why);
	return -EOPNOTSUPP;
}

void morsel_graft_exit(void)
{
	struct graft_table *table;
	bool empty;

	/* Nobody maps a file of ours any more; who has done so may still run. */
	spin_lock(&all_tables_lock);
	list_for_each_entry(table, &all_tables, list)
		if (test_and_clear_bit(0, &table->kept))
			mmu_notifier_put(&table->notifier);
	spin_unlock(&all_tables_lock);
	destroy_workqueue(workers);
	/* The last users' notifiers are freed after a grace period, by code of ours. */
	do {
		mmu_notifier_synchronize();
		spin_lock(&all_tables_lock);
		empty = list_empty(&all_tables);
		spin_unlock(&all_tables_lock);
		if (!empty)
			msleep(1); /* a signal must not end this: their code is ours */
	} while (!empty);
	mmu_notifier_synchronize(); /* the callback that emptied the list has returned */
	free_parking();
}
