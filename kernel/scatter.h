/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What devices use of an object: lists of the frames that a range of it lies in (scatter.c), and
 * what they are to a device (scatter_map.c).
 */
#ifndef MORSELFS_SCATTER_H
#define MORSELFS_SCATTER_H

#include <linux/device.h>
#include <linux/dma-direction.h>
#include <linux/iosys-map.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/scatterlist.h>

#include "morselfs.h"

/* Pages that lie in a row in memory. */
struct morsel_extent {
	unsigned long pfn;
	unsigned long pages;
};

/**
 * struct morsel_scatter - the frames of a range of an object, each held by a reference
 * @link: in the inode's @scatters; empty when the object has other frames there by now. Under the
 *	inode's @scatters_lock, as @users: how many dma-bufs use it. Without any, it is kept for the
 *next
 * @references: one of each user, and one of the inode's list
 * @first, @pages: the range, in pages
 * @read_only: devices may only read
 * @lock: guards @mappings, one for each device mostly
 * @count, @extents: the frames, in the order of the file
 */
struct morsel_scatter {
	struct list_head link;
	unsigned int users;
	refcount_t references;
	pgoff_t first;
	unsigned long pages;
	bool read_only;
	struct mutex lock;
	struct list_head mappings;
	unsigned long count;
	struct morsel_extent extents[];
};

/*
 * scatter.c. The scatter list of a range, to be put. i_rwsem is held, shared: so no frame leaves the
 * object meanwhile. The first gives the list that is kept, whose pages are all there, or NULL; it looks
 * at none of them. The second makes one, of a range of which every page is there (or finds that
 * somebody has made it meanwhile): -ENOMEM, -EIO (a page is broken), -EINTR.
 */
struct morsel_scatter *morsel_scatter_find(struct inode *inode, pgoff_t first, unsigned long pages,
					   bool read_only);
struct morsel_scatter *morsel_scatter_make(struct inode *inode, pgoff_t first, unsigned long pages,
					   bool read_only);
/* Of the inode, which is alive. What was the last user's is kept as long as its frames are the
 * object's. */
void morsel_scatter_put(struct inode *inode, struct morsel_scatter *scatter);

/*
 * Pages [first, last) are about to leave the object, or to be moved, or nobody shall write to them
 * any more. With i_rwsem held exclusively, or of an inode that goes. The first makes that nobody is
 * given these frames any more; the second only lets go of what nobody uses. Nothing is held for a
 * list's sake afterwards that no dma-buf uses.
 */
void morsel_scatters_forget(struct inode *inode, pgoff_t first, pgoff_t last);
void morsel_scatters_let_go(struct inode *inode, pgoff_t first, pgoff_t last);

/*
 * scatter_map.c. What the scatter list is to a device: made at the first call and the same for all
 * later ones, as long as the device has its driver. To be unmapped as often.
 */
struct sg_table *morsel_scatter_map(struct morsel_scatter *scatter, struct device *device);
void morsel_scatter_unmap(struct morsel_scatter *scatter, struct sg_table *table);
/* Nobody uses the list any more. */
void morsel_scatter_unmap_all(struct morsel_scatter *scatter);
/* The CPU is about to look at what devices have written, or devices at what it has. */
void morsel_scatter_sync(struct morsel_scatter *scatter, enum dma_data_direction direction,
			 bool for_cpu);
int morsel_scatter_init(void);
void morsel_scatter_exit(void);

#endif
