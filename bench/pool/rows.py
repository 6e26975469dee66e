# SPDX-License-Identifier: MIT
"""Rows of pool.json, from what the machines have written. `part` says what a row is about."""

import json
from pathlib import Path
from statistics import median


def summary(samples: dict) -> dict:
    """Medians under the names, all samples under `samples`."""
    return {**{name: median(values) for name, values in samples.items()}, "samples": samples}


def columns(dicts: list) -> dict:
    return {name: [one[name] for one in dicts] for name in dicts[0]}


def mapping_rows(folder: Path) -> list:
    """Of page-mapped systems, the faster of the two ways."""
    found = {}
    for path in sorted(folder.glob("map-*.json")):
        system, size, method = path.stem.removeprefix("map-").rsplit("-", 2)
        samples = [json.loads(line) for line in path.read_text().splitlines()]
        row = {"part": "mapping", "system": system, "bytes": int(size), "method": method,
               **summary(columns(samples))}
        best = found.setdefault((system, size), row)
        if row["ready_us"] < best["ready_us"]:
            found[(system, size)] = row
    return list(found.values())


def restart_rows(folder: Path, contents: list, devices: list) -> list:
    rows = []
    for path in sorted(folder.glob("restart-*.json")):
        result = json.loads(path.read_text())
        for one in contents:
            system = path.stem.removeprefix("restart-").removesuffix(f"-{one.name}")
            if not path.stem.endswith(f"-{one.name}"):
                continue
            rows += [{"part": "restart", "system": system, "contents": one.name,
                      "device_bytes": devices[one.device], "files": one.files, "bytes": one.bytes,
                      "after": after, "dax": result["dax"],
                      **summary({**result[after], "unmount_us": result["unmount_us"]})}
                     for after in ("clean", "unclean")]
    return rows


def metadata_rows(folder: Path, contents: list) -> list:
    rows = []
    for one in contents:
        path = folder / f"dump-{one.name}.json"
        if not path.exists():
            continue
        dump = json.loads(path.read_text())
        rows.append({"part": "metadata", "contents": one.name, "files": one.files, "bytes": one.bytes,
                     "frames": dump["frames"], "bytes_per_gib": dump["metadata_bytes_per_gib"]})
    return rows


def rates_rows(folder: Path, part: str) -> list:
    """One row per system and operation: per second (`rates`), or instructions (`instructions`)."""
    runs = {}
    for path in sorted(folder.glob("rates-*.json")):
        runs.setdefault(path.stem.removeprefix("rates-").rsplit("-", 1)[0], []).append(
            json.loads(path.read_text()))
    rows = []
    for system, results in runs.items():
        for operation, first in results[0]["operations"].items():
            all_runs = [result["operations"][operation] for result in results]
            if part == "rates":
                figures = {"per_second": [run["times"] / run["ns"] * 1e9 for run in all_runs]}
            else:
                figures = {"instructions": [run["ticks"] / run["times"] for run in all_runs]}
            rows.append({"part": part, "system": system, "operation": operation,
                         "times": first["times"], "dax": all(result["dax"] for result in results),
                         **summary(figures)})
    return rows
