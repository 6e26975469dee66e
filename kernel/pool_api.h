/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pools as the C side sees them: extern "C" doors into core/pool, instantiated in pool_core.cc,
 * and the doors of the C side that it goes through. No kernel header here: C++ includes it.
 *
 * A frame is known by its number in the pool, 0 for none; a place is a byte offset in the pool.
 * What changes the medium is durable when it returns, unless it says otherwise. Errors are
 * negative errno values: -ENOSPC, -ENOMEM, -EUCLEAN.
 */
#ifndef MORSELFS_POOL_API_H
#define MORSELFS_POOL_API_H

#include "tree_api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* core's view of a mounted pool; the C side gives it room. */
struct morsel_core;
/* The C side's: pool.h. */
struct morsel_pool;

/* Same layout as core's Attributes. */
struct morsel_time {
	long seconds;
	unsigned long nanoseconds;
};
struct morsel_attributes {
	unsigned long sequence;
	unsigned long size;
	unsigned int mode, uid, gid, flags, sealed, crc;
	struct morsel_time access, modification, change;
	unsigned long reserved[5];
};

/* A directory's names, while it is mounted. Same layout as core's Directory. */
struct morsel_directory {
	unsigned long inode, last, free;
};

/* What never changes in an inode's life. */
struct morsel_birth {
	unsigned int type; /* S_IFMT bits */
	unsigned int rdev_major, rdev_minor;
	struct morsel_time time;
};

/* An inode as the walk finds it. */
struct morsel_found {
	unsigned long frame;
	bool sound; /* else nothing but its name may be used */
	unsigned long leaves, tables;
	struct morsel_birth birth;
	struct morsel_attributes attributes;
	const char *link; /* on the medium, zero-terminated; NULL for none */
	const unsigned char *xattrs; /* on the medium */
	unsigned long xattr_bytes;
};

/* What a mount is told, and what it tells. */
struct morsel_opening {
	bool may_write; /* leftovers of a power cut may be mended, the log replayed, the base changed */
	bool must_read_only; /* the pool has features that this module must not write with */
	bool was_clean;
	bool moved; /* it was at another base */
	unsigned long pending; /* records in the log */
	unsigned long replayed;
	unsigned long mended; /* leftovers found */
	unsigned long damaged; /* findings that are damage */
	const char *why; /* of an error, for whoever mounts; NULL if it says nothing */
	unsigned char uuid[16];
};

/* pool_core.cc */
unsigned long morsel_core_bytes(unsigned long frames, unsigned int cpus);
/* `core`: that many bytes, zeroed; `memory`: frame 0; `base`: its physical address. */
void morsel_core_init(struct morsel_core *core, struct morsel_pool *pool, void *memory,
		      unsigned long base, unsigned long frames, unsigned int cpus);
/* How many frames the superblock says that the pool has; 0 and `why` if it is none. */
unsigned long morsel_core_frames(void *memory, unsigned long frames, const char **why);
/*
 * Reads, checks and, if it may, mends all that can be reached, and announces it by
 * morsel_pool_name() and morsel_pool_directory().
 */
int morsel_core_open(struct morsel_core *core, struct morsel_opening *opening);
/* The root directory, which has no name. */
void morsel_core_describe_root(struct morsel_core *core, struct morsel_found *found);
/* The superblock says so. */
void morsel_core_set_clean(struct morsel_core *core, bool clean);

/* The allocator alone: pool_frames.c knows whether somebody still refers to a frame. 0: none. */
unsigned long morsel_core_get_frame(struct morsel_core *core, unsigned int cpu);
bool morsel_core_put_frame(struct morsel_core *core, unsigned long frame); /* false: it was free */
unsigned long morsel_core_free_frames(struct morsel_core *core);

/*
 * A new inode that nothing leads to yet; flushed, not fenced. `link`: a symbolic link's target, of
 * attributes->size bytes.
 */
int morsel_core_make_inode(struct morsel_core *core, const struct morsel_birth *birth,
			   struct morsel_attributes *attributes, const char *link,
			   unsigned long *frame);
/* Of an inode without names and leaves: its frame, and those of its link, attributes and names. */
void morsel_core_free_inode(struct morsel_core *core, unsigned long frame);
/* One at a time for each inode; `next` has the sequence of what was written last. */
void morsel_core_write_attributes(struct morsel_core *core, unsigned long frame,
				  struct morsel_attributes *next);
/* All of an inode's extended attributes, as core/pool/xattrs.h has them. */
int morsel_core_write_xattrs(struct morsel_core *core, unsigned long frame, const void *data,
			     unsigned long bytes);
unsigned long morsel_core_xattr_limit(void);
typedef bool (*morsel_xattr_visit)(void *context, const char *name, unsigned long name_bytes,
				   const void *value, unsigned long value_bytes);
/* False if `visit` said so. */
bool morsel_core_each_xattr(const unsigned char *data, unsigned long bytes,
			    morsel_xattr_visit visit, void *context);
/* The two root words of an inode, on the medium. */
unsigned long *morsel_core_roots(struct morsel_core *core, unsigned long frame);

/* The caller holds the directory's i_rwsem. */
int morsel_core_add_name(struct morsel_core *core, struct morsel_directory *directory,
			 const char *name, unsigned int length, unsigned long target,
			 unsigned long *place);
void morsel_core_clear_name(struct morsel_core *core, struct morsel_directory *directory,
			    unsigned long place);
/* A free place with a name that leads nowhere yet: for morsel_core_move(). */
int morsel_core_prepare_name(struct morsel_core *core, struct morsel_directory *directory,
			     const char *name, unsigned int length, unsigned long *place);
/* The place is free (again): its name leads nowhere, durably. */
void morsel_core_free_name(struct morsel_core *core, struct morsel_directory *directory,
			   unsigned long place);
/*
 * Two names lead elsewhere, both or none of them. False, with nothing done, while too many others
 * are at it: try again.
 */
bool morsel_core_move(struct morsel_core *core, unsigned long first_place,
		      unsigned long first_target, unsigned long second_place,
		      unsigned long second_target);

/* The C side, for pool_core.cc and tree.cc. */

/* pool_media.c: write-back of these bytes begins. */
void morsel_media_flush(const void *address, unsigned long bytes);

/* pool_device.c: false where reading it would be a machine check, as far as the device knows. */
bool morsel_pool_is_readable(struct morsel_pool *pool, unsigned long frame);
bool morsel_pool_are_readable(struct morsel_pool *pool, unsigned long frame, unsigned int count);

/* pool_frames.c */
void *morsel_pool_allocate_table(struct morsel_tree *tree, enum morsel_level level);
void morsel_pool_free_table(struct morsel_tree *tree, void *table, enum morsel_level level);
unsigned long morsel_pool_get_frame(struct morsel_pool *pool); /* 0: none */
void morsel_pool_put_frame(struct morsel_pool *pool, unsigned long frame);
void morsel_pool_claimed(struct morsel_pool *pool, unsigned long frame);

/* pool_mount.c: the walk. All that was announced is forgotten. */
void morsel_pool_restart(struct morsel_pool *pool);
/* `name` is not zero-terminated. -ENOMEM ends the walk; -EEXIST: that directory has it already. */
int morsel_pool_name(struct morsel_pool *pool, unsigned long directory, unsigned long place,
		     const unsigned char *name, unsigned int length,
		     const struct morsel_found *found, bool first);
void morsel_pool_directory(struct morsel_pool *pool, const struct morsel_directory *directory);
void morsel_pool_tell(struct morsel_pool *pool, bool damage, const char *what, unsigned long inode,
		      unsigned long place, unsigned long value);
void morsel_pool_pace(struct morsel_pool *pool);
void *morsel_pool_get_memory(struct morsel_pool *pool, unsigned long bytes); /* NULL: none */
void morsel_pool_free_memory(void *memory);

#ifdef __cplusplus
}
#endif
#endif
