/* SPDX-License-Identifier: GPL-2.0 */
/* Memory that a device may get to know: a dma-buf, or pinned memory of a process. */
#ifndef MORSEL_EDU_BUFFER_H
#define MORSEL_EDU_BUFFER_H

#include <linux/dma-direction.h>
#include <linux/scatterlist.h>

struct dma_buf_attachment;

/* Not thread-safe: calls on one buffer are one after the other. */
struct edu_buffer {
	struct device *dev;
	size_t bytes;
	/* A dma-buf, or NULL. */
	struct dma_buf_attachment *attachment;
	/* Else pinned pages. */
	struct page **pages;
	unsigned int nr_pages;
	bool write;
	struct sg_table pinned;
	/* Whichever it is, while it is mapped; else NULL. */
	struct sg_table *mapped;
	enum dma_data_direction direction;
};

struct edu_buffer *edu_buffer_attach(struct device *dev, int fd);
struct edu_buffer *edu_buffer_pin(struct device *dev, unsigned long start, size_t bytes,
				  bool write);
int edu_buffer_map(struct edu_buffer *buffer, enum dma_data_direction direction);
void edu_buffer_unmap(struct edu_buffer *buffer);
/* Copies by the CPU, between a dma-buf and the process's memory. */
int edu_buffer_cpu_copy(struct edu_buffer *buffer, size_t offset, size_t length,
			void __user *memory, enum dma_data_direction direction);
/* Unmaps it, too. */
void edu_buffer_release(struct edu_buffer *buffer);

#endif
