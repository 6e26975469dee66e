# SPDX-License-Identifier: MIT
"""The report: everything that lies in build/bench, as blocks. What was not measured is left out."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

import report as demo_report
import tables as demo_tables
from dma import report as dma
from huge import report as huge
from instructions import report as instructions
from native import figures as native_figures
from native import tables as native_tables
from pipeline import report as pipeline
from pipeline.rows import BASELINE, WORKS
from pool import report as pool
from processes import report as processes
from results import Results
from scale import report as scale
from sizes import human_bytes, human_us
from suite.blocks import Heading, Items, Paragraph, Picture, Table


@dataclass
class Found:
    """What was measured: contents of the files, or None."""
    folder: Path
    files: dict = field(default_factory=dict)

    def get(self, name: str):
        path = self.folder / f"{name}.json"
        if name not in self.files:
            self.files[name] = json.loads(path.read_text()) if path.exists() else None
        return self.files[name]

    def where(self, name: str, emulated: bool) -> Paragraph:
        environment = self.get(f"{name}-environment") or {}
        return Paragraph("Measured on " + demo_report.where(environment, emulated))


def verdicts(checks: list) -> Items:
    return Items([f"{'holds' if check.ok else 'MISSED'}: {check.name}: {check.detail}"
                  for check in checks])


def round_trips(rows: list, work: str) -> Table:
    table = pipeline.Table(rows)
    lines = [[f"{work} work", *(human_bytes(size) for size in table.sizes())]]
    for system in dict.fromkeys(row["system"] for row in rows):
        cells = [system]
        for size in table.sizes():
            row, ratio = table.row(work, size, system), table.ratio(size, system, BASELINE, work)
            cells.append("-" if not row else human_us(row["rtt_us"]) +
                         (f" ({ratio:.0%})" if ratio else ""))
        lines.append(cells)
    return Table(lines)


def spread_of_runs(rows: list) -> Table:
    """Of the medians of the whole runs, the least and the most, over their median."""
    table = pipeline.Table(rows)
    lines = [["least and most of the runs' medians, full work",
              *(human_bytes(size) for size in table.sizes())]]
    for system in dict.fromkeys(row["system"] for row in rows):
        cells = [system]
        for size in table.sizes():
            row = table.row("full", size, system)
            runs = row["runs"]["rtt_us"] if row else [0]
            cells.append(f"{min(runs) / row['rtt_us']:.2f} to {max(runs) / row['rtt_us']:.2f}"
                         if row else "-")
        lines.append(cells)
    return Table(lines)


def parts(rows: list) -> Table:
    table = pipeline.Table(rows)
    lines = [["work / waiting / kernel", *(human_bytes(size) for size in table.sizes())]]
    for system in dict.fromkeys(row["system"] for row in rows):
        cells = [system]
        for size in table.sizes():
            row = table.row("full", size, system)
            cells.append(" / ".join(human_us(row[name]) for name in
                                    ("user_us", "wait_us", "kernel_us")) if row else "-")
        lines.append(cells)
    return Table(lines)


def not_better(rows: list) -> list:
    """Where another system is as quick as the channel, or quicker."""
    table = pipeline.Table(rows)
    lines = []
    for work in ("full", "sparse"):
        for size in table.sizes():
            mine = table.row(work, size, "channel")
            better = [f"{system} ({row['rtt_us'] / mine['rtt_us']:.0%})" for system in
                      dict.fromkeys(row["system"] for row in rows) if mine and system != "channel"
                      and (row := table.row(work, size, system)) and row["rtt_us"] <= mine["rtt_us"]]
            if better:
                lines.append(f"{human_bytes(size)}, {work} work: {', '.join(better)} of the "
                             "channel's round trip")
    return lines


README_SYSTEMS = [BASELINE, "tmpfs-huge", "hugetlb-recycled", "shm-ring", "iceoryx", "channel"]


def readme_blocks(folder: Path) -> list:
    """The pictures, and the pipeline in short."""
    found = Found(folder)
    blocks = []
    if rows := found.get("pipeline"):
        some = [row for row in rows if row["system"] in README_SYSTEMS]
        blocks += [Paragraph("Packets through three processes (`bench/pipeline/run`, natively: one writes, one "
                             "changes, one checks; in brackets what part of the round trip with a new memfd "
                             "for each packet), and the table above as a picture. All experiments, against "
                             "everything that a user could take instead, and what was *not* better: "
                             "[docs/results.md](docs/results.md)."),
                   Picture("pipeline.svg", "round trips of packets through three processes, by size"),
                   round_trips(some, "full"), found.where("pipeline", False)]
    if (folder / "mapping.svg").exists():
        blocks.append(Picture("mapping.svg", "time until a file is mapped and ready, by size"))
    return blocks


def pipeline_part(found: Found) -> list:
    rows = found.get("pipeline")
    if not rows:
        return []
    table = pipeline.Table(rows)
    ratios = [ratio for size in table.sizes() if (ratio := table.ratio(size, "channel", BASELINE))]
    blocks = [Heading(2, "The pipeline, on the machine as it is"),
              Paragraph(f"`bench/pipeline/run`: three processes; {len(rows[0]['runs']['rtt_us'])} whole "
                        f"runs, medians; in brackets the part of {BASELINE}'s round trip. The mean of "
                        f"all sizes, channel over {BASELINE}, full work: {mean(ratios):.0%}."),
              Picture("pipeline.svg", "round trips by packet size"),
              round_trips(rows, "full"), round_trips(rows, "sparse"),
              Picture("pipeline-parts.svg", "what round trips consist of"), parts(rows),
              spread_of_runs(rows), Heading(3, "What must hold"), verdicts(pipeline.checks(rows))]
    if lines := not_better(rows):
        blocks += [Heading(3, "What the channel is not better than"), Items(lines)]
    return [*blocks, found.where("pipeline", False)]


def pipeline_vm_part(found: Found) -> list:
    rows = found.get("pipeline-vm")
    if not rows:
        return []
    return [Heading(2, "The pipeline in a virtual machine, with the module"),
            Paragraph("`bench/pipeline/run --vm`: objects on morselfs, with 4-KiB and with 2-MiB leaves, "
                      "beside what needs no module."),
            Picture("pipeline-vm.svg", "round trips by packet size, in the virtual machine"),
            *(round_trips(rows, work) for work in WORKS),
            Heading(3, "What must hold"), verdicts(pipeline.checks_in_machine(rows)),
            found.where("pipeline-vm", True)]


def breakdown(figures) -> Table | None:
    """What a start of llama.cpp consists of: what is left of loading is mapping the tensors."""
    lines = [["llama.cpp, the start", "vocabulary", "tensors", "context (KV cache)", "first token"]]
    for row in figures.programs():
        if "vocabulary_ms" not in row:
            continue
        times = (row["vocabulary_ms"], row["load_ms"] - row["vocabulary_ms"], row["context_ms"],
                 row["first_token_ms"] - row["context_ms"])
        lines.append([native_tables.DESCRIPTIONS[row["system"]],
                      *(human_us(max(0.0, 1000 * time)) for time in times)])
    return Table(lines) if len(lines) > 1 else None


def native_part(found: Found) -> list:
    if not (found.folder / "native.json").exists():
        return []
    figures = native_figures.read(found.folder)
    blocks = [Heading(2, "Mapping and llama.cpp, on the machine as it is"),
              Paragraph("`bench/demo/run --native-only`; what the systems are: bench/README.md."),
              *(Table(table) for table in native_tables.all_tables(figures))]
    if table := breakdown(figures):
        blocks.append(table)
    return [*blocks, found.where("native", False)]


def mapping_part(found: Found) -> list:
    rows = found.get("mapping")
    if not rows:
        return []
    environment = dict(found.get("environment") or {})
    results = Results(rows, found.get("llama") or {}, environment.get("skipped", {}), [], environment)
    some = (demo_tables.ready_table(results), demo_tables.detail_table(results),
            demo_tables.against_table(results), demo_tables.llama_table(results))
    return [Heading(2, "Mapping and llama.cpp in a virtual machine, with the module"),
            Paragraph("`bench/demo/run --no-native`."), Picture("mapping.svg", "ready time by size"),
            *(Table(table) for table in some if table),
            Paragraph("Measured on " + demo_report.where(environment, True))]


def processes_part(found: Found) -> list:
    blocks = []
    for name, title, emulated in (("processes", "on the machine as it is", False),
                                  ("processes-vm", "in a virtual machine, with the module", True)):
        if rows := found.get(name):
            blocks += [Heading(2, f"Many processes that map the same object, {title}"),
                       Paragraph("`bench/processes/run" + (" --vm" if emulated else "") + "`. Page tables: "
                                 "what the machine has more of when all are ready, over their number."),
                       Table(processes.table_of(rows)), found.where(name, emulated)]
    return blocks


def instructions_part(found: Found) -> list:
    rows = found.get("instructions")
    if not rows:
        return []
    return [Heading(2, "Instructions"),
            Paragraph("`bench/instructions/run`: in a virtual machine whose counter counts the guest's "
                      "instructions; sparse objects, one page of data in each GiB; medians, and in "
                      "brackets a process's first time. A morsel has one entry per GiB in the process's "
                      "table: what it costs is the same but for those."),
            Table(instructions.table_of(rows)), Heading(3, "What must hold"),
            verdicts(instructions.checks(rows))]


def pool_part(found: Found) -> list:
    rows = found.get("pool")
    if not rows:
        return []
    return [Heading(2, "Pools, in a virtual machine with NVDIMMs"),
            Paragraph("`bench/pool/run`: a pool beside ext4 with `dax=always`, and tmpfs, on an emulated NVDIMM; "
                      "what is measured: bench/README.md. Least and most: of the samples; of mappings those of "
                      "the largest object, as are faults, VmPTE and unmap."),
            *(Table(table) for table in pool.all_tables(rows)),
            Heading(3, "What must hold"), verdicts(pool.checks(rows)), found.where("pool", True)]


def huge_part(found: Found) -> list:
    rows = found.get("huge")
    if not rows:
        return []
    return [Heading(2, "2-MiB leaves"),
            Paragraph("`bench/huge/run`, in a virtual machine: a large file, where memory is whole and where "
                      "other processes have left it in pieces; a directory of files of log-uniform sizes, "
                      "and what it takes of the machine's memory, tables and all; how long slots take to be "
                      "promoted, and what a process sees of it that reads the object meanwhile."),
            *(Table(table) for table in huge.tables_of(rows)), Heading(3, "What must hold"),
            verdicts(huge.checks(rows)), found.where("huge", True)]


def scale_part(found: Found) -> list:
    rows = found.get("scale")
    if not rows:
        return []
    return [Heading(2, "Many at the same time"),
            Paragraph("`bench/scale/run`: processes and threads that map, touch and unmap, fill holes, read, write, "
                      "create and remove, each with an open file of its own, on one object (`same`) and on "
                      "one each (`own`); in brackets times one worker's rate, the median of the rounds' "
                      "factors. Then who waited for a lock meanwhile, on a machine with more CPUs; what mapping costs "
                      "beside many who have the object mapped; and the allocator of frames that pools use, "
                      "natively."),
            *(Table(table) for table in scale.tables_of(rows)), Heading(3, "What must hold"),
            verdicts(scale.checks(rows)), found.where("scale", True)]


def dma_part(found: Found) -> list:
    rows = found.get("dma")
    if not rows:
        return []
    return [Heading(2, "Handing memory to a device"),
            Paragraph("`bench/dma/run`, in a virtual machine, to a device behind an IOMMU: what a process pays until "
                      "the device may begin, for memory that is there; no byte is moved. *Once more*: another "
                      "process, which never saw the device; of `udmabuf-kept` one that was given the attachment. "
                      "In brackets the least and the most of the samples, over the median."),
            *(Table(table) for table in dma.tables_of(rows)), Heading(3, "What must hold"),
            verdicts(dma.checks(rows)), found.where("dma", True)]


def blocks_of(folder: Path) -> list:
    found = Found(folder)
    return [Heading(1, "Results"),
            Paragraph("Made by `make bench` and `make results`; every figure is from the files that they "
                      "leave in build/bench. A ratio is over the system that stands beside it."),
            *pipeline_part(found), *native_part(found), *processes_part(found),
            *mapping_part(found), *pipeline_vm_part(found), *instructions_part(found),
             *pool_part(found), *huge_part(found), *scale_part(found), *dma_part(found)]
