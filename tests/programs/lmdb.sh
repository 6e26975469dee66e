# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# LMDB: reads through a shared mapping of the file, writes with write(2) or (MDB_WRITEMAP) through the
# mapping, and keeps robust mutexes in a second mapped file. Its own tools, then several processes.
. "${0%/*}/common.sh"

entries=$(pick 3000 60000)
transactions=$(pick 30 400)

# mdb_dump's format: a space, then the bytes.
dump() {
	echo 'VERSION=3
format=print
type=btree
mapsize=268435456
HEADER=END'
	awk -v n="$entries" 'BEGIN { for (i = 0; i < n; i++) {
		printf " key%08d\n ", i * 7919 % n
		for (j = 0; j < i % 40; j++) printf "%d,", i * j
		printf "end\n" } print "DATA=END" }'
}

dump >"$scratch/in"
mkdir "$scratch/db" db
mdb_load -f "$scratch/in" "$scratch/db"
check lmdb_load mdb_load -f "$scratch/in" db
same lmdb_dump "$(mdb_dump "$scratch/db" | sha256sum)" "$(mdb_dump db | sha256sum)"
same lmdb_stat "$entries" "$(mdb_stat db | awk '$1 == "Entries:" { print $2 }')"
mkdir copy
check lmdb_copy mdb_copy -c db copy
same lmdb_copy_dump "$(mdb_dump "$scratch/db" | sha256sum)" "$(mdb_dump copy | sha256sum)"
mdb_dump db >"$scratch/out"
mkdir again
check lmdb_load_of_dump mdb_load -f "$scratch/out" again
same lmdb_round_trip "$(sha256sum <"$scratch/out")" "$(mdb_dump again | sha256sum)"

# Writers in several processes, each transaction changes a counter and adds an entry; readers check
# that they see both or neither, and one writer dies within a transaction, holding the lock.
cat >"$scratch/many.py" <<'PYTHON'
import os, signal, sys
import lmdb

path, writemap, transactions = sys.argv[1], sys.argv[2] == "writemap", int(sys.argv[3])
os.mkdir(path)

def opened():
    return lmdb.open(path, map_size=64 << 20, writemap=writemap, max_readers=64)

def value(number):
    return (b"%d," % number) * (number % 500 + 1)

def write(writer):
    env = opened()
    for i in range(transactions):
        with env.begin(write=True) as txn:
            n = int(txn.get(b"n", b"0"))
            txn.put(b"%d-%06d" % (writer, i), value(writer * 1000 + i))
            txn.put(b"n", b"%d" % (n + 1))

def read():
    env = opened()
    for _ in range(transactions):
        with env.begin() as txn:
            assert txn.stat()["entries"] - (txn.get(b"n") is not None) == int(txn.get(b"n", b"0"))

def die():
    env = opened()
    txn = env.begin(write=True)
    for i in range(100):
        txn.put(b"9-%06d" % i, value(i))
    txn.put(b"n", b"77777")
    os.kill(os.getpid(), signal.SIGKILL)

def child(function, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
            os._exit(0)
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
    return pid

children = [child(write, 0), child(write, 1), child(read)]
victim = child(die)
children.append(child(read))
statuses = [os.waitpid(pid, 0)[1] for pid in children]
assert statuses == [0, 0, 0, 0], statuses
assert os.waitpid(victim, 0)[1] == signal.SIGKILL
with opened().begin() as txn:
    n = int(txn.get(b"n"))
    assert n == 2 * transactions, n
    assert txn.stat()["entries"] == n + 1
    for writer in range(2):
        for i in range(transactions):
            assert txn.get(b"%d-%06d" % (writer, i)) == value(writer * 1000 + i), (writer, i)
PYTHON
for how in write writemap; do
	check "lmdb_processes_$how" python3 "$scratch/many.py" "$dir/many-$how" $how "$transactions"
done
echo "# lmdb: $entries entries there and back, $((4 * transactions)) transactions of several processes"
finish
