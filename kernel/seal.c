// SPDX-License-Identifier: GPL-2.0
/*
 * Seals: contents and size of a file stay what they are, for ever, and every process that maps
 * it can rely on that. Unlike chattr's immutable flag it needs no capability, can't be
 * taken back, is refused while anybody could still write, and leaves names and attributes alone.
 *
 * Who could still write, and what keeps him out:
 *   write(2), truncate(2), fallocate(2)  hold i_rwsem, and ask morsel_is_sealed() under it
 *   a shared mapping of a descriptor     i_mmap_writable counts them; while it is denied
 *   that is open for writing             mmap(2) gives EPERM
 *   a dma-buf that devices may write by  counts as such a mapping. What devices were mapped for
 *                                        and nobody uses any more, is let go
 *   a device or io_uring that pinned     the frame has more references than leaves: EBUSY. As
 *   pages through such a mapping         no such mapping is left, no such pin can be new
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/pagemap.h>

#include "frame.h"
#include "invalidate.h"
#include "opened.h"
#include "scatter.h"
#include "vfs.h"

/* Who reads a page holds it for a moment only. As long as memfd's F_SEAL_WRITE waits, in all. */
#define PATIENCE_MS 10
#define PATIENCE_TURNS 15

/*
 * True if anybody but the leaves, the caller and ordinary mappings, which can only read or copy,
 * refers to the frame. They are unmapped here; under the frame's lock no new one can come.
 */
static bool frame_is_held(struct inode *inode, struct folio *folio)
{
	int quiet = max(morsel_frame_leaves(&folio->page), 1UL) + 1;
	bool held;

	if (folio_ref_count(folio) == quiet)
		return false;
	folio_lock(folio);
	if (folio_mapped(folio))
		morsel_unmap_pages(inode, folio->index, folio_nr_pages(folio), false);
	held = folio_ref_count(folio) != quiet;
	folio_unlock(folio);
	return held;
}

/* Under the invalidate lock, exclusively: leaves neither come nor go. */
static int wait_for_pins(struct inode *inode)
{
	pgoff_t end = DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE);
	pgoff_t index = 0;
	int turns = PATIENCE_TURNS;

	while ((index = morsel_object_next(inode, index, end, true)) < end) {
		struct page *page = morsel_object_get(inode, index);
		struct folio *folio;
		pgoff_t next;
		bool held;

		if (!page)
			continue;
		folio = page_folio(page);
		/* A large frame that was split may have lost pages to other frames. */
		next = morsel_frame_leaves(&folio->page) ? index + 1 :
							   folio->index + folio_nr_pages(folio);
		held = frame_is_held(inode, folio);
		folio_put(folio);
		if (held) {
			if (!turns--)
				return -EBUSY;
			if (msleep_interruptible(PATIENCE_MS))
				return -EINTR;
			continue;
		}
		index = next;
		cond_resched();
	}
	return 0;
}

static int seal(struct inode *inode)
{
	int err;

	if (morsel_is_sealed(inode))
		return 0;
	err = morsel_deny_writable(inode);
	if (err)
		return err;
	morsel_scatters_let_go(inode, 0, ULONG_MAX);
	morsel_invalidate_lock(inode);
	err = wait_for_pins(inode);
	morsel_invalidate_unlock(inode);
	if (err) {
		morsel_allow_writable(inode);
		return err;
	}
	WRITE_ONCE(MORSEL_I(inode)->sealed, true);
	morsel_touch_ctime(inode);
	morsel_save(inode);
	return 0;
}

int morsel_seal(struct file *file)
{
	struct inode *inode = file_inode(file);
	int err;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (!inode_owner_or_capable(&morsel_nop_idmap, inode))
		return -EPERM;
	err = mnt_want_write_file(file);
	if (err)
		return err;
	inode_lock(inode);
	err = seal(inode);
	inode_unlock(inode);
	mnt_drop_write_file(file);
	return err;
}
