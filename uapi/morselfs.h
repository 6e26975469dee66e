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
};

/* flags: contents and size cannot change any more */
#define MORSELFS_INFO_SEALED 1u

#define MORSELFS_IOC_INFO _IOWR('m', 1, struct morselfs_info)

/*
 * Seals the file: from now on nobody can change its contents or its size, for ever; names,
 * mode and attributes can. It takes a descriptor that is open for writing (EBADF) and the file's
 * owner (EPERM). EBUSY: the file is mapped shared by a descriptor that is open for writing, or
 * pages of it are held by a device, io_uring or a pipe. Writing and opening for writing then give EPERM.
 */
#define MORSELFS_IOC_SEAL _IO('m', 2)

#endif
