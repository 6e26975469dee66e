# SPDX-License-Identifier: MIT
"""What the native figures must be, and whether they are."""

from checks import Check, worst
from native.figures import (BASELINE, COPY, LLAMA, LOAD, NODE, SHARDS, SYSTEMS, Figures, spread)
from sizes import FULL_BYTES, human_bytes, human_ratio, human_us

MIN_SAMPLES = 5
# The library over the same calls by hand.
MAX_LIBRARY = 1.5
# The baseline over an unmodified program under `morsel run`, with the full model.
MIN_RATIO = 10_000
# llama.cpp's load and first token, below the same from 4-KiB pages.
MIN_SAVED = 0.45
SMALL_PAGES = [BASELINE, "ext4-4k"]
# At least this much is noise, however well five runs agree.
MIN_NOISE = 0.02
# `morsel load` over cp.
MAX_COPY = 1.2
LLAMA_SYSTEMS = ["ext4-4k", "ext4", BASELINE, "tmpfs-huge", "hugetlb", "morsel-run"]
# Of these nothing may be left mapped; from hugetlbfs llama.cpp cannot unmap a part.
UNLOADING = [system for system in LLAMA_SYSTEMS if system != "hugetlb"]


def missing(figures: Figures, name: str, *systems) -> Check:
    """What could not be measured is missed, with the reason."""
    reasons = [f"{system}: {figures.skipped.get(system, 'not measured')}" for system in systems]
    return Check(name, False, "; ".join(reasons))


def completeness(figures: Figures) -> list:
    absent = [system for system in SYSTEMS if not figures.mapping(system)]
    few = [row["system"] for row in figures.mappings()
           if len(row["samples"]["ready_us"]) < MIN_SAMPLES]
    name = "all systems were measured"
    return [
        missing(figures, name, *absent) if absent else Check(name, True, f"{len(SYSTEMS)} systems"),
        Check(f"at least {MIN_SAMPLES} samples in every row", not few, ", ".join(few) or "yes"),
        Check("every step ended well", not figures.failed, "; ".join(figures.failed) or "yes"),
    ]


class Rows:
    """What checks.worst() wants to look at."""

    def __init__(self, rows: list):
        self.rows = rows


def validity(figures: Figures) -> list:
    touched = [row for row in figures.mappings() if row["system"] != "untouched"]
    wrong = [row["system"] for row in touched if not row.get("checksum_ok")]
    checks = [
        worst(Rows(touched), "nothing faults after a mapping is ready", lambda row: 0,
              lambda row: max(row["samples"]["sweep_faults"])),
        Check("the bytes read through each mapping are the model's", bool(touched) and not wrong,
              ", ".join(wrong) or f"{len(touched)} checksums"),
    ]
    name = "an unmodified program's mmap of the file is answered with the object"
    row, plain = figures.mapping("morsel-run"), figures.mapping("ext4")
    if not row or not plain:
        return [*checks, missing(figures, name, "morsel-run")]
    return [*checks, Check(name, row["backing"] != plain["backing"], row["backing"])]


def ratio(figures: Figures, name: str, over: str, under: str, holds) -> Check:
    one, two = figures.mapping(over), figures.mapping(under)
    if not one or not two:
        return missing(figures, name, *(system for system in (over, under)
                                        if not figures.mapping(system)))
    value = one["ready_us"] / two["ready_us"]
    return Check(name, holds(value), f"{human_us(one['ready_us'])} / {human_us(two['ready_us'])} = "
                 f"{human_ratio(value) if value >= 10 else f'{value:.2f}'}")


def mapping(figures: Figures) -> list:
    # A smaller model takes the baseline less time: the bar goes down with it.
    least = MIN_RATIO * min(1.0, figures.bytes() / FULL_BYTES)
    return [
        ratio(figures, f"the library maps within {MAX_LIBRARY} × of the same calls by hand",
              "morsel-lib", "hugetlb-shared", lambda value: value <= MAX_LIBRARY),
        ratio(figures, f"{BASELINE} / morsel-run at {human_bytes(figures.bytes())}: "
              f"at least {least:,.0f}", BASELINE, "morsel-run", lambda value: value >= least),
    ]


def noise(one: dict, two: dict) -> float:
    return max(spread(one["samples"]["start_ms"]), spread(two["samples"]["start_ms"]),
               MIN_NOISE * two["start_ms"])


def start_up(figures: Figures) -> list:
    """llama.cpp's load and first token."""
    mine = figures.program("morsel-run")
    checks = []
    for system in LLAMA_SYSTEMS[:-1]:
        other = figures.program(system)
        name = (f"llama.cpp starts at least {MIN_SAVED:.0%} sooner than from {system}"
                if system in SMALL_PAGES else f"llama.cpp starts no later than from {system}, but for noise")
        if not mine or not other:
            checks.append(missing(figures, name, *(name for name, row in
                                                   (("morsel-run", mine), (system, other))
                                                   if not row)))
            continue
        saved = 1 - mine["start_ms"] / other["start_ms"]
        detail = (f"{human_us(1000 * mine['start_ms'])} against "
                  f"{human_us(1000 * other['start_ms'])}: {saved:+.1%}")
        if system in SMALL_PAGES:
            checks.append(Check(name, saved >= MIN_SAVED, detail))
        else:
            allowed = noise(mine, other)
            ok = mine["start_ms"] <= other["start_ms"] + allowed
            checks.append(Check(name, ok, f"{detail}; the runs of one differ by {human_us(1000 * allowed)}"))
    return checks


def tokens_of(rows: list) -> set:
    return {tuple(row["tokens"]) for row in rows if row}


def same_tokens(figures: Figures) -> list:
    checks = []
    for name, wanted in (
            ("llama.cpp generates the same tokens from all systems",
             {system: figures.program(system) for system in LLAMA_SYSTEMS}),
            ("node-llama-cpp generates the same tokens under morsel run",
             {system: figures.program(system, NODE) for system in ("ext4", "morsel-run")}),
            ("a model in three files runs as one under morsel run, with the whole one's tokens",
             {system: figures.program(system, SHARDS) for system in ("ext4", "morsel-run")})):
        absent = [system for system, row in wanted.items() if not row]
        tokens = tokens_of(wanted.values())
        if absent:
            checks.append(missing(figures, name, *absent))
            continue
        same = len(tokens) == 1 and tokens != {()}
        checks.append(Check(name, same, f"{len(next(iter(tokens)))} tokens" if same else
                            "; ".join(f"{system} {row['tokens']}"
                                      for system, row in wanted.items())))
    return checks


def files(row: dict) -> list:
    """Of what was mapped, the models themselves."""
    return [name for name in row["shared_names"] if name.endswith(".gguf")]


def replaced(figures: Figures) -> list:
    """The files themselves are not mapped under `morsel run`, and without it they are."""
    wrong = []
    for program in (LLAMA, NODE, SHARDS):
        plain, mine = figures.program("ext4", program), figures.program("morsel-run", program)
        if not plain or not mine:
            wrong.append(f"{program}: not measured")
        elif files(mine) or not mine["shared_names"]:
            wrong.append(f"{program}: {mine['shared_names']}")
        elif not files(plain):
            wrong.append(f"{program}, plain: {plain['shared_names']}")
    left = [row["system"] for row in figures.programs()
            if row["system"] in UNLOADING and row["left_mapped"]]
    return [Check("under morsel run these programs map the objects and not the files", not wrong,
                  "; ".join(wrong) or f"{LLAMA}, {NODE}, {SHARDS}"),
            Check("llama.cpp unloads, and no mapping of the model is left",
                  bool(figures.programs()) and not left, ", ".join(left) or
                  f"{len(figures.programs())} systems")]


def loading(figures: Figures) -> list:
    name = f"morsel load takes at most {MAX_COPY} × cp to tmpfs with huge=always"
    load, copy = figures.copy(LOAD), figures.copy(COPY)
    if not load or not copy:
        return [missing(figures, name, LOAD)]
    value = load["copy_ms"] / copy["copy_ms"]
    return [Check(name, value <= MAX_COPY, f"{human_us(1000 * load['copy_ms'])} / "
                  f"{human_us(1000 * copy['copy_ms'])} = {value:.2f}")]


def all_checks(figures: Figures, llama: bool = True) -> list:
    if not figures.rows:
        return [Check("something was measured", False, "; ".join(
            [*(f"{system}: {reason}" for system, reason in figures.skipped.items()),
             *figures.failed]) or "there are no rows")]
    checks = [*completeness(figures), *validity(figures), *mapping(figures), *loading(figures)]
    if llama:
        checks += [*start_up(figures), *same_tokens(figures), *replaced(figures)]
    checks.append(Check("nothing is left behind: huge pages, mounts, processes, settings",
                        not figures.left, "; ".join(figures.left) or "nothing"))
    return checks
