#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Files that the arguments of a program under morsel run name: named_test.py MORSEL"""

import fcntl
import os
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
from store import Store  # noqa: E402

MORSEL = sys.argv[1]
DATA = bytes(range(256)) * (3 << 12)
CACHED = "mapped from the cache, memfd"

# What the programs below begin with. `map` is what is tested; argv[1] names the file.
PRELUDE = """
import mmap, os, subprocess, sys
def map(path):
    with open(path, 'rb') as file:
        return mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
def numbers():
    opened = os.environ.get('MORSEL_OPENED', '')
    return [int(entry.split(':')[0]) for entry in opened.split(',') if entry]
path = sys.argv[1]
link = os.environ['TEST_LINK']
away = path + '-object'
"""


class Named(unittest.TestCase):
    def setUp(self):
        self.store = Store()
        self.addCleanup(self.store.cleanup)
        self.file = self.cached("file")

    def cached(self, name: str, data: bytes = DATA) -> str:
        path = self.store.write(name, data)
        self.store.cache(path)
        return path

    def python(self, program: str, *arguments, running=True, **environment):
        """Its standard output, and what the shim said of each mapping of the file."""
        if running:
            self.store.run()
        env = {**os.environ, "MORSEL_RUNTIME": self.store.directory,
               "TEST_LINK": self.store.link(self.file), **environment}
        result = subprocess.run(
            [MORSEL, "run", "--verbose", "--", "/usr/bin/python3", "-c", PRELUDE + program,
             *(arguments or [self.file])], env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout, [line.split("MiB ", 1)[1] for line in result.stderr.splitlines()]

    def test_they_are_open_and_the_store_is_not_asked(self):
        for _ in range(2):
            out, said = self.python("""
os.rename(link, away)
with map(path) as data:
    print(data[:] == open(path, 'rb').read(), len(numbers()))
map(path).close()
os.rename(away, link)
""")
            self.assertEqual((out, said), ("True 1\n", [CACHED, CACHED]))

    def test_they_are_in_use_while_the_program_runs(self):
        out, _ = self.python("""
import fcntl
with open(link, 'rb') as object:
    try:
        fcntl.flock(object, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print('in use')
""")
        self.assertEqual(out, "in use\n")
        with open(self.store.link(self.file), "rb") as left:
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_its_children_do_not_get_them(self):
        out, said = self.python("""
code = "import os\\nfor fd in os.listdir('/proc/self/fd'):\\n try: print(os.readlink('/proc/self/fd/' + fd))\\n except OSError: pass"
os.rename(link, away)
print(subprocess.run([sys.executable, '-c', code], close_fds=False, capture_output=True, text=True).stdout)
""")
        self.assertIn("pipe:", out)
        self.assertNotIn("memfd", out)

    def test_another_file_by_the_same_number(self):
        for program in ("os.closerange(3, 256)",
                        "[os.dup2(os.open('/dev/null', os.O_RDONLY), fd) for fd in numbers()]",
                        "[os.dup2(os.open(os.environ['OTHER'], os.O_RDONLY), fd) for fd in numbers()]"):
            program += "\nwith map(path) as data: print(data[:] == open(path, 'rb').read())"
            other = self.store.write("other", bytes(len(DATA)))
            for before, wanted in (("", CACHED), ("os.rename(link, away)\n", None)):
                out, said = self.python(before + program, OTHER=other)
                self.assertEqual(out, "True\n")
                self.assertEqual(said[0], wanted or "mapped from the file: it is not in the cache")
            os.rename(self.file + "-object", self.store.link(self.file))

    def test_a_changed_file(self):
        out, said = self.python("""
with open(path, 'r+b') as file:
    file.write(b'changed')
print(map(path)[:7])
""")
        self.assertEqual(out, "b'changed'\n")
        self.assertEqual(said, ["mapped from the file: the cache holds another version of it"])

    def test_ways_to_name_them(self):
        count = "print(len(numbers()))"
        parts = [self.cached(f"m-0000{i}-of-00003.gguf") for i in (1, 2, 3)]
        other = self.cached("other=file")
        small = self.cached("small", b"x" * 4096)
        absent = self.store.path("absent")
        for arguments, wanted in (([f"--model={self.file}"], 1), ([self.file, self.file], 1),
                                  ([parts[1]], 3), (["-m", self.file, other], 2), ([small], 0),
                                  ([absent, self.store.directory, "", "=", "a=", "/dev/zero"], 0)):
            self.assertEqual(self.python(count, *arguments)[0], f"{wanted}\n", arguments)

    def test_a_holder_that_is_dead(self):
        out, said = self.python("print(len(numbers())); map(path)", running=False)
        self.assertEqual((out, said), ("0\n", [CACHED]))

    def test_nonsense_in_the_environment(self):
        st, sealed = os.stat(self.file), os.fstat(self.store.objects[0])
        right = f"{sealed.st_dev}:{sealed.st_ino}:{st.st_dev}:{st.st_ino}:{st.st_size}:{st.st_mtime_ns},"
        for value in ("", "x", "3", "3:", "3:1:2:3:4:5:6", ":::::::,", "-1:" + right, "99:" + right,
                      "0:" + right, "4294967296:" + right, "3:" + right * 100, ("0:" + right) * 100):
            out, said = self.python(
                "env = {**os.environ, 'MORSEL_OPENED': %r}\n"
                "os.execve(sys.executable, [sys.executable, '-c', os.environ['NEXT'], path], env)"
                % value, NEXT=PRELUDE + "print(map(path)[:4])")
            self.assertEqual((out, said), ("b'\\x00\\x01\\x02\\x03'\n", [CACHED]), value)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
