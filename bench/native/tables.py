# SPDX-License-Identifier: MIT
"""The native figures for people."""

from native.figures import BASELINE, COPY, LOAD, Figures, spread
from sizes import human_bytes, human_ratio, human_us

DESCRIPTIONS = {
    "untouched": "untouched mapping (the floor)",
    "ext4-4k": "ext4, 4-KiB folios",
    "ext4": "ext4, page cache as found",
    "tmpfs-4k": "tmpfs, 4-KiB pages",
    "tmpfs-huge": "tmpfs, huge=always",
    "hugetlb": "hugetlbfs, 2-MiB pages",
    "hugetlb-shared": "the same, tables shared by hand",
    "morsel-lib": "libmorsel, an object that is open",
    "morsel-open": "libmorsel, with opening it by name",
    "morsel-run": "plain mmap under `morsel run`",
}


def plus_minus(row: dict, name: str, scale: float = 1) -> str:
    return f"± {human_us(scale * spread(row['samples'][name]) / 2)}"


def mapping_table(figures: Figures) -> list:
    base = figures.mapping(BASELINE)
    table = [[f"{human_bytes(figures.bytes())}, ready after", "median", "spread",
              f"{BASELINE} / this", "unmap", "faults", "VmPTE", "leaf", "in 2-MiB entries"]]
    for row in figures.mappings():
        seen = row.get("kpageflags", {})
        table.append([
            DESCRIPTIONS[row["system"]], human_us(row["ready_us"]), plus_minus(row, "ready_us"),
            human_ratio(base["ready_us"] / row["ready_us"]) if base else "-",
            human_us(row["unmap_us"]), f"{row['ready_faults']:,.0f}",
            human_bytes(row["vmpte_bytes"]), seen.get("size") or "-",
            human_bytes(seen["pmd_mapped_bytes"]) if "pmd_mapped_bytes" in seen else "-"])
    return table


def llama_table(figures: Figures) -> list:
    rows = figures.programs()
    base = figures.program(BASELINE)
    table = [["llama.cpp, the model from", "load", "first token", "together", "spread",
              f"of {BASELINE}", "unload", "faults"]]
    for row in rows:
        times = (human_us(1000 * row[name]) for name in ("load_ms", "first_token_ms", "start_ms"))
        table.append([DESCRIPTIONS[row["system"]], *times, plus_minus(row, "start_ms", 1000),
                      f"{row['start_ms'] / base['start_ms']:.0%}" if base else "-",
                      human_us(1000 * row["unload_ms"]), f"{row['load_faults']:,.0f}"])
    return table if rows else []


def copy_table(figures: Figures) -> list:
    table = [[f"{human_bytes(figures.bytes())} into memory", "median", "spread", "per second"]]
    for system, name in ((COPY, "cp to tmpfs, huge=always"), (LOAD, "`morsel load`")):
        if row := figures.copy(system):
            table.append([name, human_us(1000 * row["copy_ms"]), plus_minus(row, "copy_ms", 1000),
                          human_bytes(row["bytes_per_second"])])
    return table if len(table) > 1 else []


def all_tables(figures: Figures) -> list:
    return [table for table in (mapping_table(figures), llama_table(figures), copy_table(figures))
            if table]
