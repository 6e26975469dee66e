// SPDX-License-Identifier: MIT
//
// Files, a store with objects that hold them, and questions about this process's mappings. The
// tests are unmodified programs: main() starts the executable anew with the shim in front of libc,
// and from then on mmap and its like are the shim's.
#pragma once

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace morsel::preload_test {

inline constexpr size_t page = 4096;
inline constexpr size_t huge_page = size_t{2} << 20;
inline constexpr size_t gib = size_t{1} << 30;

enum class Kind { hugetlb, memfd };
inline const char* name_of(Kind kind) { return kind == Kind::hugetlb ? "hugetlb" : "memfd"; }

/// A directory for the store and the files; gone with the first process.
std::string directory();
/// The store of MORSEL_STORES, in that directory.
std::string store();
/// False: this machine gives no 2-MiB pages.
bool can_make(Kind kind);

/// A file with other bytes on each page, the last one in part.
class Source {
 public:
  explicit Source(size_t bytes);
  /// Nothing is written: a hole, for what is large.
  struct Sparse {};
  Source(size_t bytes, Sparse);
  ~Source();
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  [[nodiscard]] size_t bytes() const { return bytes_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int open(int flags = 0) const;  // O_RDONLY
  [[nodiscard]] struct stat stat() const;
  /// "file-DEV-INO-SIZE-MTIME"
  [[nodiscard]] std::string name() const;

 private:
  size_t bytes_;
  std::string path_;
};

/// What the file has there.
unsigned char byte_at(size_t offset);
/// True if `address` holds the file's bytes from `offset` on.
bool holds(const void* address, size_t offset, size_t bytes);

/// What may be wrong with an object.
struct Flaws {
  bool sparse = false;
  int seals = 0x1 | 0x2 | 0x4 | 0x8;
  off_t size = 0;     // added
  int64_t mtime = 0;  // nanoseconds, added
  uid_t owner = 0;
};

/// An object of a file, as a holder would have it, in the store until it is destroyed.
class Cached {
 public:
  Cached(const Source& source, Kind kind, const Flaws& flaws = {});
  ~Cached();
  Cached(const Cached&) = delete;
  Cached& operator=(const Cached&) = delete;

  /// A descriptor for reading with an open file description of its own.
  [[nodiscard]] int open() const;
  /// Somebody holds the lock.
  [[nodiscard]] bool in_use() const;

 private:
  int fd_;
  std::string entry_;
};

/// What /proc/self/maps says of one address: "" if nothing is mapped there.
std::string mapped_at(const void* address);
inline bool is_mapped(const void* address) { return !mapped_at(address).empty(); }
/// The object is mapped there, not the file.
bool is_object(const void* address);
/// Mappings of objects anywhere in this process.
size_t count_objects();

/// Reads without a signal where nothing can be read: false.
bool peek(const void* address, void* to, size_t bytes);

/// The kernel's own, behind the shim's back.
void* raw_mmap(void* address, size_t length, int prot, int flags, int fd, off_t offset);
int raw_munmap(void* address, size_t length);

inline char* at(void* address, size_t offset) { return static_cast<char*>(address) + offset; }

}  // namespace morsel::preload_test
