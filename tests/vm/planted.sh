#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Loads a module that writes out of bounds when it is loaded. tests/vm/run-all expects the kernel to
# complain; here it is enough that the write was done.
if insmod /morselfs.ko; then
	echo "ok planted_write_is_done"
else
	echo "not ok planted_write_is_done: $(dmesg | tail -1)"
	exit 1
fi
