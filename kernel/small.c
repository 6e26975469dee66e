// SPDX-License-Identifier: GPL-2.0
/*
 * Small objects: fewer pages than a 2-MiB slot, and never mapped. They need no page tables, of
 * which there would be two for a single page; their frames are in an xarray (which is not i_pages:
 * nothing of ours is in the page cache). A fresh file is one, and a tree before it is mapped
 * or grows beyond; a tree stays a tree. Files of a pool are trees from the start: what is on
 * the medium is page tables.
 *
 * Locks are those of trees (object.c): who fills a hole holds the invalidate lock shared; who
 * removes pages, or makes a tree of the object, holds it exclusively; readers hold none. As small
 * objects have no mappings and no large leaves, removal has nothing to flush and nothing to split.
 *
 * A reader may meet the object on its way to become a tree. The tree is complete in both twins
 * before `small` is false, and the xarray is emptied after that. So a reader that has looked into
 * the xarray asks again: if the object is small still, what was seen was right; if not, the
 * tree has it.
 */
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/xarray.h>

#include "inject.h"
#include "invalidate.h"
#include "morselfs.h"

void morsel_small_init(struct morsel_inode *mi, bool small)
{
	xa_init_flags(&mi->small_frames, XA_FLAGS_ACCOUNT);
	mi->small = small;
}

/* After a look into the xarray: was that where the object's frames were? */
static bool still_small(const struct morsel_inode *mi)
{
	smp_rmb(); /* pairs with the one in make_tree() */
	return morsel_is_small(mi);
}

bool morsel_small_lookup(struct morsel_inode *mi, pgoff_t index, struct page **frame)
{
	if (!morsel_is_small(mi))
		return false;
	*frame = xa_load(&mi->small_frames, index);
	return still_small(mi);
}

static pgoff_t next_data(struct morsel_inode *mi, pgoff_t index, pgoff_t end)
{
	return xa_find(&mi->small_frames, &index, end - 1, XA_PRESENT) ? index : end;
}

static pgoff_t next_hole(struct morsel_inode *mi, pgoff_t index, pgoff_t end)
{
	while (index < end && xa_load(&mi->small_frames, index))
		index++;
	return index;
}

bool morsel_small_next(struct morsel_inode *mi, pgoff_t index, pgoff_t end, bool data,
		       pgoff_t *next)
{
	if (!morsel_is_small(mi))
		return false;
	*next = data ? next_data(mi, index, end) : next_hole(mi, index, end);
	return still_small(mi);
}

int morsel_small_install(struct morsel_inode *mi, pgoff_t index, struct page *frame)
{
	void *old;

	/* Asked even where no node is missing: the xarray alone knows. */
	if (morsel_inject(SMALL_NODE))
		return -ENOMEM;
	old = xa_cmpxchg(&mi->small_frames, index, NULL, frame, GFP_KERNEL_ACCOUNT);
	if (xa_is_err(old))
		return xa_err(old);
	return old ? -EEXIST : 0;
}

void morsel_small_remove(struct morsel_inode *mi, pgoff_t first, pgoff_t last, morsel_sink sink,
			 void *context)
{
	struct page *frame;
	pgoff_t index;

	xa_for_each_range(&mi->small_frames, index, frame, first, last - 1) {
		xa_erase(&mi->small_frames, index);
		sink(context, page_to_pfn(frame), 0);
	}
}

/* Of a tree that nobody has seen; the xarray has its frames. */
static void keep_frame(void *context, unsigned long pfn, unsigned int order)
{
}

static int make_tree(struct morsel_inode *mi, pgoff_t last)
{
	struct page *frame;
	pgoff_t index;
	int err;

	err = morsel_tree_grow(&mi->tree, last, morsel_level_for(last));
	xa_for_each(&mi->small_frames, index, frame)
		err = err ?: morsel_tree_install(&mi->tree, index, 0, page_to_pfn(frame));
	if (err) {
		morsel_tree_free(&mi->tree, keep_frame, NULL);
		return err;
	}
	smp_store_release(&mi->small, false); /* who sees it sees the tree, whole */
	smp_wmb(); /* who misses what goes now sees that */
	xa_destroy(&mi->small_frames);
	return 0;
}

int morsel_small_become_tree(struct inode *inode, pgoff_t last)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	int err = 0;

	if (!morsel_is_small(mi))
		return 0;
	morsel_invalidate_lock(inode);
	if (morsel_is_small(mi))
		err = make_tree(mi, last);
	morsel_invalidate_unlock(inode);
	return err;
}
