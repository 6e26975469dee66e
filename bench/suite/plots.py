# SPDX-License-Identifier: MIT
"""Draws the pictures, as SVG and PNG."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the back end is chosen first)

from pipeline.report import Table  # noqa: E402
from pipeline.rows import BASELINE  # noqa: E402
from sizes import human_bytes  # noqa: E402

# Colours that colour-blind people can tell apart (Okabe and Ito), and line styles.
STYLES = {
    "memfd-4k": ("#000000", "-"), "tmpfs-huge": ("#cc79a7", "-"), "hugetlb": ("#56b4e9", "-"),
    "morsel-fresh": ("#009e73", "-"), "memfd-recycled": ("#000000", ":"),
    "hugetlb-recycled": ("#56b4e9", ":"), "morsel-recycled": ("#009e73", ":"),
    "shm-ring": ("#e69f00", "--"), "iceoryx": ("#f0e442", "--"), "pipe": ("#d55e00", "--"),
    "unix-stream": ("#999999", "--"), "channel": ("#0072b2", "-"),
    "morsel-fresh-4k": ("#009e73", "-"), "morsel-fresh-2m": ("#009e73", "--"),
    "libmorsel-4k": ("#56b4e9", "-"), "libmorsel-2m": ("#56b4e9", "--"),
    "channel-4k": ("#0072b2", "-"), "channel-2m": ("#0072b2", "--"),
}
PARTS = {"user_us": ("work", "#009e73"), "wait_us": ("waiting", "#e69f00"),
         "kernel_us": ("kernel", "#d55e00")}
PARTS_OF = [BASELINE, "tmpfs-huge", "hugetlb-recycled", "shm-ring", "iceoryx", "channel"]


def save(figure, folder: Path, name: str) -> None:
    figure.savefig(folder / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
    figure.savefig(folder / f"{name}.png", bbox_inches="tight", dpi=130)
    plt.close(figure)


def systems_of(rows: list) -> list:
    return list(dict.fromkeys(row["system"] for row in rows))


def draw_pipeline(rows: list, folder: Path, name: str, title: str) -> None:
    """Round trips in per cent of the baseline's, by packet size."""
    plt.rcParams["svg.hashsalt"] = "morsels"  # the same figures give the same file
    table = Table(rows)
    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    for system in systems_of(rows):
        points = [(size, 100 * ratio) for size in table.sizes()
                  if (ratio := table.ratio(size, system, BASELINE))]
        colour, line = STYLES[system]
        axes.plot(*zip(*points), line, color=colour, marker="o", markersize=4, label=system,
                  linewidth=2.5 if system.startswith("channel") else 1.4)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(table.sizes(), [human_bytes(size) for size in table.sizes()])
    axes.minorticks_off()
    axes.set_yticks([5, 10, 20, 50, 100, 200], ["5 %", "10 %", "20 %", "50 %", "100 %", "200 %"])
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_xlabel("size of a packet")
    axes.set_ylabel(f"round trip, in % of {BASELINE}")
    axes.set_title(title, loc="left")
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save(figure, folder, name)


def draw_parts(rows: list, folder: Path, name: str) -> None:
    """What a round trip consists of, as the slides show it."""
    table = Table(rows)
    figure, axes = plt.subplots(figsize=(12, 5), layout="constrained")
    width, ticks = 0.8 / len(PARTS_OF), []
    for group, size in enumerate(table.sizes()):
        base = table.row("full", size, BASELINE)
        for number, system in enumerate(PARTS_OF):
            row = table.row("full", size, system)
            if not row or not base:
                continue
            at, bottom = group + (number - len(PARTS_OF) / 2 + 0.5) * width, 0.0
            for part, (_, colour) in PARTS.items():
                height = 100 * row[part] / base["rtt_us"]
                axes.bar(at, height, width * 0.9, bottom=bottom, color=colour)
                bottom += height
            ticks.append((at, system))
    axes.set_xticks([at for at, _ in ticks], [system for _, system in ticks], rotation=90, fontsize=6)
    for group, size in enumerate(table.sizes()):
        axes.text(group, -0.02, human_bytes(size), ha="center", va="top", fontsize=8,
                  transform=axes.get_xaxis_transform(), backgroundcolor="white")
    axes.tick_params(axis="x", pad=18)
    axes.set_ylabel(f"in % of {BASELINE}'s round trip")
    axes.set_title("A round trip through three processes, full work", loc="left")
    axes.legend(handles=[plt.Rectangle((0, 0), 1, 1, color=colour) for _, colour in PARTS.values()],
                labels=[text for text, _ in PARTS.values()], frameon=False)
    save(figure, folder, name)
