// SPDX-License-Identifier: MIT
//
// A worker thread: its random stream, the files and mappings that it holds, and the
// operations that it chooses from. They are grouped by subject, one file each.
#ifndef MORSELS_TORTURE_WORKER_H
#define MORSELS_TORTURE_WORKER_H

#include <cerrno>
#include <cstring>
#include <string>

#include "control.h"
#include "oracle.h"
#include "random.h"
#include "ring.h"

namespace torture {

struct Options {
  std::string mount, disk;
  double seconds = 12;
  uint64_t seed = 1;
  unsigned processes = 4, threads = 2, objects = 8;
  double hang = 240;
  double kill_every = 1.5;  // seconds, on average; 0: never
  bool disturb = true;
  size_t leave_mib = 1024;  // by the memory balloon
  bool morselfs = false;    // that is what is mounted
  std::string plant;        // a bug that the oracle must find: see planted()
  std::string only;         // as a test program is asked for one test
};
extern Options options;

struct File {
  int fd = -1;
  bool writable = false;
  Object object;
};

// A range of an object's pages.
struct Range {
  uint32_t first = 0, last = 0;
  uint32_t pages() const { return last - first; }
  size_t bytes() const { return pages() * page_bytes; }
  off_t offset() const { return off_t(first) * off_t(page_bytes); }
};

constexpr size_t buffer_pages = 2 * slot_pages;

struct Worker {
  explicit Worker(unsigned thread);

  Random random;
  int dir;        // the directory of the objects
  int disk = -1;  // the scratch disk with O_DIRECT, and this thread's part of it
  off_t disk_at = 0;
  static constexpr size_t disk_bytes = 64 * page_bytes;
  uint64_t* buffer;  // buffer_pages, page-aligned, and more behind it
  char* zone;        // address space that only this thread uses with MAP_FIXED
  File files[4];
  Hand* hands;
  Ring ring;

  void run();   // until the process is killed or the run is over
  void step();  // one operation

  // --- choosing ------------------------------------------------------------------
  File* any_file(bool writable = false);  // nullptr: there is none
  Hand* any_hand();
  template <class F>
  Hand* any_hand_that(F&& good) {
    for (unsigned i = 0, from = unsigned(random.below(hands_per_thread)); i < hands_per_thread; i++)
      if (Hand& hand = hands[(from + i) % hands_per_thread]; hand.at && good(hand)) return &hand;
    return nullptr;
  }
  // Pages of an object, often of a whole slot and often where others look, too.
  Range any_range(const Object& object, uint32_t most);
  Range any_part(const Hand& hand, uint32_t most);

  // Whether to behave now as if the kernel had this bug: punch, truncate and write forget
  // to do anything now and then, a load gets a neighbour's page, what is stored in a private
  // mapping is shared.
  bool planted(const char* bug) { return options.plant == bug && random.one_in(16); }

  // --- checking ------------------------------------------------------------------
  // Loads words through a mapping, and checks them. False if there was no page.
  bool load_page(const Hand& hand, uint32_t page, unsigned words = page_words);
  // What was read into `from` from these pages, whose Sights were taken before.
  void check_pages(const Sight* sights, const Object& object, Range range, const uint64_t* from,
                   size_t bytes, const char* how, uint32_t private_id = 0);

  // --- objects.cc ----------------------------------------------------------------
  void open_file();
  void create();
  void unlink_name();
  void rename_name();

  // --- map.cc --------------------------------------------------------------------
  void map_file();
  void map_some(File& file, Hand& hand);
  void unmap(Hand& hand);
  void unmap_some();
  void shrink_some();
  void move_some();
  void grow_some();
  void protect_some();
  void advise_some();
  void lock_some();
  void look_at_residency();

  // --- access.cc -----------------------------------------------------------------
  void load_some();
  void load_of_others();
  void store_some();
  void store_refused();
  void load_refused();
  bool store_pages(Hand& hand, Range range);

  // --- file.cc -------------------------------------------------------------------
  void read_some();
  void write_some();
  void truncate_some();
  void remove_some();
  void allocate_some();
  void remove_mapped();
  void seek_some();
  void splice_some();

  // --- process.cc ----------------------------------------------------------------
  void fork_some();
  void vfork_some();
  void exec_some();
  void leave();

  // --- peek.cc -------------------------------------------------------------------
  void trace_child();
  void proc_mem();
  void vm_read();
  void vm_write();

  // --- direct.cc -----------------------------------------------------------------
  void direct_in();
  void direct_out();
  void ring_register();
  void ring_in();
  void ring_out();

  // --- kernel.cc -----------------------------------------------------------------
  void userfault();
  void migrate();
  void read_proc();
  void clear_refs();
  void ask_statfs();
  void ask_info();
  void read_sysfs();

  // --- huge.cc -------------------------------------------------------------------
  void move_slots(bool large);
  void promote_some();
  void demote_some();
  void set_policy();

  // --- seal.cc -------------------------------------------------------------------
  void seal_some();
};

// Takes the Sights of a range before it is read.
struct Sights {
  Sights(const Object& object, Range range);
  const Sight* all() const { return reinterpret_cast<const Sight*>(storage); }
  static constexpr uint32_t most = 64;

 private:
  alignas(Sight) char storage[most * sizeof(Sight)];
};

std::string name_of_file(char kind, unsigned number);
struct NewObject {
  uint32_t pages = 0, shift = 0;
  bool ragged = false, frozen = false;
};
NewObject shape_of(unsigned name);

// Of a child: until it is gone. Its wait status.
int wait_for(int pid);

}  // namespace torture

#endif
