/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints, in /sys/kernel/tracing/events/morselfs:
 *
 *   morselfs_fill     a hole got a frame
 *   morselfs_promote  the small leaves of a slot, which begins at `index`, were moved into a large
 *                     one; or why not: -EBUSY, somebody holds a page, -ENOMEM, no frame
 *   morselfs_demote   the same the other way
 *   morselfs_cover    a fault in a grafting VMA is through: all that it put in are the
 *                     morselfs_graft lines before it
 *   morselfs_graft    slots of one run were put in, from its first one or from the one
 *                     that faulted; holes in between are not counted
 *   morselfs_ungraft  slots in a range were taken out, and the TLBs are flushed. None:
 *                     others were at it, or only a parked slot was left
 *
 * Taking out happens in the context of whoever changes the mapping or the file.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM morselfs

#if !defined(MORSELFS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define MORSELFS_TRACE_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/tracepoint.h>

#include "tree_api.h"

/* clang-format off */

TRACE_DEFINE_ENUM(MORSEL_PTE);
TRACE_DEFINE_ENUM(MORSEL_PMD);
TRACE_DEFINE_ENUM(MORSEL_PUD);

TRACE_EVENT(morselfs_fill,
	TP_PROTO(struct inode *inode, pgoff_t index, unsigned int order),
	TP_ARGS(inode, index, order),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, ino)
		__field(pgoff_t, index)
		__field(unsigned int, order)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->index = index;
		__entry->order = order;
	),
	TP_printk("dev=%d:%d ino=%lu index=%lu order=%u",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, __entry->index,
		  __entry->order)
);

DECLARE_EVENT_CLASS(morselfs_move,
	TP_PROTO(struct inode *inode, pgoff_t index, int result),
	TP_ARGS(inode, index, result),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, ino)
		__field(pgoff_t, index)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->index = index;
		__entry->result = result;
	),
	TP_printk("dev=%d:%d ino=%lu index=%lu result=%d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, __entry->index,
		  __entry->result)
);

DEFINE_EVENT(morselfs_move, morselfs_promote,
	TP_PROTO(struct inode *inode, pgoff_t index, int result),
	TP_ARGS(inode, index, result)
);

DEFINE_EVENT(morselfs_move, morselfs_demote,
	TP_PROTO(struct inode *inode, pgoff_t index, int result),
	TP_ARGS(inode, index, result)
);

TRACE_EVENT(morselfs_cover,
	TP_PROTO(struct vm_area_struct *vma, unsigned long address, unsigned int segments,
		 vm_fault_t result),
	TP_ARGS(vma, address, segments, result),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, ino)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(unsigned long, address)
		__field(unsigned int, segments)
		__field(unsigned int, result)
	),
	TP_fast_assign(
		__entry->dev = file_inode(vma->vm_file)->i_sb->s_dev;
		__entry->ino = file_inode(vma->vm_file)->i_ino;
		__entry->start = vma->vm_start;
		__entry->end = vma->vm_end;
		__entry->address = address;
		__entry->segments = segments;
		__entry->result = (__force unsigned int)result;
	),
	TP_printk("dev=%d:%d ino=%lu start=0x%lx end=0x%lx address=0x%lx segments=%u result=%s",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, __entry->start,
		  __entry->end, __entry->address, __entry->segments,
		  __print_flags(__entry->result, "|", VM_FAULT_RESULT_TRACE))
);

TRACE_EVENT(morselfs_graft,
	TP_PROTO(struct inode *inode, enum morsel_level level, unsigned long start, long slots),
	TP_ARGS(inode, level, start, slots),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, ino)
		__field(int, level)
		__field(unsigned long, start)
		__field(long, slots)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->level = level;
		__entry->start = start;
		__entry->slots = slots;
	),
	TP_printk("dev=%d:%d ino=%lu level=%s start=0x%lx slots=%ld",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __print_symbolic(__entry->level, { MORSEL_PTE, "pte" }, { MORSEL_PMD, "pmd" },
				   { MORSEL_PUD, "pud" }),
		  __entry->start, __entry->slots)
);

TRACE_EVENT(morselfs_ungraft,
	TP_PROTO(unsigned long start, unsigned long end, unsigned long slots),
	TP_ARGS(start, end, slots),
	TP_STRUCT__entry(
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(unsigned long, slots)
	),
	TP_fast_assign(
		__entry->start = start;
		__entry->end = end;
		__entry->slots = slots;
	),
	TP_printk("start=0x%lx end=0x%lx slots=%lu", __entry->start, __entry->end, __entry->slots)
);

/* clang-format on */

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
