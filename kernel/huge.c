// SPDX-License-Identifier: GPL-2.0
/*
 * Which leaves an object gets: the mount's huge=, the object's own policy, and advice.
 *
 * A policy says where a 2-MiB leaf is made at once, and whether slots that have become full of
 * small ones are to be moved into one later. No policy makes a file larger than its pages: the
 * end of a file, and what is a hole, never get a large leaf (object.c), but for MORSEL_HUGE_ALWAYS,
 * which fills the whole slot around the first page that is touched.
 */
#include <linux/fs_context.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "vfs.h"

static const char *const names[] = {
	[MORSEL_HUGE_NEVER] = "never",
	[MORSEL_HUGE_WITHIN_SIZE] = "within_size",
	[MORSEL_HUGE_ALWAYS] = "always",
	[MORSEL_HUGE_ADVISE] = "advise",
};

int morsel_huge_parse(const char *name, enum morsel_huge *policy)
{
	int found = match_string(names, ARRAY_SIZE(names), name);

	if (found >= 0)
		*policy = found;
	return found < 0 ? found : 0;
}

const char *morsel_huge_name(enum morsel_huge policy)
{
	return names[policy];
}

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

bool morsel_huge_wanted(struct inode *inode, enum morsel_touch touch)
{
	struct morsel_inode *mi = MORSEL_I(inode);

	/* Whatever the policy is now: it may become huge=advise by a remount. */
	if (touch == MORSEL_TOUCH_ADVISED && !READ_ONCE(mi->advised))
		WRITE_ONCE(mi->advised, true);
	switch (morsel_huge_policy(inode)) {
	case MORSEL_HUGE_ALWAYS:
		return touch != MORSEL_TOUCH_SMALL;
	case MORSEL_HUGE_WITHIN_SIZE:
		return touch == MORSEL_TOUCH_WHOLE || touch == MORSEL_TOUCH_ADVISED;
	default:
		return false;
	}
}

enum morsel_touch morsel_touch_of(const struct vm_area_struct *vma)
{
	if (vma->vm_flags & VM_HUGEPAGE)
		return MORSEL_TOUCH_ADVISED;
	return vma->vm_flags & VM_NOHUGEPAGE ? MORSEL_TOUCH_SMALL : MORSEL_TOUCH_PART;
}

long morsel_huge_ioctl(struct file *file, const u32 __user *user)
{
	struct inode *inode = file_inode(file);
	u32 policy;
	int err;

	if (MORSEL_SB(inode->i_sb)->pool)
		return -EOPNOTSUPP;
	if (!inode_owner_or_capable(&morsel_nop_idmap, inode))
		return -EPERM;
	if (get_user(policy, user))
		return -EFAULT;
	if (policy > MORSELFS_HUGE_ALWAYS)
		return -EINVAL;
	err = mnt_want_write_file(file);
	if (err)
		return err;
	WRITE_ONCE(MORSEL_I(inode)->huge, policy);
	if (morsel_huge_policy(inode) != MORSEL_HUGE_NEVER)
		morsel_promote_later(inode);
	mnt_drop_write_file(file);
	return 0;
}
