# SPDX-License-Identifier: MIT
"""Rows about devices: the rounds of each system, size and unit, put together."""

import json
from pathlib import Path
from statistics import median

STEPS = ["get", "hold", "map"]


def total(cost: dict) -> int:
    """Up to where the device may begin."""
    return sum(cost[step] for step in STEPS)


def summary(costs: list) -> dict:
    return {"total": median(total(cost) for cost in costs),
            **{step: median(cost[step] for cost in costs) for step in [*STEPS, "back"]},
            "segments": max(cost["segments"] for cost in costs),
            "samples": [total(cost) for cost in costs]}


def same_addresses(rounds: list) -> bool:
    """Whether all processes of a round were given the first one's."""
    return all(cost["address"] == one["first"]["address"] for one in rounds for cost in one["again"])


def collect(folder: Path) -> list:
    """From the files that the guest leaves, SYSTEM-BYTES-ROUND.json."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        one = json.loads(path.read_text())
        found.setdefault((one["system"], one["bytes"], one["unit"]), []).append(one)
    return [{"system": system, "bytes": size, "unit": unit, "length": rounds[0]["length"],
             "first": summary([one["first"] for one in rounds]),
             "again": summary([cost for one in rounds for cost in one["again"]]),
             "same_addresses": same_addresses(rounds)}
            for (system, size, unit), rounds in sorted(found.items())]
