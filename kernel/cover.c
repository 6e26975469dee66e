// SPDX-License-Identifier: GPL-2.0
/*
 * A fault in a grafting VMA: puts in the largest subtrees that fit it.
 *
 * The VMA is cut into segments by its own bounds alone: 1-GiB slots that lie wholly
 * in it take pmd tables of the object, 2-MiB slots of the rest take pte tables or
 * 2-MiB leaves, and what is left at either end (an edge) gets a raw run: leaf entries
 * written into the process's own pte table. A VMA whose addresses are not congruent
 * with the file modulo 2 MiB has raw runs only, one per 2-MiB slot that is touched.
 *
 * What a slot is never changes while the VMA is not write-locked, and a slot of ours
 * never gets an ordinary page: finish_fault() would install it in the object's tables.
 * Faults run under the mmap lock (6.1) or the VMA's own (6.12, with map_pages): whoever needs
 * them out of a VMA has it write-locked, which is both.
 *
 * Where a slot holds the process's own table without pages, that table is kept with the
 * slot, to be put back by graft.c.
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/pgalloc.h>
#include <asm/pgtable.h>

#include "graft.h"
#include "graft_table.h"
#include "inject.h"
#include "invalidate.h"
#include "mm_compat.h"
#include "morselfs.h"
#include "opened.h"
#include "pgtable.h"
#include "pool.h"
#include "trace.h"

/* A run ends where the table ends that its slots lie in. */
#define MAX_SLOTS PTRS_PER_PMD
/* Two edges, two stretches of 2-MiB slots, one of 1-GiB slots. */
#define MAX_SEGMENTS 5
/*
 * Tables of the process's own that a fault looks through or fills, at 4 KiB each, with a lock
 * held: those that the wanted slot can need, and some for others. A later fault goes on.
 */
#define LOOKS_FOR_WANTED PTRS_PER_PMD
#define LOOKS_FOR_OTHERS 64U

/* Consecutive slots of one kind in a VMA. */
struct segment {
	enum morsel_level level;
	unsigned long start, end;
};

/**
 * struct cover - one fault's work
 * @vma, @inode, @twin: what is mapped, and by which twin
 * @address: page that must be reachable in the end
 * @spare: zeroed pages for tables, allocated before the lock, linked by lru
 * @runs: fresh runs, one per segment that has none yet
 * @entries: room for the entries of a raw run
 * @looks: how many more tables of the process's own may be looked through
 * @blocked: the faulting slot holds something that is not ours
 */
struct cover {
	struct vm_area_struct *vma;
	struct inode *inode;
	enum morsel_twin twin;
	unsigned long address;
	struct list_head spare;
	struct segment segments[MAX_SEGMENTS];
	struct graft_run *runs[MAX_SEGMENTS];
	unsigned int count;
	unsigned long *entries;
	unsigned int looks;
	bool blocked;
};

static unsigned long index_at(const struct cover *cover, unsigned long address)
{
	return linear_page_index(cover->vma, address);
}

static void add_segment(struct cover *cover, enum morsel_level level, unsigned long start,
			unsigned long end)
{
	if (start < end)
		cover->segments[cover->count++] = (struct segment){ level, start, end };
}

/* 2-MiB slots and the edges beside them; [start, end) is less than a 1-GiB slot on either side. */
static void add_small(struct cover *cover, unsigned long start, unsigned long end)
{
	unsigned long first = round_up(start, PMD_SIZE), last = round_down(end, PMD_SIZE);

	if (first < last) {
		add_segment(cover, MORSEL_PTE, start, first);
		add_segment(cover, MORSEL_PMD, first, last);
		add_segment(cover, MORSEL_PTE, last, end);
	} else if (round_down(start, PMD_SIZE) == round_down(end - 1, PMD_SIZE)) {
		add_segment(cover, MORSEL_PTE, start, end);
	} else { /* across one boundary, no whole slot on either side of it */
		add_segment(cover, MORSEL_PTE, start, first);
		add_segment(cover, MORSEL_PTE, first, end);
	}
}

static void cut_incongruent(struct cover *cover)
{
	unsigned long slot = round_down(cover->address, PMD_SIZE);

	add_segment(cover, MORSEL_PTE, max(slot, cover->vma->vm_start),
		    min(slot + PMD_SIZE, cover->vma->vm_end));
}

/* A pure function of the VMA, but for VMAs above 512 GiB: there of one P4D slot of it. */
static void cut(struct cover *cover)
{
	unsigned long start = cover->vma->vm_start, end = cover->vma->vm_end;
	unsigned long skew = start - (cover->vma->vm_pgoff << PAGE_SHIFT);
	unsigned long part = round_down(cover->address, MAX_SLOTS * PUD_SIZE);
	unsigned long first, last;

	start = max(start, part);
	end = min(end, part + MAX_SLOTS * PUD_SIZE);
	first = round_up(start, PUD_SIZE);
	last = round_down(end, PUD_SIZE);
	if (skew % PMD_SIZE) {
		cut_incongruent(cover);
	} else if (skew % PUD_SIZE || first >= last) {
		/* 2-MiB slots only; one run stays within one pmd table. */
		unsigned long giga = round_down(cover->address, PUD_SIZE);

		add_small(cover, max(start, giga), min(end, giga + PUD_SIZE));
	} else {
		add_segment(cover, MORSEL_PUD, first, last);
		if (start < first)
			add_small(cover, start, first);
		if (last < end)
			add_small(cover, last, end);
	}
}

static pud_t *pud_at(struct mm_struct *mm, unsigned long address)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;

	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, address);
	return p4d_none(*p4d) ? NULL : pud_offset(p4d, address);
}

static struct page *take_spare(struct cover *cover, enum morsel_level level)
{
	struct page *page = list_first_entry_or_null(&cover->spare, struct page, lru);

	if (!page)
		return NULL;
	list_del(&page->lru);
	memset(&page->lru, 0, sizeof(page->lru)); /* words that a table page wants zero */
	if (!morsel_inject(OWN_TABLE_LOCK) && morsel_table_construct(page, level))
		return page;
	__free_page(page);
	return NULL;
}

static void discard_table(struct page *page, enum morsel_level level)
{
	if (!page)
		return;
	morsel_table_destroy(page, level);
	__free_page(page);
}

static bool add_spares(struct cover *cover, unsigned long count)
{
	while (count--) {
		struct page *page = morsel_may_fail(OWN_TABLE, alloc_page(GFP_PGTABLE_USER));

		if (!page)
			return false;
		list_add(&page->lru, &cover->spare);
	}
	return true;
}

/* The process's own pmd table above an address, made where missing. Under table->lock. */
static pmd_t *own_pmd(struct cover *cover, unsigned long address)
{
	struct mm_struct *mm = cover->vma->vm_mm;
	pud_t *pud = pud_at(mm, address);
	struct page *page;
	spinlock_t *ptl;

	if (!pud)
		return NULL;
	if (pud_none(*pud)) {
		page = take_spare(cover, MORSEL_PMD);
		if (!page)
			return NULL;
		ptl = pud_lock(mm, pud);
		if (pud_none(*pud)) {
			mm_inc_nr_pmds(mm);
			smp_wmb(); /* the table is empty before it is seen */
			pud_populate(mm, pud, page_address(page));
			page = NULL;
		}
		spin_unlock(ptl);
		discard_table(page, MORSEL_PMD);
	}
	return pud_leaf(*pud) ? NULL : pmd_offset(pud, address);
}

/* The same for a pte table. */
static pte_t *own_pte(struct cover *cover, unsigned long address)
{
	struct mm_struct *mm = cover->vma->vm_mm;
	pmd_t *pmd = own_pmd(cover, address);
	struct page *page;
	spinlock_t *ptl;

	if (!pmd)
		return NULL;
	if (pmd_none(*pmd)) {
		page = take_spare(cover, MORSEL_PTE);
		if (!page)
			return NULL;
		ptl = pmd_lock(mm, pmd);
		if (pmd_none(*pmd)) {
			mm_inc_nr_ptes(mm);
			smp_wmb(); /* as above */
			pmd_populate(mm, pmd, page);
			page = NULL;
		}
		spin_unlock(ptl);
		discard_table(page, MORSEL_PTE);
	}
	if (pmd_leaf(*pmd) || !pmd_present(*pmd))
		return NULL;
	return (pte_t *)page_address(pmd_page(*pmd)) + pte_index(address);
}

/* False, too, if there is no time to look. */
static bool pte_table_is_empty(struct cover *cover, struct page *page)
{
	if (!cover->looks)
		return false;
	cover->looks--;
	return !memchr_inv(page_address(page), 0, PAGE_SIZE);
}

/*
 * The slot's state if nothing is mapped below this table of the process's own, else SLOT_EMPTY.
 * Empty pte tables may be left from what was there before.
 */
static unsigned long state_over_pmd_table(struct cover *cover, struct page *page)
{
	pmd_t *pmd = page_address(page);
	unsigned int i;

	if (!memchr_inv(pmd, 0, PAGE_SIZE))
		return (unsigned long)page | SLOT_HOLLOW;
	for (i = 0; i < PTRS_PER_PMD; i++) {
		if (pmd_none(pmd[i]))
			continue;
		if (pmd_leaf(pmd[i]) || pmd_bad(pmd[i]) ||
		    !pte_table_is_empty(cover, pmd_page(pmd[i])))
			return SLOT_EMPTY;
	}
	return (unsigned long)page;
}

/* 1 grafted, 0 nothing to graft, negative: something else is there. Under the pud's lock. */
static int put_in_pud(struct cover *cover, pud_t *pud, unsigned long index, unsigned long *state)
{
	struct mm_struct *mm = cover->vma->vm_mm;
	unsigned long value, was = *state;

	if (morsel_tree_subtree(&MORSEL_I(cover->inode)->tree, cover->twin, index, MORSEL_PUD,
				&value) != MORSEL_TABLE)
		return 0;
	if (pud_none(*pud) || was == SLOT_PARKED)
		/* Whatever is there, nobody put anything into an empty table of ours. */
		*state = SLOT_BARE;
	else if (!pud_leaf(*pud) && !pud_bad(*pud))
		*state = state_over_pmd_table(cover, pud_page(*pud));
	if (*state != was)
		pud_populate(mm, pud, __va(value));
	return *state != was ? 1 : -EBUSY;
}

/*
 * A 2-MiB leaf where the process has an empty table of its own: small entries into that
 * table. A table must not turn into a leaf under a walker. Under the pmd's lock, which is
 * the table's own where locks are not split.
 */
static void fill_own_table(struct cover *cover, struct page *page, unsigned long index,
			   spinlock_t *pmd_ptl)
{
	spinlock_t *ptl = morsel_own_pte_lock(cover->vma->vm_mm, page_address(page));
	pte_t *pte = page_address(page);
	unsigned int i;

	morsel_tree_run(&MORSEL_I(cover->inode)->tree, cover->twin, index, PTRS_PER_PTE,
			cover->entries);
	if (ptl != pmd_ptl)
		spin_lock_nested(ptl, SINGLE_DEPTH_NESTING);
	for (i = 0; i < PTRS_PER_PTE; i++)
		set_pte(pte + i, __pte(cover->entries[i]));
	if (ptl != pmd_ptl)
		spin_unlock(ptl);
}

/*
 * The same where the slot is parked. The table goes in full; so it is a table of ours that
 * another one takes the place of. 0 if there is none: see make_way().
 */
static int fill_parked(struct cover *cover, pmd_t *pmd, unsigned long index, unsigned long *state)
{
	struct mm_struct *mm = cover->vma->vm_mm;
	struct page *page = take_spare(cover, MORSEL_PTE);
	spinlock_t *ptl;

	if (!page)
		return 0;
	ptl = pmd_lock(mm, pmd);
	fill_own_table(cover, page, index, ptl);
	mm_inc_nr_ptes(mm);
	smp_wmb(); /* the table is full before it is seen */
	pmd_populate(mm, pmd, page);
	*state = (unsigned long)page | SLOT_FILLED;
	spin_unlock(ptl);
	return 1;
}

static int put_in_pmd(struct cover *cover, pmd_t *pmd, unsigned long index, unsigned long *state)
{
	struct mm_struct *mm = cover->vma->vm_mm;
	enum morsel_below below;
	unsigned long value, was = *state;
	spinlock_t *ptl;

	below = morsel_tree_subtree(&MORSEL_I(cover->inode)->tree, cover->twin, index, MORSEL_PMD,
				    &value);
	if (below == MORSEL_NOTHING)
		return 0;
	if (was == SLOT_PARKED && below == MORSEL_LEAF)
		return fill_parked(cover, pmd, index, state);
	/* A leaf never takes a table's place: what is flushed when it goes relies on that (graft.c). */
	ptl = pmd_lock(mm, pmd);
	if (pmd_none(*pmd) || was == SLOT_PARKED) {
		*state = SLOT_BARE;
	} else if (!pmd_leaf(*pmd) && !pmd_bad(*pmd) && pte_table_is_empty(cover, pmd_page(*pmd))) {
		*state = (unsigned long)pmd_page(*pmd);
		if (below == MORSEL_LEAF) {
			fill_own_table(cover, pmd_page(*pmd), index, ptl);
			*state |= SLOT_FILLED;
		}
	}
	if (*state != was && !(slot_table(*state) && (*state & SLOT_FILLED))) {
		if (below == MORSEL_TABLE)
			pmd_populate(mm, pmd, virt_to_page(__va(value)));
		else
			set_pmd(pmd, __pmd(value));
	}
	spin_unlock(ptl);
	return *state != was ? 1 : -EBUSY;
}

static long put_in_raw(struct cover *cover, struct graft_run *run, unsigned long index)
{
	spinlock_t *ptl = morsel_own_pte_lock(cover->vma->vm_mm, run->entries);
	pte_t *pte = run->entries;
	unsigned int i;
	long added = 0;

	morsel_tree_run(&MORSEL_I(cover->inode)->tree, cover->twin, index, run->count,
			cover->entries);
	spin_lock(ptl);
	for (i = 0; i < run->count; i++) {
		if (!cover->entries[i] || run->slots[i] != SLOT_EMPTY)
			continue;
		if (!pte_none(pte[i])) {
			if (run->node.start + i * PAGE_SIZE == cover->address)
				cover->blocked = true;
			continue;
		}
		set_pte(pte + i, __pte(cover->entries[i]));
		run->slots[i] = SLOT_BARE;
		added++;
	}
	spin_unlock(ptl);
	return added;
}

/*
 * Subtrees into slots [first, last) of a run, the wanted one first if it is among them; how
 * many there was something for.
 */
static long put_in_subtrees(struct cover *cover, struct graft_run *run, unsigned int first,
			    unsigned int last)
{
	unsigned long size = slot_size(run->level);
	/* Huge if it lies before. */
	unsigned long wanted = (cover->address - run->node.start) / size;
	unsigned int count = last - first, turn;
	spinlock_t *ptl = NULL;
	long added = 0;

	if (wanted < first || wanted >= last)
		wanted = first;
	if (run->level == MORSEL_PUD)
		ptl = pud_lock(cover->vma->vm_mm, (pud_t *)run->entries); /* one for all of them */
	for (turn = 0; turn < count; turn++) {
		unsigned int i = first + (wanted - first + turn) % count;
		unsigned long address = run->node.start + i * size;
		unsigned long index = index_at(cover, address);
		int done;

		if (turn)
			cover->looks = min(cover->looks, LOOKS_FOR_OTHERS);
		if (slot_is_ours(run->slots[i]))
			continue;
		if (run->level == MORSEL_PUD)
			done = put_in_pud(cover, (pud_t *)run->entries + i, index, &run->slots[i]);
		else
			done = put_in_pmd(cover, (pmd_t *)run->entries + i, index, &run->slots[i]);
		if (done > 0)
			added++;
		else if (done < 0 && cover->address - address < size)
			cover->blocked = true;
	}
	if (ptl)
		spin_unlock(ptl);
	return added;
}

/* Puts in slots [first, last) of a run, all of a raw one, as far as the object has them. */
static void put_in_slots(struct cover *cover, struct graft_run *run, unsigned int first,
			 unsigned int last)
{
	unsigned long start = run->node.start;
	long added;

	if (run->level == MORSEL_PTE) {
		added = put_in_raw(cover, run, index_at(cover, start));
	} else {
		added = put_in_subtrees(cover, run, first, last);
		start += first * slot_size(run->level);
	}
	if (!added)
		return;
	morsel_graft_account(run, added);
	trace_morselfs_graft(run->inode, run->level, start, added);
}

/* Where the entries of a segment lie in the process's table; NULL: not now. */
static void *entries_of(struct cover *cover, const struct segment *segment)
{
	switch (segment->level) {
	case MORSEL_PUD:
		return pud_at(cover->vma->vm_mm, segment->start);
	case MORSEL_PMD:
		return own_pmd(cover, segment->start);
	default:
		return own_pte(cover, segment->start);
	}
}

static bool is_wanted(const struct cover *cover, const struct segment *segment)
{
	return cover->address >= segment->start && cover->address < segment->end;
}

/* One segment, under table->lock. */
static void put_in_segment(struct graft_table *table, struct cover *cover, unsigned int which)
{
	const struct segment *segment = &cover->segments[which];
	struct graft_run *run = find_run(table, segment->start, segment->start);
	unsigned long size = slot_size(segment->level);
	unsigned int slot;

	if (!run) {
		run = cover->runs[which];
		if (!run)
			return;
		run->entries = entries_of(cover, segment);
		if (!run->entries)
			return;
		interval_tree_insert(&run->node, &table->runs);
		cover->runs[which] = NULL;
		put_in_slots(cover, run, 0, run->count);
		run->cut_short = !cover->looks;
	} else if (!run->grafted || run->cut_short) { /* all of it was taken out, or was not in */
		put_in_slots(cover, run, 0, run->count);
		run->cut_short = !cover->looks;
	} else if (is_wanted(cover, segment)) {
		slot = (cover->address - run->node.start) / size;
		put_in_slots(cover, run, slot, slot + 1);
	}
}

/*
 * Tables of the process's own that are missing above a segment. Where there is one, it stays: the
 * mapping that needs it is there. (Where a fault was, the kernel has made a pmd table.)
 */
static unsigned long missing_tables(struct cover *cover, const struct segment *segment)
{
	pud_t *pud = pud_at(cover->vma->vm_mm, segment->start);
	bool no_pmd_table = !pud || pud_none(READ_ONCE(*pud));

	if (segment->level == MORSEL_PTE)
		return 1 + no_pmd_table;
	return no_pmd_table;
}

/* A 2-MiB slot that is parked, over what has become a large leaf. */
static bool is_parked_over_leaf(struct graft_table *table, const struct cover *cover)
{
	struct graft_run *run;
	unsigned long value, index = index_at(cover, round_down(cover->address, PMD_SIZE));
	bool parked;

	if (morsel_tree_subtree(&MORSEL_I(cover->inode)->tree, cover->twin, index, MORSEL_PMD,
				&value) != MORSEL_LEAF)
		return false;
	spin_lock(&table->lock);
	run = find_run(table, cover->address, cover->address);
	parked = run && run->level == MORSEL_PMD &&
		 run->slots[(cover->address - run->node.start) / PMD_SIZE] == SLOT_PARKED;
	spin_unlock(&table->lock);
	return parked;
}

/* Before the lock: runs and tables that the segments will need. */
static bool prepare(struct graft_table *table, struct cover *cover)
{
	unsigned long tables = is_parked_over_leaf(table, cover), entries = 0;
	unsigned int i;

	for (i = 0; i < cover->count; i++) {
		const struct segment *segment = &cover->segments[i];
		unsigned long count = (segment->end - segment->start) / slot_size(segment->level);
		struct graft_run *run;
		bool known;

		spin_lock(&table->lock);
		known = find_run(table, segment->start, segment->start);
		spin_unlock(&table->lock);
		/* A 1-GiB slot wants a pmd table even over a file that would do without. */
		if (segment->level == MORSEL_PUD &&
		    morsel_tree_grow(&MORSEL_I(cover->inode)->tree, 0, MORSEL_PMD))
			return false;
		if (segment->level != MORSEL_PUD && !known)
			tables += missing_tables(cover, segment);
		/* A 2-MiB slot may want all entries of a table of the process's own. */
		if (segment->level != MORSEL_PUD)
			entries = max(entries, segment->level == MORSEL_PMD ? PTRS_PER_PTE : count);
		if (known)
			continue;
		run = morsel_may_fail(RUN,
				      kzalloc(struct_size(run, slots, count), GFP_KERNEL_ACCOUNT));
		if (!run)
			return false;
		run->node.start = segment->start;
		run->node.last = segment->end - 1;
		run->inode = cover->inode;
		run->opened = morsel_opened(cover->vma->vm_file);
		run->level = segment->level;
		run->count = count;
		cover->runs[i] = run;
	}
	if (entries)
		cover->entries = morsel_may_fail(
			ENTRIES, kmalloc_array(entries, sizeof(*cover->entries), GFP_KERNEL));
	return (!entries || cover->entries) && add_spares(cover, tables);
}

static void clean_up(struct cover *cover)
{
	struct page *page, *next;
	unsigned int i;

	list_for_each_entry_safe(page, next, &cover->spare, lru)
		__free_page(page);
	for (i = 0; i < cover->count; i++)
		kfree(cover->runs[i]);
	kfree(cover->entries);
}

/* True if the faulting slot is ours now. Under table->lock. */
static bool reached(struct graft_table *table, const struct cover *cover)
{
	struct graft_run *run = find_run(table, cover->address, cover->address);

	return run &&
	       slot_is_ours(run->slots[(cover->address - run->node.start) / slot_size(run->level)]);
}

/*
 * The hole was in a table that is grafted here, and has been filled: the access will succeed. Many
 * threads that fill holes find out like this, without the lock that they share. The tables that
 * are walked stay while the VMA does, those of the object and those of the process.
 */
static bool is_there(struct vm_fault *vmf)
{
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	pud_t *pudp = pud_at(vmf->vma->vm_mm, vmf->address), pud;
	pmd_t pmd;
	pte_t pte;

	if (!pudp)
		return false;
	pud = READ_ONCE(*pudp);
	if (!pud_present(pud) || pud_leaf(pud))
		return false;
	pmd = READ_ONCE(*pmd_offset(&pud, vmf->address));
	if (!pmd_present(pmd))
		return false;
	if (pmd_leaf(pmd))
		return !write || pmd_write(pmd);
	pte = READ_ONCE(((pte_t *)page_address(pmd_page(pmd)))[pte_index(vmf->address)]);
	return pte_present(pte) && (!write || pte_write(pte));
}

/* The same, of a slot that is ours. */
static bool is_covered(struct graft_table *table, const struct cover *cover)
{
	bool covered;

	spin_lock(&table->lock);
	covered = reached(table, cover);
	spin_unlock(&table->lock);
	return covered;
}

/*
 * Grafts must not come back between the start and the end of an invalidation
 * that concerns them: MADV_DONTNEED holds the mmap lock only for reading, a
 * truncation not at all. Neither needs our lock to finish, so waiting with it
 * held is safe; dropping it is kinder. Asked without the lock, as a wait condition.
 */
static bool quiet(struct graft_table *table, unsigned long start, unsigned long end)
{
	bool running;

	spin_lock(&table->lock);
	running = morsel_graft_invalidating(table, start, end);
	spin_unlock(&table->lock);
	return !running;
}

static vm_fault_t wait_for_invalidation(struct vm_fault *vmf, struct graft_table *table)
{
	unsigned long start = vmf->vma->vm_start, end = vmf->vma->vm_end;
	struct file *file;

	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY)) {
		wait_event(table->ended, quiet(table, start, end));
		return 0;
	}
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	refcount_inc(&table->references);
	file = get_file(vmf->vma->vm_file); /* keeps the module while we sleep in it */
	morsel_release_fault_lock(vmf);
	wait_event_killable(table->ended, quiet(table, start, end));
	morsel_graft_unref(table);
	fput(file);
	return VM_FAULT_RETRY;
}

/*
 * A table must not turn into a leaf under a walker, so where a 2-MiB slot is parked a large leaf
 * gets in by small entries only. With the mmap lock held for writing there is no walker, and the
 * slot can be cleared: the access then faults again. Not if the caller can't let go of his lock.
 */
static vm_fault_t make_way(struct vm_fault *vmf, struct graft_table *table)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	unsigned long address = vmf->address, slot = round_down(address, PMD_SIZE);
	struct vm_area_struct *vma;
	struct file *file;

	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY) || (vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		return 0;
	refcount_inc(&table->references);
	file = get_file(vmf->vma->vm_file); /* as above */
	morsel_release_fault_lock(vmf);
	if (!mmap_write_lock_killable(mm)) {
		vma = find_vma(mm, address);
		if (vma && vma->vm_start <= address && vma->vm_private_data == &table->notifier &&
		    vma->vm_file == file) {
			morsel_vma_start_write(vma);
			/* The run that the slot is of. Others stay: nobody may come by to put them in again. */
			morsel_graft_take_out(&table->notifier, max(slot, vma->vm_start),
					      min(slot + PMD_SIZE, vma->vm_end));
		}
		mmap_write_unlock(mm);
	}
	morsel_graft_unref(table);
	fput(file);
	return VM_FAULT_RETRY;
}

/* Puts in all that the cut named; leaves are read under the same lock that removals take. */
static vm_fault_t put_in(struct vm_fault *vmf, struct graft_table *table, struct cover *cover)
{
	vm_fault_t result;
	unsigned int i;

	spin_lock(&table->lock);
	while (morsel_graft_invalidating(table, cover->vma->vm_start, cover->vma->vm_end)) {
		spin_unlock(&table->lock);
		result = wait_for_invalidation(vmf, table);
		if (result)
			return result;
		spin_lock(&table->lock);
	}
	if (morsel_pool_is_shut_down(cover->inode)) { /* see morsel_pool_unmap() */
		spin_unlock(&table->lock);
		return VM_FAULT_SIGBUS;
	}
	cover->looks = LOOKS_FOR_WANTED;
	for (i = 0; i < cover->count; i++)
		if (is_wanted(cover, &cover->segments[i]))
			put_in_segment(table, cover, i);
	for (i = 0; i < cover->count; i++)
		if (!is_wanted(cover, &cover->segments[i]))
			put_in_segment(table, cover, i);
	/* Not reached: the leaf went away meanwhile; the access faults again and finds out. */
	result = reached(table, cover) || !cover->blocked ? VM_FAULT_NOPAGE : VM_FAULT_SIGBUS;
	spin_unlock(&table->lock);
	if (result == VM_FAULT_SIGBUS)
		pr_warn_ratelimited(
			"morselfs: %s[%d]: page table at %lx is in use by something else, cannot map\n",
			current->comm, current->pid, vmf->address);
	return result;
}

vm_fault_t morsel_graft_fault(struct vm_fault *vmf, struct mmu_notifier *notifier)
{
	struct graft_table *table = table_of(notifier);
	struct vm_area_struct *vma = vmf->vma;
	struct cover cover = {
		.vma = vma,
		.inode = file_inode(vma->vm_file),
		.twin = vma->vm_flags & VM_WRITE ? MORSEL_RW : MORSEL_RO,
		.address = vmf->address,
	};
	vm_fault_t result = VM_FAULT_OOM;

	if (is_there(vmf) || is_covered(table, &cover)) {
		/* What is grafted may be a table that a move is about to take out: see move.c. */
		if (READ_ONCE(MORSEL_I(cover.inode)->moves) & 1)
			morsel_invalidate_wait(cover.inode);
		return VM_FAULT_NOPAGE;
	}
	if (is_parked_over_leaf(table, &cover) && make_way(vmf, table))
		return VM_FAULT_RETRY;
	INIT_LIST_HEAD(&cover.spare);
	cut(&cover);
	if (prepare(table, &cover))
		result = put_in(vmf, table, &cover);
	/* Who is to try again has let go of the VMA. */
	if (result != VM_FAULT_RETRY)
		trace_morselfs_cover(vma, cover.address, cover.count, result);
	clean_up(&cover);
	return result;
}
