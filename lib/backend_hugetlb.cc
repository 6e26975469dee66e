// SPDX-License-Identifier: MIT
// Objects of 2-MiB pages of hugetlb, mapped so that processes share page tables (docs/library.md).
#include <linux/magic.h>
#include <sys/mman.h>

#include <algorithm>

#include "backend.h"
#include "error.h"
#include "memfd.h"
#include "room.h"

namespace morsel {

namespace {

constexpr uint64_t huge_page = pmd_slot;
constexpr unsigned of_2_mib = 21U << 26;  // MFD_HUGE_2MB

class Hugetlb final : public Backend {
 public:
  constexpr Hugetlb() : Backend(MORSEL_HUGETLB, "hugetlb") {}

  [[nodiscard]] uint64_t rounded(uint64_t bytes) const override {
    return round_up(bytes, huge_page);
  }

  [[nodiscard]] Status probe(uint64_t bytes, const std::string&) const override {
    HugePages pages = huge_pages();
    if (!pages.supported) return Error{-EOPNOTSUPP, "this kernel has no 2-MiB pages (hugetlb)"};
    uint64_t wanted = rounded(bytes) / huge_page;
    uint64_t missing = wanted - std::min(wanted, pages.free);
    if (missing > pages.more)
      return Error{-ENOSPC, std::to_string(wanted) + " 2-MiB pages are wanted, " +
                                std::to_string(pages.free) + " are free and " +
                                std::to_string(pages.more) +
                                " may be added; `morsel setup`, as root, allows more"};
    uint64_t available = available_memory();
    if (missing * huge_page > available)
      return Error{-ENOSPC, amount(missing * huge_page) + " are wanted for 2-MiB pages, and only " +
                                amount(available) + " of memory are available"};
    return Done{};
  }

  [[nodiscard]] Result<Descriptor> create(uint64_t bytes, const std::string&) const override {
    auto file = make_memfd(MFD_HUGETLB | of_2_mib);
    if (!file) return file;
    if (Status status = resize(file->get(), 0, rounded(bytes)); !status) return status.error();
    return file;
  }

  [[nodiscard]] bool recognises(int fd, const struct statfs& fs) const override {
    return fs.f_type == HUGETLBFS_MAGIC && uint64_t(fs.f_bsize) == huge_page && has_seals(fd);
  }

  [[nodiscard]] Status seal(int fd) const override { return seal_memfd(fd); }
  [[nodiscard]] bool is_sealed(int fd) const override { return is_sealed_memfd(fd); }

  [[nodiscard]] Status map(const Region& region, int fd, uint64_t length,
                           morsel_access access) const override {
    if (Status status = region.map(fd, 0, length, PROT_READ, MAP_NORESERVE); !status) return status;
    // A mapping that is made writable from the start would set the file's size to its own length.
    if (access != MORSEL_READ && mprotect(region.at(), length, PROT_READ | PROT_WRITE) != 0)
      return system_error("making a mapping writable");
    return Done{};
  }

  // If the table of a GiB is shared, the first of its pages brings all; the others cost nothing
  // then.
  void touch(const std::byte* at, uint64_t bytes) const override {
    touch_each(at, bytes, huge_page);
  }

  [[nodiscard]] Status statistics(int fd, morsel_statistics& out) const override {
    auto resident = resident_bytes(fd);
    if (!resident) return resident.error();
    out.resident = out.huge = *resident;
    return Done{};
  }

 protected:
  [[nodiscard]] Status allocate(int fd, uint64_t from, uint64_t to) const override {
    // The kernel would take all pages there are before it finds that there are too few.
    if (Status status = probe(to - from, {}); !status) return status;
    return fault_in(fd, from, to);
  }
};

const Hugetlb instance;

}  // namespace

const Backend& hugetlb_backend = instance;

}  // namespace morsel
