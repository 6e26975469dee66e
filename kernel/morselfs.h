/* SPDX-License-Identifier: GPL-2.0 */
/*
 * morselfs, inside the module: the structures that its files share, and what
 * each file offers to the others. Read in this order:
 *
 *   tree_api.h  the object's page-table subtree (core/, C++) as C sees it
 *   object.c    an object: frames in a tree, charged to a mount
 *   charge.c    what a mount may use
 *   invalidate.c  who adds leaves, and who removes them
 *   small.c     an object without tables: small, and not mapped so far
 *   huge.c      which leaves an object gets
 *   move.c      the contents of slots go to other frames, under use
 *   promote.c   small leaves that become large ones, and back
 *   mpol.c      the NUMA nodes that frames come from
 *   graft.c     a process: which subtrees hang in its page table, and how they come out
 *   cover.c     how they get in: a fault's work
 *   tlb.c       what CPUs remember of them, and how they forget it
 *   ordinary.c  faults that map single pages, where nothing may be grafted
 *   mmap.c      a VMA: its kind, faults, splits, protection
 *   opened.c    an open file: which VMAs it has
 *   file.c      read, write, seek, fallocate, splice, ioctl
 *   inode.c     attributes, truncate, eviction
 *   namei.c     directories
 *   xattr.c     user.* and trusted.* attributes
 *   flags.c     immutable, append-only: what chattr(1) sets
 *   seal.c      contents that nobody can change any more
 *   scatter.c   what devices use: lists of frames, kept with the object
 *   scatter_map.c  what such a list is to a device
 *   export.c    dma-bufs
 *   super.c     mount options, statfs, module load and unload
 *   sysfs.c     what a mount holds, in numbers: /sys/fs/morselfs
 *   pool.h      mounts on persistent memory, whose files outlive the machine; has an order of its own
 *   trace.h     tracepoints; trace.c makes them
 *   inject.c    allocations that fail on demand, for tests
 */
#ifndef MORSELFS_H
#define MORSELFS_H

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/percpu.h>
#include <linux/percpu_counter.h>
#include <linux/seqlock.h>
#include <linux/spinlock.h>
#include <linux/timerqueue.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "../uapi/morselfs.h"
#include "tree_api.h"

/* A 2-MiB slot in pages, and the order of the folio that fills it. */
#define MORSEL_HUGE_ORDER 9
#define MORSEL_HUGE_PAGES (1UL << MORSEL_HUGE_ORDER)

struct fs_context;
struct morsel_opened;
struct morsel_pool;
struct morsel_medium;

/**
 * enum morsel_huge - `huge=`: where 2-MiB leaves are made. Only where they lie wholly below the
 * end of the file and their slot is empty; whatever else there is gets 4-KiB leaves.
 * @MORSEL_HUGE_NEVER: nowhere
 * @MORSEL_HUGE_WITHIN_SIZE: where one call fills the whole slot; what got full later is moved
 * @MORSEL_HUGE_ALWAYS: at the first touch of a slot, of any kind
 * @MORSEL_HUGE_ADVISE: of a mount: within size for what was advised, never for the rest
 */
enum morsel_huge {
	MORSEL_HUGE_NEVER,
	MORSEL_HUGE_WITHIN_SIZE,
	MORSEL_HUGE_ALWAYS,
	MORSEL_HUGE_ADVISE,
};

/**
 * enum morsel_touch - who fills a hole, as far as its 2-MiB slot is concerned
 * @MORSEL_TOUCH_PART: a fault, or a call that fills less than the slot
 * @MORSEL_TOUCH_WHOLE: a write(2) that fills all of it
 * @MORSEL_TOUCH_ADVISED: fallocate(2) of all of it; a fault in a mapping with MADV_HUGEPAGE
 * @MORSEL_TOUCH_SMALL: a fault in a mapping with MADV_NOHUGEPAGE
 */
enum morsel_touch {
	MORSEL_TOUCH_PART,
	MORSEL_TOUCH_WHOLE,
	MORSEL_TOUCH_ADVISED,
	MORSEL_TOUCH_SMALL,
};

/**
 * struct morsel_mpol - `mpol=`
 * @mode: MPOL_*
 * @is_static: the flag was given, and is shown
 * @nodes: empty for MPOL_DEFAULT and MPOL_LOCAL, one for MPOL_PREFERRED
 */
struct morsel_mpol {
	unsigned short mode;
	bool is_static;
	nodemask_t nodes;
};

/**
 * struct morsel_counts - what all files of a mount have together; see struct morsel_inode
 *
 * One for each CPU, which alone adds to it: no line is contended, and only the sum over
 * all CPUs means something.
 */
struct morsel_counts {
	long leaves_4k;
	long leaves_2m;
	long table_pages;
	long mappings;
	long pud_slots;
	long pmd_slots;
	long raw_pages;
	long promoted;
	long demoted;
	long promote_failed;
	long dma_bufs;
};

/**
 * struct morsel_sb - one mount
 * @max_blocks: limit in pages, 0 for none (`size=`)
 * @counts: of all files; for sysfs
 * @used_blocks: pages charged
 * @lock: guards changes of @max_blocks and @max_inodes, and charges near the limit
 * @max_inodes: limit, 0 for none (`nr_inodes=`)
 * @used_inodes: what counts towards it
 * @huge: which leaves objects get that have no policy of their own
 * @mpol: where new frames lie; changes under @mpol_lock, readers take a copy and look again
 * @mode, @uid, @gid: of the root directory
 * @pool: on persistent memory; NULL for an ordinary mount
 * @promote_lock, @promote_queue, @promote_work: inodes that have slots to be moved, and who does it
 * @promote_current: the inode that it is at; @promote_hurry: somebody waits at @promote_idle for its end
 * @promote_budget: MiB a second; 0: nothing is moved by itself
 * @kobj: its directory in sysfs
 * @kobj_released: nobody refers to @kobj any more
 */
struct morsel_sb {
	unsigned long max_blocks;
	struct morsel_counts __percpu *counts;
	struct percpu_counter used_blocks;
	spinlock_t lock;
	unsigned long max_inodes;
	struct percpu_counter used_inodes;
	enum morsel_huge huge;
	seqlock_t mpol_lock;
	struct morsel_mpol mpol;
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
	struct morsel_pool *pool;
	spinlock_t promote_lock;
	struct timerqueue_head promote_queue;
	struct delayed_work promote_work;
	struct morsel_inode *promote_current;
	bool promote_hurry;
	wait_queue_head_t promote_idle;
	unsigned int promote_budget;
	struct kobject kobj;
	struct completion kobj_released;
};

/**
 * struct morsel_inode - one inode; for regular files, the object
 * @tree: the page-table subtrees (two twins); empty while the object is small
 * @small: @small_frames are the object's frames (small.c). Becomes false once, under the
 *	invalidate lock, exclusively
 * @small_frames: struct page by page number; empty once the object is a tree
 * @frames: pages charged for the object (i_blocks = frames * 8)
 * @leaves_4k, @leaves_2m, @table_pages: counts for the info ioctl; by morsel_count()
 * @excluded: somebody holds the invalidate lock exclusively, or waits for those who share it
 * @opened: who has the file open, under @opened_lock; @denies_writable: see morsel_deny_writable()
 * @moves: odd while leaves are on their way to other frames (move.c); written under the invalidate
 *	lock, exclusively, as @retired: tables that were put out of use under a mapping, and
 *	@retired_pages: how many, and @reclaims: somebody is about to free them
 * @promote_node, @promote_queued, @promote_next, @promote_tries, @promote_again: what the mount's
 *	worker knows (promote.c); @promote_known: it has been queued once
 * @prune_later: pages were removed under a mapping; empty tables may be left.
 *	Written under the invalidate lock, exclusively
 * @promoted, @demoted, @promote_failed: slots that were moved; by morsel_count()
 * @waste_pages: pages of large frames that are charged, and no leaf leads to any more
 * @huge: MORSELFS_HUGE_*, the object's own policy
 * @advised: what huge=advise waits for; is set and stays
 * @flags: FS_*_FL, what chattr(1) set; under i_rwsem
 * @sealed: contents and size stay for ever; set once, under i_rwsem
 * @btime: when the inode was made
 * @xattr_lock, @xattrs: extended attributes
 * @medium: what an inode of a pool has more; NULL on an ordinary mount
 * @scatters_lock, @scatters, @scatters_kept: lists of frames for devices, and how many of them nobody
 *	uses (scatter.c)
 * @dma_bufs: how many there are (export.c); by morsel_count()
 * @extra_inodes: paid for large attributes and links; changes under @xattr_lock
 */
struct morsel_inode {
	struct morsel_tree tree;
	bool small;
	bool excluded;
	bool denies_writable;
	unsigned int moves; /* who maps reads as far as this; who fills writes to what is below */
	struct xarray small_frames;
	struct rw_semaphore opened_lock;
	struct list_head opened;
	struct list_head retired;
	unsigned long retired_pages;
	bool reclaims;
	struct timerqueue_node promote_node; /* expires: jiffies */
	pgoff_t promote_next;
	unsigned int promote_tries;
	bool promote_known;
	bool promote_queued;
	bool promote_again;
	bool prune_later;
	atomic_long_t frames;
	atomic_long_t leaves_4k;
	atomic_long_t leaves_2m;
	atomic_long_t table_pages;
	atomic_long_t promoted;
	atomic_long_t demoted;
	atomic_long_t promote_failed;
	atomic_long_t waste_pages;
	atomic_long_t dma_bufs;
	unsigned int huge;
	bool advised;
	unsigned int flags;
	bool sealed;
	struct timespec64 btime;
	spinlock_t xattr_lock;
	struct list_head xattrs;
	unsigned int extra_inodes;
	char *link; /* symbolic link's target */
	struct morsel_medium *medium;
	struct mutex scatters_lock;
	struct list_head scatters;
	unsigned int scatters_kept;
	struct inode vfs_inode;
};

void morsel_pool_save(struct inode *inode); /* pool.h */

static inline struct morsel_inode *MORSEL_I(const struct inode *inode)
{
	return container_of(inode, struct morsel_inode, vfs_inode);
}

/*
 * Removals under a mapping leave empty tables that the mount's limit knows nothing
 * of. This many per frame are more than any sparse file needs, and a bound.
 */
static inline bool morsel_too_many_tables(const struct morsel_inode *mi)
{
	return atomic_long_read(&mi->table_pages) - (long)READ_ONCE(mi->retired_pages) >
	       1024 + 8 * atomic_long_read(&mi->frames);
}

/*
 * How tall a tree for the page `last` is to be. A root is never taken away: it must not be the table of
 * a slot that takes a large leaf.
 */
static inline enum morsel_level morsel_level_for(pgoff_t last)
{
	return last + 1 < MORSEL_HUGE_PAGES ? MORSEL_PTE : MORSEL_PMD;
}

/* An operation has changed the inode: on a pool, it and all that was written to it is durable now. */
static inline void morsel_save(struct inode *inode)
{
	if (MORSEL_I(inode)->medium)
		morsel_pool_save(inode);
}

static inline struct morsel_sb *MORSEL_SB(const struct super_block *sb)
{
	return sb->s_fs_info;
}

/*
 * charge.c: `count` more of what is limited by *most (0: by nothing), if they fit; less of it; is more
 * in use than so many?
 */
bool morsel_charge(struct morsel_sb *msb, struct percpu_counter *used, const unsigned long *most,
		   long count);
void morsel_uncharge(struct percpu_counter *used, long count);
bool morsel_is_above(struct percpu_counter *used, unsigned long limit);

/* `what` is a field of struct morsel_inode and of struct morsel_counts: counts in both. */
#define morsel_count(of, what, change)                                        \
	do {                                                                  \
		struct inode *inode_ = (of);                                  \
		long change_ = (change);                                      \
                                                                              \
		atomic_long_add(change_, &MORSEL_I(inode_)->what);            \
		this_cpu_add(MORSEL_SB(inode_->i_sb)->counts->what, change_); \
	} while (0)

/*
 * object.c. Page indices count 4-KiB pages from the start of the file. "Under
 * the invalidate lock" means the inode's: invalidate.h.
 */

/* Empty object in a fresh inode. */
void morsel_object_init(struct morsel_inode *mi);

/* What may be filled yet, and what could be filled if nothing were, in pages. */
unsigned long morsel_object_room(struct super_block *sb);
unsigned long morsel_object_size_limit(struct super_block *sb);

/*
 * The page at `index` with a reference taken, NULL for a hole. Lock-free; needs
 * no lock of the caller's. Drop it with put_page(). It may belong to a compound
 * folio (2-MiB leaf): the page returned is the right 4-KiB subpage.
 */
struct page *morsel_object_get(struct inode *inode, pgoff_t index);
/*
 * The same for who holds what a removal waits for, the lock of a page: a page that is being moved
 * looks like a hole to him, where the other waits for the invalidate lock.
 */
struct page *morsel_object_get_nowait(struct inode *inode, pgoff_t index);

/*
 * Is there a page? And is it broken? For who takes no reference, which a page that many use at the
 * same time would be written to for. A page that is being moved may look like a hole.
 */
bool morsel_object_look(struct inode *inode, pgoff_t index, bool *is_bad);

/*
 * The same, but a hole is filled first with a zeroed frame, charged to the
 * mount. A 2-MiB leaf is used where the policy wants it for such a touch and the slot
 * lies wholly below `size` (bytes; what the file will be when the caller is done) and is
 * empty, if a frame is to be had without waiting; else the object is queued for promotion.
 * Takes the invalidate lock shared by itself. Sleeps. Returns
 * ERR_PTR(-ENOSPC) when the mount is full, ERR_PTR(-ENOMEM) without memory.
 */
struct page *morsel_object_fill(struct inode *inode, pgoff_t index, loff_t size,
				enum morsel_touch touch);

/*
 * On a pool, the pages from `index` on that are there, can be read, and lie in a row: how many, at
 * most `most` and MORSEL_RUN_PAGES. `first` is the first one; there are no references: i_rwsem, which
 * the caller holds, keeps them.
 */
#define MORSEL_RUN_PAGES 32U
unsigned int morsel_object_run(struct inode *inode, pgoff_t index, unsigned int most,
			       struct page **first);

/*
 * On a pool, for a hole: fills it with a page of data, which need not be zeroed before. False if that
 * did not come about, whatever the reason; then `from` is where it was.
 */
bool morsel_object_write_new(struct inode *inode, pgoff_t index, struct iov_iter *from,
			     loff_t size);

/* morsel_object_fill() for a fault: on a pool, waits while it is frozen. */
struct page *morsel_object_fill_fault(struct inode *inode, pgoff_t index, enum morsel_touch touch);

/*
 * A fault has filled the hole at `index`. Whoever touches holes at a constant distance, one after
 * the other mostly, gets those that come next before he asks, below `end`: as many more as he has
 * been given so far, and at most 31, since a fault for each would cost more than the pages. Only
 * where small leaves and their table are there already, and not near the mount's limit. Others
 * that fault at the same time spoil the guess. The caller holds no page: this waits for the
 * invalidate lock, whose holder may wait for the page.
 */
void morsel_object_fill_ahead(struct morsel_opened *opened, pgoff_t index, pgoff_t end);

/*
 * Hint from write(2), called with i_rwsem held after i_size grew to cover
 * `end` (bytes): 2-MiB slots whose last page was written, and which are full, may turn into
 * 2-MiB leaves now. First and last byte of what was written. Never fails.
 */
void morsel_object_settle(struct inode *inode, loff_t start, loff_t end);

/* Would morsel_object_settle() find something to do? Without a lock. */
bool morsel_object_is_unsettled(struct inode *inode, loff_t start, loff_t end);

/*
 * Makes tables tall enough for pages below `index_end`; a small object, that stays one, does
 * without. Call with i_rwsem held before i_size grows beyond. 0 or -ENOMEM.
 */
int morsel_object_reserve(struct inode *inode, pgoff_t index_end);

/*
 * Removes pages [first, last) from the object and from every mapping, gives
 * the frames back and uncharges them; private copies stay. Takes the invalidate
 * lock exclusively; i_rwsem held by the caller. Only splitting a 2-MiB leaf at an
 * end can fail: -ENOMEM, with nothing removed. morsel_object_drop() does not fail and
 * takes private copies, too: for what a failed call has put beyond the end, which
 * must not stay there. morsel_object_truncate() shrinks or grows: zeroes the tail of
 * the last page, sets i_size (with the order that faults need), removes what lies beyond.
 */
int morsel_object_punch(struct inode *inode, pgoff_t first, pgoff_t last);
void morsel_object_drop(struct inode *inode, pgoff_t first, pgoff_t last);
int morsel_object_truncate(struct inode *inode, loff_t size);

/*
 * First page >= index that is present (`data`) or absent (`!data`), or `end`.
 * Skips empty tables, so it is quick in sparse files.
 */
pgoff_t morsel_object_next(struct inode *inode, pgoff_t index, pgoff_t end, bool data);

/* The last mapping has gone: frees tables that removals had to leave. */
void morsel_object_unmapped(struct inode *inode);

/* Frees everything; nobody maps or uses the object any more (evict_inode). */
void morsel_object_free(struct inode *inode);

/*
 * The object's contents as they are written, by the kernel: on a pool what is written is on its way
 * to the medium when these return, and there after the next morsel_pool_save().
 */
size_t morsel_object_copy_in(struct inode *inode, struct page *page, size_t offset, size_t bytes,
			     struct iov_iter *from);
void morsel_object_zero(struct inode *inode, struct page *page, size_t offset, size_t bytes);
/* True if the page is broken: whoever reads it is told so. */
bool morsel_object_is_bad(struct inode *inode, struct page *page);

/*
 * For moves (move.c), under the invalidate lock, exclusively: leaves that were taken out of the tree
 * leave every mapping; new leaves take the place of those that are gone, and their frames (pfns: 512,
 * 0 for none) are given back; 512 small leaves have become one over the same frame; a large leaf
 * becomes small ones: 1 if there was one, 0 if not, or -ENOMEM.
 */
void morsel_object_unmap(struct inode *inode, pgoff_t first, pgoff_t last);
void morsel_object_exchange(struct inode *inode, pgoff_t first, const unsigned long *pfns,
			    unsigned int order, unsigned long leaves);
void morsel_object_count_whole(struct inode *inode);
int morsel_object_split(struct inode *inode, pgoff_t index);

/*
 * The pages from `index` on that lie in a row in memory, as far as one leaf or a few small ones tell: how
 * many, at most `most`, and where; 0 if there is none, or it is broken (which is not looked for in large
 * leaves). Under i_rwsem, which keeps them.
 */
unsigned long morsel_object_row(struct inode *inode, pgoff_t index, unsigned long most,
				unsigned long *pfn);

/* Fills the info structure's object part (all but size, self_grafted). */
void morsel_object_info(struct inode *inode, struct morselfs_info *info);

/*
 * small.c. An object is small until it is mapped or reaches the end of the first 2-MiB slot. Then
 * it becomes a tree, tall enough for the page `last`: takes the invalidate lock exclusively; 0,
 * also if it is a tree by now, or -ENOMEM, and then nothing has changed. A tree stays a tree.
 */
void morsel_small_init(struct morsel_inode *mi, bool small);
int morsel_small_become_tree(struct inode *inode, pgoff_t last);

/* With the invalidate lock held, it stays what it is. Who is told `false` sees the tree, whole. */
static inline bool morsel_is_small(const struct morsel_inode *mi)
{
	return smp_load_acquire(&mi->small);
}

/*
 * Without a lock: false if the object is not small, or has ceased to be meanwhile: then ask the
 * tree. The frame at `index` (NULL: a hole); as morsel_object_next().
 */
bool morsel_small_lookup(struct morsel_inode *mi, pgoff_t index, struct page **frame);
bool morsel_small_next(struct morsel_inode *mi, pgoff_t index, pgoff_t end, bool data,
		       pgoff_t *next);

/* Of a small object, with the locks that the same on a tree wants. -EEXIST, -ENOMEM. */
int morsel_small_install(struct morsel_inode *mi, pgoff_t index, struct page *frame);
void morsel_small_remove(struct morsel_inode *mi, pgoff_t first, pgoff_t last, morsel_sink sink,
			 void *context);

/* huge.c: the policy that is in force for an object, never MORSEL_HUGE_ADVISE. */
enum morsel_huge morsel_huge_policy(const struct inode *inode);
/* Is an empty slot to get a large leaf when it is touched like this? Takes note of advice. */
bool morsel_huge_wanted(struct inode *inode, enum morsel_touch touch);
enum morsel_touch morsel_touch_of(const struct vm_area_struct *vma); /* a fault's */
long morsel_huge_ioctl(struct file *file, const u32 __user *user); /* MORSELFS_IOC_HUGE */
int morsel_huge_parse(const char *name, enum morsel_huge *policy); /* -EINVAL */
const char *morsel_huge_name(enum morsel_huge policy);

/*
 * promote.c: the object has slots that may be full of small leaves by now, or soon, and should be
 * large. Cheap if it is known already; takes no lock of the inode's.
 */
void morsel_promote_later(struct inode *inode);
/* The inode goes. */
void morsel_promote_forget(struct inode *inode);
/* A mount begins and ends; the budget is in MiB a second, 0 for none. */
void morsel_promote_start(struct morsel_sb *msb, unsigned int budget);
void morsel_promote_stop(struct morsel_sb *msb);
void morsel_promote_set_budget(struct morsel_sb *msb, unsigned int budget);
extern bool morsel_churn; /* a parameter, for tests: what was moved is moved again, all the time */
/* MORSELFS_IOC_PROMOTE and MORSELFS_IOC_DEMOTE */
long morsel_promote_ioctl(struct file *file, struct morselfs_range __user *user, bool demote);

/* mpol.c */
int morsel_mpol_parse(struct fs_context *fc, const char *value, struct morsel_mpol *policy);
void morsel_mpol_set(struct morsel_sb *msb, const struct morsel_mpol *policy);
void morsel_mpol_show(struct seq_file *seq, struct morsel_sb *msb);
/* A frame for the page `index` of the inode, from where the mount wants it. */
struct folio *morsel_mpol_alloc(struct inode *inode, pgoff_t index, gfp_t gfp, unsigned int order);
/* The same in place of one on `node`, for somebody else: if the mount does not say, from there. */
struct folio *morsel_mpol_alloc_near(struct inode *inode, pgoff_t index, gfp_t gfp,
				     unsigned int order, int node);

/* mmap.c */
int morsel_mmap(struct file *file, struct vm_area_struct *vma);
unsigned long morsel_get_unmapped_area(struct file *file, unsigned long addr, unsigned long len,
				       unsigned long pgoff, unsigned long flags);

/* ordinary.c */
vm_fault_t morsel_ordinary_fault(struct vm_fault *vmf);
/* What a fault returns where an object cannot give a page. */
vm_fault_t morsel_fault_of(long error);

/* graft.c */
int morsel_graft_init(void); /* prints why and fails where grafts are unsafe */
void morsel_graft_exit(void);
/* Bytes of this inode that are grafted in current->mm. */
u64 morsel_graft_self_bytes(struct inode *inode);
/* Kernels without split page-table locks only: keep all walkers out of shared tables. */
void morsel_graft_lock_walkers(void);
void morsel_graft_unlock_walkers(void);

/* host.c: what core/ needs of the kernel */
/* A table page that nobody finds any more, after a grace period. */
void morsel_table_free(struct page *page, enum morsel_level level);
int morsel_host_init(void);
void morsel_host_exit(void); /* waits for deferred frees */

/* file.c */
extern const struct file_operations morsel_file_operations;
extern const struct address_space_operations morsel_aops;

/* inode.c */
struct inode *morsel_new_inode(struct super_block *sb, struct inode *dir, umode_t mode, dev_t dev);
extern const struct inode_operations morsel_file_inode_operations;

/* namei.c */
extern const struct inode_operations morsel_dir_inode_operations;
extern const struct inode_operations morsel_symlink_inode_operations;

/* sysfs.c: the directory of all mounts, and that of one, named by its device number */
int morsel_sysfs_init(void);
void morsel_sysfs_exit(void);
int morsel_sysfs_add(struct super_block *sb);
void morsel_sysfs_remove(struct morsel_sb *msb); /* no file of it is read any more */

/* xattr.c */
extern const struct xattr_handler *morsel_xattr_handlers[];
ssize_t morsel_listxattr(struct dentry *dentry, char *buffer, size_t size);
void morsel_xattrs_free(struct morsel_inode *mi);

#endif
