// SPDX-License-Identifier: GPL-2.0
/* Which leaves an object gets. */
#include "morselfs.h"

enum morsel_huge morsel_huge_policy(const struct inode *inode)
{
	const struct morsel_inode *mi = MORSEL_I(inode);
	enum morsel_huge mount = READ_ONCE(MORSEL_SB(inode->i_sb)->huge);

	switch (READ_ONCE(mi->huge)) {
	case MORSELFS_HUGE_NEVER:
		return MORSEL_HUGE_NEVER;
	case MORSELFS_HUGE_WITHIN_SIZE:
		return MORSEL_HUGE_WITHIN_SIZE;
	case MORSELFS_HUGE_ALWAYS:
		return MORSEL_HUGE_ALWAYS;
	}
	if (mount != MORSEL_HUGE_ADVISE)
		return mount;
	return READ_ONCE(mi->advised) ? MORSEL_HUGE_WITHIN_SIZE : MORSEL_HUGE_NEVER;
}
