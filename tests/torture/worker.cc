// SPDX-License-Identifier: MIT
#include "worker.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guard.h"

namespace torture {

namespace {

struct Choice {
  void (Worker::*operation)();
  unsigned weight;
};

constexpr Choice choices[] = {
    // objects
    {&Worker::open_file, 60},
    {&Worker::create, 14},
    {&Worker::unlink_name, 4},
    {&Worker::rename_name, 12},
    // mappings
    {&Worker::map_file, 70},
    {&Worker::unmap_some, 40},
    {&Worker::shrink_some, 12},
    {&Worker::move_some, 25},
    {&Worker::grow_some, 4},
    {&Worker::protect_some, 35},
    {&Worker::advise_some, 90},
    {&Worker::lock_some, 15},
    {&Worker::look_at_residency, 12},
    // loads and stores
    {&Worker::load_some, 120},
    {&Worker::load_of_others, 40},
    {&Worker::store_some, 110},
    {&Worker::store_refused, 20},
    {&Worker::load_refused, 6},
    // files
    {&Worker::read_some, 50},
    {&Worker::write_some, 80},
    {&Worker::truncate_some, 16},
    {&Worker::remove_some, 45},
    {&Worker::allocate_some, 14},
    {&Worker::remove_mapped, 14},
    {&Worker::seal_some, 6},
    {&Worker::promote_some, 20},
    {&Worker::demote_some, 16},
    {&Worker::set_policy, 6},
    {&Worker::seek_some, 8},
    {&Worker::splice_some, 10},
    // processes
    {&Worker::fork_some, 24},
    {&Worker::vfork_some, 5},
    {&Worker::exec_some, 6},
    {&Worker::leave, 1},
    // other ways in
    {&Worker::trace_child, 14},
    {&Worker::proc_mem, 14},
    {&Worker::vm_read, 22},
    {&Worker::vm_write, 14},
    {&Worker::direct_in, 20},
    {&Worker::direct_out, 16},
    {&Worker::ring_register, 8},
    {&Worker::ring_in, 10},
    {&Worker::ring_out, 8},
    // the kernel's walkers
    {&Worker::userfault, 8},
    {&Worker::migrate, 12},
    {&Worker::read_proc, 24},
    {&Worker::clear_refs, 6},
    {&Worker::ask_statfs, 6},
    {&Worker::ask_info, 10},
    {&Worker::read_sysfs, 10},
};

constexpr unsigned total_weight() {
  unsigned total = 0;
  for (const Choice& choice : choices) total += choice.weight;
  return total;
}

}  // namespace

Worker::Worker(unsigned thread) : hands(control->thread[thread].hands) {
  me = thread;
  Thread& self = control->thread[thread];
  random.state = mix(options.seed * max_threads + thread) + self.life * 0x1234567ULL;
  dir = open((options.mount + "/torture").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) fail("open of the directory: %s", strerror(errno));
  if (!options.disk.empty()) disk = open(options.disk.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
  disk_at = off_t(thread) * off_t(disk_bytes);
  void* got = mmap(nullptr, (buffer_pages + 1) * page_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) fail("mmap of a buffer: %s", strerror(errno));
  buffer = static_cast<uint64_t*>(got);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): no pointer to anything yet
  zone = reinterpret_cast<char*>(0x100000000000 + (uint64_t(thread) << 36));
}

void Worker::step() {
  uint64_t at = random.below(total_weight());
  for (const Choice& choice : choices) {
    if (at < choice.weight) return (this->*choice.operation)();
    at -= choice.weight;
  }
}

void Worker::run() {
  install_guard();
  while (!control->failed) {
    // What is known to be gone is not worth holding for ever.
    if (Hand& hand = hands[random.below(hands_per_thread)]; hand.at && !known(hand.object))
      unmap(hand);
    step();
  }
  _exit(0);
}

}  // namespace torture
