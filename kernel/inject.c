// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection: which allocation fails next.
 *
 * Told by root through the module parameter `inject`, a line each:
 *
 *   SITE N [TGID]    the Nth allocation at SITE from now on fails, once (0: none does)
 *   SITE all [TGID]  every one fails
 *   off              none does, and nothing is counted
 *
 * SITE is a name of inject.h or "any"; with TGID, only what this process (thread group)
 * asks for counts. Reading the parameter gives a line per site: its name, how often it
 * was asked, how often it failed, both since the module was loaded.
 *
 * A parameter and not a file in debugfs, because the allocations of insmod itself are
 * to fail, too (insmod morselfs.ko 'inject="any 1"'), and because it is there without
 * debugfs.
 */
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "inject.h"

DEFINE_STATIC_KEY_FALSE(morsel_inject_enabled);

/* What fails next. */
struct plan {
	int site; /* MORSEL_SITE_COUNT: any */
	pid_t tgid; /* 0: any */
	bool all;
	unsigned long nth; /* counts down; 0: none */
};

static const char *const names[] = {
#define SITE_NAME(name, text) text,
	MORSEL_SITES(SITE_NAME)
#undef SITE_NAME
		"any",
};

/* Guards what follows. */
static DEFINE_SPINLOCK(inject_lock);
static struct plan plan;
static unsigned long asked[MORSEL_SITE_COUNT], failed[MORSEL_SITE_COUNT];

bool morsel_inject_asked(enum morsel_site site)
{
	bool fail = false;

	spin_lock(&inject_lock);
	asked[site]++;
	if ((plan.site == site || plan.site == MORSEL_SITE_COUNT) &&
	    (!plan.tgid || plan.tgid == task_tgid_nr(current)))
		fail = plan.all || (plan.nth && !--plan.nth);
	failed[site] += fail;
	spin_unlock(&inject_lock);
	return fail;
}

static void obey(const struct plan *new)
{
	spin_lock(&inject_lock);
	plan = *new;
	spin_unlock(&inject_lock);
}

static int inject_set(const char *text, const struct kernel_param *param)
{
	char name[20], which[24];
	struct plan new = {};
	int words = sscanf(text, "%19s %23s %d", name, which, &new.tgid);

	if (words == 1 && !strcmp(name, "off")) {
		obey(&new);
		static_branch_disable(&morsel_inject_enabled);
		return 0;
	}
	if (words < 2 || new.tgid < 0)
		return -EINVAL;
	new.site = match_string(names, ARRAY_SIZE(names), name);
	new.all = !strcmp(which, "all");
	if (new.site < 0 || (!new.all &&kstrtoul(which, 10, &new.nth)))
		return -EINVAL;
	obey(&new);
	static_branch_enable(&morsel_inject_enabled);
	return 0;
}

static int inject_get(char *buffer, const struct kernel_param *param)
{
	int site, length = 0;

	spin_lock(&inject_lock);
	for (site = 0; site < MORSEL_SITE_COUNT; site++)
		length += sysfs_emit_at(buffer, length, "%s %lu %lu\n", names[site], asked[site],
					failed[site]);
	spin_unlock(&inject_lock);
	return length;
}

static const struct kernel_param_ops inject_ops = {
	.set = inject_set,
	.get = inject_get,
};
module_param_cb(inject, &inject_ops, NULL, 0600);
MODULE_PARM_DESC(inject, "for tests: which allocation fails next (kernel/inject.c)");
