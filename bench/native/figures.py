# SPDX-License-Identifier: MIT
"""What the native part measured: rows of three kinds, in one list.

    mapping     as in mapping.json: ready_us and so on
    programs    `program` (llama.cpp, node-llama-cpp), load_ms, first_token_ms, unload_ms, tokens
    copies      copy_ms: how long it takes to get the model there
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

BASELINE = "tmpfs-4k"
SYSTEMS = ["untouched", "ext4-4k", "ext4", BASELINE, "tmpfs-huge", "hugetlb", "hugetlb-shared",
           "morsel-lib", "morsel-open", "morsel-run"]
LLAMA = "llama.cpp"
NODE = "node-llama-cpp"
SHARDS = "llama.cpp, three files"
COPY, LOAD = "load-cp-tmpfs-huge", "load-morsel"


@dataclass
class Figures:
    rows: list = field(default_factory=list)
    skipped: dict = field(default_factory=dict)
    failed: list = field(default_factory=list)
    left: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)

    def add_mapping(self, row: dict) -> None:
        """The samples of all rounds make one row."""
        before = self.mapping(row["system"])
        if not before:
            self.rows.append(row)
            return
        if before.get("backing") != row.get("backing"):
            self.failed.append(f"{row['system']}: mapped {before.get('backing')} in one round and "
                               f"{row.get('backing')} in another")
        samples = {name: before["samples"][name] + values
                   for name, values in row["samples"].items()}
        before["checksum_ok"] = before.get("checksum_ok") and row.get("checksum_ok")
        before |= summary(samples)
        if "max_us" in before:
            before["max_us"] = max(samples["ready_us"])

    def find(self, system: str, kind: str, value=None):
        for row in self.rows:
            if row["system"] == system and kind in row and value in (None, row[kind]):
                return row
        return None

    def mapping(self, system: str):
        return self.find(system, "ready_us")

    def program(self, system: str, program: str = LLAMA):
        return self.find(system, "program", program)

    def copy(self, system: str):
        return self.find(system, "copy_ms")

    def mappings(self) -> list:
        return [row for system in SYSTEMS if (row := self.mapping(system))]

    def programs(self, program: str = LLAMA) -> list:
        return [row for system in SYSTEMS if (row := self.program(system, program))]

    def bytes(self) -> int:
        return max((row["bytes"] for row in self.rows), default=0)


def spread(values: list) -> float:
    """Between the quarters: one disturbed run of five does not count."""
    if len(values) < 2:
        return 0.0
    first, _, third = quantiles(values, n=4, method="inclusive")
    return third - first


def summary(samples: dict) -> dict:
    """The median of each list under its name, and all of them under `samples`."""
    return {**{name: median(values) for name, values in samples.items()}, "samples": samples}


def write(figures: Figures, folder: Path) -> None:
    def dump(name: str, value) -> None:
        (folder / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    dump("native.json", figures.rows)
    dump("native-environment.json", {**figures.environment, "skipped": figures.skipped,
                                     "failed": figures.failed, "left": figures.left})


def read(folder: Path) -> Figures:
    environment = json.loads((folder / "native-environment.json").read_text())
    rows = json.loads((folder / "native.json").read_text())
    return Figures(rows, environment.pop("skipped"), environment.pop("failed"),
                   environment.pop("left"), environment)
