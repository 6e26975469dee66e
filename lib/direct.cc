// SPDX-License-Identifier: MIT
//
// Each request has a slot of registered buffers, which is given the piece's memory just before: the
// kernel pins that once, by large leaves where there are some, while others are on their way. All
// memory registered at the beginning would keep the disk waiting for as long as pinning it takes,
// and count against RLIMIT_MEMLOCK as a whole.
#include "direct.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace morsel {

namespace {

constexpr uint64_t page = 4096;  // what any disk's addresses are multiples of
constexpr uint64_t samples = 8;  // of a piece's pages

}  // namespace

std::unique_ptr<DirectReader> DirectReader::open(int file, uint64_t offset, uint64_t bytes,
                                                 uint64_t piece) {
  struct stat state;
  if (bytes < 2 * piece || offset % page != 0) return {};
  if (fstat(file, &state) != 0 || !S_ISREG(state.st_mode)) return {};
  // A descriptor of our own: the flag is the open file's.
  Descriptor direct(
      ::open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  if (!direct) return {};
  std::unique_ptr<DirectReader> reader(new DirectReader(std::move(direct), offset, bytes, piece));
  if (reader->view_ == nullptr) return {};
  bool any = false;
  for (uint64_t at = 0; at + piece <= bytes && !any; at += piece) any = !reader->is_cached(at);
  if (!any || !reader->start_ring()) return {};
  return reader;
}

DirectReader::DirectReader(Descriptor file, uint64_t offset, uint64_t bytes, uint64_t piece)
    : file_(std::move(file)),
      offset_(offset),
      bytes_(bytes),
      piece_(piece),
      read_((bytes + piece - 1) / piece) {
  void* view =
      mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, file_.get(), off_t(offset));
  if (view != MAP_FAILED) view_ = static_cast<std::byte*>(view);
  for (unsigned slot = 0; slot < depth; slot++) free_slots_.push_back(slot);
}

DirectReader::~DirectReader() {
  if (has_ring_) io_uring_queue_exit(&ring_);
  if (view_) munmap(view_, bytes_);
}

bool DirectReader::start_ring() {
  has_ring_ = io_uring_queue_init(depth, &ring_, 0) == 0;
  has_slots_ = has_ring_ && io_uring_register_buffers_sparse(&ring_, depth) == 0;
  return has_ring_;
}

// What is cached is quicker to copy. To ask for all pages would take as long as copying a part of
// them. Of files that the user may not write to, the kernel says that all is cached.
bool DirectReader::is_cached(uint64_t at) const {
  uint64_t cached = 0;
  for (uint64_t i = 0; i < samples; i++) {
    unsigned char page_is_there = 1;
    (void)mincore(view_ + at + i * (piece_ / samples), page, &page_is_there);
    cached += page_is_there & 1U;
  }
  return cached > samples / 2;
}

bool DirectReader::submit(std::byte* to, uint64_t at, unsigned slot) {
  iovec memory{to + at, piece_};
  __u64 tag = 0;
  // Linux 6.1 takes shmem and hugetlb only, and there may be a limit.
  has_slots_ =
      has_slots_ && io_uring_register_buffers_update_tag(&ring_, slot, &memory, &tag, 1) == 1;
  io_uring_sqe* request = io_uring_get_sqe(&ring_);
  if (!request) return false;
  if (has_slots_)
    io_uring_prep_read_fixed(request, file_.get(), memory.iov_base, unsigned(piece_), offset_ + at,
                             int(slot));
  else
    io_uring_prep_read(request, file_.get(), memory.iov_base, unsigned(piece_), offset_ + at);
  request->user_data = slot;
  at_[slot] = at;
  return true;
}

void DirectReader::complete(const io_uring_cqe& event) {
  const auto slot = unsigned(event.user_data);
  if (event.res == int(piece_)) {
    read_[at_[slot] / piece_] = true;
    done_ += piece_;
  } else {
    stop_ = true;
  }
  free_slots_.push_back(slot);
}

bool DirectReader::read(std::byte* to, const Watch& watch) {
  bool go_on = true;
  for (uint64_t at = 0; free_slots_.size() < depth || (at + piece_ <= bytes_ && !stop_);) {
    while (!stop_ && !free_slots_.empty() && at + piece_ <= bytes_) {
      if (!is_cached(at)) {
        if (!submit(to, at, free_slots_.back())) break;
        free_slots_.pop_back();
        io_uring_submit(&ring_);  // on its way while the next one's memory is pinned
      }
      at += piece_;
    }
    if (free_slots_.size() == depth) break;
    const int waited = io_uring_submit_and_wait(&ring_, 1);
    if (waited < 0 && waited != -EINTR && waited != -EAGAIN && waited != -EBUSY) {
      // What was not submitted never comes; the disk still writes to what was.
      stop_ = true;
      if (depth - free_slots_.size() == io_uring_sq_ready(&ring_)) break;
      usleep(1000);
    }
    io_uring_cqe* event;
    while (io_uring_peek_cqe(&ring_, &event) == 0) {
      complete(*event);
      io_uring_cqe_seen(&ring_, event);
    }
    if (go_on && !watch(done_)) {
      go_on = false;
      stop_ = true;
    }
  }
  // At once: the ring itself ends later, and until then the memory could not be sealed.
  io_uring_unregister_buffers(&ring_);
  return go_on;
}

}  // namespace morsel
