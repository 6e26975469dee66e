# SPDX-License-Identifier: MIT
"""The virtual machines of the experiment: each leaves what it has measured in a folder."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from paths import BUILD, MAP_BENCH, PROGRAMS, TOP
from sizes import FULL_BYTES, GIB, KIB, MIB

HERE = Path(__file__).resolve().parent
TOOLS = BUILD / "release" / "tools" / "pool"
# What an NVDIMM's file has before the device: see vm/run.
PMEM_HEAD = 2 * MIB
HUGE_PAGE = 2 * MIB
SYSTEMS = ["pool", "ext4-dax"]
TMPFS = ["tmpfs-4k", "tmpfs-huge"]
SIZES = [2 * MIB, 64 * MIB, GIB, -(-FULL_BYTES // HUGE_PAGE) * HUGE_PAGE]
DEVICES = [8 * GIB, 4 * GIB, GIB]


@dataclass
class Contents:
    """What lies on a device: so many files of that size."""
    name: str
    device: int  # in DEVICES
    files: int
    bytes: int


# Each varies one thing: the object's size, the device's, how many objects there are.
CONTENTS = [
    *(Contents(f"object-{size}", 0, 1, size) for size in SIZES),
    *(Contents(f"device-{DEVICES[device]}", device, 1, SIZES[0]) for device in (1, 2)),
    *(Contents(f"files-{files}", 0, files, 4 * KIB) for files in (1, 1000, 10000)),
]


def crc32c(kernel: str) -> Path:
    """The module that computes ext4's checksums with the CPU's instruction, uncompressed."""
    release = BUILD / "kernels" / kernel / "modules"
    compressed = next(release.rglob("crc32c-intel.ko*"))
    if compressed.suffix != ".xz":
        return compressed
    import lzma
    module = BUILD / "bench" / f"crc32c-intel-{kernel}.ko"
    module.write_bytes(lzma.decompress(compressed.read_bytes()))
    return module


def boot(kernel: str, out: Path, memory: int, pmem: list, machine: list, *words) -> Path:
    """Runs guest with these words; gives the folder with the files that it has written."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    command = [TOP / "vm" / "run", "--kernel", kernel, "--mem", f"{memory // MIB}M", *machine,
               *(part for file in pmem for part in ("--pmem", file)),
               "--program", f"{PROGRAMS}/pool/pool-bench:/bin/pool-bench",
               "--program", f"{MAP_BENCH}:/bin/map-bench",
               *(part for tool in ("mkfs", "dump")
                 for part in ("--program", f"{TOOLS}/{tool}.morselfs:/bin/{tool}.morselfs")),
               "--program", f"{shutil.which('mkfs.ext4', path='/usr/sbin:/sbin')}:/bin/mkfs.ext4",
               "--add", f"{crc32c(kernel)}:/crc32c-intel.ko", "--add", f"{HERE}/guest:/bin/guest",
               "--out", out, "--timeout", "3600", "--verbose", "--", "guest", *map(str, words)]
    sys.stdout.flush()
    subprocess.run([os.fspath(part) for part in command], check=True)
    return out / "rows"


def make_pmem(room: Path, sizes: list) -> list:
    """New NVDIMMs for devices of these sizes; sparse files."""
    files = []
    for number, size in enumerate(sizes):
        files.append(room / f"morsels-bench-pmem{number}")
        files[-1].unlink(missing_ok=True)
        with open(files[-1], "wb") as file:
            file.truncate(size + PMEM_HEAD)
    return files


def with_pmem(room: Path, sizes: list, kernel: str, out: Path, *rest) -> Path:
    files = make_pmem(room, sizes)
    try:
        return boot(kernel, out, 2 * GIB, files, *rest)
    finally:
        for file in files:
            file.unlink()


TWO_CPUS = ["--cpus", "2"]
# One CPU, one thread: the counter is the machine's, and nothing else runs meanwhile.
COUNTING = ["--cpus", "1", "--accel", "tcg,thread=single", "--qemu=-icount", "--qemu=shift=0,sleep=off"]


def objects(kernel: str, room: Path, out: Path, contents: list, rounds: int) -> Path:
    words = " ".join(f"{one.name}:/dev/pmem{one.device}:{one.files}:{one.bytes}" for one in contents)
    return with_pmem(room, DEVICES, kernel, out / "objects", TWO_CPUS, "objects", " ".join(SYSTEMS),
                     words, rounds)


def tmpfs(kernel: str, out: Path, sizes: list, rounds: int) -> Path:
    return boot(kernel, out / "tmpfs", max(sizes) + 2 * GIB, [], TWO_CPUS, "tmpfs", " ".join(TMPFS),
                " ".join(map(str, sizes)), rounds)


# All of the NVDIMMs is there from the start: who takes new frames would wait for the host's pages.
PREALLOCATED = ["--prealloc"]


def rates(kernel: str, room: Path, out: Path, times: int, rounds: int) -> Path:
    return with_pmem(room, [GIB, GIB], kernel, out / "rates", [*TWO_CPUS, *PREALLOCATED], "rates", times,
                     rounds)


def instructions(kernel: str, room: Path, out: Path, times: int, rounds: int) -> Path:
    return with_pmem(room, [GIB, GIB], kernel, out / "instructions", [*COUNTING, *PREALLOCATED], "rates",
                     times, rounds)
