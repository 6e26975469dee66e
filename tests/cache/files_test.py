#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Files in memory: load, ls, stat, rm, prune, verify."""

import fcntl
import os

from cache_case import (CacheCase, FAILED, IN_USE, MIB, NOT_CACHED, STALE, USAGE, huge_pages_in_use,
                        eventually, main)


class Files(CacheCase):
    def test_both_backends_hold_the_file(self):
        for backend in ("hugetlb", "memfd"):
            with self.subTest(backend):
                path = self.file(f"{backend}.bin")
                [loaded] = self.load(path, "--backend", backend)
                self.assertEqual((loaded["backend"], loaded["bytes"], loaded["was_there"]),
                                 (backend, os.stat(path).st_size, False))
                with open(path, "rb") as file:
                    self.assertEqual(self.content(path), file.read())
                state, source = os.stat(self.link(path)), os.stat(path)
                self.assertEqual(state.st_mtime_ns, source.st_mtime_ns)
                self.assertEqual(state.st_mode & 0o7777, 0o444)
                with self.assertRaises(OSError), open(self.link(path), "r+b", buffering=0) as file:
                    file.write(b"x")

    def test_again_is_there(self):
        path = self.file()
        self.load(path)
        [again] = self.load(path)
        self.assertTrue(again["was_there"])
        self.assertEqual(len(self.cached()), 1)

    def test_list_and_stat_tell_the_same(self):
        path = self.file()
        self.load(path, "--backend", "hugetlb")
        [listed] = self.cached()
        [shown] = self.ask("stat", path)["objects"]
        for field in ("kind", "path", "bytes", "backend", "state", "mode", "uid", "entry", "own"):
            self.assertEqual(listed[field], shown[field], field)
        self.assertEqual(listed["state"], "fresh")
        self.assertEqual(shown["resident"], 4 * MIB)
        self.assertEqual(shown["huge"], 4 * MIB)
        out, _ = self.morsel("ls")
        self.assertIn(path, out)

    def test_remove_gives_the_memory_back(self):
        before = huge_pages_in_use()
        path = self.sparse_file(size=64 * MIB)
        self.load(path, "--backend", "hugetlb")
        self.morsel("rm", path)
        eventually(lambda: huge_pages_in_use() <= before, "the pages")
        self.ask("rm", path, status=NOT_CACHED)
        self.ask("stat", path, status=NOT_CACHED)

    def test_changed_file_is_stale(self):
        path = self.file()
        self.load(path)
        with open(path, "ab") as file:
            file.write(b"more")
        self.assertEqual([each["state"] for each in self.cached()], ["stale"])
        self.ask("stat", path, status=STALE)
        self.ask("verify", status=STALE)
        [anew] = self.load(path)
        self.assertFalse(anew["was_there"])
        self.assertEqual(len(self.ask("prune")["removed"]), 1)
        self.ask("stat", path)
        self.ask("verify")

    def test_same_size_and_other_time_is_stale(self):
        path = self.file()
        self.load(path)
        os.utime(path, ns=(0, os.stat(path).st_mtime_ns + 1))
        self.ask("stat", path, status=STALE)

    def test_written_again_at_once_is_stale(self):
        # Within one tick of the file system's clock a second write would not show.
        path = self.file()
        for _ in range(5):
            with open(path, "r+b") as file:
                file.write(os.urandom(16))
            self.load(path)
            with open(path, "r+b") as file:
                file.write(os.urandom(16))
            self.ask("stat", path, status=STALE)

    def test_replaced_and_removed_sources(self):
        path, other = self.file("a"), self.file("b")
        self.load(path)
        self.load(other)
        os.rename(other, path)
        self.assertEqual(sorted(each["state"] for each in self.cached()), ["gone", "stale"])
        # By its path the old copy can be removed still.
        self.assertEqual([each["path"] for each in self.ask("rm", other)["removed"]], [other])
        self.assertEqual(len(self.ask("prune")["removed"]), 1)
        self.assertEqual(self.cached(), [])

    def test_verify_finds_what_differs(self):
        path = self.file()
        self.load(path)
        self.assertEqual([each["result"] for each in self.ask("verify", path)["files"]], ["ok"])
        # Behind the cache's back: the same size and time.
        times = os.stat(path)
        with open(path, "r+b") as file:
            file.seek(2 * MIB)
            byte = file.read(1)
            file.seek(2 * MIB)
            file.write(bytes([byte[0] ^ 1]))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        answer = self.ask("verify", path, status=FAILED)
        self.assertEqual(answer["files"][0]["result"], "differs")
        self.assertIn(f"byte {2 * MIB}", answer["errors"][0]["text"])
        self.ask("verify", self.path("other"), status=NOT_CACHED)

    def test_used_files_stay(self):
        path = self.file()
        self.load(path)
        with open(self.link(path), "rb") as user:
            fcntl.flock(user, fcntl.LOCK_SH)
            self.assertTrue(self.cached()[0]["in_use"])
            self.ask("rm", path, status=IN_USE)
            self.assertEqual(self.ask("prune", "--all")["removed"], [])
            self.ask("prune", "--to", "1M", status=IN_USE)
            self.assertEqual(self.paths(), [path])
            self.ask("rm", "--force", path)
            self.assertEqual(self.cached(), [])
            user.seek(0)
            with open(path, "rb") as file:
                self.assertEqual(user.read(os.stat(path).st_size), file.read())

    def test_empty_and_strange_files(self):
        empty = self.file("empty", size=0)
        self.assertIn("empty", self.ask("load", empty, status=FAILED)["errors"][0]["text"])
        self.ask("load", self.path("none"), status=FAILED)
        self.ask("load", self.directory, status=FAILED)
        os.mkfifo(self.path("fifo"))
        self.ask("load", self.path("fifo"), status=FAILED)
        self.assertEqual(self.cached(), [])
        # The others are loaded all the same.
        path = self.file()
        self.ask("load", empty, path, status=FAILED)
        self.assertEqual(self.paths(), [path])

    def test_sizes_around_pages(self):
        for size in (1, 4095, 4097, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1):
            for backend in ("hugetlb", "memfd"):
                path = self.file(f"{backend}-{size}", size=size)
                self.load(path, "--backend", backend)
        self.ask("verify")

    def test_sparse_file(self):
        path = self.sparse_file(size=64 * MIB + 1)
        with open(path, "r+b") as file:
            file.seek(33 * MIB)
            file.write(b"data")
        self.load(path)
        self.ask("verify", path)

    def test_odd_names(self):
        for name in ("with space", "new\nline", "modèle-模型", "-leading-dash", "'\"$(x)\\", "\x1b[31mred",
                     os.fsdecode(b"not-utf8-\xff\xfe")):
            with self.subTest(name):
                path = self.file(name)
                self.morsel("load", "-q", "--", path)
                out, _ = self.morsel("ls")
                self.assertEqual(len(out.splitlines()), 2)
                self.assertNotIn("\x1b", out)
                self.ask("stat", "--", path)
                self.ask("verify", "--", path)
                self.morsel("rm", "--", path)
        # As people type it: in the directory itself.
        self.file("-dash")
        self.morsel("load", "--", "-dash")
        self.morsel("rm", "./-dash")

    def test_by_a_symbolic_link(self):
        path = self.file()
        os.symlink(path, self.path("link"))
        self.load(self.path("link"))
        self.assertEqual(self.paths(), [path])
        self.ask("stat", self.path("link"))
        self.ask("rm", self.path("link"))

    def test_model_in_parts(self):
        parts = [self.file(f"m-0000{i}-of-00003.gguf") for i in (1, 2, 3)]
        files = self.load(parts[1])
        self.assertEqual([each["path"] for each in files], parts)
        self.assertEqual(len(self.ask("stat", parts[2])["objects"]), 3)
        self.assertEqual({each["model"] for each in self.cached()}, {parts[0]})
        self.assertEqual(len(self.ask("rm", parts[0])["removed"]), 3)
        os.unlink(parts[2])
        answer = self.ask("load", parts[0], status=FAILED)
        self.assertIn("00003-of-00003", answer["errors"][0]["text"])
        self.assertEqual(self.cached(), [])

    def test_model_with_a_stale_part(self):
        parts = [self.file(f"m-0000{i}-of-00002.gguf") for i in (1, 2)]
        self.load(parts[0])
        with open(parts[1], "ab") as file:
            file.write(b"x")
        self.ask("stat", parts[0], status=NOT_CACHED)
        files = self.load(parts[0])
        self.assertEqual([each["was_there"] for each in files], [True, False])

    def test_numbers_that_are_no_model(self):
        for name in ("x-00000-of-00002.gguf", "x-00003-of-00002.gguf", "x-0001-of-00002.gguf"):
            self.assertEqual(len(self.load(self.file(name))), 1)

    def test_usage(self):
        path = self.file()
        for arguments in ((), ("nonsense",), ("load",), ("load", "--backend"), ("prune", "--to"),
                          ("prune", "--all", "--to", "1G"), ("rm",), ("stat",)):
            self.morsel(*arguments, status=USAGE)
        self.ask("load", "--backend", "floppy", path, status=USAGE)
        self.ask("load", "--limit", "much", path, status=USAGE)
        self.ask("load", path, status=USAGE, MORSEL_CACHE_LIMIT="-3")
        self.ask("prune", "--to", "-3", status=USAGE)
        self.assertEqual(self.cached(), [])

    def test_help(self):
        out, _ = self.morsel("--help")
        for line in ("morsel setup", "morsel load model.gguf", "morsel run -- llama-cli -m model.gguf"):
            self.assertIn(line, out)
        for command in ("load", "ls", "stat", "rm", "prune", "verify", "doctor", "setup", "holder"):
            self.assertIn("sage: ", self.morsel(command, "--help")[0])


if __name__ == "__main__":
    main()
