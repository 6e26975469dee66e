# SPDX-License-Identifier: MIT
"""The verdict about devices: green on figures that hold, red on each that does not."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
BENCH = Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(BENCH), str(BENCH / "demo")]

from dma import report, rows  # noqa: E402
from sizes import FULL_BYTES, MIB  # noqa: E402


def cost(total: int, address: int = 4096) -> dict:
    get, hold = total // 10, total // 5
    return {"get": get, "hold": hold, "map": total - get - hold, "back": 7, "segments": 1,
            "address": address}


def first_cost(system: str, size: int) -> int:
    pages = size // 4096
    by_system = {"hugetlb": pages // 20, "morsel-2m": pages // 50, "morsel-4k": pages}
    return 1000 + by_system.get(system, 100 * pages)


def one(system: str, size: int, unit: str) -> dict:
    first = first_cost(system, size)
    again = 1000 if system in report.MORSELS else first
    return {"system": system, "bytes": size, "length": size, "unit": unit, "first": cost(first),
            "again": [cost(again + sample) for sample in range(3)]}


def good(rounds: int = 3) -> dict:
    """As the guest names the files; those of the other unit are in another folder."""
    return {unit: {f"{system}-{size}-{number}": one(system, size, unit)
                   for system in report.SYSTEMS for size in report.SIZES for number in range(rounds)}
            for unit in report.TITLES}


def collected(files: dict) -> list:
    found = []
    for unit in files.values():
        with tempfile.TemporaryDirectory() as folder:
            for name, row in unit.items():
                (Path(folder) / f"{name}.json").write_text(json.dumps(row))
            found += rows.collect(Path(folder))
    return found


class Rows(unittest.TestCase):
    def test_rounds_become_one_row(self):
        found = collected(good())
        self.assertEqual(len(found), len(report.SYSTEMS) * len(report.SIZES) * 2)
        row = next(row for row in found if row["system"] == "morsel-2m" and row["bytes"] == 2 * MIB)
        self.assertEqual(row["again"]["samples"], [1000, 1001, 1002] * 3)
        self.assertEqual(row["again"]["total"], 1001)
        self.assertEqual(row["first"]["samples"], [first_cost("morsel-2m", 2 * MIB)] * 3)


class Verdict(unittest.TestCase):
    def missed(self, files: dict) -> list:
        return [check.name for check in report.checks(collected(files)) if not check.ok]

    def change(self, system: str, size: int, unit: str, when: str, costs) -> dict:
        files = good()
        for number in range(3):
            files[unit][f"{system}-{size}-{number}"][when] = costs
        return files

    def test_good_figures_are_green(self):
        self.assertEqual(self.missed(good()), [])

    def test_nothing_measured_is_red(self):
        self.assertEqual(len(self.missed({})), 13)

    def test_a_second_time_that_grows_is_red(self):
        files = self.change("morsel-4k", FULL_BYTES, "instructions", "again", [cost(1200)] * 3)
        self.assertEqual(len(self.missed(files)), 1)
        self.assertIn("guest instructions: morsel-4k once more, 6.82 GiB at most 1.1",
                      self.missed(files)[0])

    def test_a_quick_baseline_is_red(self):
        pages = FULL_BYTES // 4096
        missed = self.missed(self.change("tmpfs-4k", FULL_BYTES, "ns", "first", cost(pages // 2)))
        self.assertEqual(len(missed), 3)  # once more, of both; the first time

    def test_a_first_time_above_hugetlb_is_red(self):
        missed = self.missed(self.change("hugetlb", FULL_BYTES, "ns", "first", cost(2000)))
        self.assertIn("not above hugetlb", missed[0])
        self.assertEqual(len(missed), 1)

    def test_other_addresses_are_red(self):
        files = good()
        files["ns"][f"morsel-2m-{MIB}-1"]["again"][2]["address"] = 8192
        self.assertIn("addresses", self.missed(files)[0])


class Tables(unittest.TestCase):
    def test_all_tables(self):
        tables = report.tables_of(collected(good()))
        self.assertEqual(len(tables), 6)
        for table in tables:
            self.assertEqual(len({len(line) for line in table}), 1, table)
        self.assertIn("(1.00–1.00)", tables[0][1][1])
        report.text(collected(good()))

    def test_without_udmabuf(self):
        files = good()
        for unit in files.values():
            for name in [name for name in unit if name.startswith("udmabuf")]:
                del unit[name]
        self.assertEqual([line[0] for line in report.tables_of(collected(files))[0][1:]],
                         [name for name in report.SYSTEMS if not name.startswith("udmabuf")])


if __name__ == "__main__":
    unittest.main()
