#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Programs that nobody changed, under the shim: programs_test.py SHIM READER STATIC_READER"""

import os
import re
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
from store import Store  # noqa: E402

SHIM, READER, STATIC_READER = sys.argv[1:4]
MIB = 1 << 20
DATA = b"".join(b"line %09d of a file that is mapped\n" % i for i in range(100000))

MAP = """
import mmap, sys
with open(sys.argv[1], 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as m:
    assert m[:] == file.read()
    assert m.find(b'line 000099999') > 0
    m.madvise(mmap.MADV_SEQUENTIAL)
    m.madvise(mmap.MADV_DONTNEED)
    print(len(m))
"""
COPY_ON_WRITE = """
import mmap, sys
with open(sys.argv[1], 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as m:
    m[0] = 65
    print(m[:4])
"""


class Programs(unittest.TestCase):
    def setUp(self):
        self.store = Store()
        self.addCleanup(self.store.cleanup)
        self.file = self.store.write("file", DATA)
        self.store.cache(self.file)

    def run_program(self, *command, verbose=True, **environment):
        env = {**os.environ, "LD_PRELOAD": SHIM, "MORSEL_STORES": self.store.directory,
               "MORSEL_VERBOSE": "1" if verbose else "", **environment}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)

    def check(self, result, output=None, says=None):
        self.assertEqual(result.returncode, 0, result.stderr)
        if output is not None:
            self.assertEqual(result.stdout, output)
        if says is not None:
            self.assertRegex(result.stderr, says)

    def test_python_maps_the_object(self):
        result = self.run_program("/usr/bin/python3", "-c", MAP, self.file)
        self.check(result, f"{len(DATA)}\n", f"^morsel: {self.file}: 3 MiB mapped from the cache, memfd\n$")

    def test_python_copies_on_write(self):
        self.check(self.run_program("/usr/bin/python3", "-c", COPY_ON_WRITE, self.file),
                   "b'Aine'\n", "mapped from the file: not mapped for reading only")

    def test_nothing_is_said_unless_wanted(self):
        result = self.run_program(READER, self.file, verbose=False)
        self.check(result)
        self.assertEqual(result.stderr, "")

    def test_why_not(self):
        def says(path, reason):
            self.check(self.run_program(READER, path),
                       says=f"^morsel: {path}: 3 MiB mapped from the file: {reason}\n$")

        says(self.store.write("other", DATA), "it is not in the cache")
        with open(self.file, "r+b") as file:
            file.write(b"changed")
        os.utime(self.file, ns=(0, 1))
        says(self.file, "the cache holds another version of it")

    def test_programs_that_read(self):
        self.check(self.run_program("cat", self.file), DATA.decode())
        self.check(self.run_program("grep", "-c", "line", self.file), "100000\n")
        self.check(self.run_program("cmp", self.file, self.file), "")
        self.check(self.run_program("sh", "-c", f"tail -n 1 {self.file} | wc -l | tr -d ' '"), "1\n")
        self.check(self.run_program("sort", "-c", self.file), "")

    def test_programs_of_other_kinds(self):
        self.check(self.run_program(STATIC_READER, self.file))
        self.check(self.run_program("perl", "-e", "print 1"), "1")
        if shutil.which("node"):
            self.check(self.run_program("node", "-e", "console.log(1)"), "1\n")

    def test_without_stores(self):
        for stores in ("", ":", "/nonexistent", "relative", "/" + "x" * 9000):
            self.check(self.run_program(READER, self.file, MORSEL_STORES=stores))

    def test_it_needs_an_old_libc_and_nothing_else(self):
        dynamic = subprocess.check_output(["readelf", "-d", SHIM], text=True)
        self.assertEqual(re.findall(r"NEEDED.*\[(.*)\]", dynamic), ["libc.so.6"])
        symbols = subprocess.check_output(["objdump", "-T", SHIM], text=True)
        for major, minor in re.findall(r"GLIBC_(\d+)\.(\d+)", symbols):
            self.assertLessEqual((int(major), int(minor)), (2, 17))

    def test_it_shows_nothing_else(self):
        names = subprocess.check_output(["nm", "-D", "--defined-only", SHIM], text=True).split()[2::3]
        self.assertEqual(sorted(names), sorted(
            "mmap mmap64 munmap pkey_mprotect mremap mprotect madvise posix_madvise mlock mlock2 munlock msync".split()))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
