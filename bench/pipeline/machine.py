# SPDX-License-Identifier: MIT
"""The pipeline in a virtual machine, where the module is."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from paths import TOP
from pipeline import rows

HERE = Path(__file__).resolve().parent
# On mounts with 4-KiB and with 2-MiB leaves (new files, objects of libmorsel, a channel), and what needs no
# module.
SYSTEMS = [rows.BASELINE, "tmpfs-huge", "morsel-fresh-4k", "morsel-fresh-2m", "libmorsel-4k",
           "libmorsel-2m", "memfd-recycled", "shm-ring", "channel-4k", "channel-2m"]
# An emulator takes ten times as long for the work, and counts what is its own work, too: fewer packets.
PACKETS = {size: packets for size, packets in
           zip(rows.SIZES, [400, 400, 400, 300, 200, 60, 30, 10, 5])}


def measure(kernel: str, options, out: Path) -> tuple:
    """{(work, size, system): rows}, and what could not be measured."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    systems = [system for system in SYSTEMS if not options.systems or system in options.systems]
    sizes = [size for size in rows.SIZES if size <= options.most]
    command = [TOP / "vm" / "run", "--kernel", kernel, "--cpus", "2", "--mem", "6G", "--prealloc",
               "--program", f"{rows.PROGRAM}:/bin/pipeline-bench",
               "--add", f"{HERE}/guest:/bin/guest", "--out", out, "--timeout", "7200", "--verbose",
               "--", "guest", " ".join(systems),
               " ".join(f"{size}:{options.packets or PACKETS[size]}" for size in sizes),
               " ".join(options.works), str(options.runs)]
    sys.stdout.flush()
    status = subprocess.run([os.fspath(part) for part in command]).returncode
    found = {}
    for path in sorted((out / "rows").glob("*.json")):
        _, work, size, system = path.stem.split("-", 3)
        row = json.loads(path.read_text())
        row["system"] = system
        found.setdefault((work, int(size), system), []).append(row)
    failed = [f"{system}, {size} bytes, {work}: {len(found.get((work, size, system), []))} of "
              f"{options.runs} runs" for work in options.works for size in sizes
              for system in systems if len(found.get((work, size, system), [])) != options.runs]
    if status != 0:
        failed.append(f"the virtual machine ended with status {status}")
    return found, failed
