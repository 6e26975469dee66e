#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Loaders that meet, die, or read what somebody is writing."""

import os
import random
import signal
import time

from cache_case import CacheCase, MIB, STALE, eventually, has_object, huge_pages_in_use, main

SEED = int(os.environ.get("MORSELS_TEST_SEED", "1"))


class Loaders(CacheCase):
    def start_and_stop(self, path: str, backend: str):
        """A loader that has an object, is not through, and is stopped."""
        for _ in range(20):
            loader = self.start("load", "--backend", backend, path)
            eventually(lambda: has_object(loader.pid) or loader.poll() is not None, "the object")
            loader.send_signal(signal.SIGSTOP)
            if loader.poll() is None and not os.path.lexists(self.link(path)):
                return loader
            # This machine is quick today.
            loader.send_signal(signal.SIGCONT)
            loader.communicate()
            self.morsel("rm", path)
        self.skipTest("loads are too quick to be stopped here")

    def test_second_waits_for_the_first(self):
        path = self.sparse_file()
        first = self.start_and_stop(path, "hugetlb")
        second = self.start("load", "--backend", "memfd", path)
        said = second.stderr.readline().decode()
        self.assertIn(f"process {first.pid}", said)
        first.send_signal(signal.SIGCONT)
        self.finish(first)
        out, _ = self.finish(second)
        self.assertIn("was there", out)
        self.assertEqual([each["backend"] for each in self.cached()], ["hugetlb"])

    def test_second_takes_over_from_a_dead_one(self):
        path = self.sparse_file()
        first = self.start_and_stop(path, "hugetlb")
        second = self.start("load", "--backend", "memfd", path)
        third = self.start("load", "--backend", "memfd", path)
        for waiting in (second, third):
            waiting.stderr.readline()
        first.kill()
        first.communicate()
        outs = [self.finish(each)[0] for each in (second, third)]
        self.assertEqual(sorted(out.split(":")[0] for out in outs), ["loaded", "was there"])
        self.assertEqual([each["backend"] for each in self.cached()], ["memfd"])

    def test_many_at_once(self):
        paths = [self.file(name) for name in ("a", "b", "c")]
        loaders = [self.start("load", "--backend", "memfd", *paths[i % 3:], *paths[:i % 3]) for i in range(6)]
        outs = "".join(self.finish(each)[0] for each in loaders)
        self.assertEqual(outs.count("loaded: "), 3)
        self.assertEqual(outs.count("was there: "), 15)
        self.assertEqual(self.paths(), paths)

    def test_changed_while_it_is_loaded(self):
        for backend in ("hugetlb", "memfd"):
            for what in ("truncated", "longer", "written"):
                with self.subTest(f"{backend}, {what}"):
                    path = self.sparse_file()
                    loader = self.start_and_stop(path, backend)
                    with open(path, "r+b") as file:
                        if what == "truncated":
                            file.truncate(MIB)
                        elif what == "longer":
                            file.seek(0, os.SEEK_END)
                            file.write(b"x")
                        else:
                            file.write(b"x")
                    loader.send_signal(signal.SIGCONT)
                    _, err = self.finish(loader, STALE)
                    self.assertIn(path, err)
                    self.assertEqual(self.cached(), [])

    def test_removed_while_it_is_loaded(self):
        path = self.sparse_file()
        loader = self.start_and_stop(path, "memfd")
        os.unlink(path)
        loader.send_signal(signal.SIGCONT)
        self.finish(loader)
        self.assertEqual([each["state"] for each in self.cached()], ["gone"])

    def test_killed_loaders_leave_nothing(self):
        chance = random.Random(SEED)
        path = self.sparse_file()
        start = time.monotonic()
        self.morsel("load", "--backend", "memfd", path)
        whole = time.monotonic() - start
        self.morsel("prune", "--all")
        for backend in ("hugetlb", "memfd") * 4:
            before = huge_pages_in_use()
            # Not after so many bytes: what io_uring reads is not in the process's count of them.
            point = chance.uniform(0, whole)
            with self.subTest(f"{backend}, after {point:.3f} s"):
                loader = self.start("load", "--backend", backend, path)
                time.sleep(point)
                loader.kill()
                loader.communicate()
                # It may have been through.
                if not self.cached():
                    self.assertFalse(has_object(self.holder()))
                    if backend == "hugetlb":
                        eventually(lambda: huge_pages_in_use() <= before, "the pages")
                self.morsel("prune", "--all")
                self.assertEqual(self.cached(), [])

    def test_interrupted(self):
        path = self.sparse_file()
        loader = self.start_and_stop(path, "memfd")
        loader.send_signal(signal.SIGINT)
        loader.send_signal(signal.SIGCONT)
        loader.communicate()
        self.assertEqual(loader.returncode, -signal.SIGINT)
        self.assertEqual(self.cached(), [])


if __name__ == "__main__":
    main()
