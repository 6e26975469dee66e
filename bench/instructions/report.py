# SPDX-License-Identifier: MIT
"""The counted instructions as a table, and what they must be."""

from checks import Check
from sizes import FULL_BYTES, GIB, MIB, human_bytes

SIZES = [2 * MIB, FULL_BYTES, 256 * GIB]
OPERATIONS = ["map", "touch", "unmap", "fork", "child_touch", "child_exit", "send", "receive"]
# From 2 MiB to 6.82 GiB, one entry per GiB being written.
MAX_RATIO = 2.0


def text(rows: list) -> str:
    lines = ["guest instructions, medians (first time in a process)",
             f"{'':30}" + "".join(f"{name:>18}" for name in OPERATIONS)]
    for row in sorted(rows, key=lambda row: (row["system"], row["bytes"])):
        cells = [f"{row[name]} ({row[name + '_first']})" if name in row else ""
                 for name in OPERATIONS]
        lines.append(f"{row['system']:16}{human_bytes(row['bytes']):>14}" +
                     "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines) + "\n"


def mapped_and_unmapped(row: dict) -> int:
    return row["map"] + row["touch"] + row["unmap"]


def checks(rows: list) -> list:
    table = {(row["system"], row["bytes"]): row for row in rows}
    found = []
    for system in sorted({row["system"] for row in rows if row["system"].startswith("morsel")}):
        small, large = table.get((system, SIZES[0])), table.get((system, SIZES[1]))
        for name, cost in (("map + touch + unmap", mapped_and_unmapped),
                           ("fork", lambda row: row["fork"])):
            title = f"{system}, {name}: 6.82 GiB / 2 MiB at most {MAX_RATIO}"
            if not small or not large:
                found.append(Check(title, False, "not counted"))
                continue
            ratio = cost(large) / cost(small)
            found.append(Check(title, ratio <= MAX_RATIO, f"{ratio:.2f}"))
    return found
