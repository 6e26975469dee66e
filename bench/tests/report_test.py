# SPDX-License-Identifier: MIT
"""The verdict of make demo: green on figures that hold, red on each that does not."""

import copy
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "demo"))

import checks  # noqa: E402
import tables  # noqa: E402
from results import SYSTEMS, Results  # noqa: E402
from sizes import FULL_BYTES, GIB, MIB, human_bytes, human_us  # noqa: E402

SIZES = [2 * MIB, 128 * MIB, GIB, FULL_BYTES]


def row(system: str, size: int) -> dict:
    morsel = system.startswith("morsel")
    # 2.1 s for the full model by pages; 200 µs for a morsel.
    ready = 200.0 if morsel else 30.0 if system == "untouched" else 2.1e6 * size / FULL_BYTES
    values = {"ready_us": ready, "ready_faults": 1 if morsel else 1000, "sweep_faults": 0,
              "unmap_us": 5.0, "again_us": ready, "vmpte_bytes": 4096}
    leaf = system.split("-")[1] if morsel else None
    return {"system": system, "bytes": size, **values, "first_us": ready, "max_us": ready,
            "checksum_ok": True, "leaf": {"info": leaf, "kpageflags": leaf or "4k"},
            "samples": {name: [value] * 7 for name, value in values.items()}}


def look(mapped: int) -> dict:
    slots = mapped // (2 * MIB)
    return {"mapped_bytes": mapped, "vmas": 1,
            "info": {"graft_pud_slots": 0, "graft_pmd_slots": slots, "raw_pages": 10,
                     "self_grafted_bytes": mapped}}


def run(load_ms: float) -> dict:
    return {"load_ms": load_ms, "unload_ms": 1.0, "load_faults": 10, "tokens": [], "left_mapped": 0,
            "after_load": look(100 * MIB)}


def good() -> Results:
    results = Results([row(system, size) for system in SYSTEMS for size in SIZES])
    for system in ("tmpfs-4k", "tmpfs-huge", "morsel-4k", "morsel-2m"):
        results.llama[f"{system}-load-1"] = run(100)
        results.llama[f"{system}-generate"] = run(50) | {"tokens": [1, 2, 3],
                                                        "before_unload": look(99 * MIB)}
    return results


class Verdict(unittest.TestCase):
    def missed(self, results: Results) -> list:
        return [check.name for check in checks.all_checks(results) if not check.ok]

    def assert_missed(self, results: Results, part: str) -> None:
        missed = self.missed(results)
        self.assertTrue(any(part in name for name in missed), f"{part} not in {missed}")

    def test_good_figures_are_green(self):
        self.assertEqual(self.missed(good()), [])

    def test_nothing_measured_is_red(self):
        self.assertEqual(len(self.missed(Results([]))), 1)

    def test_slow_morsels_are_red(self):
        results = good()
        results.row("morsel-4k-slot", FULL_BYTES)["ready_us"] = 430.0
        self.assert_missed(results, "tmpfs-4k / morsel-4k-slot")
        self.assert_missed(results, "takes at most 2 ×")

    def test_slow_plain_morsels_are_red(self):
        results = good()
        results.row("morsel-4k", FULL_BYTES)["ready_us"] = 1100.0
        self.assert_missed(results, "tmpfs-4k / morsel-4k at")

    def test_a_fault_in_one_sweep_is_red(self):
        results = good()
        results.row("morsel-2m", GIB)["samples"]["sweep_faults"][3] = 1
        self.assert_missed(results, "nothing faults after")

    def test_too_many_faults_are_red(self):
        for system, faults, part in (("morsel-2m-slot", 2, "slot rows"),
                                     ("morsel-4k", 41, "plain morsel rows")):
            results = good()
            results.row(system, GIB)["samples"]["ready_faults"] = [faults] * 7
            self.assert_missed(results, part)

    def test_a_slow_first_mapping_is_red(self):
        results = good()
        results.row("morsel-4k", GIB)["first_us"] = 401.0
        self.assert_missed(results, "first mapping")

    def test_page_tables_that_grow_are_red(self):
        results = good()
        results.row("morsel-4k", FULL_BYTES)["vmpte_bytes"] = 48 * 1024
        self.assert_missed(results, "VmPTE")

    def test_a_wrong_or_unknown_checksum_is_red(self):
        results = good()
        results.row("ext4", GIB)["checksum_ok"] = False
        self.assert_missed(results, "the bytes read")
        del results.row("ext4", GIB)["checksum_ok"]
        self.assert_missed(results, "the bytes read")

    def test_wrong_leaves_are_red(self):
        results = good()
        results.row("morsel-2m", GIB)["leaf"]["kpageflags"] = "4k"
        self.assert_missed(results, "leaves")

    def test_missing_rows_samples_and_steps_are_red(self):
        results = good()
        results.rows.remove(results.row("tmpfs-huge", GIB))
        self.assert_missed(results, "tmpfs-huge was measured")
        results = good()
        results.row("ext4", GIB)["samples"]["ready_us"].pop()
        self.assert_missed(results, "samples in every row")
        results = good()
        results.failed.append("umount")
        self.assert_missed(results, "every step")

    def test_llama(self):
        def change(name, **values):
            results = good()
            results.llama[name] = copy.deepcopy(results.llama[name]) | values
            return results

        self.assert_missed(change("morsel-2m-generate", tokens=[1, 2, 4]), "same tokens")
        self.assert_missed(change("morsel-4k-load-1", left_mapped=4096), "unloads")
        bare = look(99 * MIB)
        bare["info"]["graft_pmd_slots"] = 40
        self.assert_missed(change("morsel-4k-generate", before_unload=bare), "grafts cover")
        results = good()
        del results.llama["morsel-4k-load-1"]
        self.assert_missed(results, "loads the large model")

    def test_a_smaller_model_has_a_lower_bar(self):
        results = good()
        results.rows = [row for row in results.rows if row["bytes"] <= GIB]
        self.assertEqual(self.missed(results), [])


class Tables(unittest.TestCase):
    def test_all_systems_and_sizes_are_shown(self):
        table = tables.ready_table(good())
        self.assertEqual(len(table), 1 + len(SYSTEMS))
        self.assertEqual(len({len(line) for line in table}), 1)
        self.assertIn("6.82 GiB", table[0])

    def test_markdown_has_a_rule_under_its_head(self):
        lines = tables.as_markdown(tables.ready_table(good())).splitlines()
        self.assertTrue(lines[1].startswith("|---|---:|"))

    def test_numbers(self):
        self.assertEqual([human_us(us) for us in (12.3, 1234, 99321, 2.1e6)],
                         ["12 µs", "1.23 ms", "99.3 ms", "2.10 s"])
        self.assertEqual([human_bytes(count) for count in (0, 4096, 2 * MIB, FULL_BYTES)],
                         ["0 B", "4 KiB", "2 MiB", "6.82 GiB"])


if __name__ == "__main__":
    unittest.main()
