// SPDX-License-Identifier: GPL-2.0
/*
 * Scatter lists, which are kept with the object: who exports the same range again, in whatever
 * process, gets the same list, and what it is to each device (scatter_map.c) with it. So only the
 * first one walks the object.
 *
 * A list holds a reference to each of its frames, one for 2 MiB if they are a large frame. To all
 * that removes, moves or seals frames it is one who has pinned them: what is removed is freed when
 * he lets go, what is moved stays where it is. But a list that no dma-buf uses is nothing but a
 * cache; it goes before anybody asks whether the frames are held:
 *
 *   truncate, punch, drop  morsel_scatters_forget(): a list that is used stays with its users, and
 *                          the object makes another one when it is asked again
 *   move, seal             morsel_scatters_let_go(): a list that is used is right still, as they
 *                          find the frames held, and let them be
 *   eviction               as truncate
 *
 * The first three hold i_rwsem exclusively, who makes a list or takes it into use holds it shared.
 * So what the inode's list has is always the frames that the object has there.
 *
 * Locks: i_rwsem, scatters_lock. See scatter_map.c for the others.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "inject.h"
#include "scatter.h"

/* Lists of an object that no dma-buf uses: the memory that they take is bounded. */
#define KEPT_LISTS 4

/* Calls `each` for every frame of an extent, once. */
static void for_each_frame(const struct morsel_extent *extent, void (*each)(struct page *page))
{
	unsigned long pfn = extent->pfn, end = extent->pfn + extent->pages;

	while (pfn < end) {
		struct folio *folio = page_folio(pfn_to_page(pfn));
		/* The frame may be gone after the call. */
		unsigned long next = folio_pfn(folio) + folio_nr_pages(folio);

		each(&folio->page);
		pfn = next;
	}
}

static void hold(struct page *page)
{
	get_page(page);
}

static void let_go(struct page *page)
{
	put_page(page);
}

static void put_reference(struct morsel_scatter *scatter)
{
	unsigned long i;

	if (!refcount_dec_and_test(&scatter->references))
		return;
	morsel_scatter_unmap_all(scatter);
	for (i = 0; i < scatter->count; i++) {
		for_each_frame(&scatter->extents[i], let_go);
		cond_resched();
	}
	kvfree(scatter);
}

/*
 * The extents of a range: how many, and they themselves if there is a place for them. Frames
 * neither come nor go meanwhile.
 */
static long collect(struct inode *inode, pgoff_t first, unsigned long pages,
		    struct morsel_extent *extents)
{
	struct morsel_extent extent = {};
	pgoff_t index = first, end = first + pages;
	long count = 0;

	while (index < end) {
		unsigned long pfn, row = morsel_object_row(inode, index, end - index, &pfn);

		if (!row)
			return -EIO;
		if (extent.pages && extent.pfn + extent.pages == pfn) {
			extent.pages += row;
		} else {
			extent = (struct morsel_extent){ .pfn = pfn, .pages = row };
			count++;
		}
		if (extents)
			extents[count - 1] = extent;
		index += row;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return count;
}

static struct morsel_scatter *make(struct inode *inode, pgoff_t first, unsigned long pages,
				   bool read_only)
{
	struct morsel_scatter *scatter;
	long count = collect(inode, first, pages, NULL);
	unsigned long i;

	if (count < 0)
		return ERR_PTR(count);
	scatter = morsel_may_fail(
		SCATTER, kvzalloc(struct_size(scatter, extents, count), GFP_KERNEL_ACCOUNT));
	if (!scatter)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&scatter->link);
	refcount_set(&scatter->references, 1);
	scatter->users = 1;
	scatter->first = first;
	scatter->pages = pages;
	scatter->read_only = read_only;
	mutex_init(&scatter->lock);
	INIT_LIST_HEAD(&scatter->mappings);
	count = collect(inode, first, pages, scatter->extents);
	if (count < 0) {
		put_reference(scatter);
		return ERR_PTR(count);
	}
	scatter->count = count;
	for (i = 0; i < scatter->count; i++) {
		for_each_frame(&scatter->extents[i], hold);
		cond_resched();
	}
	return scatter;
}

/* One more user of a list that the object has. Under its scatters_lock. */
static struct morsel_scatter *find(struct morsel_inode *mi, pgoff_t first, unsigned long pages,
				   bool read_only)
{
	struct morsel_scatter *scatter;

	list_for_each_entry(scatter, &mi->scatters, link) {
		if (scatter->first != first || scatter->pages != pages ||
		    scatter->read_only != read_only)
			continue;
		if (!scatter->users++)
			mi->scatters_kept--;
		refcount_inc(&scatter->references);
		return scatter;
	}
	return NULL;
}

struct morsel_scatter *morsel_scatter_find(struct inode *inode, pgoff_t first, unsigned long pages,
					   bool read_only)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_scatter *scatter;

	mutex_lock(&mi->scatters_lock);
	scatter = find(mi, first, pages, read_only);
	mutex_unlock(&mi->scatters_lock);
	return scatter;
}

struct morsel_scatter *morsel_scatter_make(struct inode *inode, pgoff_t first, unsigned long pages,
					   bool read_only)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_scatter *scatter, *made = make(inode, first, pages, read_only);

	if (IS_ERR(made))
		return made;
	mutex_lock(&mi->scatters_lock);
	/* Somebody may have been quicker. */
	scatter = find(mi, first, pages, read_only);
	if (!scatter) {
		scatter = made;
		refcount_inc(&scatter->references);
		list_add_tail(&scatter->link, &mi->scatters);
	}
	mutex_unlock(&mi->scatters_lock);
	if (scatter != made)
		put_reference(made);
	return scatter;
}

/* The one that has not been used for the longest time, if there are too many. */
static struct morsel_scatter *surplus(struct morsel_inode *mi)
{
	struct morsel_scatter *scatter;

	if (mi->scatters_kept <= KEPT_LISTS)
		return NULL;
	list_for_each_entry(scatter, &mi->scatters, link) {
		if (scatter->users)
			continue;
		mi->scatters_kept--;
		list_del_init(&scatter->link);
		return scatter;
	}
	return NULL;
}

void morsel_scatter_put(struct inode *inode, struct morsel_scatter *scatter)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_scatter *oldest = NULL;

	mutex_lock(&mi->scatters_lock);
	if (!--scatter->users && !list_empty(&scatter->link)) {
		mi->scatters_kept++;
		list_move_tail(&scatter->link, &mi->scatters);
		oldest = surplus(mi);
	}
	mutex_unlock(&mi->scatters_lock);
	put_reference(scatter);
	if (oldest)
		put_reference(oldest);
}

static void unlink(struct inode *inode, pgoff_t first, pgoff_t last, bool used)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_scatter *scatter, *next;
	LIST_HEAD(gone);

	/* Who adds one holds i_rwsem. */
	if (list_empty_careful(&mi->scatters))
		return;
	mutex_lock(&mi->scatters_lock);
	list_for_each_entry_safe(scatter, next, &mi->scatters, link) {
		if (scatter->first >= last || scatter->first + scatter->pages <= first)
			continue;
		if (!scatter->users) {
			mi->scatters_kept--;
			list_move(&scatter->link, &gone);
		} else if (used) {
			/* It has users, whose references it lives by. */
			list_del_init(&scatter->link);
			refcount_dec(&scatter->references);
		}
	}
	mutex_unlock(&mi->scatters_lock);
	/* Nobody finds them any more. */
	list_for_each_entry_safe(scatter, next, &gone, link)
		put_reference(scatter);
}

void morsel_scatters_forget(struct inode *inode, pgoff_t first, pgoff_t last)
{
	unlink(inode, first, last, true);
}

void morsel_scatters_let_go(struct inode *inode, pgoff_t first, pgoff_t last)
{
	unlink(inode, first, last, false);
}
