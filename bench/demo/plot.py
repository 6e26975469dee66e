# SPDX-License-Identifier: MIT
"""Draws mapping.svg and mapping.png: time until ready by size, on logarithmic axes."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the back end is chosen first)

from results import Results, is_morsel, is_slot  # noqa: E402
from sizes import human_bytes, human_us  # noqa: E402
from tables import DESCRIPTIONS  # noqa: E402

# Colours that colour-blind people can tell apart (Okabe and Ito).
COLOURS = {
    "untouched": "#999999", "ext4": "#e69f00", "tmpfs-4k": "#d55e00", "tmpfs-huge": "#cc79a7",
    "hugetlb": "#56b4e9", "morsel-4k": "#009e73", "morsel-4k-slot": "#009e73",
    "morsel-2m": "#0072b2", "morsel-2m-slot": "#0072b2",
}


def draw(results: Results, folder: Path, note: str) -> None:
    # The same figures give the same file.
    plt.rcParams["svg.hashsalt"] = "morsels"
    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    for system in results.systems():
        rows = [row for row in results.rows if row["system"] == system]
        style = "--" if is_slot(system) else ":" if system == "untouched" else "-"
        axes.plot([row["bytes"] for row in rows], [row["ready_us"] for row in rows], style,
                  color=COLOURS[system], marker="o" if is_morsel(system) else "s", markersize=5,
                  linewidth=2 if is_morsel(system) else 1.5, label=DESCRIPTIONS[system])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(results.sizes(), [human_bytes(size) for size in results.sizes()])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: human_us(value).replace(".00", "")
                                   .replace(".0", ""))
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_xlabel("size of the file")
    axes.set_ylabel("until no access faults any more (median)")
    axes.set_title("From open() to a ready mapping", loc="left")
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.text(0.0, -0.02, note, fontsize=7, color="#555555", ha="left", va="top")
    figure.savefig(folder / "mapping.svg", bbox_inches="tight", metadata={"Date": None})
    figure.savefig(folder / "mapping.png", bbox_inches="tight", dpi=130)
    plt.close(figure)
