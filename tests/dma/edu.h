/* SPDX-License-Identifier: GPL-2.0 */
/* One device: the registers (edu.c), and its file for programs (device.c). */
#ifndef MORSEL_EDU_EDU_H
#define MORSEL_EDU_EDU_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>

struct pci_dev;

struct edu {
	struct kref refs; /* the driver's, and one for each open file */
	int number;
	char name[24];
	struct miscdevice misc;
	/* Guards all that follows, and what the open files hold. */
	struct mutex lock;
	struct pci_dev *pci; /* NULL when the driver is unbound or the device gone */
	void __iomem *registers;
	struct list_head files;
};

/*
 * Copies between the device's memory, from its byte `at` on, and the machine's. It can't say
 * whether that could be reached. -ETIMEDOUT if it does not come to an end. Under the lock.
 */
int edu_copy(struct edu *edu, u64 address, u32 at, u32 bytes, bool to_device);

int edu_add_file(struct edu *edu);
/* Takes from all open files what they hold: nobody uses the device any more. */
void edu_remove_file(struct edu *edu);
void edu_free(struct kref *refs);

#endif
