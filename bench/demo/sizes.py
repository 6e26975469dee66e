# SPDX-License-Identifier: MIT
"""The sizes that are measured, and how people write them."""

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# Prefixes of the model, and the model itself ("full").
PREFIXES = {"2m": 2 * MIB, "128m": 128 * MIB, "1g": GIB}
NAMES = [*PREFIXES, "full"]

# The model of the slides: 6.82 GiB.
FULL_BYTES = 7_323_916_608


def human_bytes(count: float) -> str:
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if count >= unit:
            return f"{count / unit:.2f}".rstrip("0").rstrip(".") + f" {name}"
    return f"{count:.0f} B"


def human_us(us: float) -> str:
    """Three digits that mean something, and a unit."""
    for unit, name in ((1e6, "s"), (1e3, "ms")):
        if us >= unit:
            value = us / unit
            return f"{value:.{max(0, 3 - len(str(int(value))))}f} {name}"
    return f"{us:.0f} µs"


def human_ratio(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"
