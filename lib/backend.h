// SPDX-License-Identifier: MIT
// What an object is made of. One interface, three implementations without state.
#pragma once

#include <morsel/morsel.h>
#include <sys/statfs.h>

#include <array>
#include <cstdint>
#include <string>

#include "descriptor.h"
#include "region.h"
#include "result.h"

namespace morsel {

class Backend {
 public:
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  const morsel_backend id;
  const char* const name;

  /// The size of an object that has to hold `bytes`.
  [[nodiscard]] virtual uint64_t rounded(uint64_t bytes) const { return bytes; }

  /// Whether an object of so many bytes can be made now. `directory` may be empty.
  [[nodiscard]] virtual Status probe(uint64_t bytes, const std::string& directory) const = 0;

  /// A new object of `rounded(bytes)`, all zero, all of its memory there.
  [[nodiscard]] virtual Result<Descriptor> create(uint64_t bytes,
                                                  const std::string& directory) const = 0;

  /// Gives an object another size: `to` is rounded. On failure it has the old one.
  [[nodiscard]] Status resize(int fd, uint64_t from, uint64_t to) const;

  /// Whether a regular file on such a file system is an object of this backend.
  [[nodiscard]] virtual bool recognises(int fd, const struct statfs& fs) const = 0;

  [[nodiscard]] virtual Status seal(int fd) const = 0;
  [[nodiscard]] virtual bool is_sealed(int fd) const = 0;

  /// Maps `length` bytes, whole slots, from the start of the object.
  [[nodiscard]] virtual Status map(const Region& region, int fd, uint64_t length,
                                   morsel_access access) const;

  /// Touches what would fault.
  virtual void touch(const std::byte* at, uint64_t bytes) const = 0;

  /// Everything but `bytes` and `struct_size`.
  [[nodiscard]] virtual Status statistics(int fd, morsel_statistics& out) const = 0;

  /// Large pages; -EOPNOTSUPP where there is nothing to choose. `bytes` 0: up to the end.
  [[nodiscard]] virtual Status set_huge(int fd, morsel_huge policy) const;
  enum class Move { promote, demote };
  [[nodiscard]] virtual Result<morsel_moved> move(int fd, Move how, uint64_t offset,
                                                  uint64_t bytes) const;

  /// A dma-buf of a part; `bytes` 0: up to the end. -EOPNOTSUPP where there are none.
  [[nodiscard]] virtual Result<Descriptor> export_part(int fd, uint64_t offset, uint64_t bytes,
                                                       morsel_access access) const;

 protected:
  constexpr Backend(morsel_backend the_id, const char* the_name) : id(the_id), name(the_name) {}
  ~Backend() = default;

  /// Allocates what is missing in [from, to), which lies below the size.
  [[nodiscard]] virtual Status allocate(int fd, uint64_t from, uint64_t to) const = 0;
};

extern const Backend& morselfs_backend;
extern const Backend& hugetlb_backend;
extern const Backend& memfd_backend;

/// The best one first.
std::array<const Backend*, 3> backends();
/// Null for MORSEL_ANY and for what is none.
const Backend* find_backend(morsel_backend id);

/// One access to each `step` bytes.
void touch_each(const std::byte* at, uint64_t bytes, uint64_t step);
/// The bytes of memory that the file has.
Result<uint64_t> resident_bytes(int fd);

}  // namespace morsel
