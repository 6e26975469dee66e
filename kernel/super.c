// SPDX-License-Identifier: GPL-2.0
/* Mounts: options, limits, statfs; and the module's life. */
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#include "inject.h"
#include "opened.h"
#include "pool.h"
#include "scatter.h"
#include "vfs.h"

/* What tables and the user half of the address space can hold with 4 levels. */
#define MORSEL_MAX_BYTES (1LL << 47)
#define MORSEL_DEFAULT_MODE (S_ISVTX | 0777)
#define MORSEL_DEFAULT_HUGE MORSEL_HUGE_WITHIN_SIZE
/* MiB a second */
#define MORSEL_DEFAULT_PROMOTE 256U
#define MORSEL_MOST_PROMOTE (1U << 20)

enum morsel_option {
	OPT_SIZE,
	OPT_BLOCKS,
	OPT_INODES,
	OPT_MODE,
	OPT_UID,
	OPT_GID,
	OPT_HUGE,
	OPT_MPOL,
	OPT_PROMOTE,
	OPT_NORECOVERY,
};

/* All strings: then it is we who say what is wrong with a value. */
static const struct fs_parameter_spec morsel_parameters[] = {
	fsparam_string("size", OPT_SIZE),
	fsparam_string("nr_blocks", OPT_BLOCKS),
	fsparam_string("nr_inodes", OPT_INODES),
	fsparam_string("mode", OPT_MODE),
	fsparam_string("uid", OPT_UID),
	fsparam_string("gid", OPT_GID),
	fsparam_string("huge", OPT_HUGE),
	fsparam_string("mpol", OPT_MPOL),
	fsparam_string("promote", OPT_PROMOTE),
	fsparam_flag("norecovery", OPT_NORECOVERY),
	{}
};

/**
 * struct morsel_options - what mount or remount said
 * @given: bit mask of enum morsel_option
 * @size_blocks: size=, in pages
 * @nr_blocks: nr_blocks=
 * @nr_inodes: nr_inodes=
 * @mode: of the root directory
 * @uid: its owner
 * @gid: its group
 * @huge: huge=
 * @mpol: mpol=
 * @promote: promote=, in MiB a second
 */
struct morsel_options {
	unsigned long given;
	unsigned long size_blocks;
	unsigned long nr_blocks;
	unsigned long nr_inodes;
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
	enum morsel_huge huge;
	struct morsel_mpol mpol;
	unsigned int promote;
};

static bool is_given(const struct morsel_options *options, enum morsel_option option)
{
	return options->given & BIT(option);
}

static unsigned long default_blocks(void)
{
	return totalram_pages() / 2;
}

static unsigned long default_inodes(void)
{
	return totalram_pages() / 2;
}

/*
 * Digits, then perhaps one of k, m, g, t, p, e. Unlike memparse() it does not let
 * a number wrap round. Returns what follows, NULL if there is no number.
 */
static const char *parse_number(const char *text, u64 *value)
{
	static const char suffixes[] = "kmgtpe";
	const char *suffix;

	if (!isdigit(*text))
		return NULL;
	for (*value = 0; isdigit(*text); text++)
		if (check_mul_overflow(*value, (u64)10, value) ||
		    check_add_overflow(*value, (u64)(*text - '0'), value))
			return NULL;
	suffix = *text ? strchr(suffixes, tolower(*text)) : NULL;
	if (!suffix)
		return text;
	if (check_shl_overflow(*value, 10 * (suffix - suffixes + 1), value))
		return NULL;
	return text + 1;
}

static int parse_count(const char *text, u64 *value)
{
	const char *rest = parse_number(text, value);

	return rest && !*rest ? 0 : -EINVAL;
}

/* In bytes, or in percent of the memory. */
static int parse_size(const char *text, u64 *value)
{
	const char *rest = parse_number(text, value);
	u64 bytes;

	if (rest && !strcmp(rest, "%")) {
		if (check_mul_overflow(*value, (u64)totalram_pages() << PAGE_SHIFT, &bytes))
			return -EINVAL;
		*value = bytes / 100;
		return 0;
	}
	return rest && !*rest ? 0 : -EINVAL;
}

/* Pages are never swapped out, so a limit beyond the memory would be none. */
static int check_blocks(struct fs_context *fc, const struct fs_parameter *param, u64 blocks)
{
	if (!blocks)
		return invalfc(
			fc,
			"%s=%s leaves room for nothing: give more, or leave the option out for half of the memory",
			param->key, param->string);
	if (blocks > totalram_pages())
		return invalfc(
			fc,
			"%s=%s is more than the memory of this machine, %lu KiB: give less, at most 100%%",
			param->key, param->string, totalram_pages() << (PAGE_SHIFT - 10));
	return 0;
}

static int parse_option_size(struct fs_context *fc, struct fs_parameter *param)
{
	struct morsel_options *options = fc->fs_private;
	u64 bytes;

	if (parse_size(param->string, &bytes))
		return invalfc(
			fc,
			"size=%s is not a size: give bytes, a number with k, m, g, t, p or e, or percent of the memory (size=50%%)",
			param->string);
	options->size_blocks = bytes / PAGE_SIZE + !!(bytes % PAGE_SIZE);
	return check_blocks(fc, param, options->size_blocks);
}

static int parse_option_blocks(struct fs_context *fc, struct fs_parameter *param)
{
	struct morsel_options *options = fc->fs_private;
	u64 blocks;

	if (parse_count(param->string, &blocks))
		return invalfc(
			fc,
			"nr_blocks=%s is not a number of 4-KiB blocks: give digits, perhaps with k, m or g",
			param->string);
	options->nr_blocks = blocks;
	return check_blocks(fc, param, blocks);
}

static int parse_option_inodes(struct fs_context *fc, struct fs_parameter *param)
{
	struct morsel_options *options = fc->fs_private;
	u64 inodes;

	if (parse_count(param->string, &inodes))
		return invalfc(
			fc,
			"nr_inodes=%s is not a number of inodes: give digits, perhaps with k, m or g, or 0 for no limit",
			param->string);
	options->nr_inodes = inodes;
	return 0;
}

static int parse_option_mode(struct fs_context *fc, struct fs_parameter *param)
{
	struct morsel_options *options = fc->fs_private;
	unsigned int mode;

	if (kstrtouint(param->string, 8, &mode) || mode > 07777)
		return invalfc(
			fc, "mode=%s is not a directory's mode: give an octal number such as 1777",
			param->string);
	options->mode = mode;
	return 0;
}

static int parse_option_uid(struct fs_context *fc, struct fs_parameter *param)
{
	struct morsel_options *options = fc->fs_private;
	unsigned int id;

	if (kstrtouint(param->string, 10, &id))
		return invalfc(fc, "uid=%s is not a user's number: give one as `id -u` shows it",
			       param->string);
	options->uid = make_kuid(current_user_ns(), id);
	if (!uid_valid(options->uid))
		return invalfc(fc, "uid=%s is no user here: give one that this user namespace has",
			       param->string);
	return 0;
}

static int parse_option_gid(struct fs_context *fc, struct fs_parameter *param)
{
	struct morsel_options *options = fc->fs_private;
	unsigned int id;

	if (kstrtouint(param->string, 10, &id))
		return invalfc(fc, "gid=%s is not a group's number: give one as `id -g` shows it",
			       param->string);
	options->gid = make_kgid(current_user_ns(), id);
	if (!gid_valid(options->gid))
		return invalfc(fc, "gid=%s is no group here: give one that this user namespace has",
			       param->string);
	return 0;
}

static int parse_option_huge(struct fs_context *fc, struct fs_parameter *param)
{
	struct morsel_options *options = fc->fs_private;

	if (!morsel_huge_parse(param->string, &options->huge))
		return 0;
	return invalfc(
		fc,
		"huge=%s is unknown: give huge=within_size (2-MiB pages for what fills them), always (at the first touch), advise (where a program asks) or never",
		param->string);
}

static int parse_option_mpol(struct fs_context *fc, struct fs_parameter *param)
{
	struct morsel_options *options = fc->fs_private;

	return morsel_mpol_parse(fc, param->string, &options->mpol);
}

static int parse_option_promote(struct fs_context *fc, struct fs_parameter *param)
{
	struct morsel_options *options = fc->fs_private;
	u64 budget;

	if (parse_count(param->string, &budget) || budget > MORSEL_MOST_PROMOTE)
		return invalfc(
			fc,
			"promote=%s is no number of MiB a second up to %u: give how many may be moved to 2-MiB pages in the background, 0 for none",
			param->string, MORSEL_MOST_PROMOTE);
	options->promote = budget;
	return 0;
}

/* Of pools only; others see that it was given. */
static int parse_option_norecovery(struct fs_context *fc, struct fs_parameter *param)
{
	return 0;
}

static int morsel_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	/* clang-format off */
	static int (*const parse[])(struct fs_context *fc, struct fs_parameter *param) = {
		[OPT_SIZE] = parse_option_size,
		[OPT_BLOCKS] = parse_option_blocks,
		[OPT_INODES] = parse_option_inodes,
		[OPT_MODE] = parse_option_mode,
		[OPT_UID] = parse_option_uid,
		[OPT_GID] = parse_option_gid,
		[OPT_HUGE] = parse_option_huge,
		[OPT_MPOL] = parse_option_mpol,
		[OPT_PROMOTE] = parse_option_promote,
		[OPT_NORECOVERY] = parse_option_norecovery,
	};
	/* clang-format on */
	struct morsel_options *options = fc->fs_private;
	struct fs_parse_result result;
	int option, err;

	option = fs_parse(fc, morsel_parameters, param, &result);
	if (option == -ENOPARAM && !strcmp(param->key, "source"))
		return option; /* what is mounted, by name: the VFS's */
	if (option == -ENOPARAM)
		return invalfc(
			fc,
			"unknown option '%s': use size, nr_blocks, nr_inodes, mode, uid, gid, huge, promote, mpol; on a pool, norecovery",
			param->key);
	if (option < 0 && !strcmp(param->key, "norecovery"))
		return invalfc(fc, "norecovery takes no value");
	if (option < 0)
		return invalfc(fc, "option '%s' needs a value: give %s=VALUE", param->key,
			       param->key);
	err = parse[option](fc, param);
	if (!err) /* fsconfig(2) may go on after an error */
		options->given |= BIT(option);
	return err;
}

/*
 * The next option of mount(2)'s string, NULL after the last one. As in tmpfs, a comma
 * before a digit separates nodes of mpol=: no option begins with a digit.
 */
static char *next_option(char **rest)
{
	char *option = *rest, *comma;

	if (!option)
		return NULL;
	comma = strchr(option, ',');
	while (comma && isdigit(comma[1]))
		comma = strchr(comma + 1, ',');
	if (comma)
		*comma++ = '\0';
	*rest = comma;
	return option;
}

static int morsel_parse_monolithic(struct fs_context *fc, void *data)
{
	char *rest = data, *option, *value;
	int err;

	if (!data)
		return 0;
	err = security_sb_eat_lsm_opts(data, &fc->security);
	while (!err && (option = next_option(&rest))) {
		if (!*option)
			continue;
		value = strchr(option, '=');
		if (value)
			*value++ = '\0';
		err = vfs_parse_fs_string(fc, option, value, value ? strlen(value) : 0);
	}
	return err;
}

/* size= and nr_blocks= are two ways to say one thing. */
static int choose_blocks(struct fs_context *fc, unsigned long now, unsigned long *blocks)
{
	const struct morsel_options *options = fc->fs_private;
	bool size = is_given(options, OPT_SIZE), nr = is_given(options, OPT_BLOCKS);

	/* mount(8) repeats the options in force on a remount: a size= that changes nothing. */
	if (size && nr && options->size_blocks == now)
		size = false;
	if (size && nr && options->size_blocks != options->nr_blocks)
		return invalfc(fc, "size= and nr_blocks= contradict each other: give one of them");
	*blocks = size ? options->size_blocks : nr ? options->nr_blocks : now;
	return 0;
}

static int morsel_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct morsel_sb *msb = MORSEL_SB(dentry->d_sb);
	u64 used = percpu_counter_sum_positive(&msb->used_blocks);
	u64 inodes = percpu_counter_sum_positive(&msb->used_inodes);

	buf->f_type = MORSELFS_SUPER_MAGIC;
	buf->f_bsize = PAGE_SIZE;
	buf->f_namelen = NAME_MAX;
	if (msb->pool) {
		morsel_pool_statfs(msb->pool, buf);
		return 0;
	}
	buf->f_fsid = u64_to_fsid(huge_encode_dev(dentry->d_sb->s_dev));
	spin_lock(&msb->lock);
	buf->f_blocks = msb->max_blocks;
	buf->f_files = msb->max_inodes;
	buf->f_ffree = msb->max_inodes - min_t(u64, msb->max_inodes, inodes);
	spin_unlock(&msb->lock);
	/* Chargers add before they compare, so `used` may pass the limit for a moment. */
	buf->f_bfree = buf->f_blocks - min(buf->f_blocks, used);
	buf->f_bavail = buf->f_bfree;
	return 0;
}

static int morsel_show_options(struct seq_file *seq, struct dentry *root)
{
	struct morsel_sb *msb = MORSEL_SB(root->d_sb);

	if (msb->pool) {
		if (msb->pool->norecovery)
			seq_puts(seq, ",norecovery");
		return 0;
	}
	seq_printf(seq, ",size=%luk", msb->max_blocks << (PAGE_SHIFT - 10));
	if (msb->max_inodes != default_inodes())
		seq_printf(seq, ",nr_inodes=%lu", msb->max_inodes);
	if (msb->mode != MORSEL_DEFAULT_MODE)
		seq_printf(seq, ",mode=%03ho", msb->mode);
	if (!uid_eq(msb->uid, GLOBAL_ROOT_UID))
		seq_printf(seq, ",uid=%u", from_kuid_munged(&init_user_ns, msb->uid));
	if (!gid_eq(msb->gid, GLOBAL_ROOT_GID))
		seq_printf(seq, ",gid=%u", from_kgid_munged(&init_user_ns, msb->gid));
	if (msb->huge != MORSEL_DEFAULT_HUGE)
		seq_printf(seq, ",huge=%s", morsel_huge_name(msb->huge));
	if (msb->promote_budget != MORSEL_DEFAULT_PROMOTE)
		seq_printf(seq, ",promote=%u", msb->promote_budget);
	morsel_mpol_show(seq, msb);
	return 0;
}

/* clang-format off */
#define MORSEL_SUPER_OPERATIONS                                                           \
	.alloc_inode = morsel_alloc_inode,                                                \
	.free_inode = morsel_free_inode,                                                  \
	.evict_inode = morsel_evict_inode,                                                \
	.drop_inode = generic_delete_inode,                                               \
	.statfs = morsel_statfs,                                                          \
	.show_options = morsel_show_options
/* clang-format on */

static const struct super_operations morsel_super_operations = {
	MORSEL_SUPER_OPERATIONS,
};

/* Times, mostly; the operations themselves save what they change. */
static void morsel_dirty_inode(struct inode *inode, int flags)
{
	morsel_pool_mark_dirty(inode);
}

static const struct super_operations morsel_pool_super_operations = {
	MORSEL_SUPER_OPERATIONS,
	.dirty_inode = morsel_dirty_inode,
	.sync_fs = morsel_pool_sync,
	.freeze_fs = morsel_pool_freeze,
	.unfreeze_fs = morsel_pool_unfreeze,
	.put_super = morsel_pool_put_super,
};

static struct morsel_sb *morsel_new_sb(const struct morsel_options *options, unsigned long blocks)
{
	struct morsel_sb *msb;

	msb = morsel_may_fail(SUPER, kzalloc(sizeof(*msb), GFP_KERNEL));
	if (!msb)
		return NULL;
	msb->counts = morsel_may_fail(COUNTS, alloc_percpu(struct morsel_counts));
	if (!msb->counts || morsel_inject(COUNTER) ||
	    percpu_counter_init(&msb->used_blocks, 0, GFP_KERNEL))
		goto free;
	if (morsel_inject(COUNTER) || percpu_counter_init(&msb->used_inodes, 0, GFP_KERNEL)) {
		percpu_counter_destroy(&msb->used_blocks);
		goto free;
	}
	spin_lock_init(&msb->lock);
	seqlock_init(&msb->mpol_lock);
	msb->mpol = options->mpol;
	msb->max_blocks = blocks;
	msb->max_inodes = options->nr_inodes;
	msb->huge = options->huge;
	morsel_promote_start(msb, options->promote);
	msb->mode = options->mode;
	msb->uid = options->uid;
	msb->gid = options->gid;
	return msb;

free:
	free_percpu(msb->counts);
	kfree(msb);
	return NULL;
}

static int prepare_super(struct super_block *sb, struct fs_context *fc, unsigned long blocks)
{
	struct morsel_sb *msb = morsel_new_sb(fc->fs_private, blocks);

	if (!msb)
		return -ENOMEM;
	sb->s_fs_info = msb; /* from here on morsel_kill_sb() frees it */
	sb->s_flags |= SB_NOSEC;
	sb->s_maxbytes = min_t(loff_t, MAX_LFS_FILESIZE, MORSEL_MAX_BYTES);
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = MORSELFS_SUPER_MAGIC;
	sb->s_op = &morsel_super_operations;
	sb->s_xattr = morsel_xattr_handlers;
	sb->s_time_gran = 1;
	return 0;
}

static int morsel_fill_super(struct super_block *sb, struct fs_context *fc)
{
	unsigned long blocks;
	struct morsel_sb *msb;
	struct inode *root;
	int err;

	if (is_given(fc->fs_private, OPT_NORECOVERY))
		return invalfc(fc, "norecovery is for pools: give a device such as /dev/pmem0");
	err = choose_blocks(fc, default_blocks(), &blocks);
	if (!err)
		err = prepare_super(sb, fc, blocks);
	if (err)
		return err;
	msb = MORSEL_SB(sb);
	root = morsel_new_inode(sb, NULL, S_IFDIR | msb->mode, 0);
	if (IS_ERR(root))
		return PTR_ERR(root);
	root->i_uid = msb->uid;
	root->i_gid = msb->gid;
	sb->s_root = d_make_root(root);
	return sb->s_root ? morsel_sysfs_add(sb) : -ENOMEM;
}

/* A mount on persistent memory. Its limits, its root and what lies where is on the medium. */
static int morsel_fill_pool(struct super_block *sb, struct fs_context *fc)
{
	struct morsel_options *options = fc->fs_private;
	int err;

	if (options->given & ~BIT(OPT_NORECOVERY))
		return invalfc(
			fc,
			"a pool takes no option but norecovery: its size and its root are what mkfs.morselfs has made");
	options->nr_inodes = 0;
	options->huge = MORSEL_HUGE_NEVER; /* a pool's pages are in no large folio */
	err = prepare_super(sb, fc, 0);
	sb->s_op = &morsel_pool_super_operations;
	if (!err)
		err = morsel_pool_fill_super(sb, fc, is_given(options, OPT_NORECOVERY));
	return err ?: morsel_sysfs_add(sb);
}

static void morsel_kill_sb(struct super_block *sb)
{
	struct morsel_sb *msb = MORSEL_SB(sb);

	/* Before the device number, by which it is named, goes to another mount. */
	if (msb) {
		morsel_sysfs_remove(msb);
		morsel_promote_stop(msb); /* it refers to inodes */
	}
	kill_litter_super(sb);
	if (!msb)
		return;
	morsel_pool_free(msb->pool);
	percpu_counter_destroy(&msb->used_blocks);
	percpu_counter_destroy(&msb->used_inodes);
	free_percpu(msb->counts);
	kfree(msb);
}

/* A path is a device's; any other name is for the user's eyes. */
static int morsel_get_tree(struct fs_context *fc)
{
	dev_t device;
	int err;

	if (fc->source && fc->source[0] == '/') {
		err = lookup_bdev(fc->source, &device);
		if (err)
			return errorf(fc,
				      "%s: is no block device (%d): give a pool's, or a name without a slash in front",
				      fc->source, err),
			       err;
		return get_tree_nodev(fc, morsel_fill_pool);
	}
	return get_tree_nodev(fc, morsel_fill_super);
}

/* The root directory exists: its mode and owner are changed like any directory's. */
static int check_root_unchanged(struct fs_context *fc, const struct morsel_sb *msb)
{
	const struct morsel_options *options = fc->fs_private;

	if (is_given(options, OPT_MODE) && options->mode != msb->mode)
		return invalfc(
			fc, "mode= can't change on a remount: use chmod on the mounted directory");
	if ((is_given(options, OPT_UID) && !uid_eq(options->uid, msb->uid)) ||
	    (is_given(options, OPT_GID) && !gid_eq(options->gid, msb->gid)))
		return invalfc(
			fc,
			"uid= and gid= can't change on a remount: use chown on the mounted directory");
	return 0;
}

/* Under the mount's lock. */
static const char *change_limits(struct morsel_sb *msb, const struct morsel_options *options,
				 unsigned long blocks)
{
	if (blocks < msb->max_blocks && morsel_is_above(&msb->used_blocks, blocks))
		return "size= or nr_blocks= is less than what is in use: remove files first, or give more";
	if (is_given(options, OPT_INODES)) {
		if (options->nr_inodes && !msb->max_inodes)
			return "nr_inodes= can't set a limit on a mount that began without one: unmount, and mount anew";
		if (options->nr_inodes && morsel_is_above(&msb->used_inodes, options->nr_inodes))
			return "nr_inodes= is less than what is in use: remove files first, or give more";
		WRITE_ONCE(msb->max_inodes, options->nr_inodes);
	}
	WRITE_ONCE(msb->max_blocks, blocks);
	if (is_given(options, OPT_HUGE))
		WRITE_ONCE(msb->huge, options->huge);
	return NULL;
}

static int morsel_reconfigure(struct fs_context *fc)
{
	const struct morsel_options *options = fc->fs_private;
	struct morsel_sb *msb = MORSEL_SB(fc->root->d_sb);
	unsigned long blocks;
	const char *why;
	int err;

	if (msb->pool)
		return morsel_pool_reconfigure(fc->root->d_sb, fc);
	err = check_root_unchanged(fc, msb);
	if (!err)
		err = choose_blocks(fc, msb->max_blocks, &blocks);
	if (err)
		return err;
	spin_lock(&msb->lock);
	why = change_limits(msb, options, blocks);
	spin_unlock(&msb->lock);
	if (why)
		return invalfc(fc, "%s", why);
	if (is_given(options, OPT_MPOL))
		morsel_mpol_set(msb, &options->mpol);
	if (is_given(options, OPT_PROMOTE))
		morsel_promote_set_budget(msb, options->promote);
	return 0;
}

static void morsel_free_context(struct fs_context *fc)
{
	kfree(fc->fs_private);
}

static const struct fs_context_operations morsel_context_operations = {
	.free = morsel_free_context,
	.parse_param = morsel_parse_param,
	.parse_monolithic = morsel_parse_monolithic,
	.get_tree = morsel_get_tree,
	.reconfigure = morsel_reconfigure,
};

static int morsel_init_fs_context(struct fs_context *fc)
{
	struct morsel_options *options;

	options = morsel_may_fail(CONTEXT, kzalloc(sizeof(*options), GFP_KERNEL));
	if (!options)
		return -ENOMEM;
	options->nr_inodes = default_inodes();
	options->mode = MORSEL_DEFAULT_MODE;
	options->uid = current_fsuid();
	options->gid = current_fsgid();
	options->huge = MORSEL_DEFAULT_HUGE;
	options->promote = MORSEL_DEFAULT_PROMOTE;
	fc->fs_private = options;
	fc->ops = &morsel_context_operations;
	return 0;
}

/* No FS_USERNS_MOUNT: who mounts it decides about memory that can't be swapped out. */
static struct file_system_type morsel_fs_type = {
	.owner = THIS_MODULE,
	.name = "morselfs",
	.init_fs_context = morsel_init_fs_context,
	.parameters = morsel_parameters,
	.kill_sb = morsel_kill_sb,
};

static int __init morsel_init(void)
{
	int err;

	err = morsel_host_init();
	if (err)
		return err;
	err = morsel_graft_init();
	if (err)
		goto exit_host;
	err = morsel_inode_cache_init();
	if (err)
		goto exit_graft;
	err = morsel_opened_init();
	if (err)
		goto exit_cache;
	err = morsel_scatter_init();
	if (err)
		goto exit_opened;
	err = morsel_sysfs_init();
	if (err)
		goto exit_scatter;
	err = morsel_inject(LOAD_REGISTER) ? -ENOMEM : register_filesystem(&morsel_fs_type);
	if (err)
		goto exit_sysfs;
	return 0;

exit_sysfs:
	morsel_sysfs_exit();
exit_scatter:
	morsel_scatter_exit();
exit_opened:
	morsel_opened_exit();
exit_cache:
	morsel_inode_cache_exit();
exit_graft:
	morsel_graft_exit();
exit_host:
	morsel_host_exit();
	return err;
}

static void __exit morsel_exit(void)
{
	unregister_filesystem(&morsel_fs_type);
	morsel_sysfs_exit();
	morsel_scatter_exit();
	morsel_opened_exit();
	morsel_inode_cache_exit();
	morsel_graft_exit();
	morsel_host_exit();
}

module_init(morsel_init);
module_exit(morsel_exit);

MODULE_DESCRIPTION(
	"morselfs: files whose storage is a page-table subtree, mapped in constant time");
MODULE_ALIAS_FS("morselfs");
#ifdef MORSELFS_VERSION
MODULE_VERSION(MORSELFS_VERSION);
#endif
MODULE_LICENSE("GPL");
