# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# git: a repository is made, cloned in both ways, repacked (packs are read through private mappings),
# and must be whole every time.
. "${0%/*}/common.sh"

files=$(pick 200 1500)
commits=$(pick 3 20)

git config --global user.email test@localhost
git config --global user.name Test
git config --global init.defaultBranch main
git config --global gc.auto 0
git config --global safe.directory '*'

# What is in a working tree, as one number.
tree_sum() {
	(cd "$1" && find . -name .git -prune -o -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
}

mkdir work
awk -v n="$files" 'BEGIN { for (i = 0; i < n; i++) {
	name = sprintf("work/%d/file%d.txt", i % 17, i)
	if (i < 17) system("mkdir -p work/" i)
	for (j = 0; j < i % 60 + 1; j++) printf "%d line %d of %s\n", j * 31, i, name >name
	close(name) } }'
head -c 3000000 /dev/urandom >work/binary
check git_init git init -q work
cd work || exit 1
check git_add git add .
check git_commit git commit -q -m first
for ((i = 1; i <= commits; i++)); do
	echo "change $i" | tee -a $((i % 17))/file$i.txt >/dev/null
	dd if=/dev/urandom of=binary bs=1000 count=1 seek=$((i * 10)) conv=notrunc status=none
	git mv "$(((i + 100) % 17))/file$((i + 100)).txt" "moved$i"
	git commit -q -a -m "change $i" || not_ok git_commits "commit $i"
done
same git_commits $((commits + 1)) "$(git log --oneline | wc -l)"
same git_clean '' "$(git status --porcelain)"
cd ..
check git_fsck_loose git -C work fsck --full --strict
check git_clone_transport git clone -q --no-local "file://$dir/work" cloned
check git_clone_links git clone -q work linked
check git_gc git -C work gc -q --aggressive --prune=now
check git_fsck_packed git -C work fsck --full --strict
check git_clone_to_tmpfs git clone -q --no-local work "$scratch/away"
for clone in cloned linked "$scratch/away"; do
	same "git_tree_${clone##*/}" "$(tree_sum work)" "$(tree_sum "$clone")"
	check "git_fsck_${clone##*/}" git -C "$clone" fsck --full --strict
done
check git_checkout_old git -C cloned checkout -q HEAD~2
check git_checkout_new git -C cloned checkout -q main
same git_tree_again "$(tree_sum work)" "$(tree_sum cloned)"
echo "# git: $files files, $((commits + 1)) commits, 3 clones, $(git -C work count-objects -v |
	awk '$1 == "in-pack:" { print $2 }') objects packed"
finish
