// SPDX-License-Identifier: GPL-2.0
/*
 * What a scatter list is to a device: its sg_table with the addresses that the device uses (through
 * an IOMMU, others than the CPU's), made once and given to all that attach the device, one after
 * the other or at the same time. Unmapping does nothing, but count.
 *
 * A mapping goes with its list, and with the device's driver: what is not in use when the driver
 * goes, goes before its remove(); that which a driver has not unmapped in his remove(), against the
 * rules, goes after that, and at the latest before the device leaves its IOMMU, as it could not be
 * taken out of it then any more. The kernel tells of drivers by bus; it is asked for PCI and
 * platform devices, which all that access memory by themselves are. Of other devices nothing
 * is kept.
 *
 * Nor is anything shared or kept where the kernel copies (swiotlb: the device doesn't reach the
 * memory, and there is no IOMMU): a copy is brought up to date at mapping and unmapping, and
 * has one user.
 *
 * Directions: a list that is read-only is mapped DMA_TO_DEVICE, by which an IOMMU lets the device
 * only read; others in both directions.
 *
 * Locks: dma_resv (the importer's, around map and unmap), devices_lock, scatter->lock, all_lock.
 * The notifier is called with the device locked. devices_lock is held shared by who maps and
 * unmaps, and exclusively by the notifier, who so finds nobody at work. Nothing that is allocated
 * under them waits for the freeing of inodes, which comes here.
 */
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/version.h>

#include "inject.h"
#include "scatter.h"

/**
 * struct mapping - a scatter list, and a device
 * @link: in the list's @mappings, under its lock, as all that follows unless devices_lock is held
 * exclusively
 * @all: in the list of all mappings, as long as the device may use it
 * @device: held
 * @users: who has it mapped
 * @copied: the kernel copies; it has one user, and is not kept
 * @kept: stays when nobody uses it
 */
struct mapping {
	struct list_head link;
	struct list_head all;
	struct device *device;
	struct sg_table table;
	enum dma_data_direction direction;
	unsigned int users;
	bool copied;
	bool kept;
};

static DECLARE_RWSEM(devices_lock);
static LIST_HEAD(all_mappings);
static DEFINE_SPINLOCK(all_lock);

/* Buses that tell when a driver goes. */
static bool is_watched(const struct device *device)
{
	return device->bus == &platform_bus_type || (IS_ENABLED(CONFIG_PCI) && dev_is_pci(device));
}

/*
 * Pages of an extent that make one entry, as the device wants them, and at most 2 GiB: the kernel
 * pads an entry up to the device's boundary (4 GiB, if it has none), and refuses all if that
 * overflows its length (iommu_dma_map_sg).
 */
static unsigned long entry_pages(struct device *device, unsigned long pfn, unsigned long pages)
{
	u64 most = min3((u64)dma_get_max_seg_size(device), (u64)dma_max_mapping_size(device),
			(u64)SZ_2G);
	u64 boundary = (u64)dma_get_seg_boundary(device) + 1; /* 0: none */

	/* Whole large frames, if there is room for one. */
	most = most >= PMD_SIZE ? round_down(most, PMD_SIZE) : round_down(most, PAGE_SIZE);
	if (boundary)
		most = min_t(u64, most, boundary - (PFN_PHYS(pfn) & (boundary - 1)));
	return clamp_t(u64, most >> PAGE_SHIFT, 1, pages);
}

/* The entries that the device gets: how many, and they themselves if there is a place for them. */
static unsigned long cut(const struct morsel_scatter *scatter, struct device *device,
			 struct scatterlist *sg)
{
	unsigned long i, count = 0;

	for (i = 0; i < scatter->count; i++) {
		unsigned long pfn = scatter->extents[i].pfn, left = scatter->extents[i].pages;

		while (left) {
			unsigned long pages = entry_pages(device, pfn, left);

			if (sg) {
				sg_set_page(sg, pfn_to_page(pfn), pages << PAGE_SHIFT, 0);
				sg = sg_next(sg);
			}
			pfn += pages;
			left -= pages;
			count++;
		}
		cond_resched();
	}
	return count;
}

/*
 * The kernel copies for the device. Of one behind an IOMMU 6.1 says only that it might have to bring
 * memory up to date; it copies there for those that the machine's tables call untrusted (what can be
 * plugged in from outside).
 */
static bool is_copied(struct mapping *mapping)
{
	struct device *device = mapping->device;
	struct scatterlist *sg;
	int i;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
	if (get_dma_ops(device))
		return dev_is_pci(device) && to_pci_dev(device)->untrusted;
#endif
	for_each_sgtable_dma_sg(&mapping->table, sg, i) {
		if (dma_need_sync(device, sg_dma_address(sg)))
			return true;
	}
	return false;
}

/* Under devices_lock, and the list's lock if that is shared. */
static void take_out(struct mapping *mapping)
{
	if (list_empty(&mapping->all))
		return;
	spin_lock(&all_lock);
	list_del_init(&mapping->all);
	spin_unlock(&all_lock);
	dma_unmap_sgtable(mapping->device, &mapping->table, mapping->direction, 0);
}

static void free_mapping(struct mapping *mapping)
{
	take_out(mapping);
	list_del(&mapping->link);
	sg_free_table(&mapping->table);
	put_device(mapping->device);
	kfree(mapping);
}

static struct mapping *make(struct morsel_scatter *scatter, struct device *device)
{
	unsigned long count = cut(scatter, device, NULL);
	struct mapping *mapping;
	int err = -ENOMEM;

	mapping = morsel_may_fail(DEVICE_MAPPING, kzalloc(sizeof(*mapping), GFP_KERNEL_ACCOUNT));
	if (!mapping)
		return ERR_PTR(-ENOMEM);
	if (count > UINT_MAX || morsel_inject(DEVICE_TABLE) ||
	    sg_alloc_table(&mapping->table, count, GFP_KERNEL_ACCOUNT))
		goto free;
	cut(scatter, device, mapping->table.sgl);
	mapping->device = device;
	mapping->direction = scatter->read_only ? DMA_TO_DEVICE : DMA_BIDIRECTIONAL;
	err = dma_map_sgtable(device, &mapping->table, mapping->direction, 0);
	if (err)
		goto free_table;
	mapping->copied = is_copied(mapping);
	mapping->kept = is_watched(device) && !mapping->copied;
	get_device(device);
	list_add(&mapping->link, &scatter->mappings);
	spin_lock(&all_lock);
	list_add(&mapping->all, &all_mappings);
	spin_unlock(&all_lock);
	return mapping;

free_table:
	sg_free_table(&mapping->table);
free:
	kfree(mapping);
	return ERR_PTR(err);
}

static struct mapping *find(struct morsel_scatter *scatter, struct device *device)
{
	struct mapping *mapping;

	list_for_each_entry(mapping, &scatter->mappings, link)
		if (mapping->device == device && mapping->kept && !list_empty(&mapping->all))
			return mapping;
	return NULL;
}

struct sg_table *morsel_scatter_map(struct morsel_scatter *scatter, struct device *device)
{
	unsigned int flags = memalloc_nofs_save();
	struct mapping *mapping;

	down_read(&devices_lock);
	mutex_lock(&scatter->lock);
	mapping = find(scatter, device) ?: make(scatter, device);
	if (!IS_ERR(mapping))
		mapping->users++;
	mutex_unlock(&scatter->lock);
	up_read(&devices_lock);
	memalloc_nofs_restore(flags);
	return IS_ERR(mapping) ? ERR_CAST(mapping) : &mapping->table;
}

void morsel_scatter_unmap(struct morsel_scatter *scatter, struct sg_table *table)
{
	struct mapping *mapping = container_of(table, struct mapping, table);

	down_read(&devices_lock);
	mutex_lock(&scatter->lock);
	if (!--mapping->users && (!mapping->kept || list_empty(&mapping->all)))
		free_mapping(mapping);
	mutex_unlock(&scatter->lock);
	up_read(&devices_lock);
}

void morsel_scatter_unmap_all(struct morsel_scatter *scatter)
{
	struct mapping *mapping, *next;

	down_read(&devices_lock);
	mutex_lock(&scatter->lock);
	list_for_each_entry_safe(mapping, next, &scatter->mappings, link)
		free_mapping(mapping);
	mutex_unlock(&scatter->lock);
	up_read(&devices_lock);
}

void morsel_scatter_sync(struct morsel_scatter *scatter, enum dma_data_direction direction,
			 bool for_cpu)
{
	struct mapping *mapping;

	down_read(&devices_lock);
	mutex_lock(&scatter->lock);
	list_for_each_entry(mapping, &scatter->mappings, link) {
		if (!mapping->copied || list_empty(&mapping->all))
			continue;
		if (for_cpu)
			dma_sync_sgtable_for_cpu(mapping->device, &mapping->table, direction);
		else
			dma_sync_sgtable_for_device(mapping->device, &mapping->table, direction);
	}
	mutex_unlock(&scatter->lock);
	up_read(&devices_lock);
}

/* Of a device whose driver goes, or which goes itself: what nobody uses; in the end, what there is.
 */
static int device_changes(struct notifier_block *block, unsigned long action, void *data)
{
	bool all = action == BUS_NOTIFY_UNBOUND_DRIVER || action == BUS_NOTIFY_REMOVED_DEVICE;
	struct mapping *mapping, *next;

	if (!all && action != BUS_NOTIFY_UNBIND_DRIVER)
		return NOTIFY_DONE;
	down_write(&devices_lock);
	list_for_each_entry_safe(mapping, next, &all_mappings, all) {
		if (mapping->device != data)
			continue;
		if (!mapping->users)
			free_mapping(mapping);
		else if (all)
			take_out(mapping);
	}
	up_write(&devices_lock);
	return NOTIFY_OK;
}

/* Before the IOMMU's, which lets go of a device that is removed, and before those that look for
 * leaks. */
static struct notifier_block platform_block = {
	.notifier_call = device_changes,
	.priority = INT_MAX,
};

#ifdef CONFIG_PCI
static struct notifier_block pci_block = {
	.notifier_call = device_changes,
	.priority = INT_MAX,
};
#endif

int morsel_scatter_init(void)
{
	int err;

	err = morsel_inject(LOAD_DEVICES) ?
		      -ENOMEM :
		      bus_register_notifier(&platform_bus_type, &platform_block);
#ifdef CONFIG_PCI
	if (!err) {
		err = bus_register_notifier(&pci_bus_type, &pci_block);
		if (err)
			bus_unregister_notifier(&platform_bus_type, &platform_block);
	}
#endif
	return err;
}

void morsel_scatter_exit(void)
{
#ifdef CONFIG_PCI
	bus_unregister_notifier(&pci_bus_type, &pci_block);
#endif
	bus_unregister_notifier(&platform_bus_type, &platform_block);
}
