# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The file cache on a mount of morselfs, and unmodified programs under `morsel run`: Python, which maps
# by libc's mmap, and preload-reader. Of tmpfs, which has no such cache, there is nothing to be seen.
. "${0%/*}/common.sh"

mount=${dir%/*}
if [ "$(stat -f -c %t "$mount")" != 6c73726d ]; then
	echo "# morsel: left out, this is no morselfs"
	finish
fi
export MORSEL_RUNTIME=$scratch/runtime
PATH=/tests:$PATH
model="$scratch/a model.gguf"
megabytes=$(pick 24 120)
head -c $((megabytes << 20)) /dev/urandom >"$model"
echo 'and an end that is no page' >>"$model"
sum=$(sha256sum <"$model" | cut -d" " -f1)

check morsel_load morsel load "$model"
check morsel_verify morsel verify "$model"
same morsel_backend morselfs "$(morsel ls --json | python3 -c \
	'import json, sys; print(*{row["backend"] for row in json.load(sys.stdin)["objects"]})')"

# What is seen through a mapping, and what is mapped.
cat >"$scratch/look.py" <<'END'
import ctypes, hashlib, mmap, os, sys

def backing(address):
    for line in open("/proc/self/maps"):
        begin, end = (int(part, 16) for part in line.split()[0].split("-"))
        if begin <= address < end:
            return line.split(None, 5)[5].strip() if len(line.split(None, 5)) > 5 else "anonymous"
    return "nothing"

path, kind = sys.argv[1:]
flags = mmap.MAP_SHARED if kind == "shared" else mmap.MAP_PRIVATE
with open(path, "rb") as file:
    size = os.fstat(file.fileno()).st_size
    map = mmap.mmap(file.fileno(), size, flags=flags, prot=mmap.PROT_READ)
libc = ctypes.CDLL(None, use_errno=True)
# Python knows its address, but does not tell: there is none for who may only read.
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
with open(path, "rb") as file:
    address = libc.mmap(None, size, mmap.PROT_READ, flags, file.fileno(), 0)
assert ctypes.string_at(address, size) == map[:]
print(hashlib.sha256(map).hexdigest())
print("/.morsel/" in backing(address) and "object" or "file")

# As llama.cpp does it: parts of it go.
middle = size // 2 & ~4095
assert libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(middle)) == 0
assert ctypes.string_at(address + middle, size - middle) == map[:][middle:]
# A part that can't be read any more: whatever was behind the rest, it has the same bytes.
assert libc.mprotect(ctypes.c_void_p(address + middle), ctypes.c_size_t(4096), 0) == 0
middle += 4096
assert ctypes.string_at(address + middle, size - middle) == map[:][middle:]
assert libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size)) == 0
print(backing(address + middle) == "nothing" and "unmapped" or "still there")
END
for kind in shared private; do
	same "morsel_plain_$kind" "$sum file unmapped" \
		"$(python3 "$scratch/look.py" "$model" $kind 2>&1 | tail -3 | xargs)"
	same "morsel_run_$kind" "$sum object unmapped" \
		"$(morsel run -- python3 "$scratch/look.py" "$model" $kind 2>&1 | tail -3 | xargs)"
done
plain=$(preload-reader "$model")
shimmed=$(morsel run --verbose -- preload-reader "$model" 2>"$scratch/said")
same morsel_run_reader "${plain##* }" "${shimmed##* }"
check morsel_run_says grep -q "mapped from the cache, morselfs" "$scratch/said"
# One fault makes all of it ready; those of the program itself come on top.
read -r _ faults _ <<<"$shimmed"
same morsel_run_faults few "$([ "$faults" -le 4 ] && echo few || echo "$faults")"

# Large pages: of a file's own policy, and of the cached one's, by the source's path.
shown() { # WHAT FIELD...
	morsel stat --json "$1" | python3 -c \
		'import json, sys; row = json.load(sys.stdin)["objects"][0]; print(*(row[name] for name in sys.argv[1:]))' "${@:2}"
}
large=$((2 << 20))
: >policy
check morsel_huge morsel huge within_size policy
head -c $large /dev/zero | dd of=policy bs=2M iflag=fullblock conv=notrunc status=none
same morsel_huge_policy "within_size $large" "$(shown policy policy huge)"
check morsel_huge_never morsel huge never policy
head -c $large /dev/zero | dd of=policy bs=2M iflag=fullblock conv=notrunc oflag=append status=none
same morsel_huge_never_policy "never $large $((2 * large))" "$(shown policy policy huge resident)"
check morsel_huge_cached morsel huge always "$model"
same morsel_huge_cached_policy always "$(shown "$model" policy)"
check morsel_huge_as_the_mount morsel huge mount "$model"
check morsel_stat_says grep -q "pages .* of 2 MiB, .* of 4 KiB" <(morsel stat policy)
same morsel_huge_nowhere 3 "$(morsel huge never "$scratch/none" >/dev/null 2>&1; echo $?)"

# A file that changed is no more what the cache has.
echo more >>"$model"
same morsel_run_changed "$(sha256sum <"$model" | cut -d" " -f1) file unmapped" \
	"$(morsel run -- python3 "$scratch/look.py" "$model" shared 2>&1 | tail -3 | xargs)"
check morsel_prune morsel prune
same morsel_nothing_left 0 "$(find "$mount/.morsel" -type f 2>/dev/null | grep -vc '/loading$')"
rm -rf "$mount/.morsel"
echo "# morsel: a file of $megabytes MiB, in $faults faults"
finish
