# SPDX-License-Identifier: MIT
#
# The front door: what a person wants to do, and which script does it.
# Everything that is made lies in build/.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

KERNELS := 6.1 6.12
KERNEL ?= 6.12
PRESET ?= dev
DURATION ?= 600
SEED ?= 1
KILLS ?= 200
CPUS ?= 2
SECONDS ?= 60
STATES ?= 1000000
PREFIX ?= /usr/local

.PHONY: help
help: ## this text
	@echo 'Morsels: large memory objects whose storage is a page-table subtree.'
	@echo
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

.PHONY: demo
demo: ## maps a 6.82-GiB model, natively and in a VM, beside ext4, tmpfs and hugetlbfs; runs llama.cpp
	@scripts/install-packages build vm demo
	@bench/demo/run

.PHONY: test
test: ## all tests: unit tests, then the VM tests on both kernels (45 minutes on 2 CPUs)
	@scripts/install-packages build packages vm
	@scripts/test

.PHONY: torture
torture: ## random operations by many processes for a long time (DURATION=600 SEED=1 CPUS=2 KERNEL=6.12)
	@scripts/install-packages build vm
	@scripts/build dev
	@scripts/build-module $(KERNEL)
	@tests/torture/run --duration $(DURATION) --seed $(SEED) --cpus "$(CPUS)" --kernel $(KERNEL)

.PHONY: crash
crash: ## power cuts everywhere in the code of pools, until so many images were tried (STATES=1000000 SEED=1)
	@scripts/install-packages build
	@scripts/build release
	@build/release/sim/morsel-sim --states $(STATES) --seed $(SEED)

.PHONY: crash-proof
crash-proof: ## each flush and fence switched off, planted bugs: the simulator must notice (minutes)
	@scripts/install-packages build
	@scripts/build release
	@build/release/sim/morsel-sim --sequences 1
	@build/release/sim/morsel-sim --prove
	@sim/prove-mutants

.PHONY: explore
explore: ## core's lock-free code: every execution of few threads, without bounds; planted bugs (an hour)
	@scripts/install-packages build
	@scripts/build dev
	@MORSELS_EXPLORE=all build/dev/tests/core/core-explore
	@tests/core/prove-mutants

.PHONY: crash-vm
crash-vm: ## kills a machine under a pool, again and again, and looks at what is left (KILLS=200 SEED=1 KERNEL=6.12)
	@scripts/install-packages build vm
	@scripts/build dev
	@scripts/build-module $(KERNEL)
	@tests/vm/pool-crash --kernel $(KERNEL) --kills $(KILLS) --seed $(SEED)

.PHONY: fuzz
fuzz: ## hostile media: what is mounted, checked and repaired, with libFuzzer (SECONDS=60)
	@scripts/install-packages build lint
	@tests/pool/fuzz $(SECONDS)

.PHONY: vm
vm: ## a shell in a VM with morselfs mounted on /mnt/m (KERNEL=6.1 or 6.12)
	@scripts/install-packages build vm
	@scripts/build-module $(KERNEL)
	@vm/shell $(KERNEL)

.PHONY: install
install: ## the command morsel, libmorsel, the programs for pools, for this machine as it is (PREFIX=/usr/local)
	@scripts/install-packages build
	@scripts/install $(PREFIX)

.PHONY: uninstall
uninstall: ## takes away what make install brought (PREFIX=/usr/local)
	@scripts/install --remove $(PREFIX)

.PHONY: deb
deb: ## builds the Debian packages build/deb/*.deb
	@scripts/install-packages build deb
	@scripts/deb

.PHONY: bench-host
bench-host: ## loads the module on this very machine and measures; says first what it will do
	@scripts/install-packages build host
	@bench/host/run

.PHONY: bench
bench: ## all experiments, natively and in a virtual machine: two hours; build/bench/report.html
	@scripts/install-packages build bench demo vm
	@bench/suite/run

.PHONY: results
results: ## puts the report of the last `make bench` into docs/results.md
	@bench/suite/run --results

.PHONY: readme-table
readme-table: ## puts the table of the last `make demo` into README.md
	@bench/demo/readme-table

.PHONY: module-host
module-host: ## builds build/kernel-host/morselfs.ko for the kernel that runs here
	@scripts/install-packages build
	@scripts/build-module host /lib/modules/$$(uname -r)/build

.PHONY: module
module: $(KERNELS:%=module-%) ## builds build/kernel-6.1/morselfs.ko and build/kernel-6.12/morselfs.ko

.PHONY: $(KERNELS:%=module-%)
$(KERNELS:%=module-%): module-%:
	@scripts/install-packages build vm
	@scripts/build-module $*

.PHONY: build
build: ## compiles the user-space part (PRESET=dev, release, asan, tsan or ubsan)
	@scripts/install-packages build
	@scripts/build $(PRESET)

.PHONY: core-tests
core-tests: ## the unit tests alone, in seconds (PRESET=...)
	@scripts/install-packages build packages
	@scripts/test unit --preset $(PRESET)

.PHONY: vm-tests
vm-tests: ## the VM tests alone (see tests/vm/run-all --help for parts of them)
	@scripts/install-packages build vm
	@scripts/test vm

.PHONY: test-debug
test-debug: ## the VM tests on kernels with KASAN, kmemleak and lockdep; builds those kernels first
	@scripts/install-packages build vm
	@scripts/test debug

.PHONY: test-platforms
test-platforms: ## the VM tests on 8 CPUs, two nodes, other page tables, the flavour amd64, in all modes (hours)
	@scripts/install-packages build vm
	@scripts/test platforms

.PHONY: test-programs
test-programs: ## SQLite, LMDB, git, fio, stress-ng, gdb, gcc on the mount, at length (an hour)
	@scripts/install-packages build vm
	@scripts/test programs

.PHONY: test-packages
test-packages: ## installs the packages in a clean Debian 12, upgrades, removes; the module by DKMS, in VMs; as root
	@scripts/install-packages build deb packages packages-root vm
	@tests/packages/run

.PHONY: format
format: ## formats all C and C++ in place
	@scripts/install-packages lint
	@scripts/lint format

.PHONY: lint
lint: ## clang-format, clang-tidy, shellcheck, and the SPDX lines
	@scripts/install-packages build lint
	@scripts/build dev
	@scripts/lint

.PHONY: clean
clean: ## removes what was built, keeps what was downloaded
	@scripts/clean

.PHONY: distclean
distclean: ## removes build/ altogether
	@rm -rf build
