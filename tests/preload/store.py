# SPDX-License-Identifier: MIT
"""A store with one cached file, for tests in Python: a memfd of this process, as a holder has it."""

import fcntl
import os
import tempfile

F_ADD_SEALS = 1033
ALL_SEALS = 0xf


class Store:
    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="morsel-preload-")
        self.directory = os.path.join(self.temporary.name, "store")
        os.makedirs(os.path.join(self.directory, "objects"), mode=0o755)
        os.chmod(self.temporary.name, 0o755)
        self.objects = []

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
        name = f"file-{st.st_dev:x}-{st.st_ino:x}-{st.st_size}-{st.st_mtime_ns}"
        os.symlink(f"/proc/{os.getpid()}/fd/{fd}", os.path.join(self.directory, "objects", name))
        self.objects.append(fd)
