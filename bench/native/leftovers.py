# SPDX-License-Identifier: MIT
"""Is the machine as it was before?"""

import os
import re
import time
from pathlib import Path

from native.place import OVERCOMMIT, PREFIX


def state() -> dict:
    """What a run can leave behind. Huge pages of others are in it, too: it is compared only."""
    found = {"nr_overcommit_hugepages": OVERCOMMIT.read_text().strip()}
    for line in Path("/proc/meminfo").read_text().splitlines():
        if match := re.match(r"(HugePages_(?:Total|Free|Rsvd|Surp)):\s*(\d+)", line):
            found[match[1]] = match[2]
    found["mounts"] = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()
                       if PREFIX in line]
    found["processes"] = our_processes()
    return found


def our_processes() -> list:
    """Those that were started with the run's own folder in their environment, this one excepted."""
    mark, names = PREFIX.encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                names.append(f"{folder.name} {(folder / 'comm').read_text().strip()}")
        except OSError:
            pass  # of another user, or gone
    return sorted(names)


def differences(before: dict, patience: float = 5) -> list:
    """What is not as it was; a process that was told to end may take so many seconds."""
    deadline = time.monotonic() + patience
    while True:
        now = state()
        found = [f"{name}: {now[name]}, was {before[name]}" for name in now
                 if now[name] != before.get(name)]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
