// SPDX-License-Identifier: MIT
#include "memfd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include "error.h"
#include "pieces.h"
#include "region.h"

// Debian 12's C library has these not yet.
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace morsel {

namespace {

constexpr int all_seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

// Large enough that a thread's start and MADV_COLLAPSE's wait for other processors don't count.
constexpr uint64_t piece = 8 << 20;

}  // namespace

Result<Descriptor> make_memfd(unsigned flags) {
  flags |= MFD_CLOEXEC | MFD_ALLOW_SEALING;
  // A system may insist on it; kernels before 6.3 don't know it.
  Descriptor fd(memfd_create("morsel", flags | MFD_NOEXEC_SEAL));
  if (!fd && errno == EINVAL) fd = Descriptor(memfd_create("morsel", flags));
  if (!fd) return system_error("memfd_create");
  // It has mode 0777: without this everybody who may look at /proc/PID/fd could write to it.
  if (fchmod(fd.get(), 0600) != 0) return system_error("the mode of a memfd");
  return fd;
}

Status seal_memfd(int fd) {
  if (fcntl(fd, F_ADD_SEALS, all_seals) == 0) return Done{};
  if (errno == EBUSY)
    return Error{-EBUSY,
                 "somebody has the object mapped for writing, or a device holds pages of it"};
  if (errno == EPERM)
    return Error{-EPERM, "this object can't be sealed, or not by this descriptor"};
  return system_error("F_ADD_SEALS");
}

bool is_sealed_memfd(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & all_seals) == all_seals;
}

bool has_seals(int fd) { return fcntl(fd, F_GET_SEALS) >= 0; }

Status fault_in(int fd, uint64_t from, uint64_t to) {
  uint64_t length = round_up(to - from, 4096);
  auto region = Region::reserve(length, pmd_slot);
  if (!region) return region.error();
  // With hugetlb this reserves all pages: it fails before any is cleared.
  if (Status status = region->map(fd, from, length, PROT_READ | PROT_WRITE); !status) {
    if (status.error().code == -ENOMEM) return Error{-ENOSPC, status.error().text};
    return status;
  }
  madvise(region->at(), length, MADV_HUGEPAGE);
  return in_pieces(0, length, piece, [&](uint64_t at, uint64_t bytes) -> Status {
    if (madvise(region->at() + at, bytes, MADV_POPULATE_WRITE) != 0) {
      int code = errno == EFAULT ? ENOSPC : errno;  // EFAULT: what SIGBUS would have said
      return system_error("allocating " + amount(to - from), code);
    }
    // Into huge pages, if it isn't yet; small ones do as well.
    madvise(region->at() + at, bytes, MADV_COLLAPSE);
    return Done{};
  });
}

}  // namespace morsel
