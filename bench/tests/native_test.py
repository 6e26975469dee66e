# SPDX-License-Identifier: MIT
"""The native part: its verdict on figures that hold and on each that does not, and that it puts
back what it changes."""

import json
import os
import sys
import tempfile
import unittest
from contextlib import suppress
from pathlib import Path

sys.dont_write_bytecode = True
BENCH = Path(__file__).resolve().parent.parent
sys.path[0:0] = [str(BENCH / "demo"), str(BENCH)]

from native import checks, figures, leftovers, measure, page_cache, place, tables  # noqa: E402
from native.figures import COPY, LLAMA, LOAD, NODE, SHARDS, SYSTEMS, Figures, summary  # noqa: E402
from sizes import FULL_BYTES, GIB  # noqa: E402

READY = {"untouched": 10.0, "ext4-4k": 7e5, "ext4": 9000.0, "tmpfs-4k": 7e5, "tmpfs-huge": 2000.0,
         "hugetlb": 9000.0, "hugetlb-shared": 30.0, "morsel-lib": 40.0, "morsel-open": 300.0,
         "morsel-run": 60.0}


def mapping(system: str, size: int = FULL_BYTES) -> dict:
    ready = READY[system] * size / FULL_BYTES
    values = {"ready_us": ready, "ready_faults": 7, "sweep_faults": 0, "unmap_us": 5.0,
              "vmpte_bytes": 4096}
    backing = "/memfd:object (deleted)" if system == "morsel-run" else "/disk/model.gguf"
    return {"system": system, "bytes": size, **summary({name: [value] * 7 for name, value
                                                         in values.items()}),
            "checksum_ok": True, "backing": backing,
            "kpageflags": {"size": "2m", "pmd_mapped_bytes": size}}


def program(system: str, name: str, load: float = 100.0) -> dict:
    file = "/memfd:object (deleted)" if system == "morsel-run" else "/disk/model.gguf"
    times = {"load_ms": load, "first_token_ms": 300.0, "start_ms": load + 300.0, "unload_ms": 5.0,
             "load_faults": 100}
    return {"system": system, "program": name, "bytes": FULL_BYTES, "tokens": [1, 2, 3],
            "shared_names": [file], "left_mapped": FULL_BYTES if system == "hugetlb" else 0,
            **summary({field: [value] * 5 for field, value in times.items()})}


def good() -> Figures:
    rows = [mapping(system) for system in SYSTEMS]
    rows += [program(system, LLAMA, 900.0 if system in checks.SMALL_PAGES else 100.0)
             for system in checks.LLAMA_SYSTEMS]
    rows += [program(system, name) for name in (NODE, SHARDS) for system in ("ext4", "morsel-run")]
    rows += [{"system": name, "bytes": FULL_BYTES, "bytes_per_second": GIB,
              **summary({"copy_ms": [3000.0] * 3})} for name in (COPY, LOAD)]
    return Figures(rows)


class Verdict(unittest.TestCase):
    def missed(self, found: Figures, llama: bool = True) -> list:
        return [check.name for check in checks.all_checks(found, llama) if not check.ok]

    def assert_missed(self, found: Figures, part: str) -> None:
        missed = self.missed(found)
        self.assertTrue(any(part in name for name in missed), f"{part} not in {missed}")

    def test_good_figures_are_green(self):
        self.assertEqual(self.missed(good()), [])

    def test_nothing_measured_is_red_and_says_why(self):
        found = Figures(skipped={"tmpfs-4k": "only root may mount tmpfs"})
        verdict = checks.all_checks(found)
        self.assertEqual([check.ok for check in verdict], [False])
        self.assertIn("only root", verdict[0].detail)

    def test_a_slow_library_is_red(self):
        found = good()
        found.mapping("morsel-lib")["ready_us"] = 46.0
        self.assert_missed(found, "the library maps within")

    def test_a_slow_run_is_red(self):
        found = good()
        found.mapping("morsel-run")["ready_us"] = 71.0
        self.assert_missed(found, "tmpfs-4k / morsel-run")

    def test_a_smaller_model_has_a_lower_bar(self):
        found = good()
        found.mapping("morsel-run")["ready_us"] = 71.0
        for row in found.rows:
            row["bytes"] = FULL_BYTES // 2
        self.assertEqual(self.missed(found), [])

    def test_a_late_start_is_red(self):
        found = good()
        found.program("tmpfs-4k")["start_ms"] = 720.0
        self.assert_missed(found, "sooner than from tmpfs-4k")
        for system in ("ext4", "tmpfs-huge", "hugetlb"):
            found = good()
            found.program(system)["start_ms"] = 390.0
            self.assert_missed(found, f"no later than from {system}")

    def test_noise_is_no_late_start(self):
        found = good()
        found.program("ext4")["start_ms"] = 395.0
        self.assertEqual(self.missed(found), [])

    def test_a_slow_load_is_red(self):
        found = good()
        found.copy(LOAD)["copy_ms"] = 3700.0
        self.assert_missed(found, "morsel load takes")

    def test_other_tokens_are_red(self):
        for system, name, part in (("ext4-4k", LLAMA, "from all systems"),
                                   ("morsel-run", NODE, "node-llama-cpp generates"),
                                   ("morsel-run", SHARDS, "three files")):
            found = good()
            found.program(system, name)["tokens"] = [1, 2, 4]
            self.assert_missed(found, part)

    def test_a_file_that_is_mapped_all_the_same_is_red(self):
        found = good()
        found.program("morsel-run", SHARDS)["shared_names"].append("/disk/a-00002-of-00003.gguf")
        self.assert_missed(found, "map the objects")
        found = good()
        found.mapping("morsel-run")["backing"] = "/disk/model.gguf"
        self.assert_missed(found, "answered with the object")

    def test_wrong_contents_faults_and_leftovers_are_red(self):
        found = good()
        found.mapping("morsel-run")["checksum_ok"] = False
        self.assert_missed(found, "the bytes read")
        found = good()
        found.mapping("morsel-lib")["samples"]["sweep_faults"][2] = 1
        self.assert_missed(found, "nothing faults")
        found = good()
        found.program("morsel-run")["left_mapped"] = 4096
        self.assert_missed(found, "unloads")
        found = good()
        found.left.append("HugePages_Total: 3494, was 0")
        self.assert_missed(found, "left behind")

    def test_each_missing_system_is_red_with_its_reason(self):
        for system in SYSTEMS:
            found = good()
            found.rows.remove(found.mapping(system))
            found.skipped[system] = "why not"
            self.assert_missed(found, "all systems")
            self.assertIn("why not", checks.all_checks(found)[0].detail)

    def test_without_llama_its_checks_are_not_made(self):
        found = good()
        found.rows = [row for row in found.rows if "program" not in row]
        self.assertEqual(self.missed(found, llama=False), [])
        self.assert_missed(found, "same tokens")


class Writing(unittest.TestCase):
    def test_figures_are_read_as_they_were_written(self):
        found = good()
        found.skipped["ext4"], found.left = "no", ["x"]
        with tempfile.TemporaryDirectory() as folder:
            figures.write(found, Path(folder))
            self.assertIsInstance(json.loads((Path(folder) / "native.json").read_text()), list)
            self.assertEqual(figures.read(Path(folder)), found)

    def test_tables_have_all_systems(self):
        mapping_table, llama_table, copy_table = tables.all_tables(good())
        self.assertEqual(len(mapping_table), 1 + len(SYSTEMS))
        self.assertEqual(len(llama_table), 1 + len(checks.LLAMA_SYSTEMS))
        self.assertEqual(len(copy_table), 3)
        for table in (mapping_table, llama_table, copy_table):
            self.assertEqual(len({len(line) for line in table}), 1)

    def test_the_tables_of_a_reduced_run(self):
        found = Figures([mapping("morsel-run")])
        self.assertEqual(len(tables.all_tables(found)), 1)

    def test_one_slow_run_is_no_spread(self):
        self.assertEqual(figures.spread([5.0, 5.0, 5.0, 5.0, 50.0]), 0.0)


class PuttingBack(unittest.TestCase):
    def test_the_environment(self):
        before = dict(os.environ)
        with place.environment(PATH="/none", MORSELS_NEW="1"):
            self.assertEqual(os.environ["MORSELS_NEW"], "1")
        self.assertEqual(dict(os.environ), before)

    def test_the_folder(self):
        with suppress(KeyboardInterrupt), place.temporary_folder() as folder:
            (folder / "file").write_text("x")
            raise KeyboardInterrupt
        self.assertFalse(folder.exists())

    def test_a_holder_ends_with_its_stdin(self):
        with place.holding("sh", "-c", "echo held; read line; exit 0") as line:
            self.assertEqual(line, "held")

    def test_a_holder_that_fails_says_why(self):
        with self.assertRaisesRegex(RuntimeError, "no such thing"):
            with place.holding("sh", "-c", "echo no such thing >&2; exit 1"):
                pass

    def test_what_is_left_is_found(self):
        # Other tests may use huge pages meanwhile.
        with place.environment(MORSEL_RUNTIME=f"/tmp/{place.PREFIX}x/runtime"):
            with place.holding("sh", "-c", "echo held; read line"):
                self.assertEqual([text.split()[1] for text in leftovers.our_processes()], ["sh"])
                before = leftovers.state() | {"mounts": ["/m"], "processes": []}
                found = leftovers.differences(before, patience=0)
        self.assertLessEqual({"mounts", "processes"}, {text.split(":")[0] for text in found})
        self.assertEqual(leftovers.our_processes(), [])

    def test_nobody_but_root_mounts(self):
        if os.geteuid() == 0:
            self.skipTest("this is root")
        with self.assertRaises(place.Skip):
            with place.mounted(Path("/none"), "tmpfs", "size=1m"):
                pass


class PageCache(unittest.TestCase):
    def test_a_file_is_read_whole_both_ways(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x" * 5_000_000)
            file.flush()
            page_cache.bring_in(Path(file.name))
            page_cache.bring_in_small_folios(Path(file.name))


class Programs(unittest.TestCase):
    COMMAND = ["sh", "-c", 'echo "{\\"load_ms\\": 2, \\"first_token_ms\\": 3, \\"tokens\\": [$0], '
               '\\"shared_names\\": [\\"x\\"]}"']

    def test_medians_and_their_sum(self):
        found = Figures()
        measure.program_row(found, "ext4", LLAMA, 1,
                            measure.program_runs([[*self.COMMAND, "7"]] * 3))
        self.assertEqual(found.program("ext4")["start_ms"], 5)
        self.assertEqual(found.program("ext4")["samples"]["load_ms"], [2, 2, 2])
        self.assertEqual(found.failed, [])

    def test_runs_with_different_tokens_are_a_failure(self):
        found = Figures()
        measure.program_row(found, "ext4", LLAMA, 1, measure.program_runs(
            [[*self.COMMAND, "7"], [*self.COMMAND, "8"]]))
        self.assertEqual(len(found.failed), 1)

    def test_copies(self):
        found = Figures()
        measure.copy_row(found, "a", measure.Model(Path("x"), 4000, ""), [1.0, 2.0, 9.0])
        self.assertEqual(found.copy("a")["copy_ms"], 2)
        self.assertEqual(found.copy("a")["bytes_per_second"], 2_000_000)

    def test_samples_of_all_rounds_make_one_row(self):
        found = Figures()
        for ready, good in (([5.0, 6.0], True), ([1.0, 9.0, 8.0], False)):
            found.add_mapping({"system": "ext4", "ready_us": 0, "max_us": 0, "checksum_ok": good,
                               "backing": str(good), "samples": {"ready_us": ready}})
        self.assertEqual(len(found.rows), 1)
        self.assertEqual(found.mapping("ext4")["ready_us"], 6)
        self.assertEqual(found.mapping("ext4")["max_us"], 9)
        self.assertFalse(found.mapping("ext4")["checksum_ok"])
        self.assertEqual(len(found.failed), 1)  # what is behind the mapping is not the same


if __name__ == "__main__":
    unittest.main()
