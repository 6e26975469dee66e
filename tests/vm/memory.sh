# SPDX-License-Identifier: MIT
#
# For the scripts that run in the VM: which memory is in use that nobody accounts for.

# Who allocated the pages in use, if the kernel remembers (page_owner=on): lines "PAGES STACK", where
# STACK is the functions from the inside out.
page_owners() {
	stacks=/sys/kernel/debug/page_owner_stacks/show_stacks
	[ -e $stacks ] || return 0
	awk '/^nr_base_pages:/ { print $2, stack; stack = ""; next }
	     NF { stack = stack " < " $1 }' $stacks
}

# Memory that would stay behind if the module lost pages, in KiB: neither free (in a zone or in a
# CPU's lists), nor cache, nor slab, nor used by processes, nor what KASAN keeps for ever: call traces
# (in pools of four pages each), and its map of the addresses that the kernel's stacks and modules
# once had, which page_owner knows. Leaves the page owners in /tmp/owners.
#
# The free pages are /proc/zoneinfo's, not /proc/meminfo's: the kernel moves thousands of pages at a
# time between a CPU's lists and the zone, and a sum of two files would miss or double those.
unaccounted_memory() {
	sync
	echo 4 >/proc/sys/vm/drop_caches # no more lines in the log about it
	echo 3 >/proc/sys/vm/drop_caches
	sleep 1 # frames and tables are freed after a grace period
	traces=/sys/kernel/debug/stackdepot/stats
	[ -e $traces ] || traces=
	page_owners >/tmp/owners
	awk '$1 == "MemTotal:" { total = $2 }
	     $1 ~ /^(Buffers|Cached|Slab|KernelStack|PageTables|AnonPages|Percpu|VmallocUsed):$/ { known += $2 }
	     $1 == "nr_free_pages" || $1 == "count:" { known += $2 * 4 }
	     $1 == "pools:" { known += $2 * 16 }
	     / kasan_populate_vmalloc/ { known += $1 * 4 }
	     END { print total - known }' /proc/meminfo /proc/zoneinfo /tmp/owners $traces
}
