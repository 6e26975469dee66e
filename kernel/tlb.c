// SPDX-License-Identifier: GPL-2.0
/*
 * What CPUs remember of a process's page tables, and how they forget it. The kernel's own
 * flush_tlb_mm_range() is not exported. Nor is a CPU's count of the generations that it has seen: it
 * stays behind here, so the kernel's next flush of this mm is one of all, and so is the next switch to it.
 */
#include <linux/mm.h>
#include <linux/smp.h>
#include <asm/tlbflush.h>

#include "mm_compat.h"
#include "tlb.h"

/* Translations that are forgotten one by one; beyond that, all are. The kernel's default. */
#define ONE_BY_ONE 33

/*
 * A CPU that does nothing, or runs a kernel thread, has the mm loaded still, and would be
 * interrupted by each un-graft. It lets go of it, as for the kernel's own flushes, and
 * flushes when it comes back.
 */
static void flush_all(void *unused)
{
	if (this_cpu_read(cpu_tlbstate_shared.is_lazy))
		morsel_leave_mm();
	else
		morsel_flush_used_mm();
}

/*
 * Where this CPU has changed to another mm meanwhile, it forgets something of that, and all of this one
 * when it comes back, because of the generation.
 */
static void flush_range(void *info)
{
	const struct morsel_tlb_range *range = info;
	unsigned long address;

	for (address = range->start; address < range->end; address += range->step)
		morsel_flush_used_address(address);
}

/*
 * Translations alone are of no use to a CPU that does not use the mm: it is left alone. Tables that may be freed
 * are, to its walker.
 */
static bool uses_mm(int cpu, void *unused)
{
	return !per_cpu(cpu_tlbstate_shared.is_lazy, cpu);
}

static bool is_small(const struct morsel_tlb_range *range)
{
	return IS_ENABLED(CONFIG_PARAVIRT) && !range->all && range->step &&
	       (range->end - range->start) / range->step <= ONE_BY_ONE;
}

/*
 * The generation makes CPUs that run something else now flush when they come back to this mm, so it
 * goes first.
 */
void morsel_tlb_flush(struct mm_struct *mm, const struct morsel_tlb_range *range)
{
	atomic64_inc(&mm->context.tlb_gen);
	if (range && is_small(range))
		on_each_cpu_cond_mask(uses_mm, flush_range, (void *)range, 1, mm_cpumask(mm));
	else
		on_each_cpu_mask(mm_cpumask(mm), flush_all, NULL, 1);
}
