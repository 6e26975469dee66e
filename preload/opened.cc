// SPDX-License-Identifier: MIT
#include "opened.h"

#include <fcntl.h>

#include <array>
#include <cstdlib>

#include "syscall.h"

namespace morsel::preload {
namespace {

/// Files are told apart by numbers: this is read in every start of a program.
struct Opened {
  int fd;
  Kind kind;
  unsigned long object_device, object_inode;
  unsigned long device, inode, bytes;
  long mtime_ns;
};

constinit std::array<Opened, 64> table;
constinit size_t count;

bool leads_to(int fd, const Opened& opened) {
  struct stat st {};
  return call(SYS_fstat, fd, &st) == 0 && st.st_dev == opened.object_device &&
         st.st_ino == opened.object_inode;
}

/// "FD:DEVICE:INODE:DEVICE:INODE:SIZE:MTIME,": first the object's, then the file's.
bool parse(const char*& text, Opened& opened) {
  std::array<unsigned long, 7> numbers;
  for (size_t i = 0; i < numbers.size(); ++i) {
    char* end = nullptr;
    numbers[i] = strtoul(text, &end, 10);
    if (end == text || *end != (i + 1 < numbers.size() ? ':' : ',')) return false;
    text = end + 1;
  }
  opened = {static_cast<int>(numbers[0]),
            Kind::memfd,
            numbers[1],
            numbers[2],
            numbers[3],
            numbers[4],
            numbers[5],
            static_cast<long>(numbers[6])};
  return true;
}

}  // namespace

void take_opened() {
  const char* text = getenv("MORSEL_OPENED");
  Opened opened{};
  while (text && count < table.size() && parse(text, opened)) {
    // A program that another one has started has not got them, or something else by that number.
    if (!leads_to(opened.fd, opened) || !find_kind(opened.fd, opened.kind)) continue;
    call(SYS_fcntl, opened.fd, F_SETFD, FD_CLOEXEC);
    table[count++] = opened;
  }
}

Object find_opened(const struct stat& source) {
  Object object;
  for (size_t i = 0; i < count; ++i) {
    const Opened& opened = table[i];
    if (opened.inode != source.st_ino || opened.device != source.st_dev ||
        opened.bytes != static_cast<unsigned long>(source.st_size) ||
        opened.mtime_ns != nanoseconds(source.st_mtim))
      continue;
    // The program may close what it does not know, and get the number for something of its own;
    // nobody else knows of the duplicate.
    const long fd = call(SYS_fcntl, opened.fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) break;
    if (!leads_to(static_cast<int>(fd), opened)) {
      call(SYS_close, fd);
      break;
    }
    object.fd = static_cast<int>(fd);
    object.kind = opened.kind;
    break;
  }
  return object;
}

}  // namespace morsel::preload
