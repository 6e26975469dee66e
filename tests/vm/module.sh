#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The module's life, in a VM without morselfs loaded:
#
#   module.sh MODULE.ko [PROGRAM...]
#
# Loads, mounts, uses (with the test programs, if any are given), unmounts and unloads it five
# times, and compares the kernel's counters. Output as that of the test programs.
module=$1
shift
mount_point=/mnt/module-test
parameter=/sys/module/morselfs/parameters/inject
failed=0
lingerer=
. /memory.sh
mkdir -p $mount_point

ok() { echo "ok $1"; }
not_ok() {
	echo "not ok $1: $2"
	failed=1
}

# Pages of page tables that no process has: /proc/vmstat's count less what each says it has. The CPUs
# keep what they have not yet added up to themselves, as the tables of a process that has just begun or
# ended: reading stat_refresh has them do it, and it must be the same process that then counts.
lost_tables() {
	awk 'BEGIN { getline nothing <"/proc/sys/vm/stat_refresh" }
	     $1 == "nr_page_table_pages" { all = $2 }
	     $1 == "Pid:" { pid = $2 }
	     $1 == "VmPTE:" { own[pid] = $2 / 4 }
	     END { for (pid in own) all -= own[pid]; print all }' \
		/proc/vmstat /proc/self/status /proc/[0-9]*/status 2>/dev/null
}

# The same when it has come to rest: a process that begins or ends between two lines of that counts wrong.
resting_tables() {
	last=none
	for _ in $(seq 30); do
		now=$(lost_tables)
		[ "$now" = "$last" ] && break
		last=$now
		sleep 0.2
	done
	echo "$now"
}

# A process that has mapped a file, and does not end: see lingerer.cc.
start_lingerer() {
	[ -n "$lingerer" ] && return
	# What the last one said would be taken for this one's word, if that came late to emptying the file.
	rm -f /tmp/lingerer
	/lingerer $mount_point/a >/tmp/lingerer &
	lingerer=$!
	for _ in $(seq 100); do
		grep -qs lingering /tmp/lingerer && return
		sleep 0.1
	done
	not_ok module_lingerer "it did not map a file"
	return 1
}

# When the module is gone it goes on.
end_lingerer() {
	sleep 0.2
	kill $lingerer
	wait $lingerer 2>/dev/null
	status=$?
	if [ $status != 143 ]; then # SIGTERM
		not_ok module_leaves_processes_alone "a process that had mapped a file ended with status $status"
	fi
	lingerer=
}

use() { # OPTIONS
	mount -t morselfs -o "$1" none $mount_point || return 1
	if rmmod morselfs 2>/dev/null; then
		not_ok module_busy_while_mounted "rmmod of a mounted morselfs: expected an error"
		return 1
	fi
	dd if=/dev/urandom of=$mount_point/a bs=1M count=9 2>/dev/null || return 1
	cp $mount_point/a $mount_point/b || return 1
	cmp -s $mount_point/a $mount_point/b || return 1
	mkdir $mount_point/d
	ln -s ../a $mount_point/d/link
	truncate -s 1024G $mount_point/sparse
	start_lingerer || return 1
	for program in "$@"; do
		[ "$program" = "$1" ] && continue # that is the options
		if ! "$program" $mount_point >/tmp/module-test.log 2>&1; then
			not_ok "module_runs_$(basename "$program")" \
				"$(grep '^not ok' /tmp/module-test.log | head -1)"
		fi
	done
	umount $mount_point || return 1
}

# Loads it; but first every allocation of the load fails in turn (kernel/inject.c): insmod fails,
# and nothing is left.
load() {
	n=1
	while ! insmod "$module" "inject=\"any $n\"" 2>/dev/null; do
		if grep -q morselfs /proc/modules /proc/filesystems || grep -q '^morsel' /proc/slabinfo; then
			not_ok module_load_fails_clean "allocation $n failed, and something stayed behind"
			return 1
		fi
		n=$((n + 1))
		[ $n -lt 50 ] || return 1
	done
	echo off >$parameter
	# What was asked for in the load that succeeded is what failed before, one after the other.
	if [ $((n - 1)) != "$(awk '/^load-/ { asked += $2 } END { print asked }' $parameter)" ]; then
		not_ok module_load_fails "expected to fail as often as asked: $(grep '^load-' $parameter), did $((n - 1)) times"
		return 1
	fi
}

cycle() {
	if ! load; then
		not_ok module_loads "insmod failed: $(dmesg | tail -1)"
		return 1
	fi
	# A second time it is there already.
	if insmod "$module" 2>/dev/null; then
		not_ok module_loads_once "a second insmod: expected an error"
	fi
	for huge in never always; do
		if ! use "huge=$huge" "$@"; then
			not_ok module_use "mount, copy or umount with huge=$huge failed: $(dmesg | tail -1)"
			umount -l $mount_point 2>/dev/null
		fi
	done
	if ! rmmod morselfs; then
		not_ok module_unloads "rmmod after umount failed: $(dmesg | tail -1)"
		return 1
	fi
	end_lingerer
	if grep -q morselfs /proc/filesystems; then
		not_ok module_unregisters "/proc/filesystems still has morselfs"
	fi
}

cycle "$@" && ok module_first_cycle # what the kernel allocates once and keeps, it has now
memory_before=$(unaccounted_memory)
tables_before=$(resting_tables)
slabs_before=$(grep -c '^morsel' /proc/slabinfo)
for _ in 1 2 3 4; do
	cycle "$@" || break
done
# What is on its way (processes that end, grace periods) comes back; what is lost never does.
for _ in $(seq 30); do
	memory=$(($(unaccounted_memory) - memory_before))
	tables=$(($(resting_tables) - tables_before))
	[ $memory -lt 1536 ] && [ $tables -lt 4 ] && break
	sleep 1
done
slabs=$(($(grep -c '^morsel' /proc/slabinfo) - slabs_before))

# One table that is lost per cycle would be 4 of them.
if [ $tables -lt 4 ]; then
	ok module_page_tables_come_back
else
	not_ok module_page_tables_come_back "nr_page_table_pages: $tables more than before"
fi
# Each cycle has 36 MiB in files; one 2-MiB frame that is lost is too much.
if [ $memory -lt 1536 ]; then
	ok module_memory_comes_back
else
	not_ok module_memory_comes_back "$memory KiB more in use than before"
fi
if [ $slabs -eq 0 ]; then
	ok module_slabs_come_back
else
	not_ok module_slabs_come_back "$slabs slab caches more than before"
fi
echo "# after 4 cycles: $memory KiB and $tables page tables more than before"
rmdir $mount_point
exit $failed
