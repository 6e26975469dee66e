# SPDX-License-Identifier: MIT
"""What the figures must be, and whether they are."""

from dataclasses import dataclass

from results import BASELINE, Results, is_morsel, is_slot
from sizes import FULL_BYTES, GIB, KIB, MIB, human_bytes, human_ratio, human_us

MIN_SAMPLES = 7
# The baseline over this row, with the full model.
MIN_RATIO = {"morsel-4k-slot": 5000, "morsel-4k": 2000}
# A slot row with the full model over the same with 2 MiB: the mapping time is constant.
MAX_GROWTH = {"morsel-4k-slot": 2}
MAX_FIRST = 2
MAX_FAULTS_SLOT = 1
MAX_FAULTS_PLAIN = 40
# llama.cpp's mapping begins and ends anywhere: less than one 2-MiB slot at each end.
MAX_EDGES = 2 * 2 * MIB
EXPECTED = ["untouched", "ext4", BASELINE, "tmpfs-huge", "morsel-4k", "morsel-2m",
            "morsel-4k-slot", "morsel-2m-slot"]


@dataclass
class Check:
    name: str
    ok: bool
    detail: str


def max_vmpte(size: int) -> int:
    return round(4 * KIB * size / GIB) + 16 * KIB


def completeness(results: Results) -> list:
    checks = []
    for system in EXPECTED:
        rows = [row for row in results.rows if row["system"] == system]
        sizes = [row["bytes"] for row in rows]
        missing = [human_bytes(size) for size in results.sizes() if size not in sizes]
        if not rows:
            detail = results.skipped.get(system, "no row")
        elif missing:
            detail = "no row for " + ", ".join(missing)
        else:
            detail = f"{len(rows)} sizes"
        checks.append(Check(f"{system} was measured", bool(rows) and not missing, detail))
    few = [row["system"] for row in results.rows if len(row["samples"]["ready_us"]) < MIN_SAMPLES]
    checks.append(Check(f"at least {MIN_SAMPLES} samples in every row", not few,
                        ", ".join(few) or "yes"))
    checks.append(Check("every step ended well", not results.failed,
                        "; ".join(results.failed) or "yes"))
    return checks


def worst(results: Results, name: str, wanted, value, shown=str) -> Check:
    """The worst of the rows for which `value` is not None, against what it may be."""
    found = [(value(row), row) for row in results.rows if value(row) is not None]
    if not found:
        return Check(name, False, "no row to look at")
    bad = [(got, row) for got, row in found if got > wanted(row)]
    got, row = max(bad or found, key=lambda pair: pair[0] / max(wanted(pair[1]), 1))
    detail = f"at most {shown(got)} ({row['system']}, {human_bytes(row['bytes'])})"
    if len(bad) > 1:
        detail += f", and {len(bad) - 1} more rows miss it"
    return Check(name, not bad, detail)


def validity(results: Results) -> list:
    def sweep(row):
        return max(row["samples"]["sweep_faults"]) if row["system"] != "untouched" else None

    wrong = [f"{row['system']} {human_bytes(row['bytes'])}" for row in results.rows
             if row.get("checksum_ok") is False]
    unknown = [row["system"] for row in results.rows
               if row["system"] != "untouched" and "checksum_ok" not in row]
    leaves = [f"{row['system']} {human_bytes(row['bytes'])}: {row['leaf']}" for row in results.rows
              if is_morsel(row["system"]) and row["bytes"] >= 2 * MIB
              and set(row["leaf"].values()) != {row["system"].split("-")[1]}]
    return [
        worst(results, "nothing faults after a mapping is ready", lambda row: 0, sweep),
        Check("the bytes read through each mapping are the source's", not wrong and not unknown,
              ", ".join(wrong + unknown) or "yes"),
        Check("morsels have the leaves that their name says", not leaves,
              "; ".join(leaves) or "yes"),
    ]


def ratios(results: Results) -> list:
    checks = []
    full = results.sizes()[-1]
    # A smaller model than the slides' takes the baseline less time: the bar goes down with it.
    scale = min(1.0, full / FULL_BYTES)
    base = results.row(BASELINE, full)
    for system, least in MIN_RATIO.items():
        row = results.row(system, full)
        wanted = least * scale
        name = f"{BASELINE} / {system} at {human_bytes(full)}: at least {wanted:,.0f}"
        if not row or not base:
            checks.append(Check(name, False, "not measured"))
            continue
        ratio = base["ready_us"] / row["ready_us"]
        checks.append(Check(name, ratio >= wanted, f"{human_us(base['ready_us'])} / "
                            f"{human_us(row['ready_us'])} = {human_ratio(ratio)}"))
    small = results.sizes()[0]
    for system, most in MAX_GROWTH.items():
        name = f"{system}: {human_bytes(full)} takes at most {most} × {human_bytes(small)}"
        large_row, small_row = results.row(system, full), results.row(system, small)
        if not large_row or not small_row:
            checks.append(Check(name, False, "not measured"))
            continue
        growth = large_row["ready_us"] / small_row["ready_us"]
        checks.append(Check(name, growth <= most, f"{human_us(large_row['ready_us'])} / "
                            f"{human_us(small_row['ready_us'])} = {growth:.2f}"))
    return checks


def counts(results: Results) -> list:
    def of(field, wants):
        return lambda row: wants(row) if wants(row) is None else field(row)

    def slot(row):
        return max(row["samples"]["ready_faults"]) if is_slot(row["system"]) else None

    def plain(row):
        if not is_morsel(row["system"]) or is_slot(row["system"]):
            return None
        return max(row["samples"]["ready_faults"])

    def morsel(field):
        return lambda row: field(row) if is_morsel(row["system"]) else None

    return [
        worst(results, f"slot rows: at most {MAX_FAULTS_SLOT} fault until ready",
              lambda row: MAX_FAULTS_SLOT, slot),
        worst(results, f"plain morsel rows: at most {MAX_FAULTS_PLAIN} faults until ready",
              lambda row: MAX_FAULTS_PLAIN, plain),
        # One sample against many: the slowest of them shows how far apart two alike can be.
        worst(results, f"morsel rows: the first mapping takes at most {MAX_FIRST} × the slowest of "
              "the later ones", lambda row: MAX_FIRST,
              morsel(lambda row: row["first_us"] / row["max_us"]),
              lambda ratio: f"{ratio:.2f}"),
        worst(results, "morsel rows: VmPTE grows by at most 4 KiB per GiB + 16 KiB",
              lambda row: max_vmpte(row["bytes"]), morsel(lambda row: row["vmpte_bytes"]),
              human_bytes),
    ]


def llama(results: Results) -> list:
    if "LLAMA_LOAD" in results.environment:
        return []
    generated = {system: results.llama.get(f"{system}-generate")
                 for system in (BASELINE, "morsel-4k", "morsel-2m")}
    missing = [system for system, run in generated.items() if run is None]
    tokens = {system: run["tokens"] for system, run in generated.items() if run}
    same = not missing and all(got == tokens[BASELINE] and got for got in tokens.values())
    checks = [Check("llama.cpp generates the same tokens from tmpfs, 4-KiB and 2-MiB leaves", same,
                    f"no run on {', '.join(missing)}" if missing else
                    f"{len(tokens[BASELINE])} tokens" if same else str(tokens))]

    left = [name for name, run in results.llama.items() if run["left_mapped"] != 0]
    checks.append(Check("llama.cpp unloads, and no mapping of the model is left",
                        bool(results.llama) and not left, ", ".join(left) or
                        f"{len(results.llama)} runs"))

    bare, seen = [], []
    for name, run in results.llama.items():
        # Only a model that was read: the part of it that llama.cpp unmaps after loading takes the
        # grafts away, and the next access brings them back.
        if not is_morsel(name) or "before_unload" not in run:
            continue
        look = run["before_unload"]
        info = look.get("info", {})
        grafted = (info.get("graft_pud_slots", 0) * GIB + info.get("graft_pmd_slots", 0) * 2 * MIB)
        seen.append(f"{name} {grafted / max(look['mapped_bytes'], 1):.1%}")
        covered = info.get("self_grafted_bytes", 0)
        if look["mapped_bytes"] - min(grafted, covered) >= MAX_EDGES:
            bare.append(f"{name}: {human_bytes(grafted)} grafted of "
                        f"{human_bytes(look['mapped_bytes'])}")
    checks.append(Check("while llama.cpp runs, grafts cover its mapping but for the edges",
                        bool(seen) and not bare, "; ".join(bare) or ", ".join(seen) or "no run"))
    loads = [system for system in (BASELINE, "morsel-4k", "morsel-2m")
             if f"{system}-load-1" not in results.llama]
    checks.append(Check("llama.cpp loads the large model from tmpfs and from morselfs", not loads,
                        "not from " + ", ".join(loads) if loads else "yes"))
    return checks


def all_checks(results: Results) -> list:
    if not results.rows:
        return [Check("something was measured", False, "there are no rows")]
    return [*completeness(results), *validity(results), *ratios(results), *counts(results),
            *llama(results)]
