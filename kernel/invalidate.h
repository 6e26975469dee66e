/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The invalidate lock of an inode: who adds leaves, or counts himself among those that map the
 * object, holds it shared; who removes or moves leaves, or frees tables, exclusively. It is
 * mapping->invalidate_lock with a way around it for those who share: invalidate.c.
 */
#ifndef MORSELFS_INVALIDATE_H
#define MORSELFS_INVALIDATE_H

#include <linux/fs.h>

/* To be handed to the unlock. It sleeps, and its holder may sleep. */
struct inode **morsel_invalidate_lock_shared(struct inode *inode);
void morsel_invalidate_unlock_shared(struct inode *inode, struct inode **slot);

void morsel_invalidate_lock(struct inode *inode);
void morsel_invalidate_unlock(struct inode *inode);

/* Who has it exclusively now is through afterwards. */
static inline void morsel_invalidate_wait(struct inode *inode)
{
	morsel_invalidate_unlock_shared(inode, morsel_invalidate_lock_shared(inode));
}

#endif
