/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The object's tree as the C side sees it: extern "C" doors into core/'s
 * templates, instantiated in tree.cc, and the doors of host.c that core goes
 * through. No kernel header here: C++ includes it.
 *
 * Page indices count 4-KiB pages. A tree may be read by anyone under
 * rcu_read_lock(); installs run concurrently with each other and with readers;
 * splits, merges, removals and the end exclude installs (the caller holds the
 * invalidate lock exclusively) but not readers.
 */
#ifndef MORSELFS_TREE_API_H
#define MORSELFS_TREE_API_H

#ifdef __cplusplus
extern "C" {
#else
#include <linux/types.h>
#endif

/* The twins: two subtrees over the same frames. */
enum morsel_twin { MORSEL_RW = 0, MORSEL_RO = 1 };

/* Levels of a table, and of the slot that one entry of it covers. */
enum morsel_level { MORSEL_PTE = 1, MORSEL_PMD = 2, MORSEL_PUD = 3, MORSEL_P4D = 4 };

/*
 * One word per twin: physical address of the root table | its level; 0: empty. They lie in the
 * structure itself, or on a pool's medium.
 */
struct morsel_tree {
	unsigned long *root;
	unsigned long own[2];
	bool in_pool;
	unsigned int installers; /* of a pool: see tree.cc */
};

/* A leaf as seen from one page: the frame of that page, the order of the leaf. */
struct morsel_leaf {
	unsigned long pfn;
	unsigned int order; /* 0 or 9 */
};

/* What hangs below a slot: nothing, a table (its address), a leaf (the entry). */
enum morsel_below { MORSEL_NOTHING, MORSEL_TABLE, MORSEL_LEAF };

/* Same layout as core's Format. */
struct morsel_format {
	unsigned long present, write, accessed, dirty, huge;
	unsigned long pfn_mask;
	unsigned long table;
	unsigned long leaf[2];
};

/* Gets one frame of a removed leaf; may be called under a table's lock. */
typedef void (*morsel_sink)(void *context, unsigned long pfn, unsigned int order);

/* tree.cc. Errors are negative errno values: -ENOMEM, -EFBIG, -EEXIST. */
/* True if this machine's entries are those of pools. */
bool morsel_tree_is_as_on_media(void);
bool morsel_tree_init(const struct morsel_format *format, unsigned long direct_map);
bool morsel_tree_lookup(struct morsel_tree *tree, enum morsel_twin twin, unsigned long index,
			struct morsel_leaf *leaf);
enum morsel_below morsel_tree_subtree(struct morsel_tree *tree, enum morsel_twin twin,
				      unsigned long index, enum morsel_level slot,
				      unsigned long *value);
unsigned long morsel_tree_run(struct morsel_tree *tree, enum morsel_twin twin, unsigned long first,
			      unsigned long count, unsigned long *ptes);
unsigned long morsel_tree_next(struct morsel_tree *tree, unsigned long first, unsigned long last,
			       bool data);
unsigned long morsel_tree_capacity(struct morsel_tree *tree);
void morsel_tree_prune(struct morsel_tree *tree, unsigned long first, unsigned long last);
bool morsel_tree_full(struct morsel_tree *tree, unsigned long index);
int morsel_tree_grow(struct morsel_tree *tree, unsigned long index, enum morsel_level level);
int morsel_tree_install(struct morsel_tree *tree, unsigned long index, unsigned int order,
			unsigned long pfn);
int morsel_tree_split(struct morsel_tree *tree, unsigned long index, bool must);
void morsel_tree_merge(struct morsel_tree *tree, unsigned long index, unsigned long pfn,
		       morsel_sink sink, void *context);
/* While the object is mapped; see core/tree.h. `retire` gets the tables that are out of use now. */
int morsel_tree_promote(struct morsel_tree *tree, unsigned long first, const unsigned long *pfns,
			unsigned int count,
			void (*retire)(void *context, void *table, enum morsel_level level),
			void *context);
void morsel_tree_forget(struct morsel_tree *tree, void *retired, unsigned long base,
			unsigned long first, unsigned long last);
void morsel_tree_remove(struct morsel_tree *tree, unsigned long first, unsigned long last,
			bool prune, morsel_sink sink, void *context);
/* On a pool: what leads to these pages is durable afterwards, whoever has installed it. */
void morsel_tree_persist(struct morsel_tree *tree, unsigned long first, unsigned long last);
void morsel_tree_free(struct morsel_tree *tree, morsel_sink sink, void *context);

/* host.c, for tree.cc */
void *morsel_host_allocate_table(struct morsel_tree *tree, enum morsel_level level, bool must);
void morsel_host_free_table(struct morsel_tree *tree, void *table, enum morsel_level level);
void morsel_host_lock(void *table);
void morsel_host_unlock(void *table);
void morsel_host_wait(void *table);
void morsel_host_hold_frame(unsigned long pfn, unsigned long count);

#ifdef __cplusplus
}
#endif
#endif
