/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * morselfs: what kernel and user space share.
 *
 * Every structure begins with its own size in bytes, set by the caller, so that
 * it can grow: the kernel fills what the caller knows and says in `size` how
 * much it wrote.
 */
#ifndef _UAPI_MORSELFS_H
#define _UAPI_MORSELFS_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* statfs(2) f_type: "mrsl" */
#define MORSELFS_SUPER_MAGIC 0x6c73726d

/**
 * struct morselfs_info - the state of one regular file
 * @size: bytes of this structure (in: known to the caller, out: filled)
 * @flags: in: zero, out: MORSELFS_INFO_*
 * @bytes: file size in bytes
 * @leaves_4k: 4-KiB leaves present in the object's tree (one twin)
 * @leaves_2m: 2-MiB leaves present in the object's tree (one twin)
 * @table_bytes: bytes of page tables that belong to the object, both twins; 0 for a file
 *	that never reached 2 MiB and was never mapped
 * @mappings: VMAs that map the file now, in all processes
 * @graft_pud_slots: 1-GiB slots grafted now, in all processes
 * @graft_pmd_slots: 2-MiB slots grafted now, in all processes
 * @raw_pages: pages mapped by raw runs (edges) now, in all processes
 * @grafted_bytes: bytes of address space that grafts and raw runs cover now,
 *	in all processes
 * @self_grafted_bytes: the same, only in the calling process
 * @promoted: 2-MiB slots whose small leaves were moved into one large leaf
 * @demoted: 2-MiB leaves that were moved into small ones
 * @promote_failed: 2-MiB slots that could not be moved: no frame, or held by somebody
 * @waste_bytes: bytes of 2-MiB frames that are charged and no leaf leads to any more
 * @huge: the object's own policy, MORSELFS_HUGE_*
 * @reserved: zero
 *
 * Versions before 2-MiB leaves could be moved end with @self_grafted_bytes.
 */
struct morselfs_info {
  __u32 size;
  __u32 flags;
  __u64 bytes;
  __u64 leaves_4k;
  __u64 leaves_2m;
  __u64 table_bytes;
  __u64 mappings;
  __u64 graft_pud_slots;
  __u64 graft_pmd_slots;
  __u64 raw_pages;
  __u64 grafted_bytes;
  __u64 self_grafted_bytes;
  __u64 promoted;
  __u64 demoted;
  __u64 promote_failed;
  __u64 waste_bytes;
  __u32 huge;
  __u32 reserved;
};

/* flags: contents and size cannot change any more */
#define MORSELFS_INFO_SEALED 1u

#define MORSELFS_IOC_INFO _IOWR('m', 1, struct morselfs_info)

/*
 * Seals the file: from now on nobody can change its contents or its size, for ever; names,
 * mode and attributes can. It takes a descriptor that is open for writing (EBADF) and the file's
 * owner (EPERM). EBUSY: the file is mapped shared by a descriptor that is open for writing, or
 * pages of it are held by a device, io_uring or a pipe. Writing and opening for writing then give
 * EPERM.
 */
#define MORSELFS_IOC_SEAL _IO('m', 2)

/* Which leaves an object gets: as the mount's huge= says, or by a policy of its own. */
#define MORSELFS_HUGE_MOUNT 0u
#define MORSELFS_HUGE_NEVER 1u
#define MORSELFS_HUGE_WITHIN_SIZE 2u
#define MORSELFS_HUGE_ALWAYS 3u

/*
 * Sets the object's own policy, one of MORSELFS_HUGE_*, for leaves that are made from now on. It
 * takes the file's owner (EPERM); contents are not touched, so a sealed file can be given one,
 * too. EOPNOTSUPP on a pool, whose leaves are all small.
 */
#define MORSELFS_IOC_HUGE _IOW('m', 3, __u32)

/**
 * struct morselfs_range - what part of a file is to be moved, and what became of it
 * @size: bytes of this structure (in: known to the caller, out: filled)
 * @flags: zero
 * @start: first byte; the 2-MiB slots that lie wholly in the range are meant
 * @length: bytes, 0 for all up to the end of the file
 * @done_bytes: out: now in 2-MiB leaves, or no longer so, by this call
 * @busy_bytes: out: left alone because somebody holds pages (a device, io_uring, a reader)
 * @lacking_bytes: out: left alone for want of free 2-MiB frames
 */
struct morselfs_range {
  __u32 size;
  __u32 flags;
  __u64 start;
  __u64 length;
  __u64 done_bytes;
  __u64 busy_bytes;
  __u64 lacking_bytes;
};

/*
 * Moves what lies in full 2-MiB slots into 2-MiB leaves, and back into 4-KiB leaves, whatever the
 * policy says. Mappings stay as they are. Takes a descriptor that is open for writing, or the
 * file's owner (EPERM).
 */
#define MORSELFS_IOC_PROMOTE _IOWR('m', 4, struct morselfs_range)
#define MORSELFS_IOC_DEMOTE _IOWR('m', 5, struct morselfs_range)

/* flags: devices may only read; an IOMMU sees to it */
#define MORSELFS_EXPORT_READ_ONLY 1u

/**
 * struct morselfs_export - a range of a file as a dma-buf
 * @size: bytes of this structure (in: known to the caller, out: filled)
 * @flags: MORSELFS_EXPORT_*
 * @start: first byte, a multiple of 4096
 * @length: bytes, 0 for all up to the end of the file; out: bytes of the dma-buf, whole pages
 * @fd: out: descriptor of the dma-buf, closed on exec
 * @reserved: zero
 */
struct morselfs_export {
  __u32 size;
  __u32 flags;
  __u64 start;
  __u64 length;
  __s32 fd;
  __u32 reserved;
};

/*
 * Exports the range as a dma-buf, which drivers of devices import. Holes are filled first. It takes
 * a descriptor that is open for reading, and, unless devices may only read, for writing (EBADF).
 *
 * EINVAL: not a range of the file. EPERM: devices may not write, as the file is sealed, immutable
 * or append-only. ENOSPC, EROFS: a hole could not be filled. EIO: a page is broken, or the pool
 * shut down. EOPNOTSUPP: devices may not write to a pool; the kernel has no dma-bufs.
 *
 * The dma-buf keeps the file open. The memory stays that of the file as long as nobody removes it
 * there; what is removed is kept for the devices until the dma-buf is closed. A dma-buf that is not
 * read-only keeps the file from being sealed, as a mapping does, and both kinds keep 4-KiB pages
 * from being moved into 2-MiB ones.
 */
#define MORSELFS_IOC_EXPORT _IOWR('m', 6, struct morselfs_export)

#endif
