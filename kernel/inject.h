/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations that fail on demand, for tests: every place of the module that allocates
 * (or registers) something asks morsel_inject() first, and does without if it says so.
 * inject.c says how it is told to. Nobody pays for it otherwise: the question is a
 * branch that is patched in.
 */
#ifndef MORSELFS_INJECT_H
#define MORSELFS_INJECT_H

#include <linux/jump_label.h>

/* The places, by the names that the user sees. */
/* A line each. */
/* clang-format off */
#define MORSEL_SITES(site)                                                                \
	/* when the module is loaded */                                                   \
	site(LOAD_WORKERS, "load-workers")                                                \
	site(LOAD_PARKING, "load-parking")                                                \
	site(LOAD_PARKING_LOCK, "load-parking-lock")                                      \
	site(LOAD_INODES, "load-inodes")                                                  \
	site(LOAD_OPENED, "load-opened")                                                  \
	site(LOAD_DEVICES, "load-devices")                                                \
	site(LOAD_SYSFS, "load-sysfs")                                                    \
	site(LOAD_REGISTER, "load-register")                                              \
	/* super.c, sysfs.c */                                                            \
	site(CONTEXT, "context")                                                          \
	site(SUPER, "super")                                                              \
	site(COUNTS, "counts")                                                            \
	site(COUNTER, "counter")                                                          \
	site(SYSFS, "sysfs")                                                              \
	/* inode.c, namei.c, xattr.c, opened.c */                                         \
	site(INODE, "inode")                                                              \
	site(LINK, "link")                                                                \
	site(WHITEOUT, "whiteout")                                                        \
	site(XATTR, "xattr")                                                              \
	site(OPENED, "opened")                                                            \
	/* object.c; small.c; move.c; host.c: all that core allocates */                  \
	site(FRAME, "frame")                                                              \
	site(HUGE_FRAME, "huge-frame")                                                    \
	site(SMALL_NODE, "small-node")                                                    \
	site(MOVE, "move")                                                                \
	site(MOVE_RETIRED, "move-retired")                                                \
	site(MOVE_FRAME, "move-frame")                                                    \
	site(TABLE, "table")                                                              \
	site(TABLE_LOCK, "table-lock")                                                    \
	/* pool_*.c */                                                                    \
	site(POOL, "pool")                                                                \
	site(POOL_DEVICE, "pool-device")                                                  \
	site(POOL_CORE, "pool-core")                                                      \
	site(POOL_WALK, "pool-walk")                                                      \
	site(POOL_NAME, "pool-name")                                                      \
	site(POOL_INODE, "pool-inode")                                                    \
	site(POOL_FRAME, "pool-frame")                                                    \
	site(POOL_XATTRS, "pool-xattrs")                                                  \
	/* graft.c, cover.c */                                                            \
	site(GRAFT_TABLE, "graft-table")                                                  \
	site(RUN, "run")                                                                  \
	site(ENTRIES, "entries")                                                          \
	site(OWN_TABLE, "own-table")                                                      \
	site(OWN_TABLE_LOCK, "own-table-lock")                                            \
	/* export.c, scatter.c, scatter_map.c */                                          \
	site(EXPORT, "export")                                                            \
	site(SCATTER, "scatter")                                                          \
	site(DEVICE_MAPPING, "device-mapping")                                            \
	site(DEVICE_TABLE, "device-table")
/* clang-format on */

enum morsel_site {
#define MORSEL_SITE_ENUM(name, text) MORSEL_SITE_##name,
	MORSEL_SITES(MORSEL_SITE_ENUM)
#undef MORSEL_SITE_ENUM
		MORSEL_SITE_COUNT
};

DECLARE_STATIC_KEY_FALSE(morsel_inject_enabled);

bool morsel_inject_asked(enum morsel_site site);

/* True if the caller shall go on as if it had got nothing. Never sleeps. */
#define morsel_inject(site) \
	(static_branch_unlikely(&morsel_inject_enabled) && morsel_inject_asked(MORSEL_SITE_##site))

/* What the allocation gives, or NULL. */
#define morsel_may_fail(site, allocation) (morsel_inject(site) ? NULL : (allocation))

#endif
