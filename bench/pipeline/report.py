# SPDX-License-Identifier: MIT
"""The pipeline's rows as tables, and what they must be."""

from statistics import mean

from checks import Check
from pipeline.rows import BASELINE, SIZES, SYSTEMS, WORKS
from sizes import KIB, MIB, human_bytes, human_us

# The channel's round trip over the baseline's, full work, mean of all sizes. (Slides: 0.61.)
MAX_MEAN = 0.30
# From 1 MiB on over the best other system, and up to 64 KiB over the ring.
MAX_OVER_BEST = 1.15
MAX_OVER_RING = 1.2
# What it adds to the work, over what the baseline adds, from 64 KiB on.
MAX_OVERHEAD = 0.5
# In the machine, 4-KiB leaves, over the baseline: a word of each page from 1 MiB on, a word of each
# 64 KiB from 16 MiB on. Of 1 MiB the latter are 16 pages, and a memfd of one page, of which no mapping
# can save anything, takes two thirds of the time of such a packet already (the first column shows it).
MAX_SPARSE = 0.5
SPARSE_FROM = {"pages": MIB, "sparse": 16 * MIB}


class Table:
    def __init__(self, rows: list):
        self.rows = {(row["work"], row["packet_bytes"], row["system"]): row for row in rows}

    def row(self, work: str, size: int, system: str):
        return self.rows.get((work, size, system))

    def sizes(self) -> list:
        return [size for size in SIZES if any(key[1] == size for key in self.rows)]

    def ratio(self, size: int, system: str, over: str, work: str = "full"):
        one, two = self.row(work, size, system), self.row(work, size, over)
        return one["rtt_us"] / two["rtt_us"] if one and two else None


def text(rows: list) -> str:
    """Round trips, and in per cent of the baseline's."""
    table = Table(rows)
    lines = []
    for work in WORKS:
        if not any(key[0] == work for key in table.rows):
            continue
        lines += [f"round trip, {work} work (% of {BASELINE})",
                  " " * 17 + "".join(f"{human_bytes(size):>16}" for size in table.sizes())]
        for system in dict.fromkeys(row["system"] for row in rows):
            cells = []
            for size in table.sizes():
                row, ratio = table.row(work, size, system), table.ratio(size, system, BASELINE, work)
                cells.append("" if not row else human_us(row["rtt_us"]) +
                             (f" {100 * ratio:4.0f} %" if ratio else ""))
            if any(cells):
                lines.append(f"{system:17}" + "".join(f"{cell:>16}" for cell in cells))
        lines.append("")
    return "\n".join(lines)


def check_each(name: str, sizes: list, value, most: float) -> Check:
    """The largest value of all sizes against the bound."""
    values = {size: value(size) for size in sizes}
    if not values or None in values.values():
        return Check(name, False, "not measured")
    worst = max(values, key=values.get)
    return Check(name, values[worst] <= most, f"at most {values[worst]:.2f}, at {human_bytes(worst)}")


def checks(rows: list) -> list:
    table = Table(rows)

    def over_best(size):
        others = [table.row("full", size, system) for system in SYSTEMS if system != "channel"]
        mine = table.row("full", size, "channel")
        best = min((row["rtt_us"] for row in others if row), default=None)
        return mine["rtt_us"] / best if mine and best else None

    def overhead(size):
        mine, base = table.row("full", size, "channel"), table.row("full", size, BASELINE)
        if not mine or not base:
            return None
        return (mine["rtt_us"] - mine["user_us"]) / (base["rtt_us"] - base["user_us"])

    ratios = [table.ratio(size, "channel", BASELINE) for size in SIZES]
    name = f"channel / {BASELINE}, mean of all sizes, full work: at most {MAX_MEAN}"
    all_there = None not in ratios
    return [
        Check(name, all_there and mean(ratios) <= MAX_MEAN,
              f"{mean(ratios):.2f}" if all_there else "not measured"),
        check_each(f"channel / best other from 1 MiB on: at most {MAX_OVER_BEST}",
                   [size for size in SIZES if size >= MIB], over_best, MAX_OVER_BEST),
        check_each(f"channel / shm-ring up to 64 KiB: at most {MAX_OVER_RING}",
                   [size for size in SIZES if size <= 64 * KIB],
                   lambda size: table.ratio(size, "channel", "shm-ring"), MAX_OVER_RING),
        check_each(f"what channel adds to the work / what {BASELINE} adds, from 64 KiB on: "
                   f"at most {MAX_OVERHEAD}",
                   [size for size in SIZES if size >= 64 * KIB], overhead, MAX_OVERHEAD),
    ]


def checks_in_machine(rows: list) -> list:
    table = Table(rows)
    sizes = [size for size in SIZES if size >= 64 * KIB]

    def better_mount(size, other):
        ratios = [table.ratio(size, system, other) for system in ("morsel-fresh-4k", "morsel-fresh-2m")]
        return None if None in ratios else min(ratios)

    found = [check_each(f"morsel-fresh (on the better of its mounts) / {other}, full work, from 64 KiB "
                        "on: less than 1", sizes, lambda size, other=other: better_mount(size, other), 1.0)
             for other in (BASELINE, "tmpfs-huge")]
    found += [check_each(f"morsel-fresh-4k / {BASELINE}, {work} work, from {human_bytes(least)} on: "
                         f"at most {MAX_SPARSE}", [size for size in SIZES if size >= least],
                         lambda size, work=work: table.ratio(size, "morsel-fresh-4k", BASELINE, work),
                         MAX_SPARSE)
              for work, least in SPARSE_FROM.items()]
    return found
