#!/bin/sh
# SPDX-License-Identifier: MIT
#
# On a machine whose CPU lacks what the module needs (run-all boots one without the NX bit): it
# must not load, must say why, and leave nothing behind.
if insmod /morselfs.ko 2>/dev/null; then
	echo "not ok module_refused_by_cpu: expected insmod to fail on a CPU without NX"
	exit 1
fi
if ! dmesg | grep -q 'morselfs: not loaded: .*NX'; then
	echo "not ok module_refused_says_why: seen: $(dmesg | tail -1)"
	exit 1
fi
if grep -q morselfs /proc/modules /proc/filesystems; then
	echo "not ok module_refused_leaves_nothing: morselfs is still there"
	exit 1
fi
echo "ok module_refused_by_cpu"
