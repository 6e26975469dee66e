// SPDX-License-Identifier: GPL-2.0
/*
 * Write-back to persistent memory: by the CPU's instruction for cache lines (clwb where there is
 * one), and a fence. A line that was written back and fenced survives a power cut.
 */
#include <linux/libnvdimm.h>
#include <linux/string.h>
#include <asm/barrier.h>

#include "pool.h"

void morsel_media_flush(const void *address, unsigned long bytes)
{
	arch_wb_cache_pmem((void *)address, bytes);
}

/* Stores that went around the caches, too. */
void morsel_media_fence(void)
{
	wmb();
}

void morsel_media_zero(void *address, size_t bytes)
{
	memset(address, 0, bytes);
	arch_wb_cache_pmem(address, bytes);
}
