# SPDX-License-Identifier: MIT
"""Builds the programs of bench/, and gets what they need."""

import os
import subprocess

from paths import BUILD, TOP


def call(*command) -> None:
    subprocess.run([os.fspath(part) for part in command], check=True)


NATIVE = ["map-bench-dynamic", "share-bench-hand", "share-bench-library", "morsel",
          "morsel-preload"]


def build(llama: bool, native: bool = False) -> None:
    call(TOP / "bench/llama/fetch")  # always: the vocabulary comes from there
    targets = ["make-model", "map-bench", *(["llama-load"] if llama else []),
               *(NATIVE if native else [])]
    BUILD.mkdir(exist_ok=True)
    log = BUILD / "bench-build.log"
    with open(log, "w") as file:
        for command in (["cmake", "--preset", "release"],
                        ["cmake", "--build", "--preset", "release", "--target", *targets]):
            if subprocess.run(command, cwd=TOP, stdout=file,
                              stderr=subprocess.STDOUT).returncode != 0:
                raise RuntimeError(f"the build failed:\n{log.read_text()[-4000:]}")


def install_matplotlib() -> None:
    """For /usr/bin/python3: whoever calls this may run in another one."""
    there = subprocess.run(["/usr/bin/python3", "-c", "import matplotlib"], capture_output=True,
                           cwd="/").returncode == 0
    if not there:
        call(TOP / "scripts/install-packages", "demo")
