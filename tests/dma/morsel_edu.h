/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * morsel_edu: a driver for tests and measurements. It gives QEMU's PCI device "edu", which has 4
 * KiB of memory of its own and copies between that and the machine's memory, to programs as
 * /dev/morsel_eduN (root only).
 *
 * Memory is handed to the device in the two steps of every driver: it is got hold of (a dma-buf is
 * attached; a range of the process's own memory is pinned), and it is mapped, which gives the
 * addresses that the device uses. Each step says how long it took. What a process has not given
 * back goes when the file is closed, or when the driver is unbound or the device removed: then all
 * calls give ENODEV.
 *
 * Calls on one device wait for each other.
 */
#ifndef MORSEL_EDU_H
#define MORSEL_EDU_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* As enum dma_data_direction. */
#define MORSEL_EDU_BOTH 0u
#define MORSEL_EDU_TO_DEVICE 1u
#define MORSEL_EDU_FROM_DEVICE 2u

/**
 * struct morsel_edu_buffer - memory that the device may get to know
 * @id: ATTACH, PIN: out; else in. Never 0
 * @direction: PIN, MAP: MORSEL_EDU_*. What is only read is pinned for reading
 * @fd: ATTACH: the dma-buf
 * @segments: MAP: out, of contiguous addresses
 * @start: PIN: address, a multiple of 4096
 * @length: bytes. PIN: in, a multiple of 4096; ATTACH: out
 * @ns: out: how long this step took, without the system call around it
 */
struct morsel_edu_buffer {
	__u32 id;
	__u32 direction;
	__s32 fd;
	__u32 segments;
	__u64 start;
	__u64 length;
	__u64 ns;
};

/* What the exporter of the dma-buf says, or EBADF; what pinning says, as EFAULT. */
#define MORSEL_EDU_ATTACH _IOWR('e', 1, struct morsel_edu_buffer)
#define MORSEL_EDU_PIN _IOWR('e', 2, struct morsel_edu_buffer)
/* EBUSY: it is mapped already. Else what the exporter says, or the kernel's DMA. */
#define MORSEL_EDU_MAP _IOWR('e', 3, struct morsel_edu_buffer)
/* EINVAL: it is not mapped. */
#define MORSEL_EDU_UNMAP _IOWR('e', 4, struct morsel_edu_buffer)
/* Unmaps it, too, if it is mapped. */
#define MORSEL_EDU_RELEASE _IOWR('e', 5, struct morsel_edu_buffer)

struct morsel_edu_segment {
	__u64 address; /* the device's */
	__u64 length; /* bytes */
};

/**
 * struct morsel_edu_segments - the addresses of a mapped buffer
 * @id: of the buffer
 * @count: in: room in @segments; out: filled
 * @segments: address of an array
 */
struct morsel_edu_segments {
	__u32 id;
	__u32 count;
	__u64 segments;
};

#define MORSEL_EDU_SEGMENTS _IOWR('e', 6, struct morsel_edu_segments)

/* Of the device's memory. QEMU before 8.2 ends when a copy touches the last byte. */
#define MORSEL_EDU_COPY_BYTES 2048u

/**
 * struct morsel_edu_copy - has the device copy between a mapped buffer and its own memory
 * @id: of the buffer; 0: @offset is an address as the device sees it, whether or not anything is
 *	mapped there, which takes an IOMMU that contains it (else EPERM)
 * @direction: MORSEL_EDU_TO_DEVICE or _FROM_DEVICE, whatever the buffer was mapped for
 * @offset: bytes
 * @length: bytes, up to MORSEL_EDU_COPY_BYTES
 *
 * Takes a tenth of a second for each segment. The device does not say whether memory could be
 * reached: an IOMMU writes a fault to the kernel's log.
 */
struct morsel_edu_copy {
	__u32 id;
	__u32 direction;
	__u64 offset;
	__u64 length;
};

#define MORSEL_EDU_COPY _IOW('e', 7, struct morsel_edu_copy)

/**
 * struct morsel_edu_cpu_copy - copies between an attached dma-buf and the caller's memory, by the CPU,
 *	where the kernel maps the whole of it for itself (vmap)
 * @id: of the buffer
 * @direction: MORSEL_EDU_TO_DEVICE: out of the dma-buf; _FROM_DEVICE: into it
 * @offset: bytes
 * @length: bytes
 * @memory: address in the process
 *
 * EFAULT: the process's memory or, for _FROM_DEVICE, the kernel's mapping can't be accessed so.
 */
struct morsel_edu_cpu_copy {
	__u32 id;
	__u32 direction;
	__u64 offset;
	__u64 length;
	__u64 memory;
};

#define MORSEL_EDU_CPU_COPY _IOW('e', 8, struct morsel_edu_cpu_copy)

#endif
