# SPDX-License-Identifier: MIT
"""The rows of the pipeline experiment, one process each; the median of several whole runs."""

import json
from pathlib import Path
from statistics import median

from model import output_of
from paths import PROGRAMS
from sizes import MIB

PROGRAM = PROGRAMS / "pipeline" / "pipeline-bench"
BASELINE = "memfd-4k"
# The baseline first; what passes new memory, what passes the same again, what copies.
SYSTEMS = [BASELINE, "tmpfs-huge", "hugetlb", "morsel-fresh", "memfd-recycled", "hugetlb-recycled",
           "morsel-recycled", "shm-ring", "iceoryx", "channel", "pipe", "unix-stream"]
SIZES = [4 << 10 << 2 * power for power in range(9)]  # 4 KiB to 256 MiB
# On every word, on one of each 4-KiB page, on one of each 64 KiB.
WORKS = ["full", "pages", "sparse"]
NATIVE_WORKS = ["full", "sparse"]
TIMES = ["rtt_us", "user_us", "wait_us", "kernel_us"]


def packets_of(size: int) -> int:
    """1,000 of each size; fewer where these would take a quarter of an hour."""
    return {16 * MIB: 300, 64 * MIB: 100, 256 * MIB: 30}.get(size, 1000)


def measure(system: str, size: int, work: str, directory: Path | None, packets: int) -> dict:
    options = ["--work", work]
    if directory:
        options += ["--directory", directory]
    return json.loads(output_of(PROGRAM, "--system", system, "--bytes", size, "--packets", packets,
                                *options))


def merge(runs: list) -> dict:
    """One row of those of several runs: medians, and what each of them had."""
    row = dict(runs[0])
    for name in TIMES:
        row[name] = median(run[name] for run in runs)
    row["rtt_min_us"] = min(run["rtt_min_us"] for run in runs)
    row["rtt_max_us"] = max(run["rtt_max_us"] for run in runs)
    row["runs"] = {name: [run[name] for run in runs] for name in TIMES}
    return row
