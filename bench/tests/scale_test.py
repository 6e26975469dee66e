#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""bench/scale: whose lock somebody waited for, and what is made of the figures."""

import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
BENCH = Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(BENCH), str(BENCH / "demo")]

from scale import locks, lockstat, report  # noqa: E402


def event(who: str, *frames: str) -> str:
    return "\n".join([f"  {who}-123 [001] ..... 4.5: contention_begin: 00000000deadbeef (flags=WRITE)",
                      f"  {who}-123 [001] ..... 4.5: <stack trace>",
                      *(f" => {frame}+0x1a/0x2b0" if not frame.endswith("]") else
                        f" => {frame.replace(' ', '+0x1a/0x2b0 ')}" for frame in frames)])


class Locks(unittest.TestCase):
    def kinds(self, *events: str) -> list:
        return [kind for kind, _, _ in locks.contended("\n".join(events))]

    def test_whose_lock(self):
        slow = ["trace_contention_begin", "rwsem_down_write_slowpath", "down_write"]
        self.assertEqual(self.kinds(event("scale-bench", *slow, "vma_link", "mmap_region")), ["file"])
        self.assertEqual(self.kinds(event("scale-bench", *slow, "morsel_write_iter [morselfs]")),
                         ["morselfs"])
        self.assertEqual(self.kinds(event("scale-bench", *slow, "put_in [morselfs]")), ["process"])
        self.assertEqual(self.kinds(event("scale-bench", *slow, "morsel_graft_exclude [morselfs]")), ["morselfs"])
        self.assertEqual(self.kinds(event("scale-bench", *slow, "vm_mmap_pgoff")), ["kernel"])
        self.assertEqual(self.kinds(event("scale-bench", *slow, "inode_sb_list_add", "new_inode")), ["kernel"])
        self.assertEqual(self.kinds(event("scale-bench", *slow, "inode_update_time")), ["file"])
        self.assertEqual(self.kinds(event("scale-bench", *slow, "wake_up_q", "morsel_fault [morselfs]")),
                         ["kernel"])

    def test_others_do_not_count(self):
        self.assertEqual(self.kinds(event("kworker/0:1", "down_write", "vma_link")), [])
        self.assertEqual(self.kinds(event("scale-bench", "down_write", "vma_link"),
                                    event("sh", "down_write", "vma_link")), ["file"])

    def test_how_often(self):
        one = event("scale-bench", "down_write", "vma_link", "mmap_region")
        self.assertEqual(locks.contended("\n".join([one, one])), [["file", "vma_link < mmap_region", 2]])


# As 6.12 writes it: a class, where it was waited for, where it was held meanwhile.
LOCK_STAT = """
                              class name    con-bounces    contentions   waittime-min   waittime-max waittime-total
-------------------------------------------------------------------------------------------------------------------

                     &mm->mmap_lock-W:             12             46           0.63          34.43         221.10
                       --------------
                       &mm->mmap_lock             40          [<00000000fd6bd0d2>] vm_mmap_pgoff+0x81/0x190
                       --------------
                       &mm->mmap_lock             39          [<000000004f4c2ab9>] morsel_unrelated+0x1b/0x150 [morselfs]

...................................................................................................................

                        &table->lock:              1              2           0.63           0.63           0.63
                        ------------
                        &table->lock              2          [<00000000aabbccdd>] put_in+0x21/0x90 [morselfs]
                        ------------
                        &table->lock              2          [<00000000aabbccdd>] put_in+0x21/0x90 [morselfs]

                          &rq->__lock:              0              0           0.00           0.00           0.00
"""


class LockStat(unittest.TestCase):
    def test_who_waited(self):
        self.assertEqual(lockstat.contended(LOCK_STAT), [
            ["kernel", "&mm->mmap_lock-W in vm_mmap_pgoff", 40],
            ["kernel", "&mm->mmap_lock-W elsewhere", 6],
            ["process", "&table->lock in put_in [morselfs]", 2]])

    def test_nobody(self):
        self.assertEqual(lockstat.contended(""), [])


def throughput(system: str, workers: int, samples: list, operation: str = "map-same") -> dict:
    return {"part": "throughput", "system": system, "operation": operation, "kind": "processes",
            "workers": workers, "per_second": sorted(samples)[len(samples) // 2],
            "samples": {"per_second": samples}}


def instructions(mappers: int, unmap: float) -> dict:
    return {"part": "instructions", "system": "morsel-4k", "mappers": mappers, "map": 100, "touch": 100,
            "unmap": unmap}


class Checks(unittest.TestCase):
    def test_a_factor_is_the_rounds_median(self):
        rows = [throughput("morsel-4k", 1, [10, 20, 10]), throughput("morsel-4k", 2, [20, 36, 10])]
        self.assertEqual(report.factor(rows, 2, system="morsel-4k", operation="map-same",
                                       kind="processes"), 1.8)

    def verdict(self, mine: list, theirs: list, machine: float = 1.9) -> bool:
        rows = [throughput(system, workers, [100 * (factor if workers == 2 else 1) for factor in factors], operation)
                for system, operation, factors in (("morsel-4k", "map-same", mine), ("tmpfs-4k", "map-same", theirs),
                                                   ("morsel-4k", "nothing", [machine] * len(mine)))
                for workers in (1, 2)]
        return report.scaling_checks(rows)[0].ok

    def test_scaling(self):
        self.assertTrue(self.verdict([1.8], [1.2]))
        self.assertFalse(self.verdict([1.5], [1.2]))
        self.assertFalse(self.verdict([1.7], [1.9]))
        self.assertFalse(report.scaling_checks([])[0].ok)

    def test_scaling_as_the_machine(self):
        self.assertTrue(self.verdict([1.88], [1.95], machine=1.87))
        self.assertFalse(self.verdict([1.86], [1.95], machine=1.87))

    def test_scaling_within_the_noise(self):
        mine = [1.80, 1.71, 1.79, 1.80, 1.82, 1.78, 1.80]
        off = [0.03, -0.01, 0.02, 0.01, -0.02, 0.04, 0.01]
        self.assertTrue(self.verdict(mine, [one + other for one, other in zip(mine, off)]))
        self.assertFalse(self.verdict(mine, [one + other + 0.05 for one, other in zip(mine, off)]))
        # So restless that nothing can be said.
        self.assertFalse(self.verdict(mine, [one + 10 * other - 0.2 for one, other in zip(mine, off)]))

    def test_instructions(self):
        self.assertTrue(all(check.ok for check in report.instructions_checks(
            [instructions(1, 100), instructions(512, 109)])))
        self.assertFalse(all(check.ok for check in report.instructions_checks(
            [instructions(1, 100), instructions(512, 112)])))
        self.assertTrue(not report.instructions_checks([]))

    def test_contention(self):
        def row(kind: str, operation: str, lock: str) -> dict:
            return {"part": "contention", "system": "morsel-4k", "operation": operation, "kind": kind,
                    "workers": 8, "operations": 1, "locks": [[lock, "somebody", 1]]}
        self.assertTrue(report.contention_check([row("processes", "map-same", "kernel")]).ok)
        self.assertFalse(report.contention_check([row("processes", "map-same", "file")]).ok)
        self.assertFalse(report.contention_check([row("threads", "fill-same", "morselfs")]).ok)
        self.assertFalse(report.contention_check([row("processes", "map-same", "kernel"),
                                                  row("threads", "map-same", "morselfs")]).ok)
        self.assertTrue(report.contention_check([row("threads", "map-same", "process")]).ok)
        self.assertFalse(report.contention_check([row("processes", "map-same", "process")]).ok)
        self.assertFalse(report.contention_check([]).ok)


if __name__ == "__main__":
    unittest.main()
