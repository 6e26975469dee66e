/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An open file description: opened.c.
 */
#ifndef MORSELFS_OPENED_H
#define MORSELFS_OPENED_H

#include <linux/fs.h>

/**
 * struct morsel_opened - what a regular file has for each open file description
 * @mapping: its VMAs, and their lock; file->f_mapping
 * @link: in the inode's @opened, under its @opened_lock
 * @mappings: VMAs; raised under the invalidate lock, shared, so that who holds it exclusively
 *	and finds none may free tables. The mount counts them, too
 * @pud_slots, @pmd_slots, @raw_pages: grafts in all processes; @grafted_pages: what they span
 * @first, @pages: what may be mapped by way of it; 0 pages: all of the file. Set before anybody maps
 * @last_touched, @touch_distance, @touch_count: the hole that a fault has filled last, how far
 *	from the one before, and how many at once; a guess of what comes next
 */
struct morsel_opened {
	struct address_space mapping;
	struct list_head link;
	atomic_long_t mappings;
	atomic_long_t pud_slots;
	atomic_long_t pmd_slots;
	atomic_long_t raw_pages;
	atomic_long_t grafted_pages;
	pgoff_t first;
	unsigned long pages;
	pgoff_t last_touched;
	unsigned long touch_distance;
	unsigned int touch_count;
};

/* Of a file that morsel_open() has opened, as all are that a VMA is of. */
static inline struct morsel_opened *morsel_opened(const struct file *file)
{
	return container_of(file->f_mapping, struct morsel_opened, mapping);
}

int morsel_opened_init(void);
void morsel_opened_exit(void);

/* The last step of an open: 0, or -ENOMEM and nothing has changed. */
int morsel_opened_get(struct inode *inode, struct file *file);
int morsel_release(struct inode *inode, struct file *file);

/* `what` is one of the counts above: counts here and in the mount. */
#define morsel_opened_count(of, what, change)                                                \
	do {                                                                                 \
		struct morsel_opened *opened_ = (of);                                        \
		long change_ = (change);                                                     \
                                                                                             \
		atomic_long_add(change_, &opened_->what);                                    \
		this_cpu_add(MORSEL_SB(opened_->mapping.host->i_sb)->counts->what, change_); \
	} while (0)

/* The sums over all that have the file open. They sleep. */
struct morsel_opened_counts {
	long mappings, pud_slots, pmd_slots, raw_pages, grafted_pages;
};
struct morsel_opened_counts morsel_opened_sum(struct inode *inode);
/* With the invalidate lock held exclusively, false stays false. */
bool morsel_is_mapped(struct inode *inode);
bool morsel_is_writably_mapped(struct inode *inode);
/* Without a lock: true if it is. */
bool morsel_is_open(const struct inode *inode);

/*
 * unmap_mapping_pages() in all mappings of the inode; `count` 0: to the end. And a VMA that was found by
 * its file is in nobody's hands any more afterwards.
 */
void morsel_unmap_pages(struct inode *inode, pgoff_t first, pgoff_t count, bool even_cows);
void morsel_wait_for_rmap_walkers(struct inode *inode);

/*
 * From now on nobody maps the file shared and writable: -EBUSY, if somebody has it mapped so.
 * Under i_rwsem, as what takes it back.
 */
int morsel_deny_writable(struct inode *inode);
void morsel_allow_writable(struct inode *inode);

#endif
