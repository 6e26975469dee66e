# SPDX-License-Identifier: MIT
"""Prints tables and the verdict."""

import os
import sys

import tables
from results import BASELINE, Results
from sizes import FULL_BYTES, human_bytes


def colour(text: str, code: str) -> str:
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{code}m{text}\033[0m"


def where(environment: dict, emulated: bool) -> str:
    """One line about the machine, for below a table."""
    machine = (f"Linux {environment.get('kernel', '?')}, {environment.get('cpus', '?')} CPUs, "
               f"{human_bytes(int(environment.get('memory_kib', 0)) * 1024)}")
    if emulated:
        return (f"{machine}, in QEMU's software emulation: look at ratios and counts, "
                "the times mean nothing by themselves.")
    return f"{machine}, {environment.get('cpu', 'unknown CPU')}."


def print_tables(results: Results, emulated: bool) -> None:
    print(f"\nFrom open() until no access faults any more, median of fresh processes. Baseline of "
          f"the ratio: {tables.DESCRIPTIONS[BASELINE]},\nthe faster of MAP_POPULATE and one read "
          "per page. Faults, VmPTE and leaf: for the largest size.\n")
    for table in (tables.ready_table(results), tables.detail_table(results),
                  tables.against_table(results), tables.llama_table(results)):
        if table:
            print(tables.as_text(table) + "\n")
    for system, reason in results.skipped.items():
        print(f"  {system} was left out: {reason}")
    full = results.sizes()[-1]
    if full < FULL_BYTES:
        print(f"  The largest file is {human_bytes(full)} and not {human_bytes(FULL_BYTES)}: that "
              "was asked for, or memory or disk are short. Ratios are smaller with it.")
    print("  " + where(results.environment, emulated))


def print_verdict(checks: list) -> bool:
    print("\nVerdict")
    for check in checks:
        mark = colour("ok  ", "32") if check.ok else colour("MISS", "31;1")
        print(f"  {mark}  {check.name}: {check.detail}")
    missed = sum(not check.ok for check in checks)
    if missed:
        print(colour(f"\nRED: {missed} of {len(checks)} checks missed\n", "31;1"))
    else:
        print(colour(f"\nGREEN: all {len(checks)} checks hold\n", "32;1"))
    return missed == 0
