#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Who may do what: objects of root and of other users, and what a cache does not trust."""

import os
import shutil
import tempfile

from cache_case import CacheCase, FAILED, NOBODY, NOT_CACHED, NOT_PERMITTED, main


class Rights(CacheCase):
    def names_for_nobody(self) -> list[str]:
        return [os.path.basename(each["path"]) for each in self.ask("ls", user=NOBODY)["objects"]]

    def test_root_loads_for_whom_the_source_permits(self):
        self.load(self.file("for-all", mode=0o644))
        self.load(self.file("for-root", mode=0o600))
        self.load(self.file("for-group", mode=0o640))
        path = self.file("for-nobody", mode=0o400)
        os.chown(path, NOBODY, NOBODY)
        self.load(path)
        group = self.file("for-group-of-nobody", mode=0o640)
        os.chown(group, 0, NOBODY)
        self.load(group)
        self.assertEqual(sorted(self.names_for_nobody()), ["for-all", "for-group-of-nobody", "for-nobody"])
        self.assertEqual(len(self.cached()), 5)
        state = os.stat(self.link(path))
        self.assertEqual((state.st_uid, state.st_gid, state.st_mode & 0o7777), (NOBODY, NOBODY, 0o400))

    def test_others_use_it(self):
        path = self.file(mode=0o644)
        self.load(path, "--backend", "hugetlb")
        self.ask("verify", path, user=NOBODY)
        self.ask("stat", path, user=NOBODY)
        [again] = self.load(path, user=NOBODY)
        self.assertTrue(again["was_there"])
        self.ask("rm", path, user=NOBODY, status=NOT_PERMITTED)
        self.assertEqual(self.paths(), [path])

    def test_directories_of_the_source_count(self):
        secret = self.path("secret")
        os.mkdir(secret, 0o700)
        self.load(self.file("secret/model", mode=0o644))
        shared = self.path("shared")
        os.mkdir(shared, 0o710)
        os.chown(shared, 0, NOBODY)
        for name, group in (("with-group", NOBODY), ("without", 0)):
            path = self.file(f"shared/{name}", mode=0o644)
            os.chown(path, 0, group)
            self.load(path)
        self.assertEqual(self.names_for_nobody(), ["with-group"])

    def test_access_lists_count(self):
        if not shutil.which("setfacl"):
            self.skipTest("needs setfacl")
        path = self.file(mode=0o640)
        os.chown(path, 0, NOBODY)
        os.system(f"setfacl -m g::---,u:1:r {path}")
        self.load(path)
        self.assertEqual(self.names_for_nobody(), [])

    def test_user_without_a_holder_of_his_own(self):
        answer = self.ask("load", self.file(), user=NOBODY, status=NOT_PERMITTED)
        self.assertTrue(answer["errors"][0]["text"])
        self.assertIn("sudo", self.ask("setup", user=NOBODY, status=NOT_PERMITTED)["errors"][0]["text"])
        self.ask("doctor", user=NOBODY)

    def test_file_that_may_not_be_read(self):
        self.ask("load", self.file(mode=0o600), user=NOBODY, status=NOT_PERMITTED)


class OwnHolder(CacheCase):
    """As a user who has a directory of his own."""

    def setUp(self):
        super().setUp()
        own = tempfile.mkdtemp(prefix="morsel-nobody-")
        os.chown(own, NOBODY, NOBODY)
        self.addCleanup(shutil.rmtree, own)
        self.runtime = self.environment["MORSEL_RUNTIME"] = os.path.join(own, "runtime")

    def end_holder(self):
        self.start("holder", "--stop", user=NOBODY).wait()

    def test_load_and_use(self):
        path = self.file(mode=0o644)
        self.load(path, "--backend", "hugetlb", user=NOBODY)
        self.ask("verify", user=NOBODY)
        self.assertEqual(os.stat(self.runtime).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(self.link(path)).st_uid, NOBODY)
        self.ask("rm", path, user=NOBODY)

    def test_copies_are_no_more_readable_than_their_sources(self):
        path = self.file(mode=0o640)
        os.chown(path, 0, NOBODY)
        self.load(path, user=NOBODY)
        # The owner could not be given; it is not for the group of whoever loads.
        self.assertEqual(os.stat(self.link(path)).st_mode & 0o777, 0o400)


class NotTrusted(CacheCase):
    def expect_refusal(self, what: str):
        path = self.file()
        answer = self.ask("load", path, status=NOT_PERMITTED)
        self.assertIn(what, answer["errors"][0]["text"])
        self.ask("stat", path, status=NOT_CACHED)
        self.ask("doctor")

    def test_directory_of_somebody_else(self):
        os.mkdir(self.runtime)
        os.chown(self.runtime, NOBODY, NOBODY)
        self.expect_refusal("not trusted")

    def test_directory_that_others_write_to(self):
        os.mkdir(self.runtime)
        os.chmod(self.runtime, 0o777)
        self.expect_refusal("not trusted")

    def test_symbolic_link(self):
        os.mkdir(self.path("elsewhere"))
        os.symlink(self.path("elsewhere"), self.runtime)
        self.expect_refusal("not trusted")
        self.assertEqual(os.listdir(self.path("elsewhere")), [])

    def test_file(self):
        with open(self.runtime, "w"):
            pass
        self.expect_refusal("not trusted")


class Corrupt(CacheCase):
    """What may lie in the directory after mishaps: nobody believes it, and the next holder removes it."""

    def name_of(self, path: str) -> str:
        return os.path.basename(self.link(path))

    def prepare(self) -> str:
        os.makedirs(os.path.join(self.runtime, "objects"), mode=0o755)
        return os.path.join(self.runtime, "objects")

    def test_links_that_lead_elsewhere(self):
        objects = self.prepare()
        path = self.file()
        other = self.file("other", size=os.stat(path).st_size)
        os.utime(other, ns=(0, os.stat(path).st_mtime_ns))
        os.mkfifo(self.path("fifo"))
        fd = os.memfd_create("x", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, os.stat(path).st_size)
        os.utime(fd, ns=(0, os.stat(path).st_mtime_ns))
        for target in (other, self.path("fifo"), "/dev/zero", "/dev/tty", "/", "/nonexistent", "/proc/1/fd/0",
                       f"/proc/{os.getpid()}/fd/{fd}", self.name_of(path)):
            with self.subTest(target):
                link = os.path.join(objects, self.name_of(path))
                os.symlink(target, link)
                self.ask("stat", path, status=NOT_CACHED)
                self.ask("verify", path, status=NOT_CACHED)
                [loaded] = self.load(path, "--backend", "memfd")
                self.assertFalse(loaded["was_there"])
                self.ask("verify", path)
                self.kill_holder()
                os.unlink(link)

    def test_garbage(self):
        objects = self.prepare()
        with open(os.path.join(objects, "name-x"), "w") as file:
            file.write("garbage")
        os.symlink("/etc/passwd", os.path.join(objects, "file-1-2-3-4"))
        os.mkdir(os.path.join(objects, "directory"))
        os.mkfifo(os.path.join(objects, "name-fifo"))
        with open(os.path.join(self.runtime, "socket"), "w") as file:
            file.write("garbage")
        self.assertEqual(self.cached(), [])
        path = self.file()
        self.load(path)
        self.assertEqual(os.listdir(objects), [self.name_of(path)])
        self.assertTrue(os.path.exists("/etc/passwd"))

    def test_what_no_holder_made_stays(self):
        objects = self.prepare()
        os.mkdir(os.path.join(objects, "directory"))
        keep = os.path.join(objects, "directory", "file")
        with open(keep, "w"):
            pass
        answer = self.ask("load", self.file(), status=FAILED)
        self.assertIn("objects/directory", answer["errors"][0]["text"])
        self.assertTrue(os.path.exists(keep))

    def test_objects_is_no_directory(self):
        os.mkdir(self.runtime, 0o755)
        with open(os.path.join(self.runtime, "objects"), "w"):
            pass
        self.load(self.file())

    def test_objects_belongs_to_somebody_else(self):
        objects = self.prepare()
        os.chown(objects, NOBODY, NOBODY)
        self.load(self.file())
        self.assertEqual(os.stat(objects).st_uid, 0)

    def test_copy_that_is_none(self):
        # A published object of the right name whose time or size is another: found, and replaced.
        path = self.file()
        self.load(path)
        os.utime(self.link(path), ns=(0, 0))
        [loaded] = self.load(path)
        self.assertFalse(loaded["was_there"])
        self.ask("verify", path)
        self.assertEqual(len(self.cached()), 1)


if __name__ == "__main__":
    main()
