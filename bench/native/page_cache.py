# SPDX-License-Identifier: MIT
"""A file in the page cache: in whatever folios it is there, or in folios of 4 KiB."""

import os
from pathlib import Path

from model import output_of
from sizes import MIB


def file_system(path: Path) -> str:
    """As stat(1) calls it; "ext2/ext3" is what it says of ext4, too."""
    return output_of("stat", "-f", "-c", "%T", path).strip()


def read_all(file: int) -> None:
    buffer = bytearray(16 * MIB)
    while os.readv(file, [buffer]) > 0:
        pass


def bring_in(path: Path) -> None:
    """Anew: small folios that are there would stay."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)  # dirty pages would stay
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        read_all(file)
    finally:
        os.close(file)


def bring_in_small_folios(path: Path) -> None:
    """Read-ahead makes large folios, and there is none for who says that he reads at random."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)  # dirty pages would stay
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
        read_all(file)
    finally:
        os.close(file)
