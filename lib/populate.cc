// SPDX-License-Identifier: MIT
// An object's contents from a file, straight into a mapping, which all backends can: from the disk
// by direct requests, from the page cache by read(2), in which, unlike in write(2), several threads
// don't wait for each other.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "direct.h"
#include "error.h"
#include "mapping.h"
#include "pieces.h"

using namespace morsel;

namespace {

constexpr uint64_t piece = 8 << 20;

class Source {
 public:
  static Result<Source> open(int fd, uint64_t offset) {
    struct stat st;
    if (fstat(fd, &st) != 0) return system_error("the source");
    return Source(fd, offset, st);
  }

  // All of these bytes, or an error.
  [[nodiscard]] Status read(std::byte* to, uint64_t at, uint64_t length) const {
    at += offset_;
    // The piece after the next is wanted soon, by some thread: the kernel, which sees threads jump
    // about, wouldn't read ahead.
    posix_fadvise(fd_, off_t(at + 2 * piece), piece, POSIX_FADV_WILLNEED);
    while (length > 0) {
      ssize_t got = pread(fd_, to, length, off_t(at));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EFAULT)
        return Error{-EFAULT, "the object was cut by somebody while it was filled"};
      if (got < 0) return system_error("reading the source at byte " + std::to_string(at));
      if (got == 0)
        return Error{-ENODATA, "the source ends at byte " + std::to_string(at) + ", " +
                                   std::to_string(length) + " bytes too early"};
      to += got;
      at += uint64_t(got);
      length -= uint64_t(got);
    }
    return Done{};
  }

  [[nodiscard]] Status unchanged() const {
    struct stat after = now();
    if (S_ISREG(after.st_mode) &&
        (after.st_size != before_.st_size || after.st_mtim.tv_sec != before_.st_mtim.tv_sec ||
         after.st_mtim.tv_nsec != before_.st_mtim.tv_nsec))
      return Error{-ESTALE, "the source was changed while it was read"};
    return Done{};
  }

 private:
  Source(int fd, uint64_t offset, const struct stat& before)
      : fd_(fd), offset_(offset), before_(before) {}

  [[nodiscard]] struct stat now() const {
    struct stat st {};
    fstat(fd_, &st);
    return st;
  }

  int fd_;
  uint64_t offset_;
  struct stat before_;
};

}  // namespace

int morsel_populate(morsel_object* object, int source, uint64_t offset, uint64_t bytes,
                    morsel_progress progress, void* context, morsel_error* error) {
  return at_border(error, [&]() -> Status {
    auto room = size_of(object->fd.get());
    if (!room) return room.error();
    if (bytes > *room)
      return Error{-EINVAL, std::to_string(bytes) + " bytes don't fit into an object of " +
                                std::to_string(*room)};
    if (offset > INT64_MAX - bytes)
      return Error{-EINVAL, "no file has a byte " + std::to_string(offset)};
    auto from = Source::open(source, offset);
    if (!from) return from.error();
    auto mapping = map_object(*object, MORSEL_READ_WRITE);
    if (!mapping) return mapping.error();
    std::byte* start = (*mapping)->region.at();

    auto watch = [&](uint64_t done) { return !progress || progress(done, bytes, context) == 0; };
    const Error cancelled{-ECANCELED, "cancelled by the caller"};

    auto direct = DirectReader::open(source, offset, bytes, piece);
    if (direct && !direct->read(start, watch)) return cancelled;
    std::atomic<uint64_t> done = direct ? direct->done() : 0;
    auto copy = [&](uint64_t at, uint64_t length) -> Status {
      if (direct && direct->has(at)) return Done{};
      Status status = from->read(start + at, at, length);
      done += length;
      return status;
    };
    auto look = [&](uint64_t) { return watch(done); };
    if (Status status = in_pieces(0, bytes, piece, copy, look); !status) return status;
    if (!watch(bytes)) return cancelled;
    return from->unchanged();
  });
}
