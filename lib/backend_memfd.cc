// SPDX-License-Identifier: MIT
// Objects of anonymous shared memory: always there. Huge pages where the kernel gives them.
#include <linux/magic.h>
#include <sys/mman.h>

#include "backend.h"
#include "error.h"
#include "memfd.h"
#include "room.h"

namespace morsel {

namespace {

class Memfd final : public Backend {
 public:
  constexpr Memfd() : Backend(MORSEL_MEMFD, "memfd") {}

  [[nodiscard]] Status probe(uint64_t bytes, const std::string&) const override {
    uint64_t available = available_memory();
    if (bytes > available)
      return Error{-ENOMEM, amount(bytes) + " are wanted, and only " + amount(available) +
                                " of memory are available"};
    return Done{};
  }

  [[nodiscard]] Result<Descriptor> create(uint64_t bytes, const std::string&) const override {
    auto file = make_memfd(0);
    if (!file) return file;
    if (Status status = resize(file->get(), 0, bytes); !status) return status.error();
    return file;
  }

  [[nodiscard]] bool recognises(int fd, const struct statfs& fs) const override {
    return fs.f_type == TMPFS_MAGIC && has_seals(fd);
  }

  [[nodiscard]] Status seal(int fd) const override { return seal_memfd(fd); }
  [[nodiscard]] bool is_sealed(int fd) const override { return is_sealed_memfd(fd); }

  [[nodiscard]] Status map(const Region& region, int fd, uint64_t length,
                           morsel_access access) const override {
    Status status = Backend::map(region, fd, length, access);
    if (status) madvise(region.at(), length, MADV_HUGEPAGE);
    return status;
  }

  void touch(const std::byte* at, uint64_t bytes) const override {
    // In pieces of the kernel's own choice; one by one where it is too old for that.
    if (madvise(const_cast<std::byte*>(at), bytes, MADV_POPULATE_READ) != 0)
      touch_each(at, bytes, 4096);
  }

  // How much of it is in huge pages the kernel tells of mappings only.
  [[nodiscard]] Status statistics(int fd, morsel_statistics& out) const override {
    auto resident = resident_bytes(fd);
    if (!resident) return resident.error();
    out.resident = *resident;
    return Done{};
  }

 protected:
  [[nodiscard]] Status allocate(int fd, uint64_t from, uint64_t to) const override {
    // There is no error to come: when memory runs out, the kernel kills.
    if (Status status = probe(to - from, {}); !status) return status;
    return fault_in(fd, from / pmd_slot * pmd_slot, to);
  }
};

const Memfd instance;

}  // namespace

const Backend& memfd_backend = instance;

}  // namespace morsel
