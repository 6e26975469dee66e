# SPDX-License-Identifier: MIT
"""The counted instructions as a table, and what they must be."""

from checks import Check
from sizes import FULL_BYTES, GIB, MIB, human_bytes
from tables import as_text

SIZES = [2 * MIB, FULL_BYTES, 256 * GIB]
# A child's end is left out: it waits, and time that passes meanwhile counts as instructions.
OPERATIONS = ["map", "touch", "unmap", "fork", "child_touch", "send", "receive"]
# From 2 MiB to 6.82 GiB, one entry per GiB being written.
MAX_RATIO = 2.0


def table_of(rows: list) -> list:
    table = [["guest instructions", "object", *OPERATIONS]]
    for row in sorted(rows, key=lambda row: (row["system"], row["bytes"])):
        cells = [f"{row[name]:,} ({row[name + '_first']:,})" if name in row else "-"
                 for name in OPERATIONS]
        table.append([row["system"], human_bytes(row["bytes"]), *cells])
    return table


def text(rows: list) -> str:
    return as_text(table_of(rows)) + "\n"


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
