# SPDX-License-Identifier: MIT
"""The rows about 2-MiB leaves as tables, and what they must be."""

from statistics import median

from checks import Check
from huge.rows import of
from sizes import GIB, human_bytes, human_us
from tables import as_text

SLOT = 2 << 20
STAGES = {"written": "as written", "promoted": "promoted", "freed": "memory given back, promoted"}
MEMORY = {"whole": "whole", "movable": "in pieces, movable pages between them",
          "fixed": "in pieces, the kernel's pages between them"}
BASELINE = "tmpfs-never"
# Of the memory that files of all sizes take on a tmpfs with 4-KiB pages.
MAX_MEMORY = 1.01
# Of a large file's whole slots, where memory is whole.
MIN_SHARE = 0.999


def share(row: dict) -> float:
    """Of the whole 2-MiB slots, those that large entries of the page table map."""
    return row["mapped_2m_bytes"] / (row["bytes"] // SLOT * SLOT)


def order(row: dict) -> tuple:
    return row["system"], list(MEMORY).index(row["memory"]), list(STAGES).index(row["stage"])


def copy_table(rows: list) -> list:
    table = [["a file of", "system", "memory", "stage", "written in", "promoted in",
              "in 2-MiB leaves", "of frames looked at"]]
    for row in sorted(of(rows, experiment="leaves"), key=order):
        same = {name: row[name] for name in ("system", "memory", "stage")}
        copies, moves = of(rows, experiment="copy", **same), of(rows, experiment="promote", **same)
        table.append([human_bytes(row["bytes"]), row["system"], MEMORY[row["memory"]],
                      STAGES[row["stage"]], human_us(copies[0]["write_us"]) if copies else "-",
                      human_us(moves[0]["us"]) if moves else "-", f"{share(row):.1%}",
                      f"{row['in_large_frames'] / row['looked']:.1%}"])
    return table if len(table) > 1 else []


def taken(rows: list, system: str, when: str, what: str) -> list:
    return [row[when][what] for row in of(rows, experiment="files", system=system)]


def spread(values: list) -> str:
    middle = median(values)
    return f"{human_bytes(middle)} ({min(values) / middle - 1:+.2%} to {max(values) / middle - 1:+.2%})"


def memory_ratio(rows: list, system: str, when: str) -> float:
    return median(taken(rows, system, when, "taken_bytes")) / median(
        taken(rows, BASELINE, when, "taken_bytes"))


def files_table(rows: list) -> list:
    found = of(rows, experiment="files")
    if not found:
        return []
    table = [[f"{found[0]['files']} files, {human_bytes(found[0]['bytes'])}", "memory taken",
              f"over {BASELINE}", "cgroup", "slab", "mapped once each"]]
    for system in dict.fromkeys(row["system"] for row in found):
        table.append([system, spread(taken(rows, system, "written", "taken_bytes")),
                      f"{memory_ratio(rows, system, 'written') - 1:+.2%}",
                      human_bytes(median(taken(rows, system, "written", "cgroup_bytes"))),
                      human_bytes(max(0, median(taken(rows, system, "written", "slab_bytes")))),
                      f"{memory_ratio(rows, system, 'mapped') - 1:+.2%}"])
    return table


def promotion_table(rows: list) -> list:
    table = [["promotion", "of", "each GiB", "least", "most"]]
    for way in ("unmapped", "mapped"):
        found = of(rows, experiment="promotion", way=way)
        if found:
            size = found[0]["bytes"]
            times = [us * GIB / size for row in found for us in row["samples"]]
            table.append([way, human_bytes(size), *map(human_us, (median(times), min(times), max(times)))])
    return table if len(table) > 1 else []


READER = {"p50_ns": "median", "p99_ns": "99 %", "p99.9_ns": "99.9 %", "p99.99_ns": "99.99 %",
          "max_ns": "longest"}


def reader_table(rows: list) -> list:
    table = [["a read of a random word", "reads/s", *READER.values()]]
    for way, name in (("alone", "nothing is moved"), ("moved", "slots are promoted")):
        found = of(rows, experiment="reader", way=way)
        if found:
            table.append([name, f"{median(row['reads_per_s'] for row in found):,.0f}", *(
                f"{median(row[column] for row in found) / 1000:,.3f} µs" for column in READER)])
    return table if len(table) > 1 else []


def tables_of(rows: list) -> list:
    return [table for table in (copy_table(rows), files_table(rows), promotion_table(rows),
                                reader_table(rows)) if table]


def text(rows: list) -> str:
    return "\n\n".join(as_text(table) for table in tables_of(rows)) + "\n"


def checks(rows: list) -> list:
    found = []
    for memory, stage in (("whole", "written"), ("whole", "promoted"), ("movable", "freed")):
        title = (f"at least {MIN_SHARE:.1%} in 2-MiB leaves, memory {MEMORY[memory]}, "
                 f"{STAGES[stage]}")
        leaves = of(rows, experiment="leaves", system="morsel-within_size", memory=memory,
                    stage=stage)
        found.append(Check(title, bool(leaves) and share(leaves[0]) >= MIN_SHARE,
                           f"{share(leaves[0]):.1%}" if leaves else "not measured"))
    told = [row for row in of(rows, experiment="leaves") if "leaves_2m" in row]
    wrong = [row for row in told if row["leaves_2m"] * SLOT != row["mapped_2m_bytes"]]
    found.append(Check("the page table has the leaves that the file system tells of",
                       bool(told) and not wrong, f"{len(told) - len(wrong)} of {len(told)}"))
    title = f"files of all sizes take at most {MAX_MEMORY - 1:.0%} more than on {BASELINE}"
    if of(rows, experiment="files", system="morsel-within_size"):
        ratio = memory_ratio(rows, "morsel-within_size", "written")
        found.append(Check(title, ratio <= MAX_MEMORY, f"{ratio - 1:+.2%}"))
    else:
        found.append(Check(title, False, "not measured"))
    return found
