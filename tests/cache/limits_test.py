#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Room: the cache's limit, and what happens when there is not enough memory."""

import fcntl
import os

from cache_case import HUGE_PAGES, CacheCase, MIB, NO_SPACE, eventually, huge_pages_in_use, main

TIB = 1 << 40


class Limit(CacheCase):
    def load_in_order(self, *names: str) -> list[str]:
        """Files of 4 MiB, the first of them the least recently used."""
        paths = [self.file(name, size=4 * MIB) for name in names]
        for number, path in enumerate(paths):
            self.load(path)
            os.utime(self.link(path), ns=(number + 1, os.stat(path).st_mtime_ns))
        return paths

    def test_least_recently_used_goes(self):
        a, b, c = self.load_in_order("a", "b", "c")
        os.utime(self.link(a), ns=(10, os.stat(a).st_mtime_ns))
        d = self.file("d", size=4 * MIB)
        _, err = self.morsel("load", d, MORSEL_CACHE_LIMIT="12M")
        self.assertIn(b, err)
        self.assertEqual(self.paths(), [a, c, d])
        # The option counts more than the environment.
        self.load(self.file("e", size=4 * MIB), "--limit", "8M", MORSEL_CACHE_LIMIT="1G")
        self.assertEqual(len(self.paths()), 2)

    def test_mapping_is_a_use(self):
        a, b = self.load_in_order("a", "b")
        self.ask("verify", a)
        self.load(self.file("c", size=4 * MIB), "--limit", "8M")
        self.assertEqual(self.paths(), [a, self.path("c")])

    def test_loading_again_is_a_use(self):
        a, b = self.load_in_order("a", "b")
        self.load(a)
        self.load(self.file("c", size=4 * MIB), "--limit", "8M")
        self.assertEqual(self.paths(), [a, self.path("c")])

    def test_used_files_do_not_go(self):
        a, b = self.load_in_order("a", "b")
        with open(self.link(a), "rb") as user:
            fcntl.flock(user, fcntl.LOCK_SH)
            c = self.file("c", size=4 * MIB)
            self.load(c, "--limit", "8M")
            self.assertEqual(self.paths(), [a, c])
            with open(self.link(c), "rb") as other:
                fcntl.flock(other, fcntl.LOCK_SH)
                answer = self.ask("load", self.file("d", size=4 * MIB), "--limit", "8M", status=NO_SPACE)
                self.assertIn("in use", answer["errors"][0]["text"])
            self.assertEqual(self.paths(), [a, c])

    def test_stale_files_go_first(self):
        a, b = self.load_in_order("a", "b")
        os.utime(b)
        self.load(self.file("c", size=4 * MIB), "--limit", "8M")
        self.assertEqual(self.paths(), [a, self.path("c")])

    def test_file_larger_than_the_limit(self):
        [a] = self.load_in_order("a")
        answer = self.ask("load", self.file("b", size=9 * MIB), "--limit", "8M", status=NO_SPACE)
        self.assertIn("--limit", answer["errors"][0]["text"])
        self.assertEqual(self.paths(), [a])

    def test_models_go_as_a_whole(self):
        parts = self.load_in_order("m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
        self.load(self.file("c", size=4 * MIB), "--limit", "8M")
        self.assertEqual(self.paths(), [self.path("c")])
        with self.subTest("a model does not push its own parts out"):
            self.ask("load", parts[0], "--limit", "7M", status=NO_SPACE)
            self.assertEqual(self.paths(), [self.path("c")])
            self.load(parts[0], "--limit", "8M")
            self.assertEqual(self.paths(), parts)

    def test_prune_to_a_size(self):
        a, b, c = self.load_in_order("a", "b", "c")
        self.assertEqual([each["path"] for each in self.ask("prune", "--to", "5M")["removed"]], [a, b])
        self.assertEqual(self.paths(), [c])
        self.ask("prune", "--all")
        self.assertEqual(self.cached(), [])


class Memory(CacheCase):
    def test_more_than_there_is(self):
        path = self.sparse_file(size=4 * TIB)
        small = self.file("small")
        self.load(small)
        for backend in ("hugetlb", "memfd", "any"):
            answer = self.ask("load", "--limit", "8T", "--backend", backend, path, status=NO_SPACE)
            self.assertIn("available" if backend != "hugetlb" else "2-MiB pages",
                          answer["errors"][0]["text"])
        # Nothing went out in vain.
        self.assertEqual(self.paths(), [small])

    def test_no_mount_of_morselfs(self):
        with open("/proc/mounts") as mounts:
            if " morselfs " in mounts.read():
                self.skipTest("there is one")
        answer = self.ask("load", "--backend", "morselfs", self.file(), status=1)
        self.assertIn("morsel setup", answer["errors"][0]["text"])

    def test_falls_back_with_a_word(self):
        _, err = self.morsel("load", self.file())
        with open("/proc/mounts") as mounts:
            self.assertEqual("morselfs" in err, " morselfs " not in mounts.read())


class HugePages(CacheCase):
    """Changes the number of pages that may be there: nothing else that uses them may run meanwhile."""

    def setUp(self):
        super().setUp()
        self.file_of_limit = HUGE_PAGES + "nr_overcommit_hugepages"
        lock = open("/run/lock/morsel-hugepages", "w")
        self.addCleanup(lock.close)
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(self.file_of_limit) as file:
            before = file.read()
        self.addCleanup(self.allow, int(before))

    def allow(self, pages: int):
        with open(self.file_of_limit, "w") as file:
            file.write(str(pages))

    def allow_more(self, pages: int):
        self.allow(huge_pages_in_use() + pages)

    def test_none(self):
        self.allow(0)
        path = self.file()
        answer = self.ask("load", "--backend", "hugetlb", path, status=NO_SPACE)
        self.assertIn("morsel setup", answer["errors"][0]["text"])
        [loaded] = self.load(path)
        self.assertEqual(loaded["backend"], "memfd")

    def test_too_few_for_all_parts_of_a_model(self):
        before = huge_pages_in_use()
        parts = [self.file(f"m-0000{i}-of-00003.gguf", size=8 * MIB) for i in (1, 2, 3)]
        self.allow_more(9)
        answer = self.ask("load", "--backend", "hugetlb", parts[0], status=NO_SPACE)
        self.assertIn(parts[2] if "00003" in answer["errors"][0]["text"] else "2-MiB pages",
                      answer["errors"][0]["text"])
        self.assertEqual(self.cached(), [])
        eventually(lambda: huge_pages_in_use() <= before, "the pages")
        # Elsewhere there is room.
        self.assertEqual([each["backend"] for each in self.load(parts[0])], ["hugetlb", "hugetlb", "memfd"])

    def test_setup(self):
        self.allow(0)
        [done] = self.ask("setup", "--hugepages", "64M")["done"]
        self.assertIn("32", done)
        with open(self.file_of_limit) as file:
            self.assertEqual(int(file.read()), 32)
        self.ask("setup", "--hugepages")

    def test_unused_files_make_room(self):
        self.allow_more(5)
        old = self.file("old", size=8 * MIB)
        self.load(old, "--backend", "hugetlb")
        new = self.file("new", size=6 * MIB)
        _, err = self.morsel("load", "--backend", "hugetlb", new)
        self.assertIn(old, err)
        self.assertEqual(self.paths(), [new])
        # But not in vain.
        self.ask("load", "--backend", "hugetlb", self.file("huge", size=12 * MIB), status=NO_SPACE)
        self.assertEqual(self.paths(), [new])


if __name__ == "__main__":
    main()
