#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the command prints, and where: streams, JSON, colours, progress; doctor and setup."""

import json
import os
import pty
import re
import subprocess

from cache_case import CacheCase, FAILED, NOT_CACHED, USAGE, main


class Output(CacheCase):
    def on_a_terminal(self, *arguments, **environment) -> str:
        """Standard error, as a terminal gets it."""
        ours, its = pty.openpty()
        pid = os.fork()
        if pid == 0:
            os.dup2(its, 2)
            os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
            os.execve(self.command, [self.command, *arguments], {**self.environment, "TERM": "xterm", **environment})
        os.close(its)
        text = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            text += part
        os.close(ours)
        os.waitpid(pid, 0)
        return text.decode()

    def test_streams(self):
        path = self.file()
        out, err = self.morsel("load", "--backend", "memfd", path)
        self.assertIn(path, out)
        self.assertEqual(err, "")
        out, err = self.morsel("load", self.path("none"), status=FAILED)
        self.assertEqual(out, "")
        self.assertTrue(err.startswith("morsel: "))
        out, err = self.morsel("load", "--quiet", path)
        self.assertEqual((out, err), ("", ""))
        out, err = self.morsel("--json", "load", self.path("none"), status=FAILED)
        self.assertEqual(len(json.loads(out)["errors"]), 1)
        self.assertTrue(err)

    def test_json_of_every_command(self):
        path = self.file()
        self.assertEqual(set(self.load(path)[0]), {"path", "bytes", "backend", "was_there"})
        fields = {"kind", "path", "state", "loaded_at", "loaded_by", "backend", "bytes", "mode", "uid", "gid",
                  "in_use", "last_use_ns", "entry", "store", "own"}
        self.assertEqual(set(self.cached()[0]), fields)
        self.assertEqual(set(self.ask("stat", path)["objects"][0]), fields | {"resident", "huge", "table_bytes"})
        self.assertEqual(set(self.ask("verify")["files"][0]), fields | {"result"})
        self.assertEqual(set(self.ask("rm", path)["removed"][0]), fields)
        self.assertEqual(self.ask("prune")["removed"], [])
        self.assertLessEqual({"directory", "running", "pid", "objects", "bytes"}, set(self.ask("holder", "--status")))
        for command in ("ls", "prune", "doctor"):
            out, _ = self.morsel(command, "--json")
            self.assertEqual(json.loads(out)["schema"], 1)

    def test_large_pages_are_morselfs_own(self):
        path = self.file()
        for command in (["huge", "always"], ["promote"], ["promote", "--demote"]):
            _, err = self.morsel(*command, path, status=NOT_CACHED)
            self.assertIn("neither a file on a morselfs nor in the cache", err)
        self.load(path, "--backend", "memfd")
        for command in (["huge", "always"], ["promote"], ["promote", "--demote"]):
            _, err = self.morsel(*command, path, status=FAILED)
            self.assertIn("memfd objects have pages of the kernel's choice; only on morselfs", err)
            self.assertEqual(self.ask(*command, path, status=FAILED)["objects"], [])
        for wrong in (["huge"], ["huge", "always"], ["huge", "sometimes", path], ["promote"]):
            self.morsel(*wrong, status=USAGE)

    def test_json_of_a_path_that_is_no_text(self):
        self.load(self.file(os.fsdecode(b"\xff")))
        self.assertIn("\ufffd", self.cached()[0]["path"])

    def test_colours(self):
        for environment, colours in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
            text = self.on_a_terminal("load", self.path("none"), **environment)
            self.assertEqual("\x1b[31m" in text, colours, text)
        self.assertNotIn("\x1b[31m", self.on_a_terminal("--no-color", "load", self.path("none")))
        self.assertNotIn("\x1b", self.morsel("load", self.path("none"), status=FAILED)[1])

    def test_progress(self):
        path = self.sparse_file()
        text = self.on_a_terminal("load", "--backend", "memfd", path)
        self.assertRegex(text, r"large\.gguf \[[#.]{24}\] +\d+%  [\d.]+ .i?B/s  \d+ (s|min) left")
        self.assertTrue(text.endswith("\r\x1b[K"))
        self.assertNotIn("[", self.on_a_terminal("load", "-q", path))
        self.assertNotIn("[", self.morsel("load", "--backend", "memfd", path)[1])

    def test_full_disk(self):
        self.load(self.file())
        with open("/dev/full", "w") as full:
            done = subprocess.run([self.command, "ls"], env=self.environment, stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn(b"standard output", done.stderr)

    def test_version(self):
        self.assertRegex(self.morsel("--version")[0], r"^morsel \d+\.\d+\.\d+\nlibmorsel .+\nmorselfs .+\n$")


class Doctor(CacheCase):
    def test_checks(self):
        checks = self.ask("doctor")["checks"]
        self.assertLessEqual({"kernel", "module", "mount", "memory", "limit", "hugetlb", "shmem", "memlock", "cgroup",
                              "rights", "holder", "leftovers", "files"}, {check["name"] for check in checks})
        for check in checks:
            self.assertEqual(set(check), {"level", "name", "text", "mend"})
            self.assertIn(check["level"], ("ok", "warn", "missing"))
            self.assertTrue(check["text"])
            if check["level"] == "ok":
                self.assertEqual(check["mend"], "")
        out, _ = self.morsel("doctor")
        for check in checks:
            self.assertIsNotNone(re.search(rf"^{check['level']} +{check['name']} ", out, re.MULTILINE), check)

    def test_stale_files(self):
        path = self.file()
        self.load(path)
        os.utime(path)
        [check] = [each for each in self.ask("doctor")["checks"] if each["name"] == "files"]
        self.assertEqual((check["level"], check["mend"]), ("warn", "morsel prune"))

    def test_setup(self):
        self.ask("setup", "--hugepages", "lots", status=USAGE)
        # It can't be mounted where there is no such file system.
        with open("/proc/filesystems") as types:
            if "morselfs" not in types.read():
                self.ask("setup", "--mount", self.path("mount"), status=FAILED)


if __name__ == "__main__":
    main()
