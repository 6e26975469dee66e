/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A frame: a 4-KiB page or a 2-MiB folio that belongs to one object. It is no
 * page-cache page: it is in no i_pages and on no LRU. What the object uses of it:
 *
 *   refcount      one per leaf, and whoever pins or reads it
 *   mapping       the object's, as long as a leaf leads to it. Futexes shared between
 *                 processes are known to the kernel by it and the index. It is why the
 *                 kernel would try to split a large frame, see morsel_aops
 *   index         page number in the file of the frame's first page
 *   head private  references to drop when a removal is through with its TLB flushes
 *   head lru      links removed frames meanwhile
 *   private of page 511  leaves left of a 2-MiB frame that was split
 */
#ifndef MORSELFS_FRAME_H
#define MORSELFS_FRAME_H

#include <linux/mm.h>

#include "morselfs.h"

/* Before the frame's first leaf can be seen. `first`: its place in the file. */
static inline void morsel_frame_join(struct page *head, struct inode *inode, pgoff_t first)
{
	head->mapping = inode->i_mapping;
	head->index = first;
}

/*
 * Its last leaf is gone; under the folio's lock, if anybody may have seen it. The page allocator
 * takes no page that has a mapping.
 */
static inline void morsel_frame_leave(struct page *head)
{
	WRITE_ONCE(head->mapping, NULL);
}

static inline void morsel_frame_set_leaves(struct page *head, unsigned long leaves)
{
	set_page_private(head + MORSEL_HUGE_PAGES - 1, leaves);
}

/* Of a frame that leaves were taken from: how many are left. */
static inline unsigned long morsel_frame_leaves(struct page *head)
{
	return PageCompound(head) ? page_private(head + MORSEL_HUGE_PAGES - 1) : 0;
}

/* One leaf less; returns how many are left. */
static inline unsigned long morsel_frame_drop_leaf(struct page *head)
{
	struct page *last = head + MORSEL_HUGE_PAGES - 1;

	set_page_private(last, page_private(last) - 1);
	return page_private(last);
}

#endif
