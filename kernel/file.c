// SPDX-License-Identifier: GPL-2.0
/*
 * Regular files: read, write, seek, fallocate, splice, ioctl.
 *
 * Whoever changes size or content by a system call holds i_rwsem. No lock that a
 * page fault needs is held while user memory is touched, so the copies here may
 * fault, even on a mapping of the very file that is read or written.
 *
 * i_size grows only when the data is in. What lies between the end of the file
 * and the end of its page may have been dirtied through a mapping, so it is
 * zeroed before the size moves past it. Beyond that page there are frames only
 * while a call that makes the file grow is at work.
 */
#include <linux/compat.h>
#include <linux/falloc.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "opened.h"
#include "pool.h"
#include "vfs.h"

#define SLOT_BYTES (MORSEL_HUGE_PAGES << PAGE_SHIFT)

static pgoff_t pages_up(loff_t bytes)
{
	return DIV_ROUND_UP(bytes, PAGE_SIZE);
}

/* O_DIRECT has nothing to bypass: it is the same copy. Reads never wait. */
int morsel_open(struct inode *inode, struct file *file)
{
	if (morsel_pool_is_shut_down(inode))
		return -EIO;
	if ((file->f_mode & FMODE_WRITE) && morsel_is_sealed(inode))
		return -EPERM;
	file->f_mode |= FMODE_CAN_ODIRECT | FMODE_NOWAIT;
	return generic_file_open(inode, file) ?: morsel_opened_get(inode, file);
}

/* Reads up to the end of the page or of the file; bytes copied, 0 at the end, or an error. */
static ssize_t read_page(struct inode *inode, loff_t pos, struct iov_iter *to, bool nowait)
{
	unsigned int moves = smp_load_acquire(&MORSEL_I(inode)->moves);
	size_t offset = offset_in_page(pos), length, copied;
	loff_t size = i_size_read(inode);
	struct page *page;
	ssize_t err = -EFAULT;

	if (pos >= size)
		return 0;
	page = nowait ? morsel_object_get_nowait(inode, pos >> PAGE_SHIFT) :
			morsel_object_get(inode, pos >> PAGE_SHIFT);
	if (!page && nowait && ((moves & 1) || READ_ONCE(MORSEL_I(inode)->moves) != moves))
		return -EAGAIN; /* it may be on its way elsewhere */
	/*
	 * The size was read before the page was looked up: what it covers was in
	 * place by then. It is read again after that: if the file shrank meanwhile,
	 * the zeroes and holes beyond its new end are not data.
	 */
	size = min(size, i_size_read(inode));
	if (pos >= size) {
		err = 0;
		goto out;
	}
	length = min3(PAGE_SIZE - offset, (size_t)(size - pos), iov_iter_count(to));
	if (!page) {
		copied = iov_iter_zero(length, to);
	} else if (morsel_object_is_bad(inode, page)) {
		err = -EIO;
		goto out;
	} else {
		copied = copy_to_iter(page_address(page) + offset, length, to);
	}
	if (copied)
		err = copied;
out:
	if (page)
		put_page(page);
	return err;
}

ssize_t morsel_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t done = 0, ret = 0;

	if (morsel_pool_is_shut_down(inode))
		return -EIO;
	while (iov_iter_count(to)) {
		ret = fatal_signal_pending(current) ?
			      -EINTR :
			      read_page(inode, iocb->ki_pos, to, iocb->ki_flags & IOCB_NOWAIT);
		if (ret <= 0)
			break;
		iocb->ki_pos += ret;
		done += ret;
		cond_resched();
	}
	file_accessed(iocb->ki_filp);
	return done ? done : ret;
}

/* Zeroes the bytes [start, end) where there are pages; holes read as zeroes anyway. */
static void zero_present(struct inode *inode, loff_t start, loff_t end)
{
	pgoff_t last = pages_up(end);
	pgoff_t index = start >> PAGE_SHIFT;

	while ((index = morsel_object_next(inode, index, last, true)) < last) {
		struct page *page = morsel_object_get(inode, index);
		loff_t pos = (loff_t)index << PAGE_SHIFT;
		size_t from = max(start, pos) - pos;
		size_t to = min_t(loff_t, end - pos, PAGE_SIZE);

		/* Whoever reads a poisoned page is told so; writing to it is a machine check. */
		if (page && !morsel_object_is_bad(inode, page))
			morsel_object_zero(inode, page, from, to - from);
		if (page)
			put_page(page);
		index++;
		cond_resched();
	}
}

/* Before the size moves beyond `end`: see the top of the file. */
static void zero_behind_eof(struct inode *inode, loff_t end)
{
	loff_t size = i_size_read(inode);

	end = min_t(loff_t, end, round_up(size, PAGE_SIZE));
	if (end > size)
		zero_present(inode, size, end);
}

/* The file did not grow to `size` after all. Beyond its end there are no pages. */
static void drop_behind_eof(struct inode *inode, loff_t size)
{
	morsel_object_drop(inode, pages_up(i_size_read(inode)), pages_up(size));
}

/* Is the slot at `pos` wholly in [start, end)? */
static bool slot_is_within(loff_t pos, loff_t start, loff_t end)
{
	loff_t slot = round_down(pos, (loff_t)SLOT_BYTES);

	return slot >= start && slot + SLOT_BYTES <= end;
}

/* Writes up to the end of the page; bytes copied, or an error. */
static ssize_t write_page(struct inode *inode, loff_t pos, struct iov_iter *from, loff_t size,
			  enum morsel_touch touch)
{
	size_t offset = offset_in_page(pos), copied;
	size_t length = min(PAGE_SIZE - offset, iov_iter_count(from));
	struct page *page;

	/* A bad address should not cost a page. */
	if (fault_in_iov_iter_readable(from, length) == length)
		return -EFAULT;
	page = morsel_object_fill(inode, pos >> PAGE_SHIFT, size, touch);
	if (IS_ERR(page))
		return PTR_ERR(page);
	if (morsel_object_is_bad(inode, page)) {
		put_page(page);
		return -EIO;
	}
	copied = morsel_object_copy_in(inode, page, offset, length, from);
	put_page(page);
	return copied ? copied : -EFAULT;
}

/*
 * On a pool: as many pages at once as lie in a row, and new ones without zeroing them first. Bytes
 * copied, or an error; 0: write_page() must do it.
 */
static ssize_t write_fast(struct inode *inode, loff_t pos, struct iov_iter *from, loff_t size)
{
	size_t offset = offset_in_page(pos), length = iov_iter_count(from), copied;
	pgoff_t index = pos >> PAGE_SHIFT;
	unsigned int count = 0;
	struct page *first;

	if (pos < i_size_read(inode))
		count = morsel_object_run(inode, index, pages_up(offset + length), &first);
	if (count) {
		length = min(length, count * PAGE_SIZE - offset);
		copied = morsel_object_copy_in(inode, first, offset, length, from);
		return copied ? copied : -EFAULT;
	}
	if (offset || length < PAGE_SIZE)
		return 0;
	return morsel_object_write_new(inode, index, from, size) ? PAGE_SIZE : 0;
}

static ssize_t write_some(struct inode *inode, loff_t pos, struct iov_iter *from, loff_t size,
			  enum morsel_touch touch)
{
	ssize_t done = morsel_pool_of(inode) ? write_fast(inode, pos, from, size) : 0;

	return done ? done : write_page(inode, pos, from, size, touch);
}

/*
 * Under i_rwsem, checks done. Bytes written, or an error if there are none. With i_rwsem `shared`
 * the file does not grow, and what gets full is settled by the caller, later.
 */
static ssize_t write_pages(struct inode *inode, loff_t pos, struct iov_iter *from, bool shared)
{
	loff_t start = pos, unsettled = pos, end = pos + iov_iter_count(from);
	loff_t size = max(i_size_read(inode), end);
	ssize_t ret = 0;

	if (size > i_size_read(inode)) {
		ret = morsel_object_reserve(inode, pages_up(size));
		if (ret)
			return ret;
	}
	zero_behind_eof(inode, pos);
	while (iov_iter_count(from)) {
		enum morsel_touch touch =
			slot_is_within(pos, start, end) ? MORSEL_TOUCH_WHOLE : MORSEL_TOUCH_PART;

		ret = fatal_signal_pending(current) ? -EINTR :
						      write_some(inode, pos, from, size, touch);
		if (ret < 0)
			break;
		pos += ret;
		if (pos > i_size_read(inode)) {
			morsel_order(inode);
			i_size_write(inode, pos);
		}
		if (!shared && IS_ALIGNED(pos, SLOT_BYTES)) {
			morsel_object_settle(inode, unsettled, pos);
			unsettled = pos;
		}
		cond_resched();
	}
	if (ret < 0 && !shared)
		drop_behind_eof(inode, size);
	if (!shared && pos > unsettled)
		morsel_object_settle(inode, unsettled, pos);
	return pos > start ? pos - start : ret;
}

/*
 * May it go on beside others? Not if the file grows, nor if privileges may have to go (IS_NOSEC: there
 * are none). Fills and removals are in order by the invalidate lock. Two writes at the same time to the
 * same bytes may leave some of either, as with O_DIRECT elsewhere. What a pool writes without
 * a reference to the page, and what it saves, wants the lock for itself.
 */
static bool stays_within(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);

	return !(iocb->ki_flags & IOCB_APPEND) && IS_NOSEC(inode) && !morsel_pool_of(inode) &&
	       iocb->ki_pos + (loff_t)iov_iter_count(from) <= i_size_read(inode);
}

/* True if it is shared. */
static bool lock_for_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);

	if (stays_within(iocb, from)) {
		inode_lock_shared(inode);
		if (stays_within(iocb, from))
			return true;
		inode_unlock_shared(inode);
	}
	inode_lock(inode);
	return false;
}

/* Who writes other parts of the file meanwhile is not waited for: then the worker does it. */
static void settle_later(struct inode *inode, loff_t start, loff_t end)
{
	if (!morsel_object_is_unsettled(inode, start, end))
		return;
	if (!inode_trylock(inode)) {
		morsel_promote_later(inode);
		return;
	}
	morsel_object_settle(inode, start, end);
	inode_unlock(inode);
}

ssize_t morsel_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	bool shared;
	ssize_t ret;

	/* Filling holes allocates. */
	if (iocb->ki_flags & IOCB_NOWAIT)
		return -EAGAIN;
	if (morsel_pool_is_shut_down(inode))
		return -EIO;
	shared = lock_for_write(iocb, from);
	/* The file may have become immutable, append-only or sealed since it was opened. */
	ret = -EPERM;
	if (morsel_is_frozen(inode) || (IS_APPEND(inode) && !(iocb->ki_flags & IOCB_APPEND)))
		goto out;
	ret = generic_write_checks(iocb, from);
	if (ret <= 0)
		goto out;
	ret = file_modified(iocb->ki_filp);
	if (ret)
		goto out;
	ret = write_pages(inode, iocb->ki_pos, from, shared);
	if (ret > 0)
		iocb->ki_pos += ret;
	/* A fault may just be putting in a page, or a table, that this has gone through. */
	if (ret > 0 && iocb_is_dsync(iocb) && morsel_pool_of(inode))
		morsel_pool_persist(inode, (iocb->ki_pos - ret) >> PAGE_SHIFT,
				    pages_up(iocb->ki_pos));
	morsel_save(inode);
out:
	if (!shared)
		inode_unlock(inode);
	else
		inode_unlock_shared(inode);
	if (shared && ret > 0)
		settle_later(inode, iocb->ki_pos - ret, iocb->ki_pos);
	return ret;
}

/* Under i_rwsem. The next byte of data, or of a hole (the end of the file is one). */
static loff_t seek_hole_data(struct inode *inode, loff_t offset, bool data)
{
	loff_t size = i_size_read(inode), found;
	pgoff_t end = pages_up(size);
	pgoff_t index;

	if (offset < 0 || offset >= size)
		return -ENXIO;
	index = morsel_object_next(inode, offset >> PAGE_SHIFT, end, data);
	if (index >= end)
		return data ? -ENXIO : size;
	found = (loff_t)index << PAGE_SHIFT;
	return max(offset, found);
}

loff_t morsel_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek(file, offset, whence);
	inode_lock_shared(inode);
	offset = seek_hole_data(inode, offset, whence == SEEK_DATA);
	inode_unlock_shared(inode);
	return offset < 0 ? offset : vfs_setpos(file, offset, inode->i_sb->s_maxbytes);
}

static int punch_hole(struct inode *inode, loff_t start, loff_t end)
{
	pgoff_t first = pages_up(start);
	pgoff_t last = end >> PAGE_SHIFT;
	int err;

	/* First what can fail. */
	err = morsel_object_punch(inode, first, last);
	if (err)
		return err;
	zero_present(inode, start, min_t(loff_t, end, (loff_t)first << PAGE_SHIFT));
	if (first <= last)
		zero_present(inode, (loff_t)last << PAGE_SHIFT, end);
	return 0;
}

/* Is there room for the holes among the pages [first, last)? */
static int check_room(struct inode *inode, pgoff_t first, pgoff_t last)
{
	unsigned long size = morsel_object_size_limit(inode->i_sb);
	unsigned long holes = 0;

	if (last - first > size)
		return -ENOSPC;
	while ((first = morsel_object_next(inode, first, last, false)) < last) {
		pgoff_t end = morsel_object_next(inode, first, last, true);

		holes += end - first;
		first = end;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return holes > morsel_object_room(inode->i_sb) ? -ENOSPC : 0;
}

/* Gives every page of [first, last) a frame. `size`: what the file will be. */
static int fill_holes(struct inode *inode, pgoff_t first, pgoff_t last, loff_t size)
{
	loff_t start = (loff_t)first << PAGE_SHIFT, end = (loff_t)last << PAGE_SHIFT;
	pgoff_t index = first;

	while ((index = morsel_object_next(inode, index, last, false)) < last) {
		bool whole = slot_is_within((loff_t)index << PAGE_SHIFT, start, end);
		struct page *page;

		if (fatal_signal_pending(current))
			return -EINTR;
		page = morsel_object_fill(inode, index, size,
					  whole ? MORSEL_TOUCH_ADVISED : MORSEL_TOUCH_PART);
		if (IS_ERR(page))
			return PTR_ERR(page);
		put_page(page);
		index++;
		cond_resched();
	}
	return 0;
}

/*
 * Plain and zero-range. Frames come first: when there are not enough of them, the
 * file is what it was. (Holes below its end that were filled by then stay filled:
 * somebody may have written to them through a mapping.)
 *
 * With KEEP_SIZE, what lies beyond the end is checked to fit and gets no frames:
 * a mapping would reach them without SIGBUS, and what it left in them would show
 * up when the file grows.
 */
static int allocate(struct inode *inode, int mode, loff_t start, loff_t end)
{
	loff_t old_size = i_size_read(inode), size = old_size;
	int err;

	/* The limits hold with KEEP_SIZE, too. */
	err = inode_newsize_ok(inode, end);
	if (!err)
		err = check_room(inode, start >> PAGE_SHIFT, pages_up(end));
	if (err)
		return err;
	if (mode & FALLOC_FL_KEEP_SIZE)
		end = min_t(loff_t, end, round_up(size, PAGE_SIZE));
	else
		size = max(size, end);
	err = morsel_object_reserve(inode, pages_up(size));
	if (!err)
		err = fill_holes(inode, start >> PAGE_SHIFT, pages_up(end), size);
	if (err) {
		drop_behind_eof(inode, size);
		return err;
	}
	if (mode & FALLOC_FL_ZERO_RANGE)
		zero_present(inode, start, end);
	if (size > old_size) {
		zero_behind_eof(inode, size);
		morsel_order(inode);
		i_size_write(inode, size);
	}
	return 0;
}

long morsel_fallocate(struct file *file, int mode, loff_t offset, loff_t length)
{
	struct inode *inode = file_inode(file);
	long err;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (morsel_pool_is_shut_down(inode))
		return -EIO;
	inode_lock(inode);
	/* The VFS has asked before the lock; chattr(1) may have had it meanwhile. */
	err = -EPERM;
	if (morsel_is_frozen(inode) || (IS_APPEND(inode) && (mode & ~FALLOC_FL_KEEP_SIZE)))
		goto out;
	err = file_modified(file);
	if (err)
		goto out;
	if (mode & FALLOC_FL_PUNCH_HOLE)
		err = punch_hole(inode, offset, offset + length);
	else
		err = allocate(inode, mode, offset, offset + length);
	morsel_save(inode);
out:
	inode_unlock(inode);
	return err;
}

/* The caller may know a longer structure, from a later version, or the shorter one of the first. */
static long ioctl_info(struct inode *inode, struct morselfs_info __user *user)
{
	struct morselfs_info info = {};
	u32 size;

	if (copy_from_user(&info, user, offsetofend(struct morselfs_info, flags)))
		return -EFAULT;
	size = min_t(u32, info.size, sizeof(info));
	if (size < offsetofend(struct morselfs_info, self_grafted_bytes) || info.flags)
		return -EINVAL;
	morsel_object_info(inode, &info);
	info.size = size;
	info.self_grafted_bytes = morsel_graft_self_bytes(inode);
	return copy_to_user(user, &info, size) ? -EFAULT : 0;
}

long morsel_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	/* The command holds the structure's size, which grows with the versions. */
	const unsigned int any_size = ~(_IOC_SIZEMASK << _IOC_SIZESHIFT);

	if ((command & any_size) == (MORSELFS_IOC_INFO & any_size))
		return ioctl_info(file_inode(file), (struct morselfs_info __user *)argument);
	if ((command & any_size) == (MORSELFS_IOC_PROMOTE & any_size))
		return morsel_promote_ioctl(file, (struct morselfs_range __user *)argument, false);
	if ((command & any_size) == (MORSELFS_IOC_DEMOTE & any_size))
		return morsel_promote_ioctl(file, (struct morselfs_range __user *)argument, true);
	if ((command & any_size) == (MORSELFS_IOC_EXPORT & any_size))
		return morsel_export_ioctl(file, (struct morselfs_export __user *)argument);
	if (command == MORSELFS_IOC_HUGE)
		return morsel_huge_ioctl(file, (const u32 __user *)argument);
	if (command == MORSELFS_IOC_SEAL)
		return morsel_seal(file);
	if (command == MORSEL_IOC_GOINGDOWN && morsel_pool_of(file_inode(file)))
		return morsel_pool_shutdown_ioctl(file, (u32 __user *)argument);
	return -ENOTTY;
}

const struct file_operations morsel_file_operations = {
	MORSEL_FILE_OPERATIONS,
	.fsync = noop_fsync,
};

/*
 * MADV_COLD and the like split a large folio if nobody seems to use the rest of it. Ours is in
 * no page cache, which they find out too late: they have unmapped it by then, through the
 * object's own tables. This they ask first (with mapping_set_release_always()).
 */
bool morsel_release_folio(struct folio *folio, gfp_t gfp)
{
	return false;
}

/* No page is in the page cache; get_user_pages may still call a frame dirty. */
const struct address_space_operations morsel_aops = {
	.dirty_folio = noop_dirty_folio,
	.release_folio = morsel_release_folio,
};
