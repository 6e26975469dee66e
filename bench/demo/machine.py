# SPDX-License-Identifier: MIT
"""Runs the measurements in a virtual machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from disks import CHECKSUMS, MODEL_IMAGE, PARTS_IMAGE
from paths import DEMO, LLAMA, LLAMA_LOAD, MAP_BENCH, TOP
from sizes import GIB, MIB

OUT = DEMO / "vm"
# Beside two copies of the model (one in the page cache): kernel, page tables, programs, and the
# cache of the other files: with less, parts of the model are read from the disk at each copy.
GUEST_EXTRA = 3 * GIB + 256 * MIB
# What QEMU needs for itself, and the host for everything else.
HOST_EXTRA = 2 * GIB


def available_memory() -> int:
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/meminfo has no MemAvailable")


def model_room() -> int:
    return (available_memory() - HOST_EXTRA - GUEST_EXTRA) // 2


def measure(kernel: str, model_bytes: int, module: bool, settings: dict, timeout: int) -> int:
    """Returns vm/run's exit status; results lie in OUT."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    memory = -(-(2 * model_bytes + GUEST_EXTRA) // MIB)
    command = [TOP / "vm" / "run", "--kernel", kernel, "--cpus", "2", "--mem", f"{memory}M",
               "--disk", MODEL_IMAGE, "--disk", PARTS_IMAGE,
               "--program", f"{MAP_BENCH}:/bin/map-bench",
               "--add", f"{TOP}/bench/mapping/table:/bin/table",
               "--add", f"{TOP}/bench/demo/guest:/bin/guest",
               "--add", f"{CHECKSUMS}:/sources/checksums",
               "--out", OUT, "--timeout", str(timeout), "--verbose"]
    if not module:
        command.append("--no-module")
    variables = dict(settings)
    if "LLAMA_LOAD" not in variables:
        variables["LLAMA_LOAD"] = "/llama/llama-load --backends /llama"
        command += ["--program", f"{LLAMA_LOAD}:/llama/llama-load"]
        # They are opened at run time, each for another kind of CPU.
        for library in sorted(Path(LLAMA / "lib").glob("libggml-cpu-*.so")):
            command += ["--add", f"{library}:/llama/{library.name}"]
    command += ["--", "env", *(f"{name}={value}" for name, value in variables.items()), "guest"]
    sys.stdout.flush()
    return subprocess.run([os.fspath(part) for part in command]).returncode
