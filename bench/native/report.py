# SPDX-License-Identifier: MIT
"""Prints the native part's tables and its verdict, from what it wrote."""

import tables as text
from native import checks, tables
from native.figures import BASELINE, read
from paths import DEMO
from report import print_verdict, where
from sizes import FULL_BYTES, human_bytes

WRITTEN = "build/demo/native.json, build/demo/native-environment.json"


def show(llama: bool) -> bool:
    """Is the verdict green?"""
    figures = read(DEMO)
    print("\nOn this machine as it is. Ready: from open() until no access faults any more, median "
          f"of fresh processes. Baseline:\n{tables.DESCRIPTIONS[BASELINE]}, the faster of "
          "MAP_POPULATE and one read per page.\n")
    for table in tables.all_tables(figures):
        print(text.as_text(table) + "\n")
    for system, reason in figures.skipped.items():
        print(f"  {system} was left out: {reason}")
    if figures.bytes() < FULL_BYTES:
        print(f"  The model is {human_bytes(figures.bytes())} and not {human_bytes(FULL_BYTES)}: "
              "that was asked for, or memory or disk are short.")
    print("  " + where(figures.environment, False))
    return print_verdict(checks.all_checks(figures, llama))
