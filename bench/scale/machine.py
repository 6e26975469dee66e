# SPDX-License-Identifier: MIT
"""The virtual machines in which it is measured, and the native programs."""

import os
import shutil
import subprocess
from pathlib import Path

from paths import PROGRAMS, TOP

HERE = Path(__file__).resolve().parent
SYSTEMS = ["morsel-4k", "morsel-2m", "tmpfs-4k", "tmpfs-huge", "memfd", "hugetlb"]
# How often each worker does it.
TIMES = {"map-same": 8000, "map-own": 8000, "fill-same": 4000, "fill-own": 4000, "read-same": 10000,
         "write-same": 10000, "create": 1000, "nothing": 400000}
# From the boot on. With offsets, names of functions have their module's with them.
TRACED = "trace_event=lock:contention_begin trace_options=stacktrace,sym-offset trace_buf_size=8M"
KINDS = ["processes", "threads"]
MAPPERS = [1, 8, 64, 512]
# What malloc is; "malloc" is the C library's.
HEAPS = {"malloc": "", "mimalloc": "libmimalloc.so.2", "jemalloc": "libjemalloc.so.2"}


def run(kernel: str, out: Path, name: str, machine: list, words: list) -> Path:
    """Boots one, and returns the folder of what it has written."""
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [TOP / "vm" / "run", "--kernel", kernel, "--program",
               f"{PROGRAMS}/scale/scale-bench:/bin/scale-bench", "--add", f"{HERE}/guest:/bin/guest",
               "--out", folder, "--timeout", "7200", "--verbose", *machine, "--", "guest", name,
               *words]
    subprocess.run([os.fspath(part) for part in command], check=True)
    return folder / "rows"


def operations(scale: float, names: list) -> str:
    return " ".join(f"{name}:{max(16, round(TIMES[name] * scale))}" for name in names)


def throughput(kernel: str, out: Path, systems: list, names: list, cpus: int, scale: float,
               rounds: int) -> Path:
    workers = [1]
    while workers[-1] * 2 <= cpus:
        workers.append(workers[-1] * 2)
    # Emulated CPUs that move about make one worker's rate differ by half between rounds. With memory below and
    # above 4 GiB, QEMU's threads write in turns to one word of its own, which says where it was last found.
    return run(kernel, out, "throughput",
               ["--cpus", str(cpus), "--mem", "2560M", "--pin", "--prealloc"],
               [" ".join(systems), operations(scale, names), " ".join(KINDS),
                " ".join(map(str, workers)), str(rounds)])


def contention(kernel: str, out: Path, systems: list, names: list, cpus: int, scale: float) -> Path:
    # Where the kernel thinks that it is alone on its machine, spin locks have a queue, and say
    # when somebody joins it.
    return run(kernel, out, "contention", ["--cpus", str(cpus), "--cpu=-hypervisor", "--append",
                                              TRACED, "--mem", "6G"],
               [" ".join(systems), operations(scale, names), " ".join(KINDS), str(cpus)])


def lockstat(out: Path, systems: list, names: list, scale: float) -> Path:
    # The kernel "lockdep" has three CPUs at most: vm/debug-kernel.d/lockdep.
    return run("lockdep", out, "lockstat", ["--cpus", "3", "--mem", "6G"],
               [" ".join(systems), operations(scale, names), " ".join(KINDS), "3"])


def instructions(kernel: str, out: Path, systems: list, times: int) -> Path:
    # One CPU, one thread: the counter is the machine's.
    return run(kernel, out, "instructions",
               ["--cpus", "1", "--mem", "4G", "--accel", "tcg,thread=single", "--qemu=-icount",
                "--qemu=shift=0,sleep=off"],
               [" ".join(name for name in systems if name.startswith(("morsel", "tmpfs"))),
                " ".join(map(str, MAPPERS)), str(times)])


def has_library(name: str) -> bool:
    return not name or name in subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True,
                                              text=True).stdout


def frames(threads: list, times: int, rounds: int) -> dict:
    """What frames-bench prints, by allocator; heaps that are not installed are left out."""
    import json
    ways = [("core", "core", ""), ("mutex", "mutex", ""),
            *((name, "malloc", library) for name, library in HEAPS.items() if has_library(library))]
    found = {}
    for name, allocator, library in ways:
        for count in threads:
            done = subprocess.run([PROGRAMS / "scale" / "frames-bench", "--allocator", allocator,
                                   "--threads", str(count), "--times", str(times), "--rounds",
                                   str(rounds)], check=True, capture_output=True, text=True,
                                  env={**os.environ, "LD_PRELOAD": library})
            found[name, count] = json.loads(done.stdout)
    return found
