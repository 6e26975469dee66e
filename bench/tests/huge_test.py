# SPDX-License-Identifier: MIT
"""The verdict about 2-MiB leaves: green on figures that hold, red on each that does not."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
BENCH = Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(BENCH), str(BENCH / "demo")]

from huge import report, rows  # noqa: E402
from sizes import GIB, MIB  # noqa: E402

SLOT = 2 * MIB
BYTES = GIB + 5000


def leaves(large: int) -> dict:
    return {"bytes": BYTES, "mapped_2m_bytes": large * SLOT, "looked": 1024, "in_large_frames": 1000,
            "leaves_2m": large, "leaves_4k": 2, "waste_bytes": 0}


def taken(count: int) -> dict:
    names = ("taken_bytes", "available_bytes", "slab_bytes", "table_bytes", "cgroup_bytes")
    return {"files": 100, "bytes": GIB, "written": dict.fromkeys(names, count),
            "mapped": dict.fromkeys(names, count)}


def good() -> dict:
    """As the guest names the files."""
    files = {"memory-morsel-within_size": {"free_large_pieces": 3}}
    for memory, stages in (("whole", {"written": 512, "promoted": 512}),
                           ("pieces", {"written": 7, "promoted": 9, "freed": 512})):
        files[f"copy-morsel-within_size-{memory}-written"] = {"bytes": BYTES, "write_us": 1e6}
        for stage, large in stages.items():
            files[f"leaves-morsel-within_size-{memory}-{stage}"] = leaves(large)
            if stage != "written":
                files[f"promote-morsel-within_size-{memory}-{stage}"] = {"us": 5e5}
    for run in "123":
        files[f"files-tmpfs-never-{run}"] = taken(1000)
        files[f"files-morsel-within_size-{run}"] = taken(1005)
        files[f"promotion-mapped-{run}"] = {"bytes": GIB // 2, "samples": [3e5, 4e5]}
        for way in ("alone", "moved"):
            files[f"reader-{way}-{run}"] = {
                "reads_per_s": 1e6, **dict.fromkeys(report.READER, 100)}
    return files


def collected(files: dict) -> list:
    with tempfile.TemporaryDirectory() as folder:
        for name, row in files.items():
            (Path(folder) / f"{name}.json").write_text(json.dumps(row))
        return rows.collect(Path(folder))


class Verdict(unittest.TestCase):
    def missed(self, files: dict) -> list:
        return [check.name for check in report.checks(collected(files)) if not check.ok]

    def test_good_figures_are_green(self):
        self.assertEqual(self.missed(good()), [])

    def test_nothing_measured_is_red(self):
        self.assertEqual(len(self.missed({})), 5)

    def test_few_large_leaves_are_red(self):
        for name in ("whole-written", "whole-promoted", "pieces-freed"):
            files = good()
            files[f"leaves-morsel-within_size-{name}"] = leaves(500)
            self.assertEqual(len(self.missed(files)), 1, name)

    def test_a_page_table_that_says_otherwise_is_red(self):
        files = good()
        files["leaves-morsel-within_size-pieces-promoted"]["mapped_2m_bytes"] = 0
        self.assertIn("page table", self.missed(files)[0])

    def test_files_that_take_more_are_red(self):
        files = good()
        for run in "12":
            files[f"files-morsel-within_size-{run}"] = taken(1011)
        self.assertIn("take at most", self.missed(files)[0])


class Tables(unittest.TestCase):
    def test_all_tables(self):
        tables = report.tables_of(collected(good()))
        self.assertEqual(len(tables), 4)
        for table in tables:
            self.assertEqual(len({len(line) for line in table}), 1, table)
        self.assertEqual([line[3] for line in tables[0][1:]],
                         [report.STAGES[stage] for stage in
                          ("written", "promoted", "written", "promoted", "freed")])
        self.assertIn("700 ms", tables[2][1][2])  # each GiB
        report.text(collected(good()))


if __name__ == "__main__":
    unittest.main()
