// SPDX-License-Identifier: GPL-2.0
/*
 * The invalidate lock, shared without a word that all who share it write to.
 *
 * A semaphore held shared makes nobody wait, but each of its holders writes to its count, and
 * on many CPUs that line is what they wait for. So who shares the lock of an object that is a
 * tree says so in a line of his CPU, and looks whether somebody excludes (`excluded`): if
 * not, he is in. Who excludes takes the semaphore, sets `excluded`, and waits until no
 * CPU's line names the inode; who comes then goes by the semaphore. (Dice and Kogan, "BRAVO:
 * Biased Locking for Reader-Writer Locks", USENIX ATC 2019, with one table for all CPUs.)
 *
 * The order: both write their own word, then read the other's, with a full barrier between
 * the two. So at least one of them sees the other. What was done under a slot is seen by who
 * has seen it empty: a release and an acquire.
 *
 * Small objects have the semaphore only: they are filled by write(2), one at a time, and to
 * look at the lines of all CPUs is too much for the truncation of a tiny file. Whether it
 * is small is asked with the semaphore held (it stays so), or before the slot is written
 * (then it is a tree for good).
 */
#include <linux/delay.h>
#include <linux/lockdep.h>
#include <linux/pagemap.h>
#include <linux/percpu.h>

#include "invalidate.h"
#include "morselfs.h"

/* Holders may sleep, in the page allocator. If so many of a CPU's do, the next takes the semaphore. */
#define SLOTS 8
/* Looks at a slot that is in use before its holder is taken for somebody who sleeps. */
#define SPINS 200

/* Only its own CPU fills a slot, without preemption; any may empty it. */
struct line {
	struct inode *slots[SLOTS];
} ____cacheline_aligned;

static DEFINE_PER_CPU_ALIGNED(struct line, lines);

static struct inode **try_slot(struct inode *inode)
{
	struct line *line = get_cpu_ptr(&lines);
	struct inode **slot = NULL;
	unsigned int i;

	for (i = 0; i < SLOTS && !slot; i++)
		if (!READ_ONCE(line->slots[i]))
			slot = &line->slots[i];
	if (slot) {
		WRITE_ONCE(*slot, inode);
		smp_mb(); /* pairs with the one in morsel_invalidate_lock() */
		if (smp_load_acquire(&MORSEL_I(inode)->excluded)) {
			WRITE_ONCE(*slot, NULL); /* nothing was done under it */
			slot = NULL;
		}
	}
	put_cpu_ptr(&lines);
	return slot;
}

struct inode **morsel_invalidate_lock_shared(struct inode *inode)
{
	struct inode **slot = morsel_is_small(MORSEL_I(inode)) ? NULL : try_slot(inode);

	if (slot) /* lockdep knows no difference */
		rwsem_acquire_read(&inode->i_mapping->invalidate_lock.dep_map, 0, 0, _RET_IP_);
	else
		filemap_invalidate_lock_shared(inode->i_mapping);
	return slot;
}

void morsel_invalidate_unlock_shared(struct inode *inode, struct inode **slot)
{
	if (slot) {
		rwsem_release(&inode->i_mapping->invalidate_lock.dep_map, _RET_IP_);
		smp_store_release(slot, NULL);
	} else {
		filemap_invalidate_unlock_shared(inode->i_mapping);
	}
}

static void wait_until_empty(struct inode **slot, const struct inode *inode)
{
	unsigned int spins = 0;

	while (smp_load_acquire(slot) == inode) {
		if (spins++ < SPINS)
			cpu_relax();
		else
			usleep_range(20, 100);
	}
}

void morsel_invalidate_lock(struct inode *inode)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	unsigned int cpu, i;

	filemap_invalidate_lock(inode->i_mapping);
	/* Of a small object, too: who finds that it has just become a tree is to find this. */
	WRITE_ONCE(mi->excluded, true);
	if (morsel_is_small(mi))
		return;
	smp_mb(); /* pairs with the one in try_slot() */
	for_each_possible_cpu(cpu)
		for (i = 0; i < SLOTS; i++)
			wait_until_empty(&per_cpu(lines, cpu).slots[i], inode);
}

void morsel_invalidate_unlock(struct inode *inode)
{
	smp_store_release(&MORSEL_I(inode)->excluded, false);
	filemap_invalidate_unlock(inode->i_mapping);
}
