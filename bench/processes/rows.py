# SPDX-License-Identifier: MIT
"""Rows about processes that map the same object: natively, and in a virtual machine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from model import output_of, run_quietly
from native import place
from paths import PROGRAMS, TOP
from sizes import FULL_BYTES, GIB, MIB

HERE = Path(__file__).resolve().parent
PROGRAM = PROGRAMS / "processes" / "process-bench"
HOLDER = PROGRAMS / "native" / "share-bench-library"
NATIVE_SYSTEMS = ["untouched", "tmpfs-4k", "tmpfs-huge", "hugetlb", "morsel-open"]
VM_SYSTEMS = ["untouched", "tmpfs-4k", "tmpfs-huge", "hugetlb", "morsel-4k-slot", "morsel-2m-slot"]
HUGE_PAGE = 2 * MIB
SIZES = [-(-size // HUGE_PAGE) * HUGE_PAGE for size in (2 * MIB, GIB, FULL_BYTES)]
NATIVE_PROCESSES = [1, 8, 64]
# An emulator fills tables a hundred times slower.
VM_PROCESSES = [1, 8]


def measure(system: str, file, size: int, processes: int) -> dict:
    return json.loads(output_of(PROGRAM, "--system", system, "--file", file, "--bytes", size,
                                "--processes", processes))


def rows_on(folder: Path, systems: list, size: int) -> list:
    """Of a file on a mount."""
    file = folder / "file"
    run_quietly("fallocate", "-l", size, file)
    return [measure(system, file, size, processes)
            for system in systems for processes in NATIVE_PROCESSES]


def rows_of_library(folder: Path, size: int) -> list:
    source = folder / "source"
    with open(source, "wb") as file:
        file.truncate(size)
    place.compact_memory()
    with place.holding(HOLDER, "hold", source) as name:
        return [measure("morsel-open", name, size, processes) for processes in NATIVE_PROCESSES]


def natively(folder: Path, sizes: list) -> list:
    rows = []
    mounts = (("tmpfs", "size=100%,huge=never", ["untouched", "tmpfs-4k"]),
              ("tmpfs", "size=100%,huge=always", ["tmpfs-huge"]),
              ("hugetlbfs", "pagesize=2M", ["hugetlb"]))
    for size in sizes:
        for kind, options, systems in mounts:
            print(f"   {', '.join(systems)}: {size / GIB:.2f} GiB", flush=True)
            with place.mounted(folder / "m", kind, options) as mount:
                rows += rows_on(mount, systems, size)
        print(f"   morsel-open: {size / GIB:.2f} GiB", flush=True)
        rows += rows_of_library(folder, size)
    return rows


def in_machine(kernel: str, sizes: list, out: Path) -> list:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    command = [TOP / "vm" / "run", "--kernel", kernel, "--cpus", "2",
               "--mem", f"{max(sizes) // MIB + 2560}M",
               "--program", f"{PROGRAM}:/bin/process-bench", "--add", f"{HERE}/guest:/bin/guest",
               "--out", out, "--timeout", "3600", "--verbose", "--", "guest", " ".join(VM_SYSTEMS),
               " ".join(map(str, sizes)), " ".join(map(str, VM_PROCESSES))]
    sys.stdout.flush()
    subprocess.run([os.fspath(part) for part in command], check=True)
    return [json.loads(path.read_text()) for path in sorted((out / "rows").glob("*.json"))]
