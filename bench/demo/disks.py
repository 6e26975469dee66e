# SPDX-License-Identifier: MIT
"""The model, on two ext4 images for the machine. Made once, kept in build/demo.

model.img holds the large model. 7 GiB are written once only: mke2fs lays an empty file out in one
piece (its "hugefiles"), and make-model writes into the image where that file's bytes are.
parts.img holds what is small enough to be copied in: prefixes of the model, a small model.
"""

import json
import os
import re
import shutil
import time

import model
from model import output_of, run_quietly
from paths import DEMO
from sizes import FULL_BYTES, GIB, MIB, PREFIXES, human_bytes

MODEL_IMAGE = DEMO / "model.img"
PARTS_IMAGE = DEMO / "parts.img"
CHECKSUMS = DEMO / "checksums"
STAMP = DEMO / "disks.json"
# Change this number when what lies on the images changes.
FORMAT = 1
PAGE = 4096


def disk_room() -> int:
    """For the model; what is there already counts as free."""
    DEMO.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(DEMO).free
    for image in (MODEL_IMAGE, PARTS_IMAGE):
        if image.exists():
            free += image.stat().st_blocks * 512
    return free - 2 * sum(PREFIXES.values()) - 2 * GIB


def find_program(name: str) -> str:
    """mke2fs and debugfs lie in sbin, which is not in everybody's PATH."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise RuntimeError(f"there is no {name} here (Debian's package e2fsprogs)")
    return path


def make_model_image(blocks: int, size: int) -> int:
    """Returns where in the image the model's first byte is."""
    pages = -(-size // PAGE)
    config = DEMO / "mke2fs.conf"
    # Few inodes, no journal and no reserve: the image holds one file. All of the file system's own
    # blocks come first, so the file is in one piece.
    config.write_text(f"""\
[defaults]
	base_features = sparse_super,filetype,dir_index,ext_attr
	blocksize = {PAGE}
	inode_size = 256
[fs_types]
	ext4 = {{
		features = extent,huge_file,flex_bg,uninit_bg,dir_nlink,extra_isize,sparse_super2
		num_backup_sb = 0
		packed_meta_blocks = 1
		inode_ratio = 4194304
	}}
	model = {{
		make_hugefiles = 1
		hugefiles_dir = /
		hugefiles_name = full
		hugefiles_digits = 0
		hugefiles_size = {pages * PAGE // 1024}k
		num_hugefiles = 1
		zero_hugefiles = false
	}}
""")
    MODEL_IMAGE.unlink(missing_ok=True)
    with open(MODEL_IMAGE, "wb") as image:
        image.truncate((size + size // 64 + 64 * MIB) // MIB * MIB)
    run_quietly(find_program("mke2fs"), "-q", "-F", "-t", "ext4", "-T", "model", "-m", "0",
          "-O", "^has_journal", MODEL_IMAGE, env=os.environ | {"MKE2FS_CONFIG": str(config)})
    config.unlink()
    debugfs = find_program("debugfs")
    run_quietly(debugfs, "-w", "-R", f"set_inode_field /full size {size}", MODEL_IMAGE)

    # "BLOCKS" lists the file's block numbers; all but the first are checked to follow it.
    extents = re.findall(r"^\s*(\d+)/\s*(\d+)\s+\d+/\s*\d+\s+(\d+) -\s+(\d+)\s+(\d+) -\s+(\d+)",
                         output_of(debugfs, "-R", "dump_extents /full", MODEL_IMAGE), re.M)
    leaves = [[int(number) for number in extent[2:]] for extent in extents
              if extent[0] == extent[1]]
    offset = leaves[0][2] - leaves[0][0]
    covered = 0
    for first, last, physical, _ in leaves:
        if first != covered or physical - first != offset:
            raise RuntimeError("mke2fs did not lay the file out in one piece")
        covered = last + 1
    if covered < pages:
        raise RuntimeError("mke2fs laid out a shorter file than it should")

    model.write(MODEL_IMAGE, blocks, "--offset", offset * PAGE)
    return offset * PAGE


def make_parts_image(offset: int, size: int) -> None:
    folder = DEMO / "parts"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    CHECKSUMS.write_text(model.make_parts(folder, MODEL_IMAGE, offset, size))

    room = sum(file.stat().st_size for file in folder.iterdir()) + 128 * MIB
    PARTS_IMAGE.unlink(missing_ok=True)
    with open(PARTS_IMAGE, "wb") as image:
        image.truncate(room // MIB * MIB)
    run_quietly(find_program("mke2fs"), "-q", "-F", "-t", "ext4", "-m", "0", "-O", "^has_journal",
                "-N", "64", "-d", folder, PARTS_IMAGE)
    shutil.rmtree(folder)


def make(blocks: int) -> int:
    """Makes what is missing; returns the model's size in bytes."""
    size = model.bytes_of(blocks)
    if blocks == model.BLOCKS and size != FULL_BYTES:
        raise RuntimeError(f"make-model would write {size} bytes, not {FULL_BYTES}")
    wanted = {"format": FORMAT, "blocks": blocks, "bytes": size, "seed": model.SEED}
    if STAMP.exists() and json.loads(STAMP.read_text()) == wanted:
        if all(path.exists() for path in (MODEL_IMAGE, PARTS_IMAGE, CHECKSUMS)):
            return size
    DEMO.mkdir(parents=True, exist_ok=True)
    STAMP.unlink(missing_ok=True)
    print(f"making the model, {human_bytes(size)} of random weights", flush=True)
    start = time.monotonic()
    offset = make_model_image(blocks, size)
    make_parts_image(offset, size)
    STAMP.write_text(json.dumps(wanted) + "\n")
    print(f"model and parts of it made in {time.monotonic() - start:.0f} s", flush=True)
    return size
