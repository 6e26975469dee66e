// SPDX-License-Identifier: GPL-2.0
/* Small leaves that become large ones, and back. */
#include "morselfs.h"

void morsel_promote_later(struct inode *inode)
{
}

long morsel_promote_ioctl(struct file *file, struct morselfs_range __user *user, bool demote)
{
	return -EOPNOTSUPP;
}
