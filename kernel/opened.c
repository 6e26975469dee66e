// SPDX-License-Identifier: GPL-2.0
/*
 * An open file description has an address_space of its own.
 *
 * The kernel enters each VMA of a file into file->f_mapping, and takes it out again, under a lock
 * of that structure (i_mmap_rwsem), and counts the writable ones there. With the inode's i_mapping,
 * all processes that map a file at the same time take turns there, once to map it and twice to
 * unmap it. Here a process that has opened the file itself meets nobody: what it writes to when it
 * maps and unmaps is its own, the counts included. (Block devices and DAX devices have an f_mapping
 * other than their inode's, too, so the VFS knows that it may be.)
 *
 * The inode's i_mapping has no VMA therefore. Who wants all VMAs of a file, to remove pages or to
 * seal it, goes through the list of those that have it open. Frames name i_mapping as theirs, for
 * futexes; nobody gets from a frame to the VMAs that map it, since frames are on no LRU
 * and can't be isolated, so neither reclaim nor migration begins with them, nor does the kernel's
 * handling of memory errors.
 *
 * Lifetime: a VMA holds its file, and so does who has found the VMA by its mm; ->release is called
 * when nobody does. Who comes by the list holds opened_lock, which ->release takes.
 *
 * Locks: i_rwsem, invalidate lock, folio lock, opened_lock, i_mmap_rwsem. Nothing is opened
 * or closed under any of them but the i_rwsem of a directory.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "inject.h"
#include "morselfs.h"
#include "opened.h"

static struct kmem_cache *cache;

int morsel_opened_init(void)
{
	cache = morsel_may_fail(LOAD_OPENED, KMEM_CACHE(morsel_opened, SLAB_ACCOUNT));
	return cache ? 0 : -ENOMEM;
}

void morsel_opened_exit(void)
{
	kmem_cache_destroy(cache);
}

/* What inode_init_always() does for the inode's own. */
static void init_mapping(struct address_space *mapping, struct inode *inode)
{
	address_space_init_once(mapping);
	init_rwsem(&mapping->invalidate_lock); /* the inode's is used, not this */
	mapping->host = inode;
	mapping->a_ops = inode->i_mapping->a_ops;
	mapping->flags = inode->i_mapping->flags;
	mapping_set_gfp_mask(mapping, mapping_gfp_mask(inode->i_mapping));
}

int morsel_opened_get(struct inode *inode, struct file *file)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_opened *opened;

	/* Who has just made the file is not told that it can't be had: it would be there all the same. */
	if (file->f_mode & FMODE_CREATED)
		opened = kmem_cache_zalloc(cache, GFP_KERNEL | __GFP_NOFAIL);
	else
		opened = morsel_may_fail(OPENED, kmem_cache_zalloc(cache, GFP_KERNEL));
	if (!opened)
		return -ENOMEM;
	init_mapping(&opened->mapping, inode);
	down_write(&mi->opened_lock);
	if (mi->denies_writable)
		WARN_ON_ONCE(mapping_deny_writable(&opened->mapping));
	list_add(&opened->link, &mi->opened);
	up_write(&mi->opened_lock);
	file->f_mapping = &opened->mapping;
	return 0;
}

/* No VMA and no user of the file is left. */
int morsel_release(struct inode *inode, struct file *file)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_opened *opened = morsel_opened(file);

	file->f_mapping = inode->i_mapping;
	down_write(&mi->opened_lock);
	list_del(&opened->link);
	up_write(&mi->opened_lock);
	WARN_ON_ONCE(mapping_mapped(&opened->mapping) || opened->mapping.nrpages ||
		     atomic_long_read(&opened->mappings) ||
		     atomic_long_read(&opened->grafted_pages));
	kmem_cache_free(cache, opened);
	return 0;
}

struct morsel_opened_counts morsel_opened_sum(struct inode *inode)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_opened_counts sum = {};
	struct morsel_opened *opened;

	down_read(&mi->opened_lock);
	list_for_each_entry(opened, &mi->opened, link) {
		sum.mappings += atomic_long_read(&opened->mappings);
		sum.pud_slots += atomic_long_read(&opened->pud_slots);
		sum.pmd_slots += atomic_long_read(&opened->pmd_slots);
		sum.raw_pages += atomic_long_read(&opened->raw_pages);
		sum.grafted_pages += atomic_long_read(&opened->grafted_pages);
		cond_resched(); /* a file may be open very often */
	}
	up_read(&mi->opened_lock);
	return sum;
}

bool morsel_is_mapped(struct inode *inode)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_opened *opened;
	bool mapped = false;

	down_read(&mi->opened_lock);
	list_for_each_entry(opened, &mi->opened, link) {
		mapped = atomic_long_read(&opened->mappings);
		if (mapped)
			break;
		cond_resched();
	}
	up_read(&mi->opened_lock);
	return mapped;
}

bool morsel_is_writably_mapped(struct inode *inode)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_opened *opened;
	bool mapped = false;

	down_read(&mi->opened_lock);
	list_for_each_entry(opened, &mi->opened, link) {
		mapped = mapping_writably_mapped(&opened->mapping);
		if (mapped)
			break;
		cond_resched();
	}
	up_read(&mi->opened_lock);
	return mapped;
}

bool morsel_is_open(const struct inode *inode)
{
	return !list_empty_careful(&MORSEL_I(inode)->opened);
}

void morsel_unmap_pages(struct inode *inode, pgoff_t first, pgoff_t count, bool even_cows)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_opened *opened;

	down_read(&mi->opened_lock);
	list_for_each_entry(opened, &mi->opened, link)
		unmap_mapping_pages(&opened->mapping, first, count, even_cows);
	up_read(&mi->opened_lock);
}

void morsel_wait_for_rmap_walkers(struct inode *inode)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_opened *opened;

	down_read(&mi->opened_lock);
	list_for_each_entry(opened, &mi->opened, link) {
		i_mmap_lock_write(&opened->mapping);
		i_mmap_unlock_write(&opened->mapping);
	}
	up_read(&mi->opened_lock);
}

int morsel_deny_writable(struct inode *inode)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_opened *opened;
	int err = 0;

	down_write(&mi->opened_lock);
	list_for_each_entry(opened, &mi->opened, link) {
		err = mapping_deny_writable(&opened->mapping);
		if (err)
			break;
	}
	mi->denies_writable = !err;
	if (err)
		list_for_each_entry_continue_reverse(opened, &mi->opened, link)
			mapping_allow_writable(&opened->mapping);
	up_write(&mi->opened_lock);
	return err;
}

void morsel_allow_writable(struct inode *inode)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_opened *opened;

	down_write(&mi->opened_lock);
	mi->denies_writable = false;
	list_for_each_entry(opened, &mi->opened, link)
		mapping_allow_writable(&opened->mapping);
	up_write(&mi->opened_lock);
}
