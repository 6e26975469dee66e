// SPDX-License-Identifier: GPL-2.0
/*
 * mpol=: the NUMA nodes that a mount's frames come from, said as tmpfs says it.
 *
 * The kernel exports neither its parser of policies nor its allocator that takes one,
 * so both are here in small. tmpfs gives a file the policy that its mount has when the
 * file is made; here every new frame follows the policy that the mount has now.
 */
#include <linux/cpuset.h>
#include <linux/fs_context.h>
#include <linux/gfp.h>
#include <linux/mempolicy.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "morselfs.h"

/* Nodes with memory that frames can lie in: they are unmovable. */
#define FRAME_NODES node_states[N_NORMAL_MEMORY]

/* What a policy is told about nodes. */
enum nodes_wanted { NODES_NONE, NODES_MAYBE, NODES_ONE_MAYBE, NODES_SOME };

struct policy_name {
	const char *name, *shown;
	unsigned short mode;
	enum nodes_wanted wanted;
};

/* /proc/mounts separates its fields by spaces. */
static const struct policy_name policy_names[] = {
	{ "default", "default", MPOL_DEFAULT, NODES_NONE },
	{ "local", "local", MPOL_LOCAL, NODES_NONE },
	{ "prefer", "prefer", MPOL_PREFERRED, NODES_ONE_MAYBE },
	{ "prefer (many)", "prefer\\040(many)", MPOL_PREFERRED_MANY, NODES_SOME },
	{ "bind", "bind", MPOL_BIND, NODES_SOME },
	{ "interleave", "interleave", MPOL_INTERLEAVE, NODES_MAYBE },
};

/* POLICY[=FLAG][:NODES], cut in pieces. */
struct pieces {
	const struct policy_name *name;
	const char *flag, *nodes; /* NULL: not there */
	size_t flag_length;
};

static bool is_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && !memcmp(text, word, length);
}

static void cut(const char *text, struct pieces *pieces)
{
	size_t length = strcspn(text, "=:");
	int i;

	*pieces = (struct pieces){};
	for (i = 0; i < ARRAY_SIZE(policy_names); i++)
		if (is_word(text, length, policy_names[i].name))
			pieces->name = &policy_names[i];
	text += length;
	if (*text == '=') {
		pieces->flag = text + 1;
		pieces->flag_length = strcspn(pieces->flag, ":");
		text = pieces->flag + pieces->flag_length;
	}
	if (*text == ':')
		pieces->nodes = text + 1;
}

static int parse_nodes(struct fs_context *fc, const char *value, const struct pieces *pieces,
		       nodemask_t *nodes)
{
	bool one = pieces->name->wanted == NODES_ONE_MAYBE;

	if (pieces->name->wanted == NODES_NONE)
		return invalfc(fc, "mpol=%s: '%s' takes no nodes: leave out what follows the colon",
			       value, pieces->name->name);
	if (one && strspn(pieces->nodes, "0123456789") != strlen(pieces->nodes))
		return invalfc(
			fc,
			"mpol=%s: 'prefer' takes one node: give one number, or 'prefer (many):' with a list",
			value);
	if (nodelist_parse(pieces->nodes, *nodes) || nodes_empty(*nodes))
		return invalfc(
			fc,
			"mpol=%s: '%s' is no list of nodes: give numbers and ranges, such as 0,2-3",
			value, pieces->nodes);
	if (!nodes_subset(*nodes, FRAME_NODES))
		return invalfc(fc,
			       "mpol=%s names nodes without memory for files: give some of %*pbl",
			       value, nodemask_pr_args(&FRAME_NODES));
	return 0;
}

/*
 * `static` says that the nodes mean the machine's, which they always do. `relative` would
 * have them mean another node for each cpuset; a mount is for all of them.
 */
static int parse_flag(struct fs_context *fc, const char *value, const struct pieces *pieces)
{
	if (!is_word(pieces->flag, pieces->flag_length, "static"))
		return invalfc(
			fc,
			"mpol=%s: the flag '%.*s' is not supported: nodes have the machine's numbers; leave it out, or give 'static'",
			value, (int)pieces->flag_length, pieces->flag);
	if (!pieces->nodes && pieces->name->wanted != NODES_MAYBE)
		return invalfc(
			fc,
			"mpol=%s: 'static' is about nodes, and there are none: give them, or leave it out",
			value);
	return 0;
}

int morsel_mpol_parse(struct fs_context *fc, const char *value, struct morsel_mpol *policy)
{
	struct morsel_mpol new = {};
	struct pieces pieces;
	int err = 0;

	if (!IS_ENABLED(CONFIG_NUMA))
		return invalfc(fc, "mpol= is not supported by a kernel without NUMA: leave it out");
	cut(value, &pieces);
	if (!pieces.name)
		return invalfc(
			fc,
			"mpol=%s is unknown: give default, local, prefer:NODE, 'prefer (many):NODES', bind:NODES, interleave or interleave:NODES",
			value);
	if (pieces.nodes)
		err = parse_nodes(fc, value, &pieces, &new.nodes);
	else if (pieces.name->wanted == NODES_SOME)
		err = invalfc(fc, "mpol=%s needs nodes: give %s:0, or a list of them", value,
			      pieces.name->name);
	if (!err && pieces.flag)
		err = parse_flag(fc, value, &pieces);
	if (err)
		return err;
	new.mode = pieces.name->mode;
	new.is_static = pieces.flag;
	if (new.mode == MPOL_INTERLEAVE && !pieces.nodes)
		new.nodes = FRAME_NODES;
	if (new.mode == MPOL_PREFERRED && !pieces.nodes)
		new.mode = MPOL_LOCAL;
	*policy = new;
	return 0;
}

void morsel_mpol_set(struct morsel_sb *msb, const struct morsel_mpol *policy)
{
	write_seqlock(&msb->mpol_lock);
	msb->mpol = *policy;
	write_sequnlock(&msb->mpol_lock);
}

/* A copy, because allocations sleep. */
static void get_policy(struct morsel_sb *msb, struct morsel_mpol *policy)
{
	unsigned int seq;

	do {
		seq = read_seqbegin(&msb->mpol_lock);
		*policy = msb->mpol;
	} while (read_seqretry(&msb->mpol_lock, seq));
}

void morsel_mpol_show(struct seq_file *seq, struct morsel_sb *msb)
{
	struct morsel_mpol policy;
	int i;

	get_policy(msb, &policy);
	if (policy.mode == MPOL_DEFAULT)
		return;
	for (i = 0; i < ARRAY_SIZE(policy_names); i++)
		if (policy_names[i].mode == policy.mode)
			seq_printf(seq, ",mpol=%s", policy_names[i].shown);
	if (policy.is_static)
		seq_puts(seq, "=static");
	if (!nodes_empty(policy.nodes))
		seq_printf(seq, ":%*pbl", nodemask_pr_args(&policy.nodes));
}

/*
 * Leaves the nodes that have memory now and that the task's cpuset allows; false if that is
 * none. A cpuset that changes meanwhile may count or not: the allocator looks again.
 */
static bool keep_usable(nodemask_t *nodes)
{
	nodes_and(*nodes, *nodes, FRAME_NODES);
	nodes_and(*nodes, *nodes, cpuset_current_mems_allowed);
	return !nodes_empty(*nodes);
}

/* No shared counter: neighbours lie on different nodes, and so do files of one page. */
static int interleave_node(const nodemask_t *nodes, unsigned long number)
{
	unsigned long skip = number % nodes_weight(*nodes);
	int node = first_node(*nodes);

	while (skip--)
		node = next_node(node, *nodes);
	return node;
}

/* What the preferred nodes have free, without an effort; otherwise any node. */
static struct folio *prefer_many(gfp_t gfp, unsigned int order, nodemask_t *nodes)
{
	gfp_t quick = (gfp | __GFP_NOWARN) & ~__GFP_DIRECT_RECLAIM;
	struct folio *folio = __folio_alloc(quick, order, numa_node_id(), nodes);

	return folio ?: __folio_alloc(gfp, order, numa_node_id(), NULL);
}

struct folio *morsel_mpol_alloc(struct inode *inode, pgoff_t index, gfp_t gfp, unsigned int order)
{
	struct morsel_sb *msb = MORSEL_SB(inode->i_sb);
	struct morsel_mpol policy;
	int node;

	if (READ_ONCE(msb->mpol.mode) == MPOL_DEFAULT)
		return folio_alloc(gfp, order);
	get_policy(msb, &policy);
	if (policy.mode == MPOL_LOCAL)
		return __folio_alloc(gfp, order, numa_node_id(), NULL);
	if (!keep_usable(&policy.nodes))
		return folio_alloc(gfp, order);
	switch (policy.mode) {
	case MPOL_PREFERRED_MANY:
		return prefer_many(gfp, order, &policy.nodes);
	case MPOL_BIND:
		return __folio_alloc(gfp, order, numa_node_id(), &policy.nodes);
	case MPOL_INTERLEAVE:
		node = interleave_node(&policy.nodes, inode->i_ino + (index >> order));
		return __folio_alloc(gfp, order, node, NULL);
	default: /* MPOL_PREFERRED */
		return __folio_alloc(gfp, order, first_node(policy.nodes), NULL);
	}
}

struct folio *morsel_mpol_alloc_near(struct inode *inode, pgoff_t index, gfp_t gfp,
				     unsigned int order, int node)
{
	unsigned short mode = READ_ONCE(MORSEL_SB(inode->i_sb)->mpol.mode);

	if (mode == MPOL_DEFAULT || mode == MPOL_LOCAL)
		return __folio_alloc(gfp, order, node, NULL);
	return morsel_mpol_alloc(inode, index, gfp, order);
}
