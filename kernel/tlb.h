/* SPDX-License-Identifier: GPL-2.0 */
/* tlb.c for graft.c: what a removal must make CPUs forget. */
#ifndef MORSELFS_TLB_H
#define MORSELFS_TLB_H

#include <linux/mm.h>

/**
 * struct morsel_tlb_range - translations that were taken out of a process's own tables
 * @start, @end: the addresses between which all of them are
 * @step: size of the smallest one in bytes, PAGE_SIZE or PMD_SIZE; 0 when there is none
 * @all: there are others, whose number nobody knows: a whole table was taken out
 */
struct morsel_tlb_range {
	unsigned long start, end, step;
	bool all;
};

static inline void morsel_tlb_add(struct morsel_tlb_range *range, unsigned long start,
				  unsigned long end, unsigned long step)
{
	range->start = range->step ? min(range->start, start) : start;
	range->end = range->step ? max(range->end, end) : end;
	range->step = range->step ? min(range->step, step) : step;
}

/*
 * Makes every CPU that uses the mm forget what is in the range, or all that it remembers of the mm if
 * range is NULL or more than can be told one by one, and waits until each of them has taken an interrupt. Then nobody walks what was taken
 * out before, GUP-fast included, which walks with interrupts off.
 */
void morsel_tlb_flush(struct mm_struct *mm, const struct morsel_tlb_range *range);

#endif
