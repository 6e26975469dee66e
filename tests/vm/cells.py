# SPDX-License-Identifier: MIT
"""The machines that the VM tests run in."""


class Cell:
    """One machine."""

    def __init__(self, name: str, kernel: str, cpus: int, extra=(), brief=False, script="in-guest",
                 suite="test", proof="true", modes=("never", "always"), effort="", module="", slowness=1, pmem=(), kills=0,
                 only=()):
        self.name = name
        self.kernel = kernel
        self.cpus = cpus
        self.extra = list(extra)  # options of vm/run
        self.brief = brief  # BRIEF only
        self.script = script  # what runs in the guest
        self.suite = suite  # "test" is what make test runs
        self.proof = proof  # succeeds in the guest if the machine is what its name says
        self.modes = list(modes)  # of MODES: a mount for each
        self.effort = effort  # "short" or "long": real programs, from tests/programs
        self.module = module or kernel  # of build/kernel-MODULE
        self.slowness = slowness  # time limits are this many times longer
        self.pmem = list(pmem)  # MiB of NVDIMMs; the mount is a pool on the first
        self.kills = kills  # of tests/vm/pool-crash, which is all that this cell does
        self.only = list(only)  # nothing but these programs

    def once(self) -> list:
        """The programs that run on its first mount only."""
        return [] if self.suite == "platforms" else LONG

    def takes(self, program: str) -> bool:
        if self.only:
            return program in self.only
        if self.pmem:
            return program in ON_POOLS
        if program in POOLS_ONLY + DEVICES:
            return False
        if program in FAULT_INJECTION and self.suite != "debug":
            return False
        if program in FRAGMENTING and (self.cpus > 1 or self.slowness > 1):
            return False
        if program in LONG and (self.cpus == 1 or self.slowness > 1):
            return False
        return not self.brief or program in BRIEF


# What other page tables could break: grafts and their removal.
BRIEF = ["vm-share", "vm-private", "vm-offset", "vm-random", "vm-fork", "vm-split", "vm-remap",
         "vm-readonly", "vm-stale", "vm-big", "vm-leaves", "vm-moving"]

# On persistent memory: what is different there, the file surface, and what uses pages and tables in
# other ways. Not fs-copy, fs-limits, fs-options: they are about the limits and options of other mounts;
# vm-inject, vm-accounting: frames of pools are no allocations, so they are charged to no cgroup, and
# without one it is ENOSPC; vm-hostile: it wants 64 KiB of attributes.
POOLS_ONLY = ["vm-pool", "vm-pool-hostile"]
ON_POOLS = POOLS_ONLY + [
    f"fs-{subject}" for subject in ("names", "rename", "data", "size", "holes", "attributes", "xattr",
                                    "unnamed", "flags", "seal", "model")] + [
    f"vm-{subject}" for subject in ("share", "private", "eof", "fork", "stale", "split", "readonly",
                                    "direct", "uring")]

# They need a device, and so machines of their own.
DEVICES = ["vm-device", "vm-vfio"]

# Minutes each, and with nothing that depends on the number of CPUs being one, so on several only, and on the
# first of a machine's mounts. On kernels that watch themselves it would be an hour, for a library whose calls
# of the module the other programs make, too.
LONG = ["lib-conformance"]

# It takes nearly all of the machine's memory, which is quick where the kernel does not zero it:
# NOT_ZEROED.
FRAGMENTING = ["vm-fragmented"]

# What needs a kernel that can make its own allocations fail.
FAULT_INJECTION = ["vm-failslab"]

LA57_PTI = ["--cpu=+la57", "--append", "mitigations=auto pti=on"]
PTI = ["--append", "mitigations=auto pti=on"]
PTI_IS_ON = "dmesg | grep -q 'page tables isolation: .*enabled'"
PTI_IS_OFF = "! dmesg | grep -q 'page tables isolation: .*enabled'"
# A socket per node: the kernel warns of CPUs that share a cache across nodes.
TWO_NODES = ["--qemu=-smp", "--qemu=4,sockets=2,cores=2,threads=1"] + [
    f"--qemu={word}" for node, cpus in enumerate(("0-1", "2-3")) for word in (
    "-object", f"memory-backend-ram,id=node{node},size=2G",
    "-numa", f"node,nodeid={node},cpus={cpus},memdev=node{node}")]

# A device that programs drive by VFIO, and the disks, behind an IOMMU that translates.
VFIO = ["--iommu", "--edu", "--load", "vfio_pci", "--load", "vfio_iommu_type1"]

# Which leaves a mount gives to its files: huge= (tests/vm/in-guest). The default is within_size;
# "churn" is always, and the module's worker promotes and demotes whatever it finds all the time.
MODES = ["never", "within_size", "always", "churn"]
# The kernel does not zero memory that it hands out: the file system must.
NOT_ZEROED = ["--append", "init_on_alloc=0"]

# Who waits for a lock, or takes that of a list which all share, is traced from the boot on: to switch a tracepoint
# on later patches code under several emulated CPUs. Spin locks have a queue, and say who joins it, on what takes
# itself for a real machine.
TRACED = ("trace_event=lock:contention_begin,writeback:writeback_mark_inode_dirty "
          "trace_options=stacktrace,sym-offset trace_buf_size=4M")
CONTENDED = ["--cpu=-hypervisor", "--append", TRACED]

# Two of QEMU's devices for teaching, and the driver in tests/dma.
EDU = ["--edu", "--edu"]
IOMMU = [*EDU, "--iommu"]
IOMMU_IS_ON = "[ -e /sys/kernel/iommu_groups/0 ]"

# The longest first. Each mode is tried with all programs, each kernel with each number of CPUs and, in brief
# at least, with each mode; all with all: the suite platforms.
CELLS = [
    Cell("6.1-4cpu", "6.1", 4, modes=["never", "churn"]),
    Cell("6.12-4cpu", "6.12", 4, modes=["within_size", "always"]),
    Cell("6.1-1cpu", "6.1", 1, NOT_ZEROED, modes=["within_size"]),
    Cell("6.12-1cpu", "6.12", 1, NOT_ZEROED, modes=["churn"]),
    # Five levels of page tables; the kernel's and the user's tables apart.
    Cell("6.1-la57-pti", "6.1", 2, LA57_PTI, True, modes=["within_size", "always"],
         proof=f"grep -q la57 /proc/cpuinfo && {PTI_IS_ON}"),
    Cell("6.12-la57-pti", "6.12", 2, LA57_PTI, True, modes=["never", "churn"],
         proof=f"grep -q la57 /proc/cpuinfo && {PTI_IS_ON}"),
    # Real programs, a few seconds each.
    Cell("6.1-programs", "6.1", 2, modes=["within_size"], effort="short"),
    Cell("6.12-programs", "6.12", 2, modes=["always"], effort="short"),
    # Pools on NVDIMMs; and such a machine killed five times.
    Cell("6.1-pool", "6.1", 2, script="pool-in-guest", modes=["never"], pmem=[1026, 66]),
    Cell("6.12-pool", "6.12", 2, script="pool-in-guest", modes=["never"], pmem=[1026, 66]),
    Cell("6.1-pool-crash", "6.1", 2, kills=5),
    Cell("6.12-pool-crash", "6.12", 2, kills=5),
    # Many at the same time, and which locks they wait for.
    Cell("6.1-scale", "6.1", 4, CONTENDED, modes=["never", "always"], only=["vm-scale"],
         proof="grep -q 1 /sys/kernel/tracing/events/lock/contention_begin/enable"),
    Cell("6.12-scale", "6.12", 4, CONTENDED, modes=["never", "always"], only=["vm-scale"],
         proof="grep -q 1 /sys/kernel/tracing/events/lock/contention_begin/enable"),
    # Devices that reach memory by themselves, behind an IOMMU, and without one.
    Cell("6.1-iommu", "6.1", 2, IOMMU, only=["vm-device"], proof=IOMMU_IS_ON),
    Cell("6.12-iommu", "6.12", 2, IOMMU, only=["vm-device"], proof=IOMMU_IS_ON),
    Cell("6.1-device", "6.1", 2, EDU, only=["vm-device"], modes=["always"], proof=f"! {IOMMU_IS_ON}"),
    Cell("6.12-device", "6.12", 2, EDU, only=["vm-device"], modes=["never"], proof=f"! {IOMMU_IS_ON}"),
    # Devices that user space drives.
    Cell("6.1-vfio", "6.1", 2, VFIO, modes=["never", "always", "churn"], only=["vm-vfio", "vm-nvme"],
         proof="[ -e /dev/vfio/vfio ] && dmesg | grep -q 'DMAR: IOMMU enabled'"),
    Cell("6.12-vfio", "6.12", 2, VFIO, modes=["never", "always", "churn"], only=["vm-vfio", "vm-nvme"],
         proof="[ -e /dev/vfio/vfio ] && dmesg | grep -q 'DMAR: IOMMU enabled'"),
    # A CPU that the module must refuse.
    Cell("6.1-no-nx", "6.1", 1, ["--cpu=-nx"], True, "refuse.sh"),
    Cell("6.12-no-nx", "6.12", 1, ["--cpu=-nx"], True, "refuse.sh"),
]
for version in ("6.1", "6.12"):
    CELLS += [
        Cell(f"{version}-8cpu", version, 8, suite="platforms", proof="[ $(nproc) = 8 ]"),
        Cell(f"{version}-amd64", f"{version}-amd64", 4, suite="platforms",
             proof="! uname -r | grep -q cloud"),
        Cell(f"{version}-pti", version, 2, PTI, suite="platforms", proof=PTI_IS_ON),
        Cell(f"{version}-la57", version, 2, ["--cpu=+la57"], suite="platforms",
             proof=f"grep -q la57 /proc/cpuinfo && {PTI_IS_OFF}"),
        Cell(f"{version}-numa", version, 4, TWO_NODES, suite="platforms",
             proof="[ -d /sys/devices/system/node/node1 ]"),
        Cell(f"{version}-4cpu-modes", version, 4, modes=MODES, suite="platforms"),
        Cell(f"{version}-1cpu-modes", version, 1, NOT_ZEROED, modes=MODES, suite="platforms"),
        Cell(f"{version}-programs-long", version, 2, modes=MODES, suite="programs", effort="long"),
    ]

# Kernels that watch themselves (vm/debug-kernel).
CELLS += [
    # Linux 6.12 has kmemleak look at the initramfs after it was taken out of the direct map, as free
    # memory is here, if it had to be moved: it stays.
    # As many CPUs as the machine for tests has: KASAN and queued spinlocks whose holders do not run
    # make minutes of seconds.
    Cell("debug-2cpu", "debug", 2,
         ["--append", "page_table_check=on page_owner=on retain_initrd"],
         suite="debug", slowness=5),
    Cell("lockdep-3cpu", "lockdep", 3, suite="debug", slowness=5),
    # A module with a write out of bounds in core: KASAN must see it.
    Cell("debug-oob", "debug", 1, ["--expect-complaint", "KASAN: global-out-of-bounds"], True,
         "planted.sh", suite="debug", module="debug-oob", slowness=5),
]
