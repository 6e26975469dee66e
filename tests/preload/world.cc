// SPDX-License-Identifier: MIT
#include "world.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace morsel::preload_test {
namespace {

void need(bool good, const std::string& what) {
  if (!good) throw std::system_error(errno, std::generic_category(), what);
}

void write_all(int fd, size_t bytes) {
  std::vector<unsigned char> buffer(1 << 20);
  for (size_t done = 0; done < bytes;) {
    const size_t part = std::min(buffer.size(), bytes - done);
    for (size_t i = 0; i < part; ++i) buffer[i] = byte_at(done + i);
    need(pwrite(fd, buffer.data(), part, static_cast<off_t>(done)) == static_cast<ssize_t>(part),
         "pwrite");
    done += part;
  }
}

/// hugetlb files can't be written to.
void store_all(int fd, size_t bytes) {
  void* p = raw_mmap(nullptr, (bytes + huge_page - 1) / huge_page * huge_page,
                     PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  need(p != MAP_FAILED, "mmap of the object");
  for (size_t i = 0; i < bytes; ++i) static_cast<unsigned char*>(p)[i] = byte_at(i);
  raw_munmap(p, (bytes + huge_page - 1) / huge_page * huge_page);
}

struct Line {
  uintptr_t begin, end;
  std::string text;
};

std::vector<Line> maps() {
  std::ifstream file("/proc/self/maps");
  std::vector<Line> lines;
  for (std::string text; std::getline(file, text);) {
    char* rest = nullptr;
    const uintptr_t begin = std::strtoul(text.c_str(), &rest, 16);
    lines.push_back({begin, std::strtoul(rest + 1, nullptr, 16), text});
  }
  return lines;
}

bool is_object(const Line& line) { return line.text.find("/memfd:morsel-test") != line.text.npos; }

}  // namespace

std::string directory() {
  const char* said = std::getenv("MORSEL_TEST_DIRECTORY");
  return said ? said : "/nonexistent";
}
std::string store() { return directory() + "/store"; }

bool can_make(Kind kind) {
  if (kind == Kind::memfd) return true;
  const int fd = memfd_create("probe", MFD_HUGETLB | MFD_CLOEXEC);
  const bool can = fd >= 0 && fallocate(fd, 0, 0, 8 * huge_page) == 0;
  if (fd >= 0) close(fd);
  return can;
}

unsigned char byte_at(size_t offset) {
  return static_cast<unsigned char>((offset / page * 2654435761U >> 8) + offset % 251);
}

bool holds(const void* address, size_t offset, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i)
    if (static_cast<const unsigned char*>(address)[i] != byte_at(offset + i)) return false;
  return true;
}

Source::Source(size_t bytes, Sparse) : bytes_(bytes), path_(directory() + "/sources/file-XXXXXX") {
  const int fd = mkstemp(path_.data());
  need(fd >= 0 && fchmod(fd, 0644) == 0 && ftruncate(fd, static_cast<off_t>(bytes)) == 0, path_);
  close(fd);
}

Source::Source(size_t bytes) : Source(bytes, Sparse{}) {
  const int fd = open(O_RDWR);
  write_all(fd, bytes);
  close(fd);
}

Source::~Source() { unlink(path_.c_str()); }

int Source::open(int flags) const {
  const int fd = ::open(path_.c_str(), flags | O_CLOEXEC);
  need(fd >= 0, path_);
  return fd;
}

struct stat Source::stat() const {
  struct stat st;
  need(::stat(path_.c_str(), &st) == 0, path_);
  return st;
}

std::string Source::name() const {
  const struct stat st = stat();
  char name[160];
  std::snprintf(name, sizeof name, "file-%lx-%lx-%ld-%lld", st.st_dev, st.st_ino, st.st_size,
                st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec);
  return name;
}

Cached::Cached(const Source& source, Kind kind, const Flaws& flaws)
    : fd_(memfd_create("morsel-test", MFD_CLOEXEC | MFD_ALLOW_SEALING |
                                          (kind == Kind::hugetlb ? MFD_HUGETLB : 0))),
      entry_(store() + "/objects/" + source.name()) {
  const struct stat st = source.stat();
  off_t size = st.st_size + flaws.size;
  if (kind == Kind::hugetlb)
    size = static_cast<off_t>((size + huge_page - 1) / huge_page * huge_page);
  need(fd_ >= 0 && ftruncate(fd_, size) == 0 && fallocate(fd_, 0, 0, size) == 0, "the object");
  if (!flaws.sparse && flaws.size >= 0)
    kind == Kind::hugetlb ? store_all(fd_, source.bytes()) : write_all(fd_, source.bytes());
  const int64_t time = st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec + flaws.mtime;
  const timespec times[2] = {{0, UTIME_OMIT}, {time / 1'000'000'000, time % 1'000'000'000}};
  need(futimens(fd_, times) == 0 && fchmod(fd_, 0444) == 0, "its attributes");
  if (flaws.owner) need(fchown(fd_, flaws.owner, flaws.owner) == 0, "its owner");
  if (flaws.seals) need(fcntl(fd_, F_ADD_SEALS, flaws.seals) == 0, "its seals");
  const std::string target = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd_);
  need(symlink(target.c_str(), entry_.c_str()) == 0, entry_);
}

Cached::~Cached() {
  unlink(entry_.c_str());
  close(fd_);
}

int Cached::open() const {
  const int fd = ::open(entry_.c_str(), O_RDONLY | O_CLOEXEC);
  need(fd >= 0, entry_);
  return fd;
}

bool Cached::in_use() const {
  const int fd = open();
  const bool free = flock(fd, LOCK_EX | LOCK_NB) == 0;
  close(fd);
  return !free;
}

std::string mapped_at(const void* address) {
  for (const Line& line : maps())
    if (line.begin <= reinterpret_cast<uintptr_t>(address) &&
        reinterpret_cast<uintptr_t>(address) < line.end)
      return line.text;
  return "";
}

bool is_object(const void* address) { return is_object(Line{0, 0, mapped_at(address)}); }

size_t count_objects() {
  size_t count = 0;
  for (const Line& line : maps()) count += is_object(line);
  return count;
}

bool peek(const void* address, void* to, size_t bytes) {
  const iovec local{to, bytes};
  const iovec remote{const_cast<void*>(address), bytes};
  return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == static_cast<ssize_t>(bytes);
}

void* raw_mmap(void* address, size_t length, int prot, int flags, int fd, off_t offset) {
  return std::bit_cast<void*>(syscall(SYS_mmap, address, length, prot, flags, fd, offset));
}

int raw_munmap(void* address, size_t length) {
  return static_cast<int>(syscall(SYS_munmap, address, length));
}

}  // namespace morsel::preload_test
