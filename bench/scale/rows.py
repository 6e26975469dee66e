# SPDX-License-Identifier: MIT
"""Rows of scale.json, from what the machines have written. `part` says what a row is about."""

import json
from pathlib import Path
from statistics import median

from scale import locks, lockstat


def per_second(run: dict) -> list:
    return [run["workers"] * run["times"] / ns * 1e9 for ns in run["ns"]]


def throughput_rows(folder: Path) -> list:
    rows = {}
    for path in sorted(folder.glob("throughput-*.json")):
        system = path.stem.removeprefix("throughput-")
        for line in path.read_text().splitlines():
            run = json.loads(line)
            key = (system, run["operation"], run["kind"], run["workers"])
            row = rows.setdefault(key, {"part": "throughput", "system": system, "operation": key[1],
                                        "kind": key[2], "workers": key[3], "per_second": 0,
                                        "samples": {"per_second": []}})
            row["samples"]["per_second"] += per_second(run)
            row["per_second"] = median(row["samples"]["per_second"])
    return list(rows.values())


def waiting_rows(folder: Path, part: str, parse) -> list:
    """Of `contention` and `lockstat`: `parse` makes [kind, who, how often] of what was seen."""
    rows = []
    for path in sorted(folder.glob(f"{part}-*.json")):
        run = json.loads(path.read_text())
        system = path.stem.removeprefix(f"{part}-").removesuffix(f"-{run['operation']}-{run['kind']}")
        rows.append({"part": part, "system": system, "operation": run["operation"],
                     "kind": run["kind"], "workers": run["workers"],
                     "operations": run["workers"] * run["times"],
                     "locks": parse(path.with_suffix(".seen").read_text())})
    return rows


def contention_rows(folder: Path) -> list:
    return waiting_rows(folder, "contention", locks.contended)


def lockstat_rows(folder: Path) -> list:
    return waiting_rows(folder, "lockstat", lockstat.contended)


def instructions_rows(folder: Path) -> list:
    rows = []
    for path in sorted(folder.glob("instructions-*.json")):
        found = json.loads(path.read_text())
        # The first time is the process's first.
        samples = {name: found[name][1:] for name in ("map", "touch", "unmap")}
        rows.append({"part": "instructions", "system": path.stem.split("-", 1)[1].rsplit("-", 1)[0],
                     "mappers": found["mappers"],
                     **{name: median(values) for name, values in samples.items()},
                     "samples": samples})
    return sorted(rows, key=lambda row: (row["system"], row["mappers"]))


def frames_rows(found: dict) -> list:
    rows = []
    for (allocator, threads), run in found.items():
        samples = per_second({**run, "workers": threads})
        rows.append({"part": "frames", "system": allocator, "workers": threads,
                     "per_second": median(samples), "samples": {"per_second": samples}})
    return rows
