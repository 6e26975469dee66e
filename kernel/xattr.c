// SPDX-License-Identifier: GPL-2.0
/*
 * Extended attributes: user.*, trusted.*, security.*, a short list per inode.
 * The VFS checks who may do what, and holds i_rwsem over changes; the lock here
 * keeps readers away from them.
 */
#include <linux/capability.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/version.h>
#include <linux/xattr.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#include <asm/unaligned.h>
#else
#include <linux/unaligned.h>
#endif

#include "inject.h"
#include "pool.h"
#include "vfs.h"

/* They can't be reclaimed, so an inode may not hold more bytes than this. */
#define MORSEL_XATTR_ROOM 65536

/**
 * struct morsel_xattr - one attribute
 * @node: in the inode's list
 * @name: full name, prefix included; in the same allocation, after @value
 * @size: bytes of @value
 * @value: the value
 */
struct morsel_xattr {
	struct list_head node;
	const char *name;
	size_t size;
	char value[];
};

static size_t morsel_xattr_room(const struct morsel_xattr *xattr)
{
	return sizeof(*xattr) + xattr->size + strlen(xattr->name) + 1;
}

static struct morsel_xattr *morsel_xattr_new(const char *prefix, const char *suffix,
					     const void *value, size_t size)
{
	size_t name_size = strlen(prefix) + strlen(suffix) + 1;
	struct morsel_xattr *xattr;
	char *name;

	xattr = morsel_may_fail(XATTR,
				kvmalloc(sizeof(*xattr) + size + name_size, GFP_KERNEL_ACCOUNT));
	if (!xattr)
		return NULL;
	name = xattr->value + size;
	xattr->name = name;
	xattr->size = size;
	memcpy(xattr->value, value, size);
	snprintf(name, name_size, "%s%s", prefix, suffix);
	return xattr;
}

static struct morsel_xattr *morsel_xattr_find(struct morsel_inode *mi, const char *name)
{
	struct morsel_xattr *xattr;

	list_for_each_entry(xattr, &mi->xattrs, node)
		if (!strcmp(xattr->name, name))
			return xattr;
	return NULL;
}

/* What the list would take with `xattr` in it (or NULL) in place of `old` (or NULL). */
static size_t morsel_xattrs_room(struct morsel_inode *mi, const struct morsel_xattr *xattr,
				 const struct morsel_xattr *old)
{
	size_t room = xattr ? morsel_xattr_room(xattr) : 0;
	struct morsel_xattr *other;

	list_for_each_entry(other, &mi->xattrs, node)
		if (other != old)
			room += morsel_xattr_room(other);
	return room;
}

/*
 * Puts `xattr` into the list, or takes `name` out if it is NULL. The one to be
 * freed, if any, is left in *unused: the old one, or `xattr` after an error.
 */
static int morsel_xattr_replace(struct morsel_inode *mi, const char *name,
				struct morsel_xattr *xattr, int flags, struct morsel_xattr **unused)
{
	struct morsel_xattr *old = morsel_xattr_find(mi, name);
	size_t room = morsel_xattrs_room(mi, xattr, old);
	int err;

	*unused = xattr;
	if (old && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!old && (flags & XATTR_REPLACE))
		return -ENODATA;
	if (xattr && room > MORSEL_XATTR_ROOM)
		return -ENOSPC;
	err = morsel_charge_room(&mi->vfs_inode, room + (mi->link ? mi->vfs_inode.i_size : 0));
	if (err)
		return err;
	*unused = old;
	if (old)
		list_del(&old->node);
	if (xattr)
		list_add_tail(&xattr->node, &mi->xattrs);
	return 0;
}

/* On a pool: u16 bytes of the name, u16 bytes of the value, name, value; core/pool/xattrs.h. */
static u8 *put_xattr(u8 *at, const u8 *end, const struct morsel_xattr *xattr)
{
	size_t name = strlen(xattr->name);

	if (!at || end - at < 4 || end - at - 4 < name + xattr->size)
		return NULL;
	put_unaligned_le16(name, at);
	put_unaligned_le16(xattr->size, at + 2);
	memcpy(at + 4, xattr->name, name);
	memcpy(at + 4 + name, xattr->value, xattr->size);
	return at + 4 + name + xattr->size;
}

/*
 * Writes the list as it will be with `xattr` in it in place of the one called `name`; all or
 * nothing, before it changes in memory. Nobody else changes it: the VFS holds i_rwsem, or the inode
 * is new.
 */
static int write_to_pool(struct morsel_inode *mi, const char *name,
			 const struct morsel_xattr *xattr, int flags)
{
	struct morsel_xattr *old = morsel_xattr_find(mi, name), *other;
	size_t room = morsel_core_xattr_limit();
	struct inode *inode = &mi->vfs_inode;
	u8 *buffer, *at;
	int err = -ENOSPC;

	if (old && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!old && (flags & XATTR_REPLACE))
		return -ENODATA;
	buffer = at = morsel_may_fail(POOL_XATTRS, kmalloc(room, GFP_KERNEL));
	if (!buffer)
		return -ENOMEM;
	list_for_each_entry(other, &mi->xattrs, node)
		if (other != old)
			at = put_xattr(at, buffer + room, other);
	if (xattr)
		at = put_xattr(at, buffer + room, xattr);
	if (at)
		err = morsel_core_write_xattrs(morsel_pool_of(inode)->core, inode->i_ino, buffer,
					       at - buffer);
	kfree(buffer);
	return err;
}

/* One that lies in a pool. */
static bool read_from_pool(void *context, const char *name, unsigned long name_bytes,
			   const void *value, unsigned long value_bytes)
{
	struct morsel_inode *mi = context;
	char text[XATTR_NAME_MAX + 1];
	struct morsel_xattr *xattr;

	memcpy(text, name, name_bytes);
	text[name_bytes] = '\0';
	xattr = morsel_xattr_new("", text, value, value_bytes);
	if (xattr)
		list_add_tail(&xattr->node, &mi->xattrs);
	return xattr;
}

int morsel_xattrs_read(struct inode *inode, const unsigned char *data, unsigned long bytes)
{
	return morsel_core_each_xattr(data, bytes, read_from_pool, MORSEL_I(inode)) ? 0 : -ENOMEM;
}

static int morsel_xattr_get(const struct xattr_handler *handler, struct dentry *dentry,
			    struct inode *inode, const char *suffix, void *buffer, size_t size)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_xattr *xattr;
	int ret = -ENODATA;

	spin_lock(&mi->xattr_lock);
	xattr = morsel_xattr_find(mi, xattr_full_name(handler, suffix));
	if (xattr) {
		ret = xattr->size;
		if (buffer && size < xattr->size)
			ret = -ERANGE;
		else if (buffer)
			memcpy(buffer, xattr->value, xattr->size);
	}
	spin_unlock(&mi->xattr_lock);
	return ret;
}

static int morsel_xattr_set(const struct xattr_handler *handler, struct morsel_idmap *idmap,
			    struct dentry *dentry, struct inode *inode, const char *suffix,
			    const void *value, size_t size, int flags)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_xattr *xattr = NULL, *unused;
	int err;

	if (morsel_pool_is_shut_down(inode))
		return -EIO;
	if (value) {
		xattr = morsel_xattr_new(handler->prefix, suffix, value, size);
		if (!xattr)
			return -ENOMEM;
	}
	err = mi->medium ? write_to_pool(mi, xattr_full_name(handler, suffix), xattr, flags) : 0;
	if (err) {
		kvfree(xattr);
		return err;
	}
	spin_lock(&mi->xattr_lock);
	err = morsel_xattr_replace(mi, xattr_full_name(handler, suffix), xattr, flags, &unused);
	spin_unlock(&mi->xattr_lock);
	kvfree(unused);
	if (!err)
		morsel_touch_ctime(inode);
	return err;
}

static const struct xattr_handler morsel_user_xattr_handler = {
	.prefix = XATTR_USER_PREFIX,
	.get = morsel_xattr_get,
	.set = morsel_xattr_set,
};

static const struct xattr_handler morsel_trusted_xattr_handler = {
	.prefix = XATTR_TRUSTED_PREFIX,
	.get = morsel_xattr_get,
	.set = morsel_xattr_set,
};

static const struct xattr_handler morsel_security_xattr_handler = {
	.prefix = XATTR_SECURITY_PREFIX,
	.get = morsel_xattr_get,
	.set = morsel_xattr_set,
};

/* clang-format off */
const struct xattr_handler *morsel_xattr_handlers[] = {
	&morsel_user_xattr_handler,
	&morsel_trusted_xattr_handler,
	&morsel_security_xattr_handler,
	NULL,
};
/* clang-format on */

ssize_t morsel_listxattr(struct dentry *dentry, char *buffer, size_t size)
{
	struct morsel_inode *mi = MORSEL_I(d_inode(dentry));
	bool privileged = ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN);
	struct morsel_xattr *xattr;
	ssize_t used = 0;

	spin_lock(&mi->xattr_lock);
	list_for_each_entry(xattr, &mi->xattrs, node) {
		size_t length = strlen(xattr->name) + 1;

		if (!privileged && strstarts(xattr->name, XATTR_TRUSTED_PREFIX))
			continue;
		if (buffer && used + length > size) {
			used = -ERANGE;
			break;
		}
		if (buffer)
			memcpy(buffer + used, xattr->name, length);
		used += length;
	}
	spin_unlock(&mi->xattr_lock);
	return used;
}

void morsel_xattrs_free(struct morsel_inode *mi)
{
	struct morsel_xattr *xattr, *next;

	list_for_each_entry_safe(xattr, next, &mi->xattrs, node)
		kvfree(xattr);
	INIT_LIST_HEAD(&mi->xattrs);
}

/* The inode is new, so nobody else looks; if this fails it is thrown away. */
static int morsel_init_labels(struct inode *inode, const struct xattr *label, void *context)
{
	for (; label->name; label++) {
		struct morsel_xattr *xattr;

		xattr = morsel_xattr_new(XATTR_SECURITY_PREFIX, label->name, label->value,
					 label->value_len);
		if (!xattr)
			return -ENOMEM;
		list_add_tail(&xattr->node, &MORSEL_I(inode)->xattrs);
	}
	return 0;
}

int morsel_init_security(struct inode *inode, struct inode *dir, const struct qstr *name)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	int err = security_inode_init_security(inode, dir, name, morsel_init_labels, NULL);

	if (err == -EOPNOTSUPP)
		err = 0;
	if (!err && mi->medium && !list_empty(&mi->xattrs))
		err = write_to_pool(mi, "", NULL, 0);
	return err;
}
