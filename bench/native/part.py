# SPDX-License-Identifier: MIT
"""The native part of make demo: all systems that need no module, one after the other, on the
machine as it is. One copy of the model is in memory at a time, beside the page cache."""

import os
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import model
from model import output_of
from native import leftovers, page_cache, place
from native.figures import COPY, LLAMA, LOAD, NODE, SHARDS, Figures, write
from native.measure import (MAP_BENCH_DYNAMIC, UNDER_RUN, Model, copy_row, describe_machine,
                            llama_command, llama_runs, mapping_row, node_command, program_row,
                            program_runs, run_once, seconds_of, sum_of)
from native.place import Skip, compact_memory, holding, mounted
from paths import DEMO, MAKE_MODEL, PROGRAMS, TOOLS, VOCABULARY
from sizes import GIB, MIB, human_bytes

HERE = DEMO / "native"
HUGE_PAGE = 2 * MIB
# For the programs, the KV cache, and everything else; and on the disk for small models.
MEMORY_EXTRA = GIB + GIB // 2
DISK_EXTRA = GIB
# How fast memory is depends on which pages a copy got, and on what the host does meanwhile. So the
# systems take turns, with a new copy each time.
ROUNDS = 3
LLAMA_RUNS, TOKENS = 3, 4  # per round
# Seconds after a copy by several threads, so that what is measured does not run beside its end.
SETTLE = 2


def room() -> int:
    """For the model: in the page cache and in one copy; and once on the disk."""
    from machine import available_memory
    DEMO.mkdir(parents=True, exist_ok=True)
    return min((available_memory() - MEMORY_EXTRA) // 2,
               shutil.disk_usage(DEMO).free - DISK_EXTRA)


class Part:
    def __init__(self, folder: Path, full: Model, small: Path, samples: int, llama: bool):
        self.folder, self.full, self.small = folder, full, small
        self.samples, self.with_llama = -(-samples // ROUNDS), llama
        self.llama_runs, self.copy_times = {}, {}
        self.figures = Figures(environment=describe_machine())
        self.start = time.monotonic()

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.start:6.0f} s  {text}", flush=True)

    def attempt(self, systems: str, function) -> None:
        """A system that does not work here does not keep the others from being measured."""
        self.say(systems)
        try:
            function()
        except Skip as reason:
            self.say(f"{systems}: left out: {reason}")
            for system in systems.split(", "):
                self.figures.skipped[system] = str(reason)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            self.say(f"FAILED: {systems}: {error}")
            self.figures.failed.append(f"{systems}: {' '.join(str(error).split())}")

    def row(self, system: str, *options, file=None) -> None:
        self.figures.add_mapping(
            mapping_row(system, self.full, self.samples, *options, file=file))

    def llama(self, system: str, *options, **more) -> None:
        if self.with_llama:
            # The first one after a copy was often the slowest; with all systems it does not count.
            self.llama_runs.setdefault(system, []).extend(
                llama_runs(self.full, 1 + LLAMA_RUNS, TOKENS, *options, **more)[1:])

    # --- the systems ------------------------------------------------------------------------

    def need_ext4(self) -> None:
        kind = page_cache.file_system(self.full.path)
        if not kind.startswith("ext"):
            raise Skip(f"the model lies on {kind}")

    def ext4(self) -> None:
        self.need_ext4()
        page_cache.bring_in(self.full.path)
        self.row("ext4")
        self.llama("ext4")

    def ext4_4k(self) -> None:
        self.need_ext4()
        page_cache.bring_in_small_folios(self.full.path)
        self.row("ext4-4k")
        self.llama("ext4-4k")

    def tmpfs(self, system: str, huge: str, *floors) -> None:
        with mounted(self.folder / "m", "tmpfs", f"size=100%,huge={huge}") as folder:
            file = folder / "model.gguf"
            self.row(system, "--source", self.full.path, file=file)
            for floor in floors:
                self.row(floor, file=file)
            self.llama(system, file=file)

    def hugetlb(self) -> None:
        compact_memory()
        with mounted(self.folder / "m", "hugetlbfs", "pagesize=2M") as folder:
            file = folder / "model.gguf"
            self.row("hugetlb", "--source", self.full.path, file=file)
            # It unmaps a part that is no multiple of 2 MiB, which this file system refuses.
            self.llama("hugetlb", "--may-stay", file=file)

    def shared(self, program: str, *systems) -> None:
        """By hand, or through the library: the same program around two ways."""
        way = PROGRAMS / "native" / program
        compact_memory()
        with holding(way, "hold", self.full.path) as held:
            time.sleep(SETTLE)
            for system in systems:
                self.row(system, "--program", way, file=held)

    def load(self, path: Path) -> None:
        output_of("morsel", "load", path)

    def copying(self) -> None:
        compact_memory()
        with mounted(self.folder / "m", "tmpfs", "size=100%,huge=always") as folder:
            copy = folder / "model.gguf"
            for system, command, remove in (
                    (COPY, ("cp", self.full.path, copy), ("rm", copy)),
                    (LOAD, ("morsel", "load", self.full.path), ("morsel", "rm", self.full.path))):
                self.copy_times.setdefault(system, []).append(seconds_of(*command) * 1000)
                output_of(*remove)

    def run(self) -> None:
        """Unmodified programs that map the file on ext4, under `morsel run`."""
        self.load(self.full.path)
        time.sleep(SETTLE)
        self.row("morsel-run", "--launcher", " ".join(UNDER_RUN), "--program", MAP_BENCH_DYNAMIC)
        self.llama("morsel-run", launcher=UNDER_RUN)
        output_of("morsel", "rm", self.full.path)

    def programs(self) -> None:
        """Node, and a model in three files: the same tokens with and without."""
        whole = self.small
        write_small(whole.with_name("shards.gguf"), "--shards", 3)
        files = sorted(whole.parent.glob("shards-*.gguf"))
        size = whole.stat().st_size
        node, llama = node_command(whole, 8), llama_command(files[0], 8)
        reference = llama_command(whole, 8)
        # Of the three files one is named: the command knows that they belong together.
        for file in (whole, files[0]):
            self.load(file)
        for system, program, command in (
                ("ext4", NODE, node), ("morsel-run", NODE, [*UNDER_RUN, *node]),
                ("ext4", SHARDS, reference), ("morsel-run", SHARDS, [*UNDER_RUN, *llama])):
            program_row(self.figures, system, program, size, program_runs([command]))
        for file in (whole, files[0]):
            output_of("morsel", "rm", file)

    def systems(self) -> None:
        self.attempt("ext4", self.ext4)
        self.attempt("tmpfs-4k, untouched", lambda: self.tmpfs("tmpfs-4k", "never", "untouched"))
        self.attempt("tmpfs-huge", lambda: self.tmpfs("tmpfs-huge", "always"))
        self.attempt("hugetlb", self.hugetlb)
        self.attempt("hugetlb-shared", lambda: self.shared("share-bench-hand", "hugetlb-shared"))
        self.attempt("morsel-lib, morsel-open",
                     lambda: self.shared("share-bench-library", "morsel-lib", "morsel-open"))
        self.attempt("morsel-run", self.run)
        self.attempt(f"{COPY}, {LOAD}", self.copying)
        self.attempt("ext4-4k", self.ext4_4k)

    def measure(self) -> None:
        if self.with_llama:
            run_once(*llama_command(self.small, 1))  # its libraries are read from the disk
        for number in range(1, ROUNDS + 1):
            self.say(f"round {number} of {ROUNDS}")
            self.systems()
        for system, times in self.copy_times.items():
            copy_row(self.figures, system, self.full, times)
        for system, runs in self.llama_runs.items():
            program_row(self.figures, system, LLAMA, self.full.bytes, runs)
        if self.with_llama:
            self.attempt(f"{NODE}, {SHARDS}", self.programs)


def write_small(path: Path, *options) -> None:
    model.run_quietly(MAKE_MODEL, path, "--vocabulary", VOCABULARY, "--shape", "small", "--seed",
                      model.SEED, *options)


def make_models(folder: Path, blocks: int) -> tuple:
    path, small = folder / "model.gguf", folder / "small.gguf"
    model.write(path, blocks)
    write_small(small)
    os.sync()  # or the disk is written while we measure
    return Model(path, path.stat().st_size, sum_of(path)), small


def stop_holder() -> None:
    with place.uninterrupted():
        run_once("morsel", "holder", "--stop")


def measure(blocks: int, samples: int, llama: bool) -> Figures:
    """Leaves the machine as it was, and says so if it is not; writes build/demo/native*.json."""
    before = leftovers.state()
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir(parents=True)
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, HERE, ignore_errors=True)
        folder = undo.enter_context(place.temporary_folder())
        # A holder of its own: the user's objects are none of our business.
        undo.enter_context(place.environment(
            MORSEL_RUNTIME=str(folder / "runtime"), MORSEL_COMMAND=str(TOOLS / "morsel"),
            PATH=f"{TOOLS}:{os.environ['PATH']}"))
        undo.callback(stop_holder)
        full, small = make_models(HERE, blocks)
        print(f"the model: {human_bytes(full.bytes)}, on {page_cache.file_system(full.path)}")
        undo.enter_context(place.huge_pages_allowed(full.bytes // HUGE_PAGE + 512))
        part = Part(folder, full, small, samples, llama)
        part.measure()
    part.figures.left = leftovers.differences(before)
    write(part.figures, DEMO)
    return part.figures
