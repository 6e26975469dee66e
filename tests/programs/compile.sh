# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# gcc and make: a program of several sources with a library, built on the mount, run, changed, and
# built again.
. "${0%/*}/common.sh"

sources=$(pick 3 40)

{
	printf 'int main(void)\n{\n\tlong sum = 0;\n'
	for ((i = 0; i < sources; i++)); do printf '\textern long part%d(void);\n\tsum += part%d();\n' $i $i; done
	printf '\treturn printf("sum %%ld\\n", sum) < 0;\n}\n'
} | sed '1i #include <stdio.h>' >main.c
for ((i = 0; i < sources; i++)); do
	printf 'long part%d(void);\nlong part%d(void)\n{\n\treturn %d;\n}\n' $i $i $i >part$i.c
done
cat >Makefile <<'M'
PARTS := $(patsubst %.c,%.o,$(wildcard part*.c))
CFLAGS := -O2 -fPIC -Wall -Werror
program: main.o libparts.so
	gcc -o $@ main.o -L. -lparts -Wl,-rpath,'$$ORIGIN'
libparts.so: libparts.a
	gcc -shared -o $@ -Wl,--whole-archive $< -Wl,--no-whole-archive
libparts.a: $(PARTS)
	ar rcs $@ $^
%.o: %.c
	gcc $(CFLAGS) -c -o $@ $<
M
check compile_make make -s -j2
same compile_runs "sum $((sources * (sources - 1) / 2))" "$(./program)"
same compile_nothing_to_do 0 "$(make -q >/dev/null; echo $?)"

# The same on tmpfs, byte by byte.
cp ./*.c Makefile "$scratch/"
check compile_make_on_tmpfs make -s -C "$scratch"
for file in part0.o main.o libparts.so program; do
	check "compile_same_$file" cmp $file "$scratch/$file"
done

# What was changed is built again, and no more.
sleep 0.05
sed -i 's/return 1;/return 100;/' part1.c
same compile_again 'part1.c' "$(make | grep -o 'part[0-9]*\.c' | sort -u | xargs)"
same compile_runs_again "sum $((sources * (sources - 1) / 2 + 99))" "$(./program)"
echo "# compile: $((sources + 1)) sources, a static and a shared library"
finish
