# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Programs that lie on the mount themselves, with their loader and their libraries.
. "${0%/*}/common.sh"

times=$(pick 20 300)

mkdir bin lib
# The libraries of a program, as the loader finds them.
copy() {
	cp "$1" bin/
	ldd "$1" | grep -o '/[^ ]*' | while read -r library; do cp -nL "$library" lib/; done
}
for program in /bin/bash /bin/cat /usr/bin/sha256sum /usr/bin/env /usr/bin/python3.11 /usr/bin/sqlite3; do
	copy "$program"
done
sums=$(sha256sum bin/* lib/*)

export LD_LIBRARY_PATH=$dir/lib
same exec_maps "$dir/bin/cat $dir/lib/libc.so.6" \
	"$(bin/cat /proc/self/maps | awk '$2 ~ /x/ && $6 ~ /^\/mnt/ { print $6 }' | sort -u | xargs)"
same exec_loader loaded "$(lib/ld-linux-x86-64.so.2 bin/bash -c 'echo loaded')"
same exec_python 499999500000 "$(bin/python3.11 -c 'print(sum(range(10**6)))')"
same exec_sqlite 5050 "$(bin/sqlite3 :memory: \
	'WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<100) SELECT sum(x) FROM n')"

printf '#!%s/bin/bash\necho "script $1"\n' "$dir" >script
chmod +x script
same exec_script 'script works' "$(./script works)"
chmod -x script
if ./script no 2>/dev/null; then
	not_ok exec_without_permission "it ran"
else
	same exec_without_permission 126 $?
fi

# A program that runs can't be written, and can be replaced.
mkfifo line
bin/bash -c 'read -r line; echo "$line"' <line >"$scratch/said" &
pid=$!
exec 7>line
until [ "$(readlink /proc/$pid/exe)" = "$dir/bin/bash" ]; do sleep 0.05; done
if (echo x >>bin/bash) 2>"$scratch/error"; then
	not_ok exec_text_busy "a running program could be written"
else
	check exec_text_busy grep -q 'Text file busy' "$scratch/error"
fi
cp /bin/bash bin/new && mv bin/new bin/bash
same exec_replaced "$dir/bin/bash (deleted)" "$(readlink /proc/$pid/exe)"
echo 'still alive' >&7
exec 7>&-
wait $pid
same exec_replaced_runs 0 $?
same exec_replaced_says 'still alive' "$(cat "$scratch/said")"

# Many at once.
for ((i = 0; i < times; i++)); do
	bin/sha256sum bin/python3.11 >"$scratch/sum$i" &
	[ $((i % 8)) != 7 ] || wait
done
wait
same exec_many "$times $(sha256sum bin/python3.11)" \
	"$(cat "$scratch"/sum* | sort | uniq -c | awk '{ print $1 " " $2 "  " $3 }')"

# All of the root on the mount.
unset LD_LIBRARY_PATH
mkdir -p new-root/bin new-root/lib64 new-root/lib/x86_64-linux-gnu
cp bin/bash bin/cat bin/sha256sum new-root/bin/
cp lib/* new-root/lib/x86_64-linux-gnu/
cp lib/ld-linux-x86-64.so.2 new-root/lib64/
same exec_chroot "$(sha256sum <bin/cat)" "$(chroot new-root /bin/bash -c '/bin/sha256sum </bin/cat')"

same exec_files_unchanged "$sums" "$(sha256sum bin/* lib/*)"
echo "# exec: $times programs and more started from the mount"
finish
