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
 * pages of it are held by a device, io_uring or a pipe. Writing and opening for writing then give EPERM.
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

#endif
