# SPDX-License-Identifier: MIT
"""What the machine measured: read from its files, and written as one."""

import json
from dataclasses import dataclass, field
from pathlib import Path

SYSTEMS = ["untouched", "ext4", "tmpfs-4k", "tmpfs-huge", "hugetlb", "morsel-4k", "morsel-2m",
           "morsel-4k-slot", "morsel-2m-slot"]
BASELINE = "tmpfs-4k"

# Of one row; the rest of what map-bench prints follows these.
FIRST_FIELDS = ["system", "bytes", "ready_us", "ready_faults", "sweep_faults", "unmap_us",
                "first_us", "again_us", "max_us", "vmpte_bytes", "leaf"]


@dataclass
class Results:
    rows: list
    llama: dict = field(default_factory=dict)
    skipped: dict = field(default_factory=dict)
    failed: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)

    def sizes(self) -> list:
        return sorted({row["bytes"] for row in self.rows})

    def systems(self) -> list:
        present = {row["system"] for row in self.rows}
        return [system for system in SYSTEMS if system in present]

    def row(self, system: str, size: int):
        for row in self.rows:
            if row["system"] == system and row["bytes"] == size:
                return row
        return None


def is_morsel(system: str) -> bool:
    return system.startswith("morsel-")


def is_slot(system: str) -> bool:
    return system.endswith("-slot")


def order(row: dict) -> tuple:
    return (SYSTEMS.index(row["system"]), row["bytes"])


def read_lines(path: Path) -> list:
    return path.read_text().splitlines() if path.exists() else []


def read(out: Path) -> Results:
    rows = []
    for path in (out / "rows").glob("*.json"):
        row = json.loads(path.read_text())
        rows.append({name: row[name] for name in FIRST_FIELDS if name in row} | row)
    results = Results(sorted(rows, key=order))
    for path in sorted((out / "llama").glob("*.json")):
        text = path.read_text()
        if text.strip():  # empty: the program failed, which is in `failed`
            results.llama[path.stem] = json.loads(text)
    for line in read_lines(out / "skipped"):
        system, _, reason = line.partition(" ")
        results.skipped[system] = reason
    results.failed = read_lines(out / "failed")
    for line in read_lines(out / "environment"):
        name, _, value = line.partition("=")
        results.environment[name] = value
    return results


def write(results: Results, folder: Path, environment: dict) -> None:
    """mapping.json is an array of rows and nothing else; the machine is told beside it."""
    def dump(name: str, value) -> None:
        (folder / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    dump("mapping.json", results.rows)
    dump("llama.json", results.llama)
    dump("environment.json", results.environment | environment | {"skipped": results.skipped})
