# SPDX-License-Identifier: MIT
"""One measurement each: a row of the mapping table, runs of a program, copies."""

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from model import output_of
from native.figures import Figures, summary
from paths import LLAMA_LOAD, MAP_BENCH, TOP
from paths import LLAMA as LLAMA_FOLDER

MAP_BENCH_DYNAMIC = MAP_BENCH.with_name("map-bench-dynamic")
NODE_LOAD = TOP / "bench" / "llama" / "node_load.mjs"
UNDER_RUN = ("morsel", "run", "--")


@dataclass
class Model:
    path: Path
    bytes: int
    checksum: str


def sum_of(path: Path) -> str:
    return output_of(MAP_BENCH, "sum", path).strip()


def mapping_row(system: str, model: Model, samples: int, *options, file=None) -> dict:
    """`file` is what is mapped, if that is not the model itself."""
    text = output_of(MAP_BENCH, "row", "--system", system, "--file", file or model.path, "--bytes",
                     model.bytes, "--checksum", model.checksum, "--samples", samples, *options)
    return json.loads(text)


def program_runs(commands: list) -> list:
    """Runs each of the commands, which print JSON about themselves."""
    return [json.loads(output_of(*command)) for command in commands]


def program_row(figures: Figures, system: str, program: str, size: int, runs: list) -> None:
    for run in runs:
        if "first_token_ms" in run:
            run["start_ms"] = run["load_ms"] + run["first_token_ms"]
    figures.failed += [f"{program} on {system}: the tokens of two runs differ"
                       for run in runs if run["tokens"] != runs[0]["tokens"]][:1]
    row = {"system": system, "program": program, "bytes": size, "tokens": runs[0]["tokens"],
           "shared_names": shared_names(runs[0]),
           "left_mapped": max(run.get("left_mapped", 0) for run in runs)}
    timed = [name for name in ("load_ms", "first_token_ms", "start_ms", "vocabulary_ms", "context_ms",
                               "other_tokens_ms", "unload_ms", "load_faults") if name in runs[0]]
    row |= summary({name: [run[name] for run in runs] for name in timed})
    figures.rows.append(row)


def shared_names(run: dict) -> list:
    return run["after_load"]["shared_names"] if "after_load" in run else run["shared_names"]


def llama_command(model: Path, tokens: int, *options) -> list:
    return [LLAMA_LOAD, model, "--backends", LLAMA_FOLDER / "lib", "-n", tokens, *options]


def node_command(model: Path, tokens: int) -> list:
    return [LLAMA_FOLDER / "node", NODE_LOAD, LLAMA_FOLDER, model, tokens]


def llama_runs(model: Model, runs: int, tokens: int, *options, file=None, launcher=()) -> list:
    # The prompt is the token that begins each text, and nothing else: a longer one takes time to
    # compute, the same for all systems.
    command = [*launcher, *llama_command(file or model.path, tokens, "-p", "", "--vocabulary", *options)]
    return program_runs([command] * runs)


def seconds_of(*command) -> float:
    start = time.monotonic()
    output_of(*command)
    return time.monotonic() - start


def copy_row(figures: Figures, system: str, model: Model, times: list) -> None:
    row = {"system": system, "bytes": model.bytes, **summary({"copy_ms": times})}
    row["bytes_per_second"] = round(model.bytes / row["copy_ms"] * 1000)
    figures.rows.append(row)


def describe_machine() -> dict:
    """The same names as mapping/table writes."""
    info = Path("/proc/cpuinfo").read_text()
    names = [line.split(":", 1)[1].strip() for line in info.splitlines()
             if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split()
    found = {"kernel": os.uname().release, "cpus": str(os.cpu_count()),
             "cpu": names[0] if names else "unknown CPU",
             "memory_kib": memory[memory.index("MemTotal:") + 1]}
    for setting in ("enabled", "shmem_enabled"):
        path = Path("/sys/kernel/mm/transparent_hugepage") / setting
        if path.exists():
            found[f"thp_{setting}"] = path.read_text().strip()
    return found


def run_once(*command) -> None:
    """For its side effects on the caches; what it says does not matter."""
    subprocess.run([str(part) for part in command], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
