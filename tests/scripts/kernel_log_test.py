#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What vm/run takes for a complaint of the kernel, and what it passes over.

    kernel_log_test.py VM-RUN
"""

import argparse
import importlib.machinery
import importlib.util
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
RUN = sys.argv.pop(1)
loader = importlib.machinery.SourceFileLoader("vm_run", RUN)
vm_run = importlib.util.module_from_spec(importlib.util.spec_from_loader("vm_run", loader))
loader.exec_module(vm_run)


def complaints(*lines: str) -> list:
    """The lines of a log that vm/run would show."""
    with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
        log.write("".join(f"[    1.000000] {line}\r\n" for line in lines))
        log.flush()
        return [found[number].split("] ", 1)[1] for number, found in vm_run.find_complaints(log.name)]


OOM = ["vm-accounting invoked oom-killer: gfp_mask=0xcc0", "CPU: 0 PID: 100", "Call Trace:", "dump_stack"]
FAILED = "page allocation failure: order:0, mode:0xdc0"


class KernelLog(unittest.TestCase):
    def test_complaints(self):
        for line in ("BUG: unable to handle page fault for address: 0000000000000000",
                     "WARNING: CPU: 0 PID: 1 at mm/memory.c:1", "Oops: 0000 [#1] PREEMPT SMP",
                     "BUG: Bad page state in process x  pfn:1", "BUG: Bad rss-counter state mm:0 val:1",
                     "BUG: KASAN: use-after-free in f+0x1/0x2", "Call Trace:",
                     "kmemleak: 3 new suspected memory leaks", "WARNING: possible circular locking dependency",
                     "page_table_check: BUG", "rcu: INFO: rcu_sched self-detected stall on CPU"):
            self.assertEqual(complaints("a line", line, "another"), [line])

    def test_harmless(self):
        self.assertEqual(complaints("Kernel command line: page_table_check=on page_owner=on",
                                    "kmemleak: Kernel memory leak detector initialized",
                                    "kmemleak: Cannot allocate a scan area, scanning the full object",
                                    "KernelAddressSanitizer initialized", "a debugging kernel"), [])

    def test_full_cgroup(self):
        group = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0"
        machine = "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0"
        self.assertEqual(complaints(*OOM, group), [])
        self.assertEqual(complaints(*OOM, machine), ["Call Trace:"])
        self.assertEqual(complaints(*OOM), ["Call Trace:"])
        # Another complaint beside it stays one.
        self.assertEqual(complaints(*OOM, group, "WARNING: CPU: 0 PID: 1 at mm/memory.c:1"),
                         ["WARNING: CPU: 0 PID: 1 at mm/memory.c:1"])

    def test_injected_failure(self):
        self.assertEqual(complaints(f"vm-failslab: {FAILED}", "CPU: 1", "Call Trace:", "__kmalloc"), [])
        # What fails without having been asked to is to be looked at.
        self.assertEqual(complaints(f"vm-share: {FAILED}", "CPU: 1", "Call Trace:"), ["Call Trace:"])
        # A call trace far from the allocation's is another's.
        self.assertEqual(complaints(f"vm-failslab: {FAILED}", *["..."] * 9, "Call Trace:"), ["Call Trace:"])

    def test_dma_fault(self):
        fault = ("DMAR: [DMA Write NO_PASID] Request device [00:02.0] fault addr 0xffffe000 [fault reason 0x05] "
                 "PTE Write access is not set")
        said = "vm-device: expects a DMA fault at"
        self.assertEqual(complaints("DMAR: IOMMU enabled", "DMAR: DRHD: handling fault status reg 2", fault), [fault])
        self.assertEqual(complaints(f"{said} 0xffffe000", fault, fault), [])
        # At another address, or said afterwards.
        self.assertEqual(complaints(f"{said} 0xffffe0000", fault), [fault])
        self.assertEqual(complaints(fault, f"{said} 0xffffe000"), [fault])


class Machine:
    """What vm/run knows of a machine that has ended."""

    def __init__(self, *messages: str):
        self.messages = messages

    def message(self, word: str):
        return "" if word in self.messages else None


class EarlyDeath(unittest.TestCase):
    """Only a kernel that dies before anything of ours runs is booted again."""

    def dies(self, line: str, *messages: str, in_time=True, accel="tcg,thread=multi") -> bool:
        with tempfile.TemporaryDirectory() as out:
            with open(f"{out}/dmesg.log", "w") as log:
                log.write(line and f"[    1.000000] {line}\n")
            options = argparse.Namespace(out=out, accel=accel)
            return vm_run.died_too_early(options, Machine(*messages), in_time)

    def test_while_it_boots(self):
        self.assertTrue(self.dies("Oops: int3: 0000 [#1] PREEMPT SMP NOPTI"))
        self.assertTrue(self.dies("the last word before a triple fault"))

    def test_later_or_otherwise(self):
        oops = "Oops: int3: 0000 [#1] PREEMPT SMP NOPTI"
        self.assertFalse(self.dies(oops, "started"))
        self.assertFalse(self.dies(oops, "started", "exit"))
        self.assertFalse(self.dies(oops, "error"))
        self.assertFalse(self.dies(oops, in_time=False))
        self.assertFalse(self.dies(oops, accel="kvm"))
        self.assertFalse(self.dies(""))  # QEMU did not start it


unittest.main()
