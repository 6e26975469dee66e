# SPDX-License-Identifier: MIT
"""A store with one cached file, for tests in Python: a memfd of this process, as a holder has it."""

import fcntl
import os
import struct
import tempfile

F_ADD_SEALS = 1033
F_OFD_SETLK = 37
ALL_SEALS = 0xf


class Store:
    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="morsel-preload-")
        self.directory = os.path.join(self.temporary.name, "store")
        os.makedirs(os.path.join(self.directory, "objects"), mode=0o755)
        os.chmod(self.temporary.name, 0o755)
        self.objects = []
        self.lock = None

    def run(self) -> None:
        """What is true while a holder runs: lib/holder_link.h."""
        if self.lock:
            return
        self.lock = open(os.path.join(self.directory, "lock"), "wb")
        whole_file = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        fcntl.fcntl(self.lock, F_OFD_SETLK, whole_file)

    def cleanup(self) -> None:
        if self.lock:
            self.lock.close()
        self.temporary.cleanup()

    def link(self, path: str) -> str:
        st = os.stat(path)
        name = f"file-{st.st_dev:x}-{st.st_ino:x}-{st.st_size}-{st.st_mtime_ns}"
        return os.path.join(self.directory, "objects", name)

    def path(self, name: str) -> str:
        return os.path.join(self.temporary.name, name)

    def write(self, name: str, data: bytes, mode: int = 0o644) -> str:
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        return path

    def cache(self, path: str) -> None:
        st = os.stat(path)
        fd = os.memfd_create("morsel-test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with open(path, "rb") as source, open(os.dup(fd), "wb") as copy:
            copy.write(source.read())
        os.utime(fd, ns=(st.st_atime_ns, st.st_mtime_ns))
        fcntl.fcntl(fd, F_ADD_SEALS, ALL_SEALS)
        os.symlink(f"/proc/{os.getpid()}/fd/{fd}", self.link(path))
        object = os.fstat(fd)
        mark = object.st_ino * 10**9 + object.st_dev % 10**9
        os.utime(self.link(path), ns=(mark, mark), follow_symlinks=False)
        self.objects.append(fd)
