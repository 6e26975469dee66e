# SPDX-License-Identifier: MIT
"""The rows about pools as tables, and what they must be."""

from statistics import median

from checks import Check
from sizes import KIB, human_bytes, human_us
from tables import as_text

# A mapping's time is constant: the largest object against the smallest, in whole slots.
MAX_GROWTH = 2.0
SYSTEMS = {"pool": "morselfs, a pool", "pool-slot": "morselfs, a pool, whole slots",
           "ext4-dax": "ext4, dax=always", "tmpfs-4k": "tmpfs, 4-KiB pages",
           "tmpfs-huge": "tmpfs, huge=always"}


def of(rows: list, part: str) -> list:
    return [row for row in rows if row["part"] == part]


def find(rows: list, **wanted):
    return next((row for row in rows if all(row[name] == value for name, value in wanted.items())), None)


def range_of(samples: list, shown) -> str:
    return f"{shown(min(samples))} to {shown(max(samples))}"


def mapping_table(rows: list) -> list:
    rows = of(rows, "mapping")
    sizes = sorted({row["bytes"] for row in rows})
    table = [["ready after a mount", *(human_bytes(size) for size in sizes), "least and most", "faults",
              "VmPTE", "unmap"]]
    for system, name in SYSTEMS.items():
        found = [find(rows, system=system, bytes=size) for size in sizes]
        if not any(found):
            continue
        cells = [name, *(human_us(row["ready_us"]) if row else "-" for row in found)]
        large = found[-1]
        cells += [range_of(large["samples"]["ready_us"], human_us), f"{large['ready_faults']:,.0f}",
                  human_bytes(large["vmpte_bytes"]), human_us(large["unmap_us"])] if large else ["-"] * 4
        table.append(cells)
    return table


def count(value: float) -> str:
    return f"{value:,.0f}"


def operations_of(rows: list) -> list:
    return list(dict.fromkeys(row["operation"] for row in rows))


def rates_table(rows: list) -> list:
    rows = of(rows, "rates")
    table = [["per second", "pool", "least and most", "ext4-dax", "least and most", "pool / ext4-dax",
              "tmpfs-4k"]]
    for operation in operations_of(rows):
        cells = [operation]
        for system in ("pool", "ext4-dax"):
            row = find(rows, system=system, operation=operation)
            cells += [count(row["per_second"]), range_of(row["samples"]["per_second"], count)] \
                if row else ["-", "-"]
        ratio = rate_ratio(rows, operation)
        other = find(rows, system="tmpfs-4k", operation=operation)
        table.append([*cells, f"{ratio:.2f}" if ratio else "-",
                      count(other["per_second"]) if other else "-"])
    return table


def rate_ratio(rows: list, operation: str):
    """The median of the rounds' ratios: what disturbs a round disturbs both, which take turns in it."""
    mine = find(rows, system="pool", operation=operation)
    base = find(rows, system="ext4-dax", operation=operation)
    if not mine or not base:
        return None
    return median(ours / theirs for ours, theirs in
                  zip(mine["samples"]["per_second"], base["samples"]["per_second"]))


def instructions_table(rows: list) -> list:
    rows = of(rows, "instructions")
    table = [["guest instructions each", "pool", "ext4-dax", "ext4-dax / pool", "tmpfs-4k"]]
    for operation in operations_of(rows):
        found = {system: find(rows, system=system, operation=operation)
                 for system in ("pool", "ext4-dax", "tmpfs-4k")}
        values = {system: row["instructions"] for system, row in found.items() if row}
        ratio = values["ext4-dax"] / values["pool"] if {"ext4-dax", "pool"} <= set(values) else None
        table.append([operation, *(count(values[name]) if name in values else "-"
                                   for name in ("pool", "ext4-dax")),
                      f"{ratio:.2f}" if ratio else "-",
                      count(values["tmpfs-4k"]) if "tmpfs-4k" in values else "-"])
    return table


def described(row: dict) -> str:
    files = f"{row['files']:,} file{'s' if row['files'] != 1 else ''} of {human_bytes(row['bytes'])}"
    return f"{files} on {human_bytes(row['device_bytes'])}" if "device_bytes" in row else files


def restart_table(rows: list) -> list:
    rows = of(rows, "restart")
    table = [["first byte after", "device with", "mount", "open", "map", "read", "together",
              "least and most", "unmount"]]
    order = {name: place for place, name in enumerate(dict.fromkeys(row["contents"] for row in rows))}
    for row in sorted(rows, key=lambda row: (list(SYSTEMS).index(row["system"]), row["files"],
                                             row["device_bytes"], row["bytes"],
                                             order[row["contents"]], row["after"])):
        after = "unmount" if row["after"] == "clean" else "shutdown"
        table.append([f"{row['system']}, {after}", described(row),
                      *(human_us(row[name]) for name in ("mount_us", "open_us", "map_us", "byte_us",
                                                         "first_byte_us")),
                      range_of(row["samples"]["first_byte_us"], human_us), human_us(row["unmount_us"])])
    return table


KINDS = ["data", "tables", "inodes", "names"]


def metadata_table(rows: list) -> list:
    rows = of(rows, "metadata")
    table = [["frames", *KINDS, "metadata for 1 GiB of data", "frames for 1 GiB"]]
    for row in sorted(rows, key=lambda row: (row["files"], row["bytes"])):
        table.append([described(row), *(count(row["frames"][kind]) for kind in KINDS),
                      human_bytes(row["bytes_per_gib"]), count(row["bytes_per_gib"] / (4 * KIB))])
    return table


def all_tables(rows: list) -> list:
    tables = (mapping_table(rows), rates_table(rows), instructions_table(rows), restart_table(rows),
              metadata_table(rows))
    return [table for table in tables if len(table) > 1]


def text(rows: list) -> str:
    return "\n\n".join(as_text(table) for table in all_tables(rows)) + "\n"


def growth(rows: list) -> Check:
    rows = sorted((row for row in of(rows, "mapping") if row["system"] == "pool-slot"),
                  key=lambda row: row["bytes"])
    title = f"map after mount, whole slots: the largest object takes at most {MAX_GROWTH} × the smallest"
    if len(rows) < 2:
        return Check(title, False, "not measured")
    ratio = rows[-1]["ready_us"] / rows[0]["ready_us"]
    return Check(title, ratio <= MAX_GROWTH, f"{human_us(rows[-1]['ready_us'])} / "
                 f"{human_us(rows[0]['ready_us'])} = {ratio:.2f}")


def nothing_faults(rows: list) -> Check:
    rows = of(rows, "mapping")
    bad = [f"{row['system']} {human_bytes(row['bytes'])}" for row in rows
           if max(row["samples"]["sweep_faults"]) > 0]
    return Check("nothing faults after a mapping is ready", bool(rows) and not bad,
                 ", ".join(bad) or f"{len(rows)} rows")


def dax_is_on(rows: list) -> Check:
    rows = [row for row in rows if row.get("system") == "ext4-dax" and "dax" in row]
    return Check("ext4 maps without the page cache (STATX_ATTR_DAX)",
                 bool(rows) and all(row["dax"] for row in rows), f"{len(rows)} rows")


def rates_checks(rows: list) -> list:
    rates = of(rows, "rates")
    if not rates:
        return [Check("rates: at least those of ext4-dax", False, "not measured")]
    checks = []
    for operation in operations_of(rates):
        ratio = rate_ratio(rates, operation)
        checks.append(Check(f"{operation}: at least ext4-dax's rate", bool(ratio) and ratio >= 1,
                            f"{ratio:.2f}" if ratio else "not measured"))
    return checks


def checks(rows: list) -> list:
    return [dax_is_on(rows), nothing_faults(rows), growth(rows), *rates_checks(rows)]
