# SPDX-License-Identifier: MIT
"""bench/pool: rows are made of what the machines write, and judged as they should be."""

import copy
import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
BENCH = Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(BENCH), str(BENCH / "demo")]

from pool import machine, report, rows  # noqa: E402
from sizes import GIB, MIB  # noqa: E402


def sample(ready: float, sweep_faults: int = 0) -> dict:
    return {"ready_us": ready, "ready_faults": 1, "vmpte_bytes": 4096, "sweep_faults": sweep_faults,
            "sweep_us": 9.0, "unmap_us": 5.0, "again_us": 0.0}


def restart(first_byte: float) -> dict:
    times = {name: [first_byte / 4] * 3 for name in ("mount_us", "open_us", "map_us", "byte_us")}
    return {**times, "first_byte_us": [first_byte] * 3}


def operations(ns: int) -> dict:
    return {"dax": True, "operations": {name: {"times": 10, "ns": ns, "ticks": 2 * ns}
                                        for name in ("create", "write-4k")}}


class Folder(unittest.TestCase):
    """What the machines write, and the rows made of it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name: str, *values) -> None:
        (self.folder / name).write_text("".join(json.dumps(value) + "\n" for value in values))

    def test_the_faster_way_of_mapping_counts(self):
        self.write("map-ext4-dax-4096-populate.json", sample(30), sample(10), sample(20))
        self.write("map-ext4-dax-4096-touch.json", sample(19), sample(19), sample(50))
        self.write("map-pool-4096-list.json", sample(1))
        found = {row["system"]: row for row in rows.mapping_rows(self.folder)}
        self.assertEqual(set(found), {"ext4-dax", "pool"})
        self.assertEqual((found["ext4-dax"]["method"], found["ext4-dax"]["ready_us"]), ("touch", 19))
        self.assertEqual(found["ext4-dax"]["samples"]["ready_us"], [19, 19, 50])

    def test_restarts_know_what_was_on_the_device(self):
        for contents in machine.CONTENTS:
            for system in machine.SYSTEMS:
                self.write(f"restart-{system}-{contents.name}.json",
                           {"dax": True, "unmount_us": [7.0], "clean": restart(40),
                            "unclean": restart(80)})
        found = rows.restart_rows(self.folder, machine.CONTENTS, machine.DEVICES)
        self.assertEqual(len(found), 2 * len(machine.SYSTEMS) * len(machine.CONTENTS))
        row = report.find(found, system="ext4-dax", contents="files-1", after="unclean")
        self.assertEqual((row["files"], row["device_bytes"], row["first_byte_us"], row["mount_us"]),
                         (1, 8 * GIB, 80, 20))

    def test_rates_and_instructions(self):
        for number, ns in enumerate((1000, 4000, 2000)):
            self.write(f"rates-ext4-dax-{number + 1}.json", operations(ns))
        row = report.find(rows.rates_rows(self.folder, "rates"), operation="create")
        self.assertEqual((row["system"], row["per_second"]), ("ext4-dax", 10 / 2000 * 1e9))
        row = report.find(rows.rates_rows(self.folder, "instructions"), operation="create")
        self.assertEqual(row["instructions"], 400)

    def test_metadata(self):
        frames = {"data": 512, "tables": 2, "inodes": 2, "names": 1}
        self.write("dump-files-1.json", {"frames": frames, "metadata_bytes_per_gib": 4 * MIB})
        found = rows.metadata_rows(self.folder, machine.CONTENTS)
        self.assertEqual([(row["files"], row["frames"]) for row in found], [(1, frames)])


def good() -> list:
    found = []
    for system, scale in (("pool", 1), ("pool-slot", 1), ("ext4-dax", 100)):
        for size in machine.SIZES:
            found.append({"part": "mapping", "system": system, "bytes": size, "method": "list",
                          **rows.summary(rows.columns([sample(200.0 * scale)] * 3))})
        for operation in ("create", "fsync") if system != "pool-slot" else ():
            found.append({"part": "rates", "system": system, "operation": operation, "times": 10,
                          "dax": system == "ext4-dax",
                          **rows.summary({"per_second": [1000.0 / scale] * 3})})
    return found


class Verdict(unittest.TestCase):
    def missed(self, found: list) -> list:
        return [check.name for check in report.checks(found) if not check.ok]

    def assert_missed(self, found: list, part: str) -> None:
        missed = self.missed(found)
        self.assertTrue(any(part in name for name in missed), f"{part} not in {missed}")

    def changed(self, **values) -> list:
        """Good figures, but one."""
        found = copy.deepcopy(good())
        wanted = {name: values.pop(name) for name in ("system", "operation", "bytes") if name in values}
        next(row for row in found
             if all(row.get(name) == value for name, value in wanted.items())).update(values)
        return found

    def test_good_figures_are_green(self):
        self.assertEqual(self.missed(good()), [])

    def test_nothing_measured_is_red(self):
        self.assertEqual(len(self.missed([])), 4)

    def test_a_mapping_that_grows_is_red(self):
        self.assert_missed(self.changed(system="pool-slot", bytes=machine.SIZES[-1], ready_us=500.0),
                           "map after mount")

    def test_a_slower_operation_is_red(self):
        self.assert_missed(self.changed(system="pool", operation="fsync",
                                        samples={"per_second": [9.0, 2000.0, 9.0]}), "fsync")

    def test_one_slow_round_of_both_is_none(self):
        found = good()
        for row in found:
            if row.get("operation") == "fsync":
                row["samples"]["per_second"][1] /= 50
        self.assertEqual(self.missed(found), [])

    def test_an_operation_of_one_system_only_is_red(self):
        found = [row for row in good()
                 if (row["system"], row.get("operation")) != ("ext4-dax", "create")]
        self.assert_missed(found, "create")

    def test_ext4_with_a_page_cache_is_red(self):
        self.assert_missed(self.changed(system="ext4-dax", operation="create", dax=False), "page cache")

    def test_faults_afterwards_are_red(self):
        found = good()
        found[0]["samples"]["sweep_faults"][1] = 1
        self.assert_missed(found, "nothing faults")


class Tables(unittest.TestCase):
    def test_all_of_one_width(self):
        found = good()
        found += [{**row, "part": "instructions", "instructions": 5.0} for row in found
                  if row["part"] == "rates"]
        found.append({"part": "restart", "system": "pool", "contents": "files-1", "after": "clean",
                      "device_bytes": 8 * GIB, "files": 1, "bytes": 4096, "dax": True,
                      **rows.summary({**restart(40), "unmount_us": [7.0]})})
        found.append({"part": "metadata", "contents": "files-1", "files": 1, "bytes": 4096,
                      "frames": dict.fromkeys(report.KINDS, 1), "bytes_per_gib": 4 * MIB})
        shown = report.all_tables(found)
        self.assertEqual(len(shown), 5)
        for table in shown:
            self.assertEqual(len({len(line) for line in table}), 1, table[0])

    def test_ratios_are_ours_over_theirs(self):
        cells = dict(zip(*report.rates_table(good())[:2]))
        self.assertEqual(cells["pool / ext4-dax"], "100.00")


if __name__ == "__main__":
    unittest.main()
