// SPDX-License-Identifier: GPL-2.0
/*
 * What a mount holds, in numbers: /sys/fs/morselfs/MAJOR:MINOR/, with the device number that
 * stat(2) and /proc/self/mountinfo show. One value per file, read-only, for everybody:
 *
 *   size_bytes        size=                        inodes_limit   nr_inodes=, 0 for none
 *   used_bytes        data, as statfs(2) has it    inodes_used    what counts towards it
 *   pool_free_bytes   of a pool, 0 elsewhere   pool_parked_bytes   removed, and pinned by somebody
 *   table_bytes       page tables, both twins; on top of used_bytes
 *   leaves_4k, leaves_2m, mappings, graft_pud_slots, graft_pmd_slots, raw_pages,
 *   grafted_bytes     sums of what MORSELFS_IOC_INFO says of each file
 *   promoted, demoted, promote_failed      2-MiB slots, of files that are gone, too
 *   dma_bufs          exported and not closed: each keeps its file open, and the mount
 *
 * Removing a directory waits for those who read one of its files, and an open one says
 * ENODEV from then on. So nothing here holds a mount.
 */
#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "inject.h"
#include "morselfs.h"
#include "pool.h"

static struct kset *mounts;

/* A file: its name, and how it gets its value. */
struct mount_file {
	struct attribute attr;
	u64 (*value)(struct morsel_sb *msb);
};

/* Of a field of struct morsel_counts. While others count, it may be a little off. */
static u64 sum(struct morsel_sb *msb, size_t offset)
{
	long total = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		total += READ_ONCE(*(long *)((char *)per_cpu_ptr(msb->counts, cpu) + offset));
	return max(total, 0L);
}

#define MOUNT_FILE(id)                                 \
	static struct mount_file id##_file = {         \
		.attr = { .name = #id, .mode = 0444 }, \
		.value = id,                           \
	}

/* A file that shows a field of struct morsel_counts, in multiples of `unit`. */
#define COUNT_FILE(id, field, unit)                                              \
	static u64 id(struct morsel_sb *msb)                                     \
	{                                                                        \
		return sum(msb, offsetof(struct morsel_counts, field)) * (unit); \
	}                                                                        \
	MOUNT_FILE(id)

static u64 size_bytes(struct morsel_sb *msb)
{
	return (u64)(msb->pool ? msb->pool->frames : READ_ONCE(msb->max_blocks)) << PAGE_SHIFT;
}
MOUNT_FILE(size_bytes);

static u64 used_bytes(struct morsel_sb *msb)
{
	return (u64)percpu_counter_sum_positive(&msb->used_blocks) << PAGE_SHIFT;
}
MOUNT_FILE(used_bytes);

static u64 inodes_limit(struct morsel_sb *msb)
{
	return READ_ONCE(msb->max_inodes);
}
MOUNT_FILE(inodes_limit);

static u64 inodes_used(struct morsel_sb *msb)
{
	return percpu_counter_sum_positive(&msb->used_inodes);
}
MOUNT_FILE(inodes_used);

/* What is free of a pool, which has tables, inodes and names in it, too. */
static u64 pool_free_bytes(struct morsel_sb *msb)
{
	return msb->pool ? (u64)morsel_core_free_frames(msb->pool->core) << PAGE_SHIFT : 0;
}
MOUNT_FILE(pool_free_bytes);

static u64 pool_parked_bytes(struct morsel_sb *msb)
{
	return msb->pool ? (u64)atomic_long_read(&msb->pool->parked_count) << PAGE_SHIFT : 0;
}
MOUNT_FILE(pool_parked_bytes);

COUNT_FILE(table_bytes, table_pages, PAGE_SIZE);
COUNT_FILE(leaves_4k, leaves_4k, 1);
COUNT_FILE(leaves_2m, leaves_2m, 1);
COUNT_FILE(mappings, mappings, 1);
COUNT_FILE(graft_pud_slots, pud_slots, 1);
COUNT_FILE(graft_pmd_slots, pmd_slots, 1);
COUNT_FILE(raw_pages, raw_pages, 1);
COUNT_FILE(promoted, promoted, 1);
COUNT_FILE(demoted, demoted, 1);
COUNT_FILE(promote_failed, promote_failed, 1);
COUNT_FILE(dma_bufs, dma_bufs, 1);

static u64 grafted_bytes(struct morsel_sb *msb)
{
	return graft_pud_slots(msb) * PUD_SIZE + graft_pmd_slots(msb) * PMD_SIZE +
	       raw_pages(msb) * PAGE_SIZE;
}
MOUNT_FILE(grafted_bytes);

static struct attribute *mount_attrs[] = {
	&size_bytes_file.attr,
	&used_bytes_file.attr,
	&inodes_limit_file.attr,
	&inodes_used_file.attr,
	&pool_free_bytes_file.attr,
	&pool_parked_bytes_file.attr,
	&table_bytes_file.attr,
	&leaves_4k_file.attr,
	&leaves_2m_file.attr,
	&mappings_file.attr,
	&graft_pud_slots_file.attr,
	&graft_pmd_slots_file.attr,
	&raw_pages_file.attr,
	&grafted_bytes_file.attr,
	&promoted_file.attr,
	&demoted_file.attr,
	&promote_failed_file.attr,
	&dma_bufs_file.attr,
	NULL,
};
ATTRIBUTE_GROUPS(mount);

static ssize_t show(struct kobject *kobj, struct attribute *attr, char *buffer)
{
	struct morsel_sb *msb = container_of(kobj, struct morsel_sb, kobj);

	return sysfs_emit(buffer, "%llu\n",
			  container_of(attr, struct mount_file, attr)->value(msb));
}

static const struct sysfs_ops mount_sysfs_ops = {
	.show = show,
};

static void release(struct kobject *kobj)
{
	complete(&container_of(kobj, struct morsel_sb, kobj)->kobj_released);
}

static const struct kobj_type mount_type = {
	.sysfs_ops = &mount_sysfs_ops,
	.default_groups = mount_groups,
	.release = release,
};

int morsel_sysfs_add(struct super_block *sb)
{
	struct morsel_sb *msb = MORSEL_SB(sb);

	if (morsel_inject(SYSFS))
		return -ENOMEM;
	init_completion(&msb->kobj_released);
	msb->kobj.kset = mounts;
	return kobject_init_and_add(&msb->kobj, &mount_type, NULL, "%u:%u", MAJOR(sb->s_dev),
				    MINOR(sb->s_dev));
}

/* Also of one that could not be added. */
void morsel_sysfs_remove(struct morsel_sb *msb)
{
	if (!msb->kobj.state_initialized)
		return;
	if (msb->kobj.state_in_sysfs) /* it left the kset already if it could not be added */
		kobject_del(&msb->kobj);
	kobject_put(&msb->kobj);
	wait_for_completion(&msb->kobj_released);
}

int morsel_sysfs_init(void)
{
	mounts = morsel_may_fail(LOAD_SYSFS, kset_create_and_add("morselfs", NULL, fs_kobj));
	return mounts ? 0 : -ENOMEM;
}

void morsel_sysfs_exit(void)
{
	kset_unregister(mounts);
}
