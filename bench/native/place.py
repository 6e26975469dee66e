# SPDX-License-Identifier: MIT
"""What the native part changes on this machine for a time. Each of these puts it back, whatever
happens."""

import os
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from model import run_quietly

PREFIX = "morsels-native-"
OVERCOMMIT = Path("/proc/sys/vm/nr_overcommit_hugepages")


class Skip(Exception):
    """This machine, or this user, does not have what is wanted."""


def need_root(what: str) -> None:
    if os.geteuid() != 0:
        raise Skip(f"only root may {what}")


@contextmanager
def uninterrupted():
    """Cleaning up is short: a second Ctrl-C must not leave a mount behind."""
    before = {number: signal.signal(number, signal.SIG_IGN)
              for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def environment(**values):
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def temporary_folder():
    """For mount points and the holder's socket, for which a path in build/ may be too long."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        yield folder
    finally:
        # Not shutil.rmtree: if something is mounted there still, it would be emptied.
        subprocess.run(["rm", "-rf", "--one-file-system", folder], stderr=subprocess.DEVNULL)


def unmount(folder: Path) -> None:
    # A measuring process that lost its parent may need a moment to end.
    for _ in range(50):
        result = subprocess.run(["umount", folder], capture_output=True, text=True)
        if result.returncode == 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f"cannot unmount {folder}: {result.stderr.strip()}")


@contextmanager
def mounted(folder: Path, kind: str, options: str):
    need_root(f"mount {kind}")
    folder.mkdir(exist_ok=True)
    try:
        run_quietly("mount", "-t", kind, "-o", options, "morsels-native", folder)
        yield folder
    finally:
        with uninterrupted():
            if folder.is_mount():  # an interrupted mount(8) may have done it, or not
                unmount(folder)
            folder.rmdir()


@contextmanager
def huge_pages_allowed(count: int):
    """Lets the pool of 2-MiB pages grow on demand. They go back when nobody uses them any more."""
    before = int(OVERCOMMIT.read_text())
    raised = before < count and os.geteuid() == 0
    if raised:
        OVERCOMMIT.write_text(str(count))
    try:
        yield
    finally:
        if raised:
            OVERCOMMIT.write_text(str(before))


def compact_memory() -> None:
    """Large pages are made of neighbours: what was used in small pages is scattered."""
    if os.geteuid() == 0:
        Path("/proc/sys/vm/compact_memory").write_text("1")


@contextmanager
def holding(*command):
    """A process that keeps something until its stdin ends; gives the first line that it prints."""
    with subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline().strip()
            if not line:
                raise RuntimeError(f"{Path(command[0]).name}: {process.stderr.read().strip()}")
            yield line
        finally:
            with uninterrupted():
                process.stdin.close()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
