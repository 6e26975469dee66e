# SPDX-License-Identifier: MIT
"""The model: how large, and the files that are made of it."""

import subprocess
from pathlib import Path

from paths import MAKE_MODEL, MAP_BENCH, VOCABULARY
from sizes import MIB, PREFIXES, human_bytes

SEED = 1
# Of the model of the slides; with fewer it is smaller.
BLOCKS = 32


class Short(Exception):
    """Not enough room, even for a small model."""


def output_of(*command) -> str:
    result = subprocess.run([str(part) for part in command], text=True, capture_output=True)
    if result.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{result.stderr}")
    return result.stdout


def run_quietly(*command, **more) -> None:
    result = subprocess.run([str(part) for part in command], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, **more)
    if result.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{result.stdout}")


def bytes_of(blocks: int) -> int:
    return int(output_of(MAKE_MODEL, "unused", "--vocabulary", VOCABULARY, "--blocks", blocks,
                         "--print-bytes"))


def largest_that_fits(room: int) -> int:
    """As many of the 32 blocks as fit into so many bytes."""
    for blocks in range(BLOCKS, 0, -1):
        if bytes_of(blocks) <= room:
            return blocks
    raise Short(f"{human_bytes(max(room, 0))} are too few for any model")


def write(path: Path, blocks: int, *options) -> None:
    command = [MAKE_MODEL, path, "--vocabulary", VOCABULARY, "--blocks", blocks, "--seed", SEED,
               *options]
    subprocess.run([str(part) for part in command], check=True)


def copy_range(source: Path, offset: int, size: int, target: Path) -> None:
    with open(source, "rb") as read, open(target, "wb") as out:
        read.seek(offset)
        while size > 0:
            chunk = read.read(min(size, 16 * MIB))
            if not chunk:
                raise RuntimeError(f"{source} ends too early")
            out.write(chunk)
            size -= len(chunk)


def make_parts(folder: Path, source: Path, offset: int, size: int) -> str:
    """Makes prefixes of the model, a file to warm with, and the small model. Returns the lines of
    mapping/table's checksums file. The model's own bytes are at `offset` in `source`."""
    for name, length in {**PREFIXES, "warm": 4 * MIB}.items():
        if length <= size:
            copy_range(source, offset, length, folder / name)
    run_quietly(MAKE_MODEL, folder / "small", "--vocabulary", VOCABULARY, "--shape", "small",
                "--seed", SEED)
    lines = [f"{name} {length} {output_of(MAP_BENCH, 'sum', folder / name)}"
             for name, length in PREFIXES.items() if length < size]
    whole = output_of(MAP_BENCH, "sum", source, "--offset", offset, "--bytes", size)
    return "".join([*lines, f"full {size} {whole}"])
