// SPDX-License-Identifier: MIT
//
// What all processes of a run share: the clock, what is known about each object,
// what each thread is doing, the counters, and the first failure. It lies in a
// memfd, so that it outlives exec. Nothing in it is ever locked: a process may be
// killed at any instruction.
#ifndef MORSELS_TORTURE_CONTROL_H
#define MORSELS_TORTURE_CONTROL_H

#include <atomic>
#include <cstdarg>
#include <cstdint>

#include "kinds.h"
#include "word.h"

namespace torture {

constexpr unsigned max_threads = 64, record_count = 128, unit_count = 2200;
constexpr unsigned hands_per_thread = 8, traces_per_thread = 40, name_count_max = 64;
constexpr unsigned failures_kept = 64;
constexpr int control_fd = 100;  // in every process, after exec too

// An object, as a thread that holds it knows it.
struct Object {
  uint32_t id = 0;  // never given again; part of every word of the object
  uint32_t record = 0;
};

// What is known about an object. Times are counted per unit, a power of two of pages.
// A record is used again when its object is gone; then its id differs.
struct Record {
  std::atomic<uint32_t> id;       // 0: free; claimed | thread: being made
  std::atomic<uint32_t> retired;  // when the object lost its name, or 0
  std::atomic<uint64_t> inode;
  uint32_t pages;   // no page at or above this is ever touched
  uint32_t shift;   // pages per unit, as a power of two
  uint32_t ragged;  // sizes need not be multiples of a page
  uint32_t frozen;  // nobody writes, all words have stamp 1
  // Words with a stamp below this were overwritten or removed before now.
  std::atomic<uint32_t> floor[unit_count];
  // A write that covered the unit and began at this time is through, and met no removal.
  std::atomic<uint32_t> filled[unit_count];
  // When the last removal that touches the unit began or ended.
  std::atomic<uint32_t> removed[unit_count];

  uint32_t unit(uint32_t page) const { return page >> shift; }
};

// The change that a thread makes to an object right now.
struct Activity {
  std::atomic<uint32_t> stamp;   // no later than its own stamp; 0: none
  std::atomic<uint32_t> record;  // index + 1; 0: none
  std::atomic<uint32_t> removal;
  std::atomic<uint32_t> first, last;  // units, both inclusive
};

// A mapping that a thread holds. Others may read through it: `version` is odd while
// the owner changes it.
struct Hand {
  std::atomic<uint32_t> version;
  uint64_t* at;  // nullptr: no mapping
  uint32_t pages, first;
  Object object;
  int prot;
  bool shared, may_write;  // may_write: mprotect may give the right
  bool own_words;          // private, and may hold words of `private_id`
  uint32_t private_id;

  uint64_t* address(uint32_t page) const { return at + (page - first) * page_words; }
  uint32_t end() const { return first + pages; }
};

struct Trace {
  uint64_t step;
  Kind kind;
  uint32_t object;
  uint64_t from, to;
  int64_t result;
};

struct Counter {
  std::atomic<uint64_t> tried, succeeded;
};

struct Thread {
  std::atomic<int> process, task;  // 0: not running
  std::atomic<uint64_t> step;
  std::atomic<uint32_t> kind;
  Activity activity;
  uint32_t life;  // how often the thread was started
  Hand hands[hands_per_thread];
  Trace traces[traces_per_thread];
  Counter counters[kind_count];
};

// Written as a whole before anybody can see it: its writer may be killed at any moment, by others
// that fail, too.
struct Failure {
  unsigned thread;
  char text[2044];
};

struct Control {
  std::atomic<uint32_t> clock, last_id, last_private_id;
  std::atomic<uint32_t> failed;  // 0, or the place of the first failure + 1
  std::atomic<uint32_t> failure_count;
  Failure failures[failures_kept];
  std::atomic<uint64_t> words_checked;
  uint32_t names, frozen;  // files n0... and f0...
  unsigned threads;
  Record records[record_count];
  Thread thread[max_threads + 1];  // the last one: the supervisor and its helpers
};

constexpr unsigned supervisor = max_threads;
constexpr uint32_t claimed = 0x40000000;

extern Control* control;
extern thread_local unsigned me;  // index of control->thread

void make_control();    // the first process
void attach_control();  // after exec

// The first one wins.
void record_failure(const char* format, va_list args);
// The same. Ends the process.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Counts, traces, and is seen by the watchdog.
void begin(Kind kind, uint32_t object = 0, uint64_t from = 0, uint64_t to = 0);
// 0 and above: it succeeded; below: -errno. For system calls: see done().
void end(int64_t result);
// The same with what a system call returned, -1 and errno on failure. True if it succeeded.
bool done(int64_t returned);

}  // namespace torture

#endif
