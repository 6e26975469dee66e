# SPDX-License-Identifier: MIT
"""Rows about 2-MiB leaves, from the files that the guest leaves: the name says what was measured."""

import json
from pathlib import Path


def collect(folder: Path) -> list:
    rows = []
    for path in sorted(folder.glob("*.json")):
        experiment, *words = path.stem.split("-")
        row = {"experiment": experiment}
        if experiment in ("copy", "leaves", "promote"):
            *system, row["memory"], row["stage"] = words
            row["system"] = "-".join(system)
        elif experiment == "memory":
            row["system"] = "-".join(words)
        elif experiment == "files":
            *system, row["run"] = words
            row["system"] = "-".join(system)
        else:
            row["way"], row["run"] = words
        rows.append({**row, **json.loads(path.read_text())})
    return rows


def of(rows: list, **wanted) -> list:
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]
