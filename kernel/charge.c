// SPDX-License-Identifier: GPL-2.0
/*
 * What a mount may use: pages and inodes.
 *
 * Far from the limit the per-CPU counter is enough: who charges writes to a word of his CPU, and one
 * time in many to the sum, under its lock. Near it, who compares and adds does so alone: a large
 * request that fails must not make a small one fail.
 */
#include <linux/percpu_counter.h>

#include "morselfs.h"

/* What a CPU may keep to itself. The kernel's own batch of 32 is a lock taken by every 32nd page. */
#define CHARGE_BATCH 256

bool morsel_charge(struct morsel_sb *msb, struct percpu_counter *used, const unsigned long *most,
		   long count)
{
	unsigned long limit = READ_ONCE(*most);
	long slack = 2L * (CHARGE_BATCH + MORSEL_HUGE_PAGES) * num_online_cpus();
	bool fits;

	if (!limit || percpu_counter_read(used) + slack < (s64)limit) {
		percpu_counter_add_batch(used, count, CHARGE_BATCH);
		return true;
	}
	spin_lock(&msb->lock);
	fits = __percpu_counter_compare(used, (s64)limit - count, CHARGE_BATCH) <= 0;
	if (fits)
		percpu_counter_add_batch(used, count, CHARGE_BATCH);
	spin_unlock(&msb->lock);
	return fits;
}

void morsel_uncharge(struct percpu_counter *used, long count)
{
	percpu_counter_add_batch(used, -count, CHARGE_BATCH);
}

bool morsel_is_above(struct percpu_counter *used, unsigned long limit)
{
	return __percpu_counter_compare(used, limit, CHARGE_BATCH) > 0;
}
