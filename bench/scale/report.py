# SPDX-License-Identifier: MIT
"""The rows about scaling as tables, and what they must be."""

from math import sqrt
from statistics import median

from checks import Check
from tables import as_text

# Two CPUs against one, on one object; not below tmpfs's.
MIN_FACTOR = 1.6
# A difference of two factors is known so well, or nothing can be said of it.
MAX_UNCERTAINTY = 0.1
# Instructions beside many mappers over those of one alone.
MAX_GROWTH = 1.1


def of(rows: list, part: str) -> list:
    return [row for row in rows if row["part"] == part]


def find(rows: list, **wanted):
    return next((row for row in rows if all(row[name] == value for name, value in wanted.items())), None)


def factors(rows: list, workers: int, **which) -> list:
    one, many = find(rows, workers=1, **which), find(rows, workers=workers, **which)
    if not one or not many:
        return []
    return [more / less for less, more in
            zip(one["samples"]["per_second"], many["samples"]["per_second"])]


def factor(rows: list, workers: int, **which):
    """Of the rounds' factors the median: what disturbs a round disturbs both."""
    found = factors(rows, workers, **which)
    return median(found) if found else None


def uncertainty(values: list) -> float:
    """Two standard errors of their median, from how far they are from it; no far one counts for more."""
    middle = median(values)
    spread = 1.4826 * median(abs(value - middle) for value in values)
    return 2 * 1.2533 * spread / sqrt(len(values))


def shown(value) -> str:
    return f"{value:.2f}" if value else "-"


def throughput_table(rows: list) -> list:
    rows = of(rows, "throughput")
    systems = list(dict.fromkeys(row["system"] for row in rows))
    table = [["per second, and times one worker's", "workers", *systems]]
    for operation, kind, workers in dict.fromkeys(
            (row["operation"], row["kind"], row["workers"]) for row in rows):
        cells = [f"{operation}, {kind}", str(workers)]
        for system in systems:
            which = {"system": system, "operation": operation, "kind": kind}
            row = find(rows, workers=workers, **which)
            cells.append(f"{row['per_second']:,.0f}" + (f" ({shown(factor(rows, workers, **which))})"
                         if workers > 1 else "") if row else "-")
        table.append(cells)
    return table


def frames_table(rows: list) -> list:
    rows = of(rows, "frames")
    counts = sorted({row["workers"] for row in rows})
    table = [["frames got and put per second, native", *(f"{count} threads" for count in counts)]]
    for system in dict.fromkeys(row["system"] for row in rows):
        cells = [system]
        for count in counts:
            row = find(rows, system=system, workers=count)
            cells.append(f"{row['per_second']:,.0f} ({shown(factor(rows, count, system=system))})"
                         if row else "-")
        table.append(cells)
    return table


def instructions_table(rows: list) -> list:
    table = [["guest instructions", "mappers", "map", "touch", "unmap", "together, over one's"]]
    rows = of(rows, "instructions")
    for row in rows:
        alone = find(rows, system=row["system"], mappers=1)
        table.append([row["system"], str(row["mappers"]),
                      *(f"{row[name]:,.0f}" for name in ("map", "touch", "unmap")),
                      shown(together(row) / together(alone)) if alone else "-"])
    return table


def together(row: dict) -> float:
    return row["map"] + row["touch"] + row["unmap"]


def contention_table(rows: list, part: str, title: str) -> list:
    table = [[title, "operations", "of morselfs", "of a process's grafts", "of a file",
              "others", "the most"]]
    for row in of(rows, part):
        sums = {kind: sum(count for one, _, count in row["locks"] if one == kind)
                for kind in ("morselfs", "process", "file", "kernel")}
        most = row["locks"][0] if row["locks"] else None
        table.append([f"{row['system']}, {row['operation']}, {row['workers']} {row['kind']}",
                      f"{row['operations']:,}", *(f"{count:,}" for count in sums.values()),
                      f"{most[1]}: {most[2]:,}" if most else "-"])
    return table


def tables_of(rows: list) -> list:
    tables = (throughput_table(rows), contention_table(rows, "contention", "somebody waited for a lock"),
              contention_table(rows, "lockstat", "the same, by lock_stat"), instructions_table(rows),
              frames_table(rows))
    return [table for table in tables if len(table) > 1]


def text(rows: list) -> str:
    return "\n\n".join(as_text(table) for table in tables_of(rows)) + "\n"


def scaling_check(rows: list, system: str, base: str) -> Check:
    """Round by round, as a round is quick or slow for all. What scales as well as `nothing`, which shares nothing,
    scales as well as the machine."""
    which = {"operation": "map-same", "kind": "processes"}
    mine, theirs = (factors(rows, 2, system=name, **which) for name in (system, base))
    title = (f"{system}: two processes map one object at least {MIN_FACTOR} × as often as one, and not below "
             f"{base}'s factor (by more than two standard errors) or the machine's own")
    if not mine or not theirs:
        return Check(title, False, "not measured")
    leads = [one - other for one, other in zip(mine, theirs)]
    lead, error = median(leads), uncertainty(leads)
    own = factor(rows, 2, system=system, operation="nothing", kind="processes")
    ok = median(mine) >= MIN_FACTOR and error <= MAX_UNCERTAINTY and (
        lead >= -error or bool(own) and median(mine) >= own)
    return Check(title, ok, f"{median(mine):.2f}, {base} {median(theirs):.2f}: {lead:+.2f} ± {error:.2f}, the machine "
                 f"{shown(own)}" + ("" if error <= MAX_UNCERTAINTY else
                                    ", too uncertain: a quieter machine, or more --rounds"))


def scaling_checks(rows: list) -> list:
    rows = of(rows, "throughput")
    return [scaling_check(rows, "morsel-4k", "tmpfs-4k"), scaling_check(rows, "morsel-2m", "tmpfs-huge")]


def instructions_checks(rows: list) -> list:
    rows = of(rows, "instructions")
    found = []
    for system in sorted({row["system"] for row in rows if row["system"].startswith("morsel")}):
        alone = find(rows, system=system, mappers=1)
        for name, cost in (("map + touch + unmap", together), ("unmap", lambda row: row["unmap"])):
            ratios = {row["mappers"]: cost(row) / cost(alone) for row in rows
                      if row["system"] == system and row["mappers"] > 1} if alone else {}
            found.append(Check(f"{system}, {name}: beside up to 512 mappers at most {MAX_GROWTH} × alone",
                               bool(ratios) and max(ratios.values()) <= MAX_GROWTH,
                               ", ".join(f"{mappers}: {ratio:.3f}" for mappers, ratio in ratios.items())
                               or "not counted"))
    return found


def contention_check(rows: list, part: str = "contention") -> Check:
    # Threads share their process's graft table, as they do its mm. Nobody else may wait for one.
    rows = [row for row in of(rows, part) if row["system"].startswith("morsel")]
    bad = [f"{row['system']} {row['operation']} {row['kind']}: {who}: {count}"
           for row in rows for kind, who, count in row["locks"]
           if kind in ("morselfs", "file") or (kind == "process" and row["kind"] == "processes")]
    name = "nobody waits for a lock of morselfs or of a file"
    return Check(name if part == "contention" else f"{name}, by lock_stat", bool(rows) and not bad,
                 "; ".join(bad) or f"{len(rows)} loads" if rows else "not measured")


def checks(rows: list) -> list:
    return [*scaling_checks(rows), *instructions_checks(rows), contention_check(rows),
            *([contention_check(rows, "lockstat")] if of(rows, "lockstat") else [])]
