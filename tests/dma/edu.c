// SPDX-License-Identifier: GPL-2.0
/*
 * The PCI device: QEMU's docs/specs/edu. It copies by itself, when told to by registers, a tenth of
 * a second later.
 */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "edu.h"

#define REGISTER_ID 0x00
#define ID 0xed /* above it the version */
#define REGISTER_SOURCE 0x80
#define REGISTER_DESTINATION 0x88
#define REGISTER_COUNT 0x90
#define REGISTER_COMMAND 0x98
#define COMMAND_RUN 1
#define COMMAND_FROM_DEVICE 2
/* Where the device sees its own memory. */
#define OWN_MEMORY 0x40000

#define PATIENCE_MS 10000

static DEFINE_IDA(numbers);

static bool runs(struct edu *edu)
{
	return readq(edu->registers + REGISTER_COMMAND) & COMMAND_RUN;
}

int edu_copy(struct edu *edu, u64 address, u32 at, u32 bytes, bool to_device)
{
	u64 own = OWN_MEMORY + at;
	int ms;

	if (runs(edu))
		return -ETIMEDOUT; /* an earlier one */
	writeq(to_device ? address : own, edu->registers + REGISTER_SOURCE);
	writeq(to_device ? own : address, edu->registers + REGISTER_DESTINATION);
	writeq(bytes, edu->registers + REGISTER_COUNT);
	writeq(COMMAND_RUN | (to_device ? 0 : COMMAND_FROM_DEVICE),
	       edu->registers + REGISTER_COMMAND);
	for (ms = 0; ms < PATIENCE_MS; ms += 2) {
		if (!runs(edu))
			return 0;
		usleep_range(1000, 2000);
	}
	return -ETIMEDOUT;
}

void edu_free(struct kref *refs)
{
	struct edu *edu = container_of(refs, struct edu, refs);

	ida_free(&numbers, edu->number);
	kfree(edu);
}

static int start_device(struct edu *edu, struct pci_dev *pci)
{
	int err = pcim_enable_device(pci);

	if (err)
		return err;
	err = pcim_iomap_regions(pci, BIT(0), "morsel_edu");
	if (err)
		return err;
	edu->registers = pcim_iomap_table(pci)[0];
	if ((readl(edu->registers + REGISTER_ID) & 0xff) != ID)
		return -ENODEV;
	/*
	 * No more than the IOMMU has: beyond 4 GiB the kernel begins at the top, and takes that for
	 * what 57 bits reach.
	 */
	err = dma_set_mask_and_coherent(&pci->dev, DMA_BIT_MASK(48));
	if (err)
		return err;
	/* It takes any address and count: whoever maps may merge what is contiguous. */
	dma_set_max_seg_size(&pci->dev, UINT_MAX);
	pci_set_master(pci);
	return 0;
}

static int probe(struct pci_dev *pci, const struct pci_device_id *id)
{
	struct edu *edu = kzalloc(sizeof(*edu), GFP_KERNEL);
	int err;

	if (!edu)
		return -ENOMEM;
	edu->number = ida_alloc(&numbers, GFP_KERNEL);
	if (edu->number < 0) {
		err = edu->number;
		kfree(edu);
		return err;
	}
	kref_init(&edu->refs);
	mutex_init(&edu->lock);
	INIT_LIST_HEAD(&edu->files);
	edu->pci = pci;
	err = start_device(edu, pci);
	if (!err)
		err = edu_add_file(edu);
	if (err) {
		kref_put(&edu->refs, edu_free);
		return err;
	}
	pci_set_drvdata(pci, edu);
	return 0;
}

static void remove(struct pci_dev *pci)
{
	struct edu *edu = pci_get_drvdata(pci);

	edu_remove_file(edu);
	pci_clear_master(pci);
	kref_put(&edu->refs, edu_free);
}

static const struct pci_device_id ids[] = { { PCI_DEVICE(0x1234, 0x11e8) }, {} };
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver edu_driver = {
	.name = "morsel_edu",
	.id_table = ids,
	.probe = probe,
	.remove = remove,
};
module_pci_driver(edu_driver);

MODULE_DESCRIPTION(
	"QEMU's device edu, for tests of morselfs: copies by DMA what programs hand to it");
MODULE_LICENSE("GPL");
