#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""morsel run: run_test.py MORSEL SHIM READER STATIC_READER"""

import os
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
from store import Store  # noqa: E402

MORSEL, SHIM, READER, STATIC_READER = sys.argv[1:5]
DATA = bytes(range(256)) * (3 << 12)
SHOW = "printf '%s\\n' \"$LD_PRELOAD\" \"$MORSEL_STORES\" \"$MORSEL_VERBOSE\""


class Run(unittest.TestCase):
    def setUp(self):
        self.store = Store()
        self.addCleanup(self.store.cleanup)

    def morsel(self, *arguments, **environment):
        env = {**os.environ, "MORSEL_RUNTIME": self.store.directory, **environment}
        return subprocess.run([MORSEL, *arguments], env=env, capture_output=True, text=True, timeout=60)

    def refused(self, status, reason, *arguments, **environment):
        result = self.morsel("run", "--", *arguments, **environment)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertRegex(result.stderr, f"^morsel: .*{reason}")
        self.assertEqual(result.stdout, "")

    def changed(self, name, before, after):
        with open(READER, "rb") as file:
            data = file.read()
        self.assertIn(before, data)
        return self.store.write(name, data.replace(before, after, 1), 0o755)

    def test_the_program_maps_the_object(self):
        path = self.store.write("file", DATA)
        self.store.cache(path)
        result = self.morsel("run", "--verbose", "--", READER, path)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, "^faults ")
        self.assertEqual(result.stderr, f"morsel: {path}: 3 MiB mapped from the cache, memfd\n")
        self.assertEqual(self.morsel("run", READER, path).stderr, "")

    def test_environment(self):
        lines = self.morsel("run", "sh", "-c", SHOW, LD_PRELOAD="").stdout.splitlines()
        self.assertTrue(os.path.samefile(lines[0], SHIM))
        self.assertIn(self.store.directory, lines[1].split(":"))
        self.assertEqual(lines[2], "")
        other = "libm.so.6"
        lines = self.morsel("run", "--verbose", "--", "sh", "-c", SHOW, LD_PRELOAD=other).stdout.splitlines()
        self.assertEqual(lines[0].split(":")[1:], [other])
        self.assertEqual(lines[2], "1")
        twice = self.morsel("run", MORSEL, "run", "sh", "-c", SHOW, LD_PRELOAD="").stdout.splitlines()
        self.assertEqual(len(twice[0].split(":")), 1)

    def test_stores_that_are_not_there(self):
        missing = self.store.path("missing")
        lines = self.morsel("run", "sh", "-c", SHOW, MORSEL_RUNTIME=missing).stdout.splitlines()
        self.assertNotIn(missing, lines[1].split(":"))
        os.chmod(self.store.directory, 0o777)
        lines = self.morsel("run", "sh", "-c", SHOW).stdout.splitlines()
        self.assertNotIn(self.store.directory, lines[1].split(":"))

    def test_arguments_are_the_programs_own(self):
        wanted = ["--json", "-q", "ls", "--", "[a,b]", "", "--help", "a b", "{}"]
        for dashes in [["--"], []]:
            result = self.morsel("run", *dashes, "printf", "<%s>", *wanted)
            self.assertEqual(result.stdout, "".join(f"<{each}>" for each in wanted))

    def test_status_is_the_programs(self):
        self.assertEqual(self.morsel("run", "--", "sh", "-c", "exit 42").returncode, 42)
        self.assertEqual(self.morsel("run", "--", "sh", "-c", "kill -9 $$").returncode, -9)

    def test_usage(self):
        self.assertEqual(self.morsel("run").returncode, 2)
        self.assertEqual(self.morsel("run", "--").returncode, 2)
        self.assertEqual(self.morsel("run", "--nonsense", "--", "true").returncode, 2)
        self.assertIn("PROGRAM", self.morsel("run", "--help").stdout)

    def test_missing(self):
        self.refused(127, "no such program in PATH", "no-such-program")
        self.refused(127, "no such program in PATH", "")
        self.refused(127, "No such file", "/no/such/program")
        self.refused(127, "no such program in PATH", "sh", PATH="/nonexistent")

    def test_not_runnable(self):
        self.refused(126, "Permission denied", self.store.write("data", b"x", 0o644))
        self.refused(126, "Permission denied", self.store.directory)
        self.refused(126, "neither an ELF program nor a script", self.store.write("text", b"x", 0o755))

    def test_static(self):
        self.refused(126, "statically linked", STATIC_READER)

    def test_scripts_are_what_their_interpreters_are(self):
        script = self.store.write("good", b"#! /bin/sh -e\necho $LD_PRELOAD\n", 0o755)
        self.assertIn("libmorsel-preload.so", self.morsel("run", "--", script).stdout)
        script = self.store.write("bad", b"#!" + STATIC_READER.encode() + b"\n", 0o755)
        self.refused(126, "is a script, and .* is statically linked", script)
        loop = self.store.path("loop")
        self.refused(126, "is a script of a script", self.store.write("loop", f"#!{loop}\n".encode(), 0o755))

    def test_another_architecture(self):
        # e_machine: x86-64 becomes AArch64
        self.refused(126, "another architecture", self.changed("arm", b"\x3e\x00\x01\x00\x00\x00", b"\xb7\x00\x01\x00\x00\x00"))

    def test_another_libc(self):
        self.refused(126, "another C library", self.changed(
            "musl", b"/lib64/ld-linux-x86-64.so.2\0", b"/lib64/ld-musl-x86_64.so.1\0\0"))

    @unittest.skipIf(os.geteuid() != 0, "not root")
    def test_more_rights_than_the_user(self):
        for name, mode, owner in [("suid", 0o4755, 12345), ("sgid", 0o2755, 12345)]:
            with open(READER, "rb") as file:
                path = self.store.write(name, file.read())
            os.chown(path, owner, owner)
            os.chmod(path, mode)
            self.refused(126, "set-user-ID", path)

    def test_the_shim_is_missing(self):
        self.refused(126, "/nonexistent.so is not there", "true", MORSEL_PRELOAD="/nonexistent.so")
        odd = self.store.path("a b.so")
        os.symlink(SHIM, odd)
        self.refused(126, "colon or a space", "true", MORSEL_PRELOAD=odd)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
