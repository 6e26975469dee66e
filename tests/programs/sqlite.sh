# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# SQLite, with its rollback journal and with its write-ahead log (whose index is a writable shared
# mapping), reading through mmap: several processes write, one is killed, and the database must add
# up every time.
. "${0%/*}/common.sh"

writers=3
rows=$(pick 8 100)    # transactions of each writer
deterministic=$(pick 2000 40000)

sql() { # DATABASE SQL...
	local database=$1
	shift
	sqlite3 -batch -bail -cmd '.timeout 120000' -cmd 'PRAGMA mmap_size=268435456' "$database" "$@" |
		grep -v '^268435456$'
	return "${PIPESTATUS[0]}"
}

# The same script on the mount and on tmpfs must leave the same contents.
history() {
	cat <<-SQL
		PRAGMA journal_mode=$1;
		PRAGMA cache_size=50;
		CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b TEXT);
		CREATE INDEX i ON t(b);
		WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<$deterministic)
		INSERT INTO t SELECT x, x*7919%10007, hex(x*2654435761%4294967296)||printf('%.*c', x%300, 'x') FROM n;
		UPDATE t SET b=b||a WHERE a%3=0;
		DELETE FROM t WHERE id%5=0;
		BEGIN; UPDATE t SET a=0; ROLLBACK;
		VACUUM;
		INSERT INTO t SELECT id+1000000, a, b FROM t WHERE id%4=0;
	SQL
}

write_some() { # DATABASE WRITER
	local i
	for ((i = 0; i < rows; i++)); do
		echo "BEGIN IMMEDIATE; INSERT INTO log(writer,data) VALUES($2,randomblob(3000));
			UPDATE total SET n=n+1; COMMIT;"
		[ $((i % 4)) != 3 ] || echo 'SELECT count(*),sum(length(data)) FROM log;'
	done | sql "$1" >/dev/null
}

for mode in delete wal; do
	for place in "$dir" "$scratch"; do
		history $mode | sql "$place/$mode.db" >/dev/null || not_ok "sqlite_${mode}_history" "on $place"
	done
	same "sqlite_${mode}_contents" "$(sql "$scratch/$mode.db" .dump | sha256sum)" \
		"$(sql "$dir/$mode.db" .dump | sha256sum)"
	same "sqlite_${mode}_integrity" ok "$(sql $mode.db 'PRAGMA integrity_check')"

	sql many-$mode.db "PRAGMA journal_mode=$mode; CREATE TABLE total(n); INSERT INTO total VALUES(0);
		CREATE TABLE log(id INTEGER PRIMARY KEY, writer, data)" >/dev/null
	pids=()
	for ((w = 0; w < writers; w++)); do
		write_some many-$mode.db $w &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || not_ok "sqlite_${mode}_writer" "a writer ended with $?"
	done
	same "sqlite_${mode}_writers" "$((writers * rows))|$((writers * rows))|ok" \
		"$(sql many-$mode.db 'SELECT n,(SELECT count(*) FROM log) FROM total')|$(sql many-$mode.db 'PRAGMA integrity_check')"

	# A transaction that grows until its process is killed: all of it must be gone again.
	before=$(sql many-$mode.db 'SELECT n,(SELECT count(*) FROM log) FROM total')
	mkfifo hold
	sqlite3 -batch -cmd 'PRAGMA cache_size=5' many-$mode.db >/dev/null <hold &
	pid=$!
	exec 7>hold
	echo "BEGIN IMMEDIATE; UPDATE total SET n=n+1;
		INSERT INTO log(writer,data) SELECT 99,randomblob(5000) FROM log;
		SELECT writefile('$dir/written', 'x');" >&7
	until [ -e written ]; do sleep 0.1; done
	kill -KILL $pid
	wait $pid 2>/dev/null
	exec 7>&-
	rm hold written
	same "sqlite_${mode}_killed_writer" "$before|ok" \
		"$(sql many-$mode.db 'SELECT n,(SELECT count(*) FROM log) FROM total')|$(sql many-$mode.db 'PRAGMA integrity_check')"
done
echo "# sqlite: $((2 * writers * rows)) transactions of $writers processes at a time, $((deterministic * 4)) rows compared"
finish
