// SPDX-License-Identifier: GPL-2.0
/*
 * The device under a pool: claimed for this mount alone, and found to be memory that has struct
 * pages, in the kernel's direct map, durable without a call to the device.
 */
#include <linux/badblocks.h>
#include <linux/blkdev.h>
#include <linux/dax.h>
#include <linux/memremap.h>
#include <linux/pagemap.h>
#include <linux/pfn_t.h>
#include <linux/version.h>

#include "inject.h"
#include "opened.h"
#include "pool.h"

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)

static int open_bdev(const char *path, bool write, struct morsel_pool *pool)
{
	struct file *file = bdev_file_open_by_path(
		path, BLK_OPEN_READ | (write ? BLK_OPEN_WRITE : 0), pool, NULL);

	if (IS_ERR(file))
		return PTR_ERR(file);
	pool->bdev_file = file;
	pool->bdev = file_bdev(file);
	return 0;
}

static void close_bdev(struct morsel_pool *pool)
{
	bdev_fput(pool->bdev_file);
}

#else

static fmode_t mode_of(bool write)
{
	return FMODE_READ | FMODE_EXCL | (write ? FMODE_WRITE : 0);
}

static int open_bdev(const char *path, bool write, struct morsel_pool *pool)
{
	struct block_device *bdev = blkdev_get_by_path(path, mode_of(write), pool);

	if (IS_ERR(bdev))
		return PTR_ERR(bdev);
	pool->bdev = bdev;
	return 0;
}

static void close_bdev(struct morsel_pool *pool)
{
	blkdev_put(pool->bdev, mode_of(!pool->read_only_device));
}

#endif

/*
 * The hardware has found a frame broken. Mappings lose its page, and who faults it gets SIGBUS; those
 * that are made from now on are ordinary ones. A graft of its neighbours brings it back where a mapping
 * was there before, and who touches it there meets the machine check. What is no file's data is lost with its page; it is read
 * next at the next mount, which finds out.
 */
static int notify_failure(struct dax_device *dax, u64 offset, u64 bytes, int flags)
{
	struct morsel_pool *pool = dax_holder(dax);
	u64 end;

	if (!pool)
		return -EOPNOTSUPP;
	if (bytes == U64_MAX) {
		morsel_pool_shut_down(pool, "its device is being taken away");
		return 0;
	}
	end = min(offset + bytes, pool->start + ((u64)pool->frames << PAGE_SHIFT));
	for (offset = max(offset, pool->start); offset < end; offset += PAGE_SIZE) {
		struct page *page = morsel_pool_page(pool, (offset - pool->start) >> PAGE_SHIFT);
		struct address_space *mapping;
		struct inode *inode = NULL;
		pgoff_t index;

		rcu_read_lock(); /* inodes are freed after a grace period */
		mapping = READ_ONCE(page->mapping);
		index = READ_ONCE(page->index);
		if (mapping)
			inode = igrab(mapping->host);
		rcu_read_unlock();
		SetPageHWPoison(page);
		pr_err("morselfs: %pg: memory error in frame %lu, %s %lu\n", pool->bdev,
		       morsel_pool_frame(pool, page), inode ? "of inode" : "no file's data",
		       inode ? inode->i_ino : 0);
		if (!inode)
			continue;
		WRITE_ONCE(MORSEL_I(inode)->medium->bad, true);
		morsel_unmap_pages(inode, index, 1, true);
		iput(inode);
	}
	return 0;
}

static const struct dax_holder_operations holder_operations = {
	.notify_failure = notify_failure,
};

bool morsel_pool_are_readable(struct morsel_pool *pool, unsigned long frame, unsigned int count)
{
	struct badblocks *bad = pool->bdev->bd_disk->bb;
	sector_t first = (pool->start >> SECTOR_SHIFT) + frame * PAGE_SECTORS, first_bad;
	int found;

	if (!bad || likely(!bad->count))
		return true;
	return !badblocks_check(bad, first, count * PAGE_SECTORS, &first_bad, &found);
}

bool morsel_pool_is_readable(struct morsel_pool *pool, unsigned long frame)
{
	return morsel_pool_are_readable(pool, frame, 1);
}

/* Sets memory, first_pfn and (what there is room for) frames; or says what is wrong. */
static const char *find_memory(struct morsel_pool *pool)
{
	unsigned long frames = bdev_nr_bytes(pool->bdev) >> PAGE_SHIFT;
	pgoff_t first = pool->start >> PAGE_SHIFT;
	void *memory, *last;
	struct page *page;
	pfn_t pfn, last_pfn;
	long got;
	int id;

	if (!frames)
		return "it is empty";
	id = dax_read_lock();
	/* What is broken is looked at later: these are addresses only. */
	got = dax_direct_access(pool->dax, first, 1, DAX_RECOVERY_WRITE, &memory, &pfn);
	if (got > 0)
		got = dax_direct_access(pool->dax, first + frames - 1, 1, DAX_RECOVERY_WRITE, &last,
					&last_pfn);
	dax_read_unlock(id);
	if (got <= 0)
		return "its memory can't be accessed";
	if (!pfn_t_has_page(pfn) || !pfn_t_has_page(last_pfn))
		return "its memory has no struct pages: make it an fsdax namespace (ndctl create-namespace -m fsdax)";
	if (pfn_t_to_pfn(last_pfn) - pfn_t_to_pfn(pfn) != frames - 1)
		return "its memory is not in one piece";
	page = pfn_t_to_page(pfn);
	if (memory != page_address(page) || !is_zone_device_page(page) || PageCompound(page))
		return "its struct pages are not those of an fsdax namespace";
	if (!dax_synchronous(pool->dax))
		return "its memory is not durable by itself (virtio-pmem): it needs a real NVDIMM";
	pool->pgmap = get_dev_pagemap(pfn_t_to_pfn(pfn), NULL);
	if (!pool->pgmap)
		return "it is being taken away";
	if (pool->pgmap->type != MEMORY_DEVICE_FS_DAX || pool->pgmap->vmemmap_shift)
		return "its struct pages are not those of an fsdax namespace";
	pool->memory = memory;
	pool->first_pfn = pfn_t_to_pfn(pfn);
	pool->frames = frames;
	return NULL;
}

int morsel_pool_open_device(struct fs_context *fc, struct morsel_pool *pool)
{
	const char *why;
	int err;

	err = open_bdev(fc->source, true, pool);
	if (err == -EACCES || err == -EROFS) {
		pool->read_only_device = true;
		err = open_bdev(fc->source, false, pool);
	}
	if (err) {
		errorf(fc, "%s: can't open it (%d)%s", fc->source, err,
		       err == -EBUSY ? ": is it mounted?" : "");
		return err;
	}
	/* What mkfs has written through the page cache of the device. */
	sync_blockdev(pool->bdev);
	invalidate_bdev(pool->bdev);
	pool->dax = morsel_may_fail(POOL_DEVICE, fs_dax_get_by_bdev(pool->bdev, &pool->start, pool,
								    &holder_operations));
	if (!pool->dax)
		why = "it is no persistent memory, or is in use: give a device such as /dev/pmem0";
	else
		why = find_memory(pool);
	if (!why)
		return 0;
	errorf(fc, "%s: %s", fc->source, why);
	morsel_pool_close_device(pool);
	return -EINVAL;
}

void morsel_pool_close_device(struct morsel_pool *pool)
{
	if (!pool->bdev)
		return;
	if (pool->pgmap)
		put_dev_pagemap(pool->pgmap);
	if (pool->dax)
		fs_put_dax(pool->dax, pool);
	/* What others have read of the device meanwhile is old. */
	invalidate_bdev(pool->bdev);
	close_bdev(pool);
	pool->bdev = NULL;
}
