// SPDX-License-Identifier: GPL-2.0
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "buffer.h"

MODULE_IMPORT_NS(DMA_BUF);

struct edu_buffer *edu_buffer_attach(struct device *dev, int fd)
{
	struct edu_buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	struct dma_buf *dmabuf;
	int err;

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf)) {
		err = PTR_ERR(dmabuf);
		goto free;
	}
	buffer->attachment = dma_buf_attach(dmabuf, dev);
	if (IS_ERR(buffer->attachment)) {
		err = PTR_ERR(buffer->attachment);
		goto put;
	}
	buffer->dev = dev;
	buffer->bytes = dmabuf->size;
	return buffer;

put:
	dma_buf_put(dmabuf);
free:
	kfree(buffer);
	return ERR_PTR(err);
}

static void unpin(struct edu_buffer *buffer)
{
	unpin_user_pages_dirty_lock(buffer->pages, buffer->nr_pages, buffer->write);
	kvfree(buffer->pages);
}

static int pin(struct edu_buffer *buffer, unsigned long start)
{
	unsigned int flags = FOLL_LONGTERM | (buffer->write ? FOLL_WRITE : 0);
	unsigned long total = buffer->bytes >> PAGE_SHIFT;

	if (total > INT_MAX)
		return -E2BIG;
	buffer->pages = kvmalloc_array(total, sizeof(*buffer->pages), GFP_KERNEL);
	if (!buffer->pages)
		return -ENOMEM;
	while (buffer->nr_pages < total) {
		int got = pin_user_pages_fast(
			start + ((unsigned long)buffer->nr_pages << PAGE_SHIFT),
			total - buffer->nr_pages, flags, buffer->pages + buffer->nr_pages);

		if (got <= 0) {
			unpin(buffer);
			return got ?: -EFAULT;
		}
		buffer->nr_pages += got;
	}
	return 0;
}

struct edu_buffer *edu_buffer_pin(struct device *dev, unsigned long start, size_t bytes, bool write)
{
	struct edu_buffer *buffer;
	int err;

	if (!bytes || !PAGE_ALIGNED(start) || !PAGE_ALIGNED(bytes))
		return ERR_PTR(-EINVAL);
	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->dev = dev;
	buffer->bytes = bytes;
	buffer->write = write;
	err = pin(buffer, start);
	if (err)
		goto free;
	/* Contiguous pages become one segment, of 2 GiB at most: longer ones the kernel may not map. */
	err = sg_alloc_table_from_pages_segment(&buffer->pinned, buffer->pages, buffer->nr_pages, 0,
						bytes, SZ_2G, GFP_KERNEL);
	if (err)
		goto unpin;
	return buffer;

unpin:
	unpin(buffer);
free:
	kfree(buffer);
	return ERR_PTR(err);
}

int edu_buffer_map(struct edu_buffer *buffer, enum dma_data_direction direction)
{
	if (buffer->mapped)
		return -EBUSY;
	if (buffer->attachment) {
		struct sg_table *table =
			dma_buf_map_attachment_unlocked(buffer->attachment, direction);

		if (IS_ERR(table))
			return PTR_ERR(table);
		buffer->mapped = table;
	} else {
		int err = dma_map_sgtable(buffer->dev, &buffer->pinned, direction, 0);

		if (err)
			return err;
		buffer->mapped = &buffer->pinned;
	}
	buffer->direction = direction;
	return 0;
}

void edu_buffer_unmap(struct edu_buffer *buffer)
{
	if (!buffer->mapped)
		return;
	if (buffer->attachment)
		dma_buf_unmap_attachment_unlocked(buffer->attachment, buffer->mapped,
						  buffer->direction);
	else
		dma_unmap_sgtable(buffer->dev, buffer->mapped, buffer->direction, 0);
	buffer->mapped = NULL;
}

/* Where it is mapped read-only the copy into it faults, as one into memory of the process might. */
static int copy_in_map(const struct iosys_map *map, size_t offset, size_t length,
		       void __user *memory, enum dma_data_direction direction)
{
	unsigned long left;

	if (map->is_iomem)
		return -EOPNOTSUPP;
	if (direction == DMA_TO_DEVICE)
		left = copy_to_user(memory, map->vaddr + offset, length);
	else if (access_ok(memory, length))
		/* copy_from_user() would clear the rest, and a fault there is an oops. */
		left = raw_copy_from_user(map->vaddr + offset, memory, length);
	else
		left = length;
	return left ? -EFAULT : 0;
}

int edu_buffer_cpu_copy(struct edu_buffer *buffer, size_t offset, size_t length,
			void __user *memory, enum dma_data_direction direction)
{
	struct dma_buf *dmabuf;
	struct iosys_map map;
	int err, end_err;

	if (!buffer->attachment || offset > buffer->bytes || length > buffer->bytes - offset)
		return -EINVAL;
	dmabuf = buffer->attachment->dmabuf;
	err = dma_buf_begin_cpu_access(dmabuf, direction);
	if (err)
		return err;
	/* 6.1 has no call that takes the lock itself, and does not ask for it. */
	dma_resv_lock(dmabuf->resv, NULL);
	err = dma_buf_vmap(dmabuf, &map);
	dma_resv_unlock(dmabuf->resv);
	if (!err) {
		err = copy_in_map(&map, offset, length, memory, direction);
		dma_resv_lock(dmabuf->resv, NULL);
		dma_buf_vunmap(dmabuf, &map);
		dma_resv_unlock(dmabuf->resv);
	}
	end_err = dma_buf_end_cpu_access(dmabuf, direction);
	return err ?: end_err;
}

void edu_buffer_release(struct edu_buffer *buffer)
{
	edu_buffer_unmap(buffer);
	if (buffer->attachment) {
		struct dma_buf *dmabuf = buffer->attachment->dmabuf;

		dma_buf_detach(dmabuf, buffer->attachment);
		dma_buf_put(dmabuf);
	} else {
		sg_free_table(&buffer->pinned);
		unpin(buffer);
	}
	kfree(buffer);
}
