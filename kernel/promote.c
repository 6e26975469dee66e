// SPDX-License-Identifier: GPL-2.0
/*
 * When slots are moved (move.c does it): on request, by ioctl, and by a worker of each mount.
 *
 * Who fills an object with small leaves although its policy wants large ones, or leaves a large
 * frame with few leaves, queues the inode. The worker looks through all of it, a while later, and moves
 * what can be moved, at most so many MiB a second. For what somebody holds, or where no memory is to be
 * had, it comes again, less and less often.
 */
#include <linux/capability.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "move.h"
#include "pool.h"
#include "vfs.h"

/* The budget is spent in so many portions a second, or fewer. */
#define TURNS_PER_SECOND 10U
/* Slots that a turn looks at, at most. */
#define LOOKS_PER_TURN 8192U
/* Seconds, doubled with each try, that what could not be moved is left alone. */
#define FIRST_WAIT 1
#define LONGEST_WAIT 64
/* An ioctl waits so often for who holds a page for a moment. */
#define PATIENCE_TURNS 20
#define PATIENCE_MS 1

/* Not waited for long, and nobody is killed for them, but the kernel may compact memory. */
#define GFP_MOVE (GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY)

bool morsel_churn;
module_param_named(churn, morsel_churn, bool, 0644);
MODULE_PARM_DESC(churn, "for tests: what was moved is moved again, all the time");

/* Slots a second. */
static unsigned int pace(const struct morsel_sb *msb)
{
	return max(READ_ONCE(msb->promote_budget) / 2, 1U);
}

static unsigned long turn(const struct morsel_sb *msb)
{
	return morsel_churn ? 1 : max(HZ / min(pace(msb), TURNS_PER_SECOND), 1U);
}

/* Under promote_lock. */
static void dequeue(struct morsel_sb *msb, struct morsel_inode *mi)
{
	if (!mi->promote_queued)
		return;
	timerqueue_del(&msb->promote_queue, &mi->promote_node);
	WRITE_ONCE(mi->promote_queued, false);
}

static void queue_inode(struct morsel_sb *msb, struct morsel_inode *mi, unsigned long delay)
{
	u64 at = get_jiffies_64() + delay;

	spin_lock(&msb->promote_lock);
	/* Not what somebody waits to free: see morsel_promote_forget(). */
	if (READ_ONCE(msb->promote_budget) && !(msb->promote_current == mi && msb->promote_hurry)) {
		mi->promote_known = true;
		if (!mi->promote_queued || at < mi->promote_node.expires) {
			dequeue(msb, mi);
			mi->promote_node.expires = at;
			timerqueue_add(&msb->promote_queue, &mi->promote_node);
			WRITE_ONCE(mi->promote_queued, true);
		}
		queue_delayed_work(system_unbound_wq, &msb->promote_work, turn(msb));
	}
	spin_unlock(&msb->promote_lock);
}

void morsel_promote_later(struct inode *inode)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	struct morsel_sb *msb = MORSEL_SB(inode->i_sb);

	if (!READ_ONCE(msb->promote_budget))
		return;
	if (READ_ONCE(mi->promote_queued)) {
		/* The worker may be past what has changed. */
		if (!READ_ONCE(mi->promote_again))
			WRITE_ONCE(mi->promote_again, true);
		return;
	}
	mi->promote_tries = 0;
	queue_inode(msb, mi, morsel_churn ? 0 : HZ);
}

/*
 * The worker holds no inode: a file's memory is free when whoever has removed it returns. So he waits
 * for the slots that are being moved just now. The worker cannot queue the inode any more: it asks
 * for the hurry under the lock under which that is set.
 *
 * Who has queued the inode had a reference to it, so all of them have come before this.
 */
void morsel_promote_forget(struct inode *inode)
{
	struct morsel_sb *msb = MORSEL_SB(inode->i_sb);
	struct morsel_inode *mi = MORSEL_I(inode);

	if (!mi->promote_known)
		return;
	spin_lock(&msb->promote_lock);
	dequeue(msb, mi);
	if (msb->promote_current == mi)
		msb->promote_hurry = true;
	spin_unlock(&msb->promote_lock);
	wait_event(msb->promote_idle, READ_ONCE(msb->promote_current) != mi);
}

/* The inode that is due first, if any is; it stays until let_go(), and can be queued again. */
static struct inode *take_due(struct morsel_sb *msb)
{
	struct timerqueue_node *node;
	struct morsel_inode *mi = NULL;

	spin_lock(&msb->promote_lock);
	node = timerqueue_getnext(&msb->promote_queue);
	if (node && (u64)node->expires <= get_jiffies_64()) {
		mi = container_of(node, struct morsel_inode, promote_node);
		dequeue(msb, mi);
		WRITE_ONCE(msb->promote_current, mi);
		msb->promote_hurry = false;
	}
	spin_unlock(&msb->promote_lock);
	return mi ? &mi->vfs_inode : NULL;
}

static void let_go(struct morsel_sb *msb)
{
	spin_lock(&msb->promote_lock);
	WRITE_ONCE(msb->promote_current, NULL);
	spin_unlock(&msb->promote_lock);
	wake_up_all(&msb->promote_idle);
}

static pgoff_t end_of(struct inode *inode)
{
	return DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE);
}

static bool is_full(struct inode *inode, pgoff_t first)
{
	bool full;

	rcu_read_lock();
	full = first + MORSEL_HUGE_PAGES <= end_of(inode) && morsel_slot_is_full(inode, first);
	rcu_read_unlock();
	return full;
}

/* The policy may be another one than when the inode was queued. */
static bool may_go_up(struct inode *inode)
{
	return morsel_churn || morsel_huge_policy(inode) != MORSEL_HUGE_NEVER;
}

static bool wastes(struct inode *inode, pgoff_t first)
{
	bool found;

	if (atomic_long_read(&MORSEL_I(inode)->waste_pages) < (long)MORSEL_HUGE_PAGES / 2)
		return false;
	rcu_read_lock();
	found = morsel_slot_wastes(inode, first);
	rcu_read_unlock();
	return found;
}

/* Full slots from `first` on that can be moved together. */
static unsigned int count_full(struct inode *inode, pgoff_t first, pgoff_t end)
{
	unsigned int count = 0;

	while (count < MOVE_SLOTS && first < end && is_full(inode, first)) {
		count++;
		first += MORSEL_HUGE_PAGES;
		if (!(first % (MORSEL_HUGE_PAGES * PTRS_PER_PMD)))
			break;
	}
	return count;
}

/*
 * What is to be done at a slot, and at those behind it, if it is the same. Under i_rwsem,
 * exclusively. Returns how many slots it has looked at.
 */
static unsigned int improve(struct inode *inode, pgoff_t first, pgoff_t end,
			    struct morsel_moved *moved)
{
	unsigned int count = may_go_up(inode) ? count_full(inode, first, end) : 0;

	if (count)
		morsel_move_up(inode, first, count, GFP_MOVE, moved);
	else if (wastes(inode, first))
		morsel_move_down(inode, first, moved);
	return max(count, 1U);
}

/* For tests: large leaves become small ones, those go to small frames, and then the other way. */
static unsigned int churn(struct inode *inode, pgoff_t first, pgoff_t end,
			  struct morsel_moved *moved)
{
	switch (MORSEL_I(inode)->promote_tries % 4) {
	case 0:
	case 2:
		morsel_move_apart(inode, first, moved);
		return 1;
	case 1:
		morsel_move_down(inode, first, moved);
		return 1;
	default:
		return improve(inode, first, end, moved);
	}
}

/* A portion of an inode's slots; true if that was the last one. Takes from the budget, in slots. */
static bool work_on(struct inode *inode, long *budget, struct morsel_moved *moved)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	unsigned int looks = LOOKS_PER_TURN;
	pgoff_t first = mi->promote_next, end = 0;

	while (*budget > 0 && looks && first < (end = end_of(inode)) &&
	       !READ_ONCE(MORSEL_SB(inode->i_sb)->promote_hurry)) {
		unsigned long before = moved->done + moved->busy;
		unsigned int count = 1;

		if (morsel_churn || (may_go_up(inode) && is_full(inode, first)) ||
		    wastes(inode, first)) {
			/* A long write(2) is not waited for. */
			if ((morsel_retired_are_many(inode) && !morsel_retired_reclaim(inode)) ||
			    !inode_trylock(inode)) {
				moved->busy++;
				break;
			}
			count = morsel_churn ? churn(inode, first, end, moved) :
					       improve(inode, first, end, moved);
			inode_unlock(inode);
		}
		*budget -= moved->done + moved->busy - before;
		looks -= min(looks, count);
		first += count * MORSEL_HUGE_PAGES;
		cond_resched();
	}
	mi->promote_next = first < end ? first : 0;
	return first >= end;
}

/* After a portion: when is the inode to be looked at again, if at all? */
static void requeue(struct morsel_sb *msb, struct inode *inode, bool through,
		    const struct morsel_moved *moved)
{
	struct morsel_inode *mi = MORSEL_I(inode);
	unsigned int wait = LONGEST_WAIT;
	bool again = through && READ_ONCE(mi->promote_again);

	if (again)
		WRITE_ONCE(mi->promote_again, false);
	if (moved->busy + moved->lacking)
		morsel_count(inode, promote_failed, moved->busy + moved->lacking);
	if (morsel_churn) {
		mi->promote_tries += through;
		queue_inode(msb, mi, 1);
	} else if (!through && !moved->busy) {
		queue_inode(msb, mi, 0);
	} else if (again) {
		queue_inode(msb, mi, HZ);
	} else if (moved->busy || moved->lacking) {
		if (mi->promote_tries < ilog2(LONGEST_WAIT / FIRST_WAIT))
			wait = FIRST_WAIT << mi->promote_tries++;
		queue_inode(msb, mi, wait * HZ);
	}
}

static void work(struct work_struct *work)
{
	struct morsel_sb *msb = container_of(to_delayed_work(work), struct morsel_sb, promote_work);
	long budget = DIV_ROUND_UP(pace(msb), TURNS_PER_SECOND);
	struct inode *inode;

	while (budget > 0 && (inode = take_due(msb))) {
		struct morsel_moved moved = {};
		bool through = work_on(inode, &budget, &moved);

		requeue(msb, inode, through, &moved);
		let_go(msb);
		if (morsel_churn || !through)
			break;
	}
	spin_lock(&msb->promote_lock);
	if (timerqueue_getnext(&msb->promote_queue))
		queue_delayed_work(system_unbound_wq, &msb->promote_work, turn(msb));
	spin_unlock(&msb->promote_lock);
}

void morsel_promote_start(struct morsel_sb *msb, unsigned int budget)
{
	spin_lock_init(&msb->promote_lock);
	timerqueue_init_head(&msb->promote_queue);
	init_waitqueue_head(&msb->promote_idle);
	INIT_DELAYED_WORK(&msb->promote_work, work);
	msb->promote_budget = budget;
}

/* Inodes that are queued are nobody's concern any more: they end with the mount. */
void morsel_promote_stop(struct morsel_sb *msb)
{
	morsel_promote_set_budget(msb, 0);
	cancel_delayed_work_sync(&msb->promote_work);
}

void morsel_promote_set_budget(struct morsel_sb *msb, unsigned int budget)
{
	struct timerqueue_node *node;

	spin_lock(&msb->promote_lock);
	WRITE_ONCE(msb->promote_budget, budget);
	while (!budget && (node = timerqueue_getnext(&msb->promote_queue)))
		dequeue(msb, container_of(node, struct morsel_inode, promote_node));
	spin_unlock(&msb->promote_lock);
}

/* The slots of [first, last) until they are done with; who holds a page for a moment is waited for. */
static int move_range(struct inode *inode, pgoff_t first, pgoff_t last, bool demote,
		      struct morsel_moved *moved)
{
	unsigned int patience = PATIENCE_TURNS, count;

	for (; first < last && first < end_of(inode); first += count * MORSEL_HUGE_PAGES) {
		struct morsel_moved now = {};

		if (fatal_signal_pending(current))
			return -EINTR;
		if (!demote && morsel_retired_are_many(inode))
			morsel_retired_reclaim(inode);
		inode_lock(inode);
		count = demote ? 1 : count_full(inode, first, last);
		if (demote)
			morsel_move_apart(inode, first, &now);
		else if (count)
			morsel_move_up(inode, first, count, GFP_MOVE, &now);
		inode_unlock(inode);
		moved->done += now.done;
		if (now.busy && patience && !msleep_interruptible(PATIENCE_MS)) {
			patience--;
			count = 0; /* again; what has been done is not full of small leaves any more */
			continue;
		}
		moved->busy += now.busy;
		moved->lacking += now.lacking;
		count = max(count, 1U);
		cond_resched();
	}
	return 0;
}

long morsel_promote_ioctl(struct file *file, struct morselfs_range __user *user, bool demote)
{
	const u64 slot_bytes = MORSEL_HUGE_PAGES << PAGE_SHIFT;
	struct inode *inode = file_inode(file);
	struct morsel_moved moved = {};
	struct morselfs_range range;
	u64 start, end = U64_MAX;
	int err;

	if (copy_from_user(&range, user, sizeof(range)))
		return -EFAULT;
	if (range.size < sizeof(range) || range.flags)
		return -EINVAL;
	if (morsel_pool_of(inode))
		return -EOPNOTSUPP; /* its pages are in no large folio */
	if (!(file->f_mode & FMODE_WRITE) && !inode_owner_or_capable(&morsel_nop_idmap, inode))
		return -EPERM;
	if (range.length && check_add_overflow(range.start, range.length, &end))
		return -EINVAL;
	end = min_t(u64, end, i_size_read(inode));
	start = min(range.start, end);
	err = move_range(inode, round_up(start, slot_bytes) >> PAGE_SHIFT,
			 round_down(end, slot_bytes) >> PAGE_SHIFT, demote, &moved);
	morsel_count(inode, promote_failed, moved.busy + moved.lacking);
	range.size = sizeof(range);
	range.done_bytes = moved.done * slot_bytes;
	range.busy_bytes = moved.busy * slot_bytes;
	range.lacking_bytes = moved.lacking * slot_bytes;
	return copy_to_user(user, &range, sizeof(range)) ? -EFAULT : err;
}
