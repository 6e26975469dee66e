#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The holder: its start and its end, the links, and clients that mean it no good."""

import array
import fcntl
import json
import os
import random
import resource
import shutil
import signal
import socket

from cache_case import (CacheCase, FAILED, MIB, NOBODY, NOT_CACHED, NOT_PERMITTED, eventually,
                        huge_pages_in_use, main)

SEED = int(os.environ.get("MORSELS_TEST_SEED", "1"))
ALL_SEALS = 15


class Client:
    """Speaks the protocol, or something like it."""

    def __init__(self, case: CacheCase):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(60)
        self.socket.connect(os.path.join(case.runtime, "socket"))
        case.addCleanup(self.socket.close)

    def send(self, data, descriptors=()):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        self.socket.sendmsg([data], rights)

    def receive(self) -> dict:
        data, ancillary, _, _ = self.socket.recvmsg(1 << 17, socket.CMSG_SPACE(4))
        self.descriptors = array.array("i")
        for _, _, part in ancillary:
            self.descriptors.frombytes(part)
        return json.loads(data) if data else None

    def ask(self, data, descriptors=()) -> dict:
        self.send(data, descriptors)
        return self.receive()


def make_object(size=2 * MIB, seals=ALL_SEALS, huge=False, allocate=True) -> int:
    fd = os.memfd_create("morsel-test", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC | (os.MFD_HUGETLB if huge else 0))
    os.ftruncate(fd, size)
    if allocate and size:
        os.posix_fallocate(fd, 0, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def publish(name="name-x", **changes) -> dict:
    return {"op": "publish", "name": name, "attributes": {}, "mode": 0o600, "backend": "memfd",
            "bytes": 2 * MIB, "replace": False, **changes}


class Life(CacheCase):
    def test_started_once(self):
        starts = [self.start("holder", "--background") for _ in range(6)]
        for each in starts:
            self.finish(each)
        pid = self.holder()
        self.assertTrue(pid)
        self.morsel("holder", status=7)
        self.morsel("holder", "--background")
        self.assertEqual(self.holder(), pid)

    def test_ends_when_it_has_nothing_to_do(self):
        holder = self.start("holder", "--idle", "0")
        self.finish(holder)
        self.assertEqual(sorted(os.listdir(self.runtime)), ["lock", "objects"])
        holder = self.start("holder", "--idle", "0.2")
        holder.stderr.readline()
        path = self.file()
        client = Client(self)
        client.ask({"op": "hello", "version": 1})
        self.load(path)
        self.assertIsNone(holder.poll())
        self.morsel("rm", path)
        client.socket.close()
        self.finish(holder)

    # As at the end of a session, when the user's runtime directory is removed.
    def test_ends_when_nobody_can_find_it_any_more(self):
        for gone in (self.runtime, os.path.join(self.runtime, "socket")):
            self.load(self.file())
            pid = self.holder()
            self.assertNotEqual(pid, 0)
            shutil.rmtree(gone) if os.path.isdir(gone) else os.unlink(gone)
            eventually(lambda: not os.path.exists(f"/proc/{pid}/fd/0"), "the holder's end")
            self.assertEqual(self.cached(), [])

    def test_ends_by_a_signal(self):
        path = self.file()
        self.load(path)
        os.kill(self.holder(), signal.SIGTERM)
        eventually(lambda: not os.listdir(os.path.join(self.runtime, "objects")), "the end")
        self.ask("stat", path, status=NOT_CACHED)

    def test_status_and_stop(self):
        self.morsel("holder", "--status", status=FAILED)
        self.load(self.file())
        self.assertEqual(self.ask("holder", "--status")["objects"], 1)
        self.assertTrue(self.ask("holder", "--stop")["stopped"])
        eventually(lambda: not self.holder(), "the end")
        self.assertFalse(os.listdir(os.path.join(self.runtime, "objects")))
        self.morsel("holder", "--stop", status=0)

    def test_keeps_nothing_of_who_starts_it(self):
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        process = os.posix_spawn(self.command, [self.command, "load", self.file()], self.environment)
        os.waitpid(process, 0)
        os.close(writer)
        self.assertEqual(os.read(reader, 1), b"")
        os.close(reader)

    def test_killed(self):
        before = huge_pages_in_use()
        path = self.sparse_file(size=64 * MIB)
        self.load(path, "--backend", "hugetlb")
        link = self.link(path)
        self.kill_holder()
        eventually(lambda: huge_pages_in_use() <= before, "the pages")
        self.assertTrue(os.path.islink(link))
        self.assertEqual(self.cached(), [])
        self.ask("stat", path, status=NOT_CACHED)
        self.ask("rm", path, status=NOT_CACHED)
        checks = {check["name"]: check for check in self.ask("doctor")["checks"]}
        self.assertEqual(checks["leftovers"]["mend"], "morsel doctor --fix")
        checks = {check["name"]: check for check in self.ask("doctor", "--fix")["checks"]}
        self.assertEqual(checks["leftovers"]["level"], "ok")
        self.assertFalse(os.path.lexists(link))

    def test_next_one_cleans_up(self):
        path, other = self.file(), self.file("other")
        self.load(path)
        link = self.link(path)
        self.kill_holder()
        self.load(other)
        self.assertFalse(os.path.lexists(link))
        self.assertEqual(self.paths(), [other])

    def test_mappings_outlive_it(self):
        path = self.file()
        self.load(path)
        with open(self.link(path), "rb") as user:
            self.kill_holder()
            with open(path, "rb") as file:
                self.assertEqual(user.read(os.stat(path).st_size), file.read())

    def keeper(self) -> tuple[int, int, int]:
        """Of the holder's mapping of an object of 2-MiB pages: address, length, bytes that are mapped."""
        with open(f"/proc/{self.holder()}/smaps") as file:
            address = length = mapped = 0
            inside = False
            for line in file:
                words = line.split()
                if "-" in words[0] and not words[0].endswith(":"):
                    inside = "memfd:morsel" in line
                    if inside:
                        start, end = (int(each, 16) for each in words[0].split("-"))
                        address, length = start, end - start
                        self.assertEqual(words[1], "r--s")
                elif inside and words[0] in ("Shared_Hugetlb:", "Private_Hugetlb:"):
                    mapped += int(words[1]) << 10
            return address, length, mapped

    def test_keeps_page_tables(self):
        gib = 1 << 30
        path = self.file()
        self.load(path, "--backend", "hugetlb")
        address, length, mapped = self.keeper()
        self.assertEqual((address % gib, length, mapped), (0, gib, 4 * MIB))
        with open(self.link(path), "rb"):
            self.morsel("rm", path)
            self.assertEqual(self.keeper(), (0, 0, 0))

    def test_long_directory(self):
        self.environment["MORSEL_RUNTIME"] = self.runtime = os.path.join(self.directory, "r" * 200)
        path = self.file()
        self.load(path)
        self.assertEqual(self.paths(), [path])

    def test_programs_that_can_not_be_started(self):
        path = self.file()
        answer = self.ask("load", path, status=FAILED, MORSEL_COMMAND="/nonexistent")
        self.assertIn("MORSEL_COMMAND", answer["errors"][0]["text"])
        self.ask("load", path, status=FAILED, MORSEL_COMMAND="/bin/false")


class Hostile(CacheCase):
    def setUp(self):
        super().setUp()
        self.keeper = self.start("holder", "--idle", "1000")
        self.keeper.stderr.readline()
        self.pid = self.keeper.pid

    def tearDown(self):
        # It is the same one, and answers.
        self.assertEqual(Client(self).ask({"op": "hello", "version": 1})["pid"], self.pid)
        self.keeper.terminate()
        self.finish(self.keeper)

    def refuses(self, client: Client, data, descriptors=()):
        answer = client.ask(data, descriptors)
        self.assertGreater(answer["error"], 0)
        self.assertTrue(answer["text"])

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def test_packets(self):
        client = Client(self)
        fd = make_object()
        client.ask({"op": "hello", "version": 1})
        before = self.descriptors()
        for data in (b"x", b"{", b"[]", b"null", b"\xff\xfe", b"\0" * 65536, b"[" * 60000, b'{"a":' * 10000,
                     {"op": 1}, {"op": "dance"}, {"op": "open"}, {"op": "open", "name": 1}, {"op": "hello"},
                     {"op": "hello", "version": 2}, {"op": "hello", "version": -1},
                     {"op": "remove", "name": "name-none"}, {"op": "begin", "name": "x"},
                     {"op": "list", "prefix": 1, "after": ""}, publish()):
            self.refuses(client, data)
        for changes in ({"name": "x"}, {"name": "name-"}, {"name": "name-a/b"}, {"name": "name-" + "x" * 201},
                        {"name": "../../etc/passwd"}, {"name": "name-a\0b"}, {"name": ["name-x"]}, {"mode": 0o1777}, {"mode": -1},
                        {"mode": "0600"}, {"backend": "morselfs"}, {"backend": 3}, {"backend": "hugetlb"},
                        {"bytes": 0}, {"bytes": 4 * MIB}, {"bytes": -1}, {"bytes": 1e30}, {"bytes": 2**64 - 1},
                        {"attributes": "{}"}, {"attributes": {"x": "y" * 40000}}, {"replace": 1}):
            self.refuses(client, publish(**changes), [fd])
        self.refuses(client, {"op": "hello", "version": 1} | {"version": 10**30})
        self.refuses(client, publish(), [fd, fd])
        self.refuses(client, {"op": "open", "name": "name-x"}, [fd] * 200)
        self.assertEqual(client.ask({"op": "list", "prefix": "", "after": ""})["entries"], [])
        self.assertEqual(self.descriptors(), before)
        # The longest that is allowed, and one more.
        self.refuses(client, b" " * 65536)
        self.refuses(client, b" " * 65537)

    def test_objects(self):
        client = Client(self)
        pipe = os.pipe()
        os.mkfifo(self.path("fifo"))
        fifo = os.open(self.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
        with open(self.file()) as file:
            for fd in (file.fileno(), pipe[0], fifo, os.open(self.path("fifo"), os.O_PATH), client.socket.fileno(), os.open("/", os.O_RDONLY),
                       os.open("/dev/zero", os.O_RDWR), make_object(size=0), make_object(allocate=False, seals=0)):
                self.refuses(client, publish(), [fd])
        # What is not sealed is no file of the cache; and what is not all there would cost the holder pages.
        self.refuses(client, publish("file-1-2-3-4"), [make_object(seals=0)])
        self.refuses(client, publish(backend="hugetlb"), [make_object(huge=True, allocate=False)])
        self.assertEqual(client.ask({"op": "list", "prefix": "", "after": ""})["entries"], [])

    def test_odd_names_and_attributes(self):
        client = Client(self)
        names = ["name-\n", "name- ", "name-" + "ü" * 100, "name-" + "\x01" * 200, "name--rf", 'name-"}']
        for name in names:
            self.assertEqual(client.ask(publish(name, attributes={"x": "\x01" * 4000}), [make_object()]), {})
        seen, after, packets = [], "", 0
        while True:
            answer = client.ask({"op": "list", "prefix": "name-", "after": after})
            seen += [entry["name"] for entry in answer["entries"]]
            packets += 1
            if not answer["more"]:
                break
            after = seen[-1]
        self.assertEqual(sorted(seen), sorted(names))
        self.assertGreater(packets, 1)
        self.assertEqual(len(self.cached()), len(names))
        self.morsel("ls")

    def test_publish_open_remove(self):
        client = Client(self)
        self.assertEqual(client.ask(publish(), [make_object()]), {})
        self.refuses(client, publish(), [make_object()])
        self.assertEqual(client.ask(publish(replace=True, mode=0o400), [make_object(seals=0)]), {})
        answer = client.ask({"op": "open", "name": "name-x", "write": False})
        self.assertEqual((answer["bytes"], answer["backend"]), (2 * MIB, "memfd"))
        [fd] = client.descriptors
        self.assertEqual(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_SH)
        self.refuses(client, {"op": "remove", "name": "name-x", "if_unused": True})
        os.close(fd)
        self.assertEqual(client.ask({"op": "remove", "name": "name-x", "if_unused": True}), {})

    def test_claims(self):
        name = "file-1-2-3-4"
        one, two, three = Client(self), Client(self), Client(self)
        self.assertEqual(one.ask({"op": "begin", "name": name}), {"state": "yours"})
        self.assertEqual(two.ask({"op": "begin", "name": name}), {"state": "loading", "pid": os.getpid()})
        two.send({"op": "begin", "name": name, "wait": True})
        three.send({"op": "begin", "name": name, "wait": True})
        # Others are served meanwhile.
        self.assertEqual(one.ask({"op": "begin", "name": name}), {"state": "yours"})
        one.socket.close()
        self.assertEqual(two.receive(), {"state": "yours"})
        # One that waits and goes.
        three.socket.close()
        self.assertEqual(two.ask(publish(name), [make_object()]), {})
        self.assertEqual(Client(self).ask({"op": "begin", "name": name, "wait": True}), {"state": "there"})

    def test_slow_and_dying_clients(self):
        # One that never reads: its answers do not fit into the socket any more.
        slow = Client(self)
        slow.ask(publish(attributes={"x": "y" * 30000}), [make_object()])
        slow.socket.setblocking(False)
        sent = 0
        while sent < 10000:
            try:
                slow.send({"op": "list", "prefix": "", "after": ""})
            except BlockingIOError:
                break
            sent += 1
        for _ in range(20):
            dying = Client(self)
            dying.send({"op": "list", "prefix": "", "after": ""})
            dying.socket.close()
        self.assertEqual(len(Client(self).ask({"op": "list", "prefix": "", "after": ""})["entries"]), 1)
        # It gets them when it wants to.
        slow.socket.setblocking(True)
        for _ in range(sent):
            self.assertEqual(len(slow.receive()["entries"]), 1)

    def test_random_packets(self):
        chance = random.Random(SEED)
        words = ["op", "name", "publish", "open", "list", "begin", "remove", "hello", "version", "prefix", "after",
                 "mode", "bytes", "backend", "memfd", "attributes", "write", "name-x", "file-1-2-3-4", "wait", "true"]
        fd = make_object()

        def value(depth=0):
            kind = chance.randrange(8 if depth < 3 else 5)
            if kind < 3:
                return chance.choice(words)
            if kind == 3:
                return chance.choice([0, -1, 1, 2 * MIB, 2**63, 2**64, 1e300, 0o600])
            if kind == 4:
                return chance.choice([True, False, None])
            if kind == 5:
                return [value(depth + 1) for _ in range(chance.randrange(4))]
            return {chance.choice(words): value(depth + 1) for _ in range(chance.randrange(6))}

        client = Client(self)
        for _ in range(2000):
            data = json.dumps(value() if chance.random() < 0.3 else publish(**{chance.choice(words): value()})).encode()
            if chance.random() < 0.3:
                data = bytearray(data)
                data[chance.randrange(len(data))] = chance.randrange(256)
                data = bytes(data[:chance.randrange(1, len(data) + 1)])
            if b'"wait"' in data or b'"stop"' in data:
                continue
            answer = client.ask(data, [fd] * chance.randrange(3))
            self.assertIsInstance(answer, dict)
            for each in client.descriptors:
                os.close(each)

    def test_crowd_of_strangers(self):
        # Each may have some connections, so that nobody keeps the others out.
        os.chmod(self.directory, 0o755)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))
                clients, served = [], 0
                for _ in range(200):
                    clients.append(Client(self))
                    try:
                        served += clients[-1].ask({"op": "hello", "version": 1}) is not None
                    except OSError:
                        pass
                status = 0 if 0 < served < 100 else 2
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

    def test_strangers(self):
        path = self.file(mode=0o640)
        self.load(path)
        self.morsel("ls", user=NOBODY)
        self.assertEqual(self.ask("ls", user=NOBODY)["objects"], [])
        self.ask("rm", path, user=NOBODY, status=NOT_CACHED)
        self.ask("holder", "--stop", user=NOBODY, status=NOT_PERMITTED)
        self.ask("load", self.file("other"), user=NOBODY, status=NOT_PERMITTED)


if __name__ == "__main__":
    main()
