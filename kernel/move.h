/* SPDX-License-Identifier: GPL-2.0 */
/* move.c: the contents of 2-MiB slots go to other frames, while processes map the object. */
#ifndef MORSELFS_MOVE_H
#define MORSELFS_MOVE_H

#include "morselfs.h"

/* Slots that are moved at once, with one shoot-down: nobody waits for more than these to be copied. */
#define MOVE_SLOTS 4U

/**
 * struct morsel_moved - what became of 2-MiB slots
 * @done: they are as they were wanted
 * @busy: somebody holds pages of them (a device, a pipe, a reader)
 * @lacking: there was no memory
 */
struct morsel_moved {
	unsigned long done, busy, lacking;
};

/* In which way a slot could be better. Under rcu_read_lock(), or the invalidate lock. */
bool morsel_slot_is_full(struct inode *inode, pgoff_t first); /* of small leaves */
/* A large frame that was split holds more memory than it has leaves left. */
bool morsel_slot_wastes(struct inode *inode, pgoff_t first);

/*
 * All with i_rwsem held exclusively; `first` is the first page of a slot. The rest they lock
 * themselves.
 *
 * morsel_move_up() makes large leaves of those of `count` slots (at most MOVE_SLOTS, all of one
 * 1-GiB slot) that are full of small ones. `gfp`: how hard large frames are to be looked for.
 * morsel_move_down() moves what is left of a split large frame to small ones, so that the large
 * one goes. morsel_move_apart() makes a large leaf small ones over the same frame.
 */
void morsel_move_up(struct inode *inode, pgoff_t first, unsigned int count, gfp_t gfp,
		    struct morsel_moved *moved);
void morsel_move_down(struct inode *inode, pgoff_t first, struct morsel_moved *moved);
void morsel_move_apart(struct inode *inode, pgoff_t first, struct morsel_moved *moved);

/*
 * Tables that a move has put out of use while the object was mapped. Both under the invalidate
 * lock, exclusively: leaves of [first, last) are forgotten there; all are freed, as nobody maps the
 * object any more.
 */
void morsel_retired_forget(struct inode *inode, pgoff_t first, pgoff_t last);
void morsel_retired_free(struct inode *inode);

/*
 * Without any lock: are there so many that they should go now, and an attempt at it, which waits for
 * the mmap locks of all processes with grafts, each for a while. False: not now.
 */
bool morsel_retired_are_many(const struct inode *inode);
bool morsel_retired_reclaim(struct inode *inode);

#endif
