// SPDX-License-Identifier: MIT
#include "mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace morsel::bench {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

bool is_aligned(const void* address, uint64_t alignment) {
  return reinterpret_cast<uintptr_t>(address) % alignment == 0;
}

}  // namespace

MapRequest request_for(const System& system, const std::string& path, uint64_t bytes) {
  MapRequest request;
  request.path = path;
  request.bytes = bytes;
  request.slots = system.slots;
  request.huge_tlb = system.huge_tlb;
  return request;
}

Mapping::Mapping(const MapRequest& request) {
  fd_ = ::open(request.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) fail(request.path);

  const size_t length = request.length();
  const int flags = MAP_SHARED | (request.populate ? MAP_POPULATE : 0);
  map(nullptr, length, flags);
  if (!request.slots || is_aligned(data_, request.alignment())) return;
  // Only a file system that knows of slots puts them where they belong: map over the inside of a
  // reservation instead.
  if (::munmap(mapped_, mapped_bytes_) != 0) fail("munmap");
  const size_t reserved_bytes = length + request.alignment();
  void* reserved = ::mmap(nullptr, reserved_bytes, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) fail("reserving address space");
  const auto start = reinterpret_cast<uintptr_t>(reserved);
  map(static_cast<char*>(reserved) + (round_up(start, request.alignment()) - start), length,
      flags | MAP_FIXED);
  mapped_ = reserved;
  mapped_bytes_ = reserved_bytes;
}

void Mapping::map(void* address, size_t length, int flags) {
  mapped_ = ::mmap(address, length, PROT_READ, flags, fd_, 0);
  if (mapped_ == MAP_FAILED) fail("mmap");
  mapped_bytes_ = length;
  data_ = static_cast<unsigned char*>(mapped_);
}

Mapping::~Mapping() {
  if (fd_ >= 0) ::close(fd_);
}

void Mapping::unmap() {
  if (::munmap(mapped_, mapped_bytes_) != 0) fail("munmap");
  data_ = nullptr;
}

}  // namespace morsel::bench
