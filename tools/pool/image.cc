// SPDX-License-Identifier: MIT
#include "image.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "text.h"

namespace morsel::pool {
namespace {

constexpr int status_operational = 8;  // of fsck(8); just not 0 for the others

/// The medium can't be read, though it could be when it was asked, or was cut short: there is no
/// way back into core from here.
void cannot_read(int) {
  static constexpr char text[] =
      "morselfs: an input/output error while reading the medium (or it was cut short meanwhile); "
      "the kernel's log says where\n";
  (void)!::write(STDERR_FILENO, text, sizeof(text) - 1);
  ::_exit(status_operational);
}

void watch_for_read_errors() {
  struct sigaction action {};
  action.sa_handler = cannot_read;
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace

Result<Image> Image::open(const std::string& path, Access access) {
  Image image;
  image.path_ = path;
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return system_error("can't open " + path);
  image.is_device_ = S_ISBLK(st.st_mode);
  if (S_ISDIR(st.st_mode))
    return Error{-EISDIR, path + " is a directory; name the device or image file of the pool"};
  if (S_ISCHR(st.st_mode))
    return Error{-ENODEV, path +
                              " is a character device; a pool lies on an fsdax device, which "
                              "`ndctl create-namespace --mode=fsdax` makes of a namespace"};
  if (!image.is_device_ && !S_ISREG(st.st_mode))
    return Error{-EINVAL, path + " is neither a block device nor a file"};
  const int flags = (access == Access::change ? O_RDWR : O_RDONLY) | O_CLOEXEC;
  // On a block device O_EXCL asks whether the kernel has it in use, a mount for example.
  image.fd_ = ::open(path.c_str(), image.is_device_ ? flags | O_EXCL : flags);
  if (image.fd_ < 0) {
    if (errno == EBUSY)
      return Error{-EBUSY, path + " is in use; unmount it first (findmnt " + path + ")"};
    return system_error("can't open " + path);
  }
  if (const Status taken = image.take(access); !taken) return taken.error();
  return image;
}

Status Image::take(Access access) {
  struct stat st {};
  if (is_device_) {
    if (::ioctl(fd_, BLKGETSIZE64, &bytes_) != 0)
      return system_error("can't tell the size of " + path_);
  } else {
    const int how = (access == Access::change ? LOCK_EX : LOCK_SH) | LOCK_NB;
    if (::flock(fd_, how) != 0) {
      if (errno == EWOULDBLOCK)
        return Error{-EBUSY, path_ + " is in use by another program; wait until that has ended"};
      return system_error("can't lock " + path_);
    }
    if (::fstat(fd_, &st) != 0) return system_error("can't tell the size of " + path_);
    bytes_ = static_cast<uint64_t>(st.st_size);
  }
  frames_ = std::min<u64>(bytes_ / frame_bytes, most_frames);
  if (frames_ < least_frames)
    return Error{-ENOSPC, path_ + " has " + std::to_string(bytes_) +
                              " bytes; a pool needs at least " +
                              tool::size_text(least_frames * frame_bytes)};
  writes_ = access == Access::change;
  // Without a reservation: hardly any page of a private mapping is ever written.
  const int flags = writes_ ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE;
  void* start = ::mmap(nullptr, frames_ * frame_bytes, PROT_READ | PROT_WRITE, flags, fd_, 0);
  if (start == MAP_FAILED) return system_error("can't map " + path_);
  start_ = static_cast<u8*>(start);
  bytes_ = bytes_ / frame_bytes * frame_bytes;
  watch_for_read_errors();
  return Done{};
}

bool Image::is_readable(Frame frame) const {
  char byte = 0;
  return ::pread(fd_, &byte, 1, static_cast<off_t>(frame * frame_bytes)) == 1;
}

Image::Image(Image&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      is_device_(other.is_device_),
      writes_(other.writes_),
      bytes_(other.bytes_),
      frames_(other.frames_),
      start_(std::exchange(other.start_, nullptr)),
      dirty_(std::move(other.dirty_)),
      error_(other.error_) {}

Image::~Image() {
  if (start_ != nullptr) ::munmap(start_, std::min<u64>(bytes_, most_frames * frame_bytes));
  if (fd_ >= 0) ::close(fd_);
}

void Image::flush(Site, const void* from, u64 bytes) {
  if (!writes_ || bytes == 0) return;
  const u64 offset = static_cast<u64>(static_cast<const u8*>(from) - start_);
  const u64 first = offset / frame_bytes * frame_bytes;
  const u64 last = (offset + bytes + frame_bytes - 1) / frame_bytes * frame_bytes;
  // Walks go mostly from front to back.
  if (!dirty_.empty() && first >= dirty_.back().first && first <= dirty_.back().second)
    dirty_.back().second = std::max(dirty_.back().second, last);
  else
    dirty_.emplace_back(first, last);
}

void Image::fence(Site) {
  std::sort(dirty_.begin(), dirty_.end());
  for (size_t i = 0; i < dirty_.size();) {
    auto [first, last] = dirty_[i];
    for (++i; i < dirty_.size() && dirty_[i].first <= last; ++i)
      last = std::max(last, dirty_[i].second);
    if (::msync(start_ + first, last - first, MS_SYNC) != 0 && error_ == 0) error_ = errno;
  }
  dirty_.clear();
}

Status Image::finish() {
  if (!writes_) return Done{};
  fence(Site::mended);
  if (error_ == 0 && ::fsync(fd_) != 0) error_ = errno;
  if (error_ != 0)
    return system_error("not all could be written to " + path_ + "; it may be damaged now", error_);
  return Done{};
}

}  // namespace morsel::pool
