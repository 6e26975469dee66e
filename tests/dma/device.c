// SPDX-License-Identifier: GPL-2.0
/* /dev/morsel_eduN: what programs ask of a device (morsel_edu.h). */
#include <linux/fs.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "buffer.h"
#include "edu.h"
#include "morsel_edu.h"

/* What one opening of the file holds. */
struct edu_file {
	struct edu *edu;
	struct list_head link; /* edu->files */
	struct xarray buffers; /* by id */
};

static void release_buffers(struct edu_file *opened)
{
	struct edu_buffer *buffer;
	unsigned long id;

	xa_for_each(&opened->buffers, id, buffer) {
		xa_erase(&opened->buffers, id);
		edu_buffer_release(buffer);
	}
}

static int edu_open(struct inode *inode, struct file *file)
{
	struct edu *edu = container_of(file->private_data, struct edu, misc);
	struct edu_file *opened = kzalloc(sizeof(*opened), GFP_KERNEL);

	if (!opened)
		return -ENOMEM;
	opened->edu = edu;
	xa_init_flags(&opened->buffers, XA_FLAGS_ALLOC1);
	kref_get(&edu->refs);
	mutex_lock(&edu->lock);
	list_add(&opened->link, &edu->files);
	mutex_unlock(&edu->lock);
	file->private_data = opened;
	return 0;
}

static int edu_release(struct inode *inode, struct file *file)
{
	struct edu_file *opened = file->private_data;
	struct edu *edu = opened->edu;

	mutex_lock(&edu->lock);
	list_del(&opened->link);
	release_buffers(opened);
	mutex_unlock(&edu->lock);
	xa_destroy(&opened->buffers);
	kfree(opened);
	kref_put(&edu->refs, edu_free);
	return 0;
}

/* ATTACH or PIN. */
static int hold(struct edu_file *opened, unsigned int command, struct morsel_edu_buffer *asked)
{
	struct device *dev = &opened->edu->pci->dev;
	u64 began = ktime_get_ns();
	struct edu_buffer *buffer;
	int err;

	if (command == MORSEL_EDU_ATTACH)
		buffer = edu_buffer_attach(dev, asked->fd);
	else
		buffer = edu_buffer_pin(dev, asked->start, asked->length,
					asked->direction != MORSEL_EDU_TO_DEVICE);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	asked->ns = ktime_get_ns() - began;
	asked->length = buffer->bytes;
	err = xa_alloc(&opened->buffers, &asked->id, buffer, xa_limit_31b, GFP_KERNEL);
	if (err)
		edu_buffer_release(buffer);
	return err;
}

/* MAP, UNMAP or RELEASE. */
static int change(struct edu_file *opened, unsigned int command, struct morsel_edu_buffer *asked)
{
	struct edu_buffer *buffer = xa_load(&opened->buffers, asked->id);
	u64 began = ktime_get_ns();
	int err = 0;

	if (!buffer)
		return -ENOENT;
	switch (command) {
	case MORSEL_EDU_MAP:
		if (asked->direction > MORSEL_EDU_FROM_DEVICE)
			return -EINVAL;
		err = edu_buffer_map(buffer, asked->direction);
		break;
	case MORSEL_EDU_UNMAP:
		if (!buffer->mapped)
			return -EINVAL;
		edu_buffer_unmap(buffer);
		break;
	default:
		xa_erase(&opened->buffers, asked->id);
		edu_buffer_release(buffer);
	}
	asked->ns = ktime_get_ns() - began;
	if (!err && command == MORSEL_EDU_MAP)
		asked->segments = buffer->mapped->nents;
	return err;
}

static long work_on_buffer(struct edu_file *opened, unsigned int command, void __user *from)
{
	struct morsel_edu_buffer asked;
	int err;

	if (copy_from_user(&asked, from, sizeof(asked)))
		return -EFAULT;
	if (command == MORSEL_EDU_ATTACH || command == MORSEL_EDU_PIN)
		err = hold(opened, command, &asked);
	else
		err = change(opened, command, &asked);
	if (err)
		return err;
	return copy_to_user(from, &asked, sizeof(asked)) ? -EFAULT : 0;
}

static long tell_segments(struct edu_file *opened, void __user *from)
{
	struct morsel_edu_segments asked;
	struct edu_buffer *buffer;
	struct scatterlist *entry;
	u32 room, filled = 0;
	int i;

	if (copy_from_user(&asked, from, sizeof(asked)))
		return -EFAULT;
	buffer = xa_load(&opened->buffers, asked.id);
	if (!buffer || !buffer->mapped)
		return -ENOENT;
	room = asked.count;
	for_each_sgtable_dma_sg(buffer->mapped, entry, i) {
		struct morsel_edu_segment segment = { sg_dma_address(entry), sg_dma_len(entry) };
		struct morsel_edu_segment __user *to = u64_to_user_ptr(asked.segments);

		if (filled == room)
			break;
		if (copy_to_user(to + filled, &segment, sizeof(segment)))
			return -EFAULT;
		filled++;
	}
	asked.count = filled;
	return copy_to_user(from, &asked, sizeof(asked)) ? -EFAULT : 0;
}

static int copy_buffer(struct edu *edu, struct sg_table *mapped,
		       const struct morsel_edu_copy *asked)
{
	u64 begin = 0, end = asked->offset + asked->length;
	struct scatterlist *entry;
	u32 done = 0;
	int i, err;

	for_each_sgtable_dma_sg(mapped, entry, i) {
		u64 from = max(begin, asked->offset);
		u64 to = min(begin + sg_dma_len(entry), end);

		if (from < to) {
			err = edu_copy(edu, sg_dma_address(entry) + (from - begin), done, to - from,
				       asked->direction == MORSEL_EDU_TO_DEVICE);
			if (err)
				return err;
			done += to - from;
		}
		begin += sg_dma_len(entry);
		if (begin >= end)
			return 0;
	}
	return -EINVAL; /* beyond its end */
}

static long copy(struct edu_file *opened, void __user *from)
{
	struct edu *edu = opened->edu;
	struct morsel_edu_copy asked;
	struct edu_buffer *buffer;

	if (copy_from_user(&asked, from, sizeof(asked)))
		return -EFAULT;
	if (!asked.length || asked.length > MORSEL_EDU_COPY_BYTES ||
	    asked.offset + asked.length < asked.offset ||
	    (asked.direction != MORSEL_EDU_TO_DEVICE && asked.direction != MORSEL_EDU_FROM_DEVICE))
		return -EINVAL;
	if (!asked.id) {
		if (!device_iommu_mapped(&edu->pci->dev))
			return -EPERM;
		return edu_copy(edu, asked.offset, 0, asked.length,
				asked.direction == MORSEL_EDU_TO_DEVICE);
	}
	buffer = xa_load(&opened->buffers, asked.id);
	if (!buffer || !buffer->mapped)
		return -ENOENT;
	if (asked.offset + asked.length > buffer->bytes)
		return -EINVAL;
	return copy_buffer(edu, buffer->mapped, &asked);
}

static long cpu_copy(struct edu_file *opened, void __user *from)
{
	struct morsel_edu_cpu_copy asked;
	struct edu_buffer *buffer;

	if (copy_from_user(&asked, from, sizeof(asked)))
		return -EFAULT;
	if (asked.direction != MORSEL_EDU_TO_DEVICE && asked.direction != MORSEL_EDU_FROM_DEVICE)
		return -EINVAL;
	buffer = xa_load(&opened->buffers, asked.id);
	if (!buffer)
		return -ENOENT;
	return edu_buffer_cpu_copy(buffer, asked.offset, asked.length,
				   u64_to_user_ptr(asked.memory), asked.direction);
}

static long edu_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct edu_file *opened = file->private_data;
	void __user *from = (void __user *)argument;
	struct edu *edu = opened->edu;
	long result;

	mutex_lock(&edu->lock);
	if (!edu->pci)
		result = -ENODEV;
	else if (command == MORSEL_EDU_SEGMENTS)
		result = tell_segments(opened, from);
	else if (command == MORSEL_EDU_COPY)
		result = copy(opened, from);
	else if (command == MORSEL_EDU_CPU_COPY)
		result = cpu_copy(opened, from);
	else if (command == MORSEL_EDU_ATTACH || command == MORSEL_EDU_PIN ||
		 command == MORSEL_EDU_MAP || command == MORSEL_EDU_UNMAP ||
		 command == MORSEL_EDU_RELEASE)
		result = work_on_buffer(opened, command, from);
	else
		result = -ENOTTY;
	mutex_unlock(&edu->lock);
	return result;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = edu_open,
	.release = edu_release,
	.unlocked_ioctl = edu_ioctl,
};

int edu_add_file(struct edu *edu)
{
	snprintf(edu->name, sizeof(edu->name), "morsel_edu%d", edu->number);
	edu->misc.minor = MISC_DYNAMIC_MINOR;
	edu->misc.name = edu->name;
	edu->misc.mode = 0600;
	edu->misc.fops = &operations;
	edu->misc.parent = &edu->pci->dev;
	return misc_register(&edu->misc);
}

void edu_remove_file(struct edu *edu)
{
	struct edu_file *opened;

	misc_deregister(&edu->misc); /* nobody opens it any more */
	mutex_lock(&edu->lock);
	list_for_each_entry(opened, &edu->files, link)
		release_buffers(opened);
	edu->pci = NULL;
	mutex_unlock(&edu->lock);
}
