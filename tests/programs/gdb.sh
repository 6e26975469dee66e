# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A debugger writes its breakpoints into the program's text, which is a private mapping of the file:
# the process must stop there, and neither the file nor another process may see it.
. "${0%/*}/common.sh"

cat >counter.c <<'C'
#include <stdio.h>
#include <stdlib.h>
static int total = 5;
__attribute__((noinline)) int add(int n)
{
	return total += n;
}
int main(int argc, char **argv)
{
	for (int i = 0; i < atoi(argv[argc - 1]); i++)
		add(i);
	printf("total %d\n", total);
	return 0;
}
C
check gdb_compile gcc -g -O1 -o counter counter.c
sum=$(sha256sum <counter)
same gdb_program 'total 50' "$(./counter 10)"

# The loop calls it ten times; the variable is changed at the fourth.
cat >"$scratch/commands" <<'G'
set pagination off
set confirm off
set debuginfod enabled off
break add
run 10
ignore 1 2
continue
print n
set var total = 1000
info breakpoints
print $_exitcode
delete
continue
print $_exitcode
G
gdb -nx -batch -x "$scratch/commands" --args ./counter >"$scratch/said" 2>&1 </dev/null
check gdb_stops grep -q 'Breakpoint 1, add (n=' "$scratch/said"
check gdb_stops_again grep -q '\$1 = 3' "$scratch/said"
check gdb_counts_hits grep -q 'breakpoint already hit 4 times' "$scratch/said"
check gdb_changes_a_variable grep -q 'total 1042' "$scratch/said"
check gdb_runs_to_the_end grep -q '\$3 = 0' "$scratch/said"
same gdb_file_unchanged "$sum" "$(sha256sum <counter)"
same gdb_program_unchanged 'total 50' "$(./counter 10)"

# While one process stands at its breakpoint, another of the same program runs through.
cat >"$scratch/commands" <<'G'
set pagination off
set debuginfod enabled off
break add
run 10
shell ./counter 10 > other
x/1xb $pc
watch total
continue
continue
kill
G
gdb -nx -batch -x "$scratch/commands" --args ./counter >"$scratch/said" 2>&1 </dev/null
same gdb_other_process 'total 50' "$(cat other)"
check gdb_watches grep -q 'New value = ' "$scratch/said"
same gdb_file_unchanged_again "$sum" "$(sha256sum <counter)"
echo "# gdb: 5 stops, of which $(grep -c 'Hardware watchpoint\|Watchpoint' "$scratch/said") at a watchpoint"
finish
