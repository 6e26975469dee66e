# SPDX-License-Identifier: MIT
"""The figures for people: on a terminal, and in Markdown."""

from statistics import median

from results import BASELINE, Results, is_morsel
from sizes import human_bytes, human_ratio, human_us

DESCRIPTIONS = {
    "untouched": "untouched mapping (the floor)",
    "ext4": "ext4, page cache",
    "tmpfs-4k": "tmpfs, 4-KiB pages",
    "tmpfs-huge": "tmpfs, huge=always",
    "hugetlb": "hugetlbfs, 2-MiB pages",
    "morsel-4k": "morselfs, 4-KiB leaves",
    "morsel-2m": "morselfs, 2-MiB leaves",
    "morsel-4k-slot": "morselfs, 4-KiB leaves, whole slots",
    "morsel-2m-slot": "morselfs, 2-MiB leaves, whole slots",
}
AGAINST = ["ext4", "tmpfs-4k", "tmpfs-huge", "hugetlb"]


def ready_table(results: Results) -> list:
    """One row per system, one column per size, and how the largest compares with the baseline."""
    sizes = results.sizes()
    full = sizes[-1]
    base = results.row(BASELINE, full)
    table = [["ready after", *(human_bytes(size) for size in sizes), f"{BASELINE} / this",
              "faults", "VmPTE", "leaf"]]
    for system in results.systems():
        cells = [DESCRIPTIONS[system]]
        for size in sizes:
            row = results.row(system, size)
            cells.append(human_us(row["ready_us"]) if row else "-")
        row = results.row(system, full)
        if row:
            cells.append(human_ratio(base["ready_us"] / row["ready_us"]) if base else "-")
            leaf = row.get("leaf", {})
            cells += [f"{row['ready_faults']:,.0f}", human_bytes(row["vmpte_bytes"]),
                      leaf.get("info") or leaf.get("kpageflags") or "-"]
        else:
            cells += ["-"] * 4
        table.append(cells)
    return table


def detail_table(results: Results) -> list:
    full = results.sizes()[-1]
    table = [[f"at {human_bytes(full)}", "ready", "slowest", "first", "again", "unmap",
              "faults after"]]
    for system in results.systems():
        row = results.row(system, full)
        if row:
            table.append([DESCRIPTIONS[system],
                          *(human_us(row[name]) for name in
                            ("ready_us", "max_us", "first_us", "again_us", "unmap_us")),
                          "-" if system == "untouched" else f"{row['sweep_faults']:.0f}"])
    return table


def against_table(results: Results) -> list:
    """How many times sooner a morsel is ready: the better the baseline, the smaller the factor."""
    full = results.sizes()[-1]
    bases = [(name, results.row(name, full)) for name in AGAINST if results.row(name, full)]
    table = [[f"times faster at {human_bytes(full)} than", *(name for name, _ in bases)]]
    for system in filter(is_morsel, results.systems()):
        row = results.row(system, full)
        if row:
            table.append([DESCRIPTIONS[system],
                          *(human_ratio(base["ready_us"] / row["ready_us"]) for _, base in bases)])
    return table if len(table) > 1 else []


def llama_table(results: Results) -> list:
    table = [["llama.cpp, the large model from", "loads in", "faults", "unloads in"]]
    for system in ("tmpfs-4k", "tmpfs-huge", "morsel-4k", "morsel-2m"):
        runs = [run for name, run in results.llama.items() if name.startswith(f"{system}-load-")]
        if runs:
            table.append([DESCRIPTIONS[system],
                          human_us(1000 * median(run["load_ms"] for run in runs)),
                          f"{median(run['load_faults'] for run in runs):,.0f}",
                          human_us(1000 * median(run["unload_ms"] for run in runs))])
    return table if len(table) > 1 else []


def as_text(table: list) -> str:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("  " + "  ".join(cells).rstrip())
    lines.insert(1, "  " + "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def as_markdown(table: list) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in table]
    lines.insert(1, "|---|" + "---:|" * (len(table[0]) - 1))
    return "\n".join(lines)
