# SPDX-License-Identifier: MIT
"""What handing memory to a device costs, as tables, and what it must be."""

from statistics import median

from checks import Check
from sizes import FULL_BYTES, GIB, MIB, human_bytes, human_ratio, human_us
from tables import as_text

SIZES = [MIB, 2 * MIB, 16 * MIB, 256 * MIB, GIB, FULL_BYTES]
BASELINE = "tmpfs-4k"
SYSTEMS = [BASELINE, "tmpfs-huge", "hugetlb", "udmabuf", "udmabuf-kept", "morsel-4k", "morsel-2m"]
MORSELS = ["morsel-4k", "morsel-2m"]
TITLES = {"ns": "time", "instructions": "guest instructions"}
# Of the largest object over that of 2 MiB, handed over once more.
MAX_GROWTH = 1.1
# The baseline over morsels: once more, and (2-MiB leaves) the first time.
MIN_AGAIN, MIN_FIRST = 1000, 50


def human(value: float, unit: str) -> str:
    return human_us(value / 1000) if unit == "ns" and value >= 1000 else \
        f"{value:,.0f}" + (" ns" if unit == "ns" else "")


def spread(samples: list) -> str:
    middle = median(samples)
    return f"{min(samples) / middle:.2f}–{max(samples) / middle:.2f}"


def by_key(rows: list) -> dict:
    return {(row["unit"], row["system"], row["bytes"]): row for row in rows}


def cost_table(rows: list, unit: str, when: str) -> list:
    """A line per system: what is paid up to where the device may begin, and in brackets the least
    and the most of the samples over their median."""
    table = by_key(rows)
    sizes = [size for size in SIZES if any((unit, system, size) in table for system in SYSTEMS)]
    lines = [[f"{TITLES[unit]}, {'the first time' if when == 'first' else 'once more'}",
              *map(human_bytes, sizes)]]
    for system in SYSTEMS:
        cells = []
        for size in sizes:
            row = table.get((unit, system, size))
            cells.append("-" if not row else f"{human(row[when]['total'], unit)} "
                         f"({spread(row[when]['samples'])})")
        if any(cell != "-" for cell in cells):
            lines.append([system, *cells])
    return lines


def parts_table(rows: list, unit: str) -> list:
    """What the largest object's cost consists of."""
    table = by_key(rows)
    sizes = [size for size in SIZES if (unit, MORSELS[0], size) in table]
    if not sizes:
        return []
    lines = [[f"{TITLES[unit]}, {human_bytes(sizes[-1])}", "when", "dma-buf", "attach or pin", "map",
              "give back", "segments"]]
    for system in SYSTEMS:
        row = table.get((unit, system, sizes[-1]))
        for when in ("first", "again") if row else ():
            lines.append([system, {"first": "first", "again": "once more"}[when],
                          *(human(row[when][step], unit) for step in ("get", "hold", "map", "back")),
                          str(row[when]["segments"])])
    return lines


def tables_of(rows: list) -> list:
    units = [unit for unit in TITLES if any(row["unit"] == unit for row in rows)]
    found = [cost_table(rows, unit, when) for unit in units for when in ("first", "again")]
    return found + [table for unit in units if (table := parts_table(rows, unit))]


def text(rows: list) -> str:
    return "\n\n".join(as_text(table) for table in tables_of(rows)) + "\n"


def compare(title: str, over, under, least=None, most=None) -> Check:
    """The ratio of two costs, each of which may not have been measured."""
    if over is None or under is None:
        return Check(title, False, "not measured")
    ratio = over / under
    return Check(title, (least is None or ratio >= least) and (most is None or ratio <= most),
                 human_ratio(ratio) if ratio >= 10 else f"{ratio:.2f}")


def checks_in(rows: list, unit: str) -> list:
    table = by_key(rows)

    def cost(system: str, when: str, size: int = FULL_BYTES):
        row = table.get((unit, system, size))
        return row and row[when]["total"]

    found = []
    for system in MORSELS:
        found += [compare(f"{TITLES[unit]}: {system} once more, 6.82 GiB at most {MAX_GROWTH} × 2 MiB",
                          cost(system, "again"), cost(system, "again", 2 * MIB), most=MAX_GROWTH),
                  compare(f"{TITLES[unit]}: 6.82 GiB, {BASELINE} at least {MIN_AGAIN} × {system} once more",
                          cost(BASELINE, "first"), cost(system, "again"), least=MIN_AGAIN)]
    return found + [
        compare(f"{TITLES[unit]}: 6.82 GiB, {BASELINE} at least {MIN_FIRST} × morsel-2m the first time",
                cost(BASELINE, "first"), cost("morsel-2m", "first"), least=MIN_FIRST),
        compare(f"{TITLES[unit]}: 6.82 GiB, morsel-2m the first time not above hugetlb",
                cost("morsel-2m", "first"), cost("hugetlb", "first"), most=1)]


def checks(rows: list) -> list:
    found = [check for unit in TITLES for check in checks_in(rows, unit)]
    morsels = [row for row in rows if row["system"] in MORSELS]
    wrong = [f"{row['system']} {human_bytes(row['bytes'])}" for row in morsels
             if not row["same_addresses"]]
    found.append(Check("each process is given the device's addresses that the first one was given",
                       bool(morsels) and not wrong, ", ".join(wrong) or f"{len(morsels)} rows"))
    return found
