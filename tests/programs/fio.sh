# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# fio writes blocks in random order, each with its own checksum, and reads them again: through system
# calls, through mappings, and each way what the other wrote.
. "${0%/*}/common.sh"

size=$(pick 6m 96m)
loops=$(pick 1 3)

# Prints "WRITTEN READ": the operations that fio says it did.
count() {
	awk -F';' '{ written += $47; read += $6 } END { printf "%d KiB written, %d KiB read", written, read }' "$1"
}

run() { # NAME OPTION...
	local name=$1
	shift
	if fio --name="$name" --size="$size" --verify=crc32c --verify_fatal=1 --randrepeat=0 \
		--fallocate=none --thread=0 --output-format=terse --terse-version=3 --output="$scratch/terse" \
		--eta=never "$@" >"$scratch/said" 2>&1 && ! grep -qi 'verify: bad' "$scratch/said"; then
		ok "fio_$name"
		echo "# fio $name: $(count "$scratch/terse")"
	else
		not_ok "fio_$name" "$(cat "$scratch/said"; cut -c 1-300 "$scratch/terse")"
	fi
	rm -f "$scratch/terse"
}

for engine in psync mmap; do
	run random_$engine --ioengine=$engine --rw=randwrite --bs=4k --loops="$loops" --filename=$engine
	# Blocks that are no pages, then two processes with a file each.
	run odd_$engine --ioengine=$engine --rw=randrw --bsrange=512-20k --bs_unaligned=1 \
		--filename=odd-$engine --verify_backlog=64
	run two_$engine --ioengine=$engine --rw=randwrite --bs=8k --numjobs=2 --group_reporting
done
# Two with a part each of one file (fio's own mmap engine mixes up the offsets there, on any file system).
run parts --ioengine=psync --rw=randwrite --bs=8k --numjobs=2 --offset_increment="$size" \
	--filename=parts --group_reporting
# What was written in the one way, read in the other.
run mmap_reads_psync --ioengine=mmap --rw=read --bs=4k --filename=psync --verify_only
run psync_reads_mmap --ioengine=psync --rw=read --bs=4k --filename=mmap --verify_only
run libaio --ioengine=libaio --iodepth=8 --rw=randwrite --bs=4k --filename=libaio
run io_uring --ioengine=io_uring --iodepth=8 --rw=randwrite --bs=4k --filename=io_uring
run splice --ioengine=splice --rw=randwrite --bs=4k --filename=splice
# Does fio see a wrong byte? One is planted. The contents are random, so any byte may be an X already.
byte=X
[ "$(dd if=psync bs=1 skip=5000 count=1 status=none | tr -d '\0')" != X ] || byte=Y
printf $byte | dd of=psync bs=1 seek=5000 conv=notrunc status=none
if fio --name=planted --size="$size" --verify=crc32c --verify_fatal=1 --ioengine=mmap --rw=read --bs=4k \
	--filename=psync --verify_only >"$scratch/said" 2>&1; then
	not_ok fio_sees_a_wrong_byte "fio found nothing"
else
	check fio_sees_a_wrong_byte grep -qi 'verify: bad\|crc32c' "$scratch/said"
fi
finish
