# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# stress-ng, which checks its own work with --verify: memory stressors, which map files of the mount where
# they can, and file-system stressors. A failure names the stressor.
. "${0%/*}/common.sh"

# The lines with a + are run in the short form, too.
memory='
+ mmap 2; mmap-file; mmap-mprotect; mmap-bytes 8m
  mmapfork 1
+ mmapmany 1
  mmapaddr 1
  mmapfixed 1
+ mremap 1; mremap-bytes 8m
+ madvise 1
+ msync 1; msync-bytes 4m
+ mincore 1; mincore-random
+ mlock 1
+ vm 1; vm-bytes 16m
  remap 1
+ fork 1
  vfork 1
+ fault 1
  userfaultfd 1; userfaultfd-bytes 1m
  malloc 1
  brk 1
  pagemove 1; pagemove-bytes 4m
  mprotect 1
  mmaphuge 1
  pkey 1
'
files='
+ hdd 1; hdd-bytes 8m; hdd-opts direct,wr-rnd,rd-rnd
  iomix 1; iomix-bytes 8m
+ fallocate 1; fallocate-bytes 16m
+ filename 1
+ dir 1
  dirdeep 1; dirdeep-inodes 500
  dirmany 1
+ rename 2
+ link 1
+ symlink 1
  dentry 1; dentries 200
  chmod 1
  chown 1
+ flock 1
  lockf 1
  locka 1
  lockofd 1
+ fcntl 1
  lease 1
  fstat 1
  getdent 1
  open 1
  readahead 1; readahead-bytes 8m
  revio 1; revio-bytes 8m
  seek 1; seek-size 8m
+ sendfile 1; sendfile-size 4m
+ splice 1
  copy-file 1; copy-file-bytes 128m
  sync-file 1; sync-file-bytes 8m
  touch 1
  utime 1
  xattr 1
  aio 1
  aiol 1
  file-ioctl 1
  fiemap 1; fiemap-bytes 8m
  inode-flags 1
  mknod 1
  access 1
'

run() { # NAME STRESSORS [COMMAND-TO-RUN-IT-WITH...]
	local name=$1 stressors=$2
	shift 2
	{
		printf 'run %s\nverify\nmetrics-brief\ntimeout %s\ntemp-path %s\n' \
			"$(pick parallel sequential)" "$(pick 3s 5s)" "$dir"
		grep "$(pick '^+' '^[+ ]')" <<<"$stressors" | cut -c 3- | tr ';' '\n'
	} >"$scratch/job"
	"$@" stress-ng --job "$scratch/job" >"$scratch/said" 2>&1
	local status=$?
	# 3 and 4: a stressor finds that the machine or the file system lacks what it is about.
	if { [ $status = 0 ] || [ $status = 3 ] || [ $status = 4 ]; } &&
		grep -q ' metrc: ' "$scratch/said" && ! grep -q ' fail: \| error: ' "$scratch/said"; then
		ok "stress_$name"
	else
		not_ok "stress_$name" "status $status: $(grep ' fail: \| error: \|error in\|out of range' "$scratch/said")"
		sed 's/^/# /' "$scratch/said"
	fi
	# "stress-ng: metrc: [PID] NAME OPERATIONS", then five times and rates.
	awk -v what="$name" 'NF == 10 && $5 ~ /^[0-9]+$/ { n++; sum += $5 }
		END { printf "# stress-ng %s: %d stressors, %d operations\n", what, n, sum }' "$scratch/said"
	sed -n 's/.*info: *\[[0-9]*\] \(.*skipping.*\)/# \1/p' "$scratch/said"
}

# As nobody: root's madvise declares memory broken, and the stressor dies of it where the kernel can.
chown 65534 "$dir"
chmod 755 "$scratch"
run memory "$memory" chroot --skip-chdir --userspec=65534:65534 /
chown 0 "$dir"
run files "$files"
finish
