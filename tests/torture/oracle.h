// SPDX-License-Identifier: MIT
//
// The oracle: what a word of an object may be at any moment, known without a lock.
//
// Every change of an object takes a stamp from the common clock when it begins. It
// also takes a horizon: all writes with an older stamp are through (their threads have
// announced no older activity). When a removal or a write that covers a whole unit is
// through, no word older than its horizon may be there any more: the horizon becomes
// the unit's floor. Who reads takes the floor first and then the words, so that what
// runs at the same time may be seen or not, and what was over before may not.
//
// Likewise for zeros: when a write that covers a unit is through and no removal touched the
// unit since it began, the unit is filled, with the write's stamp. A zero (or a
// SIGBUS) read later is an error, unless a removal began or ended after that.
#ifndef MORSELS_TORTURE_ORACLE_H
#define MORSELS_TORTURE_ORACLE_H

#include "control.h"

namespace torture {

// False if the object's record is in use for another one by now: then only what every word
// says of itself can be checked.
bool known(const Object& object);

// What a read that begins now may see in a page.
class Sight {
 public:
  Sight(const Object& object, uint32_t page);

  // Fails the run if the words, read after the constructor, may not be there. `place`: of
  // the first one in its page. `private_id`: words of a private mapping that may be there
  // as well; then the object's words may be old ones, too.
  void check(const uint64_t* words, unsigned place, size_t count, const char* how,
             uint32_t private_id = 0) const;
  // No removal explains that the page is not there.
  bool must_be_there() const;

 private:
  Object object;
  uint32_t page, unit = 0;
  uint32_t floor = 0, filled = 0;
  bool frozen = false;

  [[noreturn]] void wrong(uint64_t word, unsigned place, const char* how,
                          uint32_t private_id) const;
};

// A change of the pages [first, last) that runs from construction to destruction.
class Change {
 public:
  enum Type { write, removal };
  Change(Type type, const Object& object, uint32_t first, uint32_t last);
  ~Change();
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

  uint32_t stamp = 0;  // for the words
  // Every word of these pages has been overwritten.
  void covered(uint32_t first, uint32_t last);

 private:
  Type type;
  Object object;
  uint32_t horizon = 0;
  uint32_t first_unit = 0, last_unit = 0;  // inclusive
  bool blind = true;                       // the record is not the object's any more
};

// For a dead thread: its change, if it was in one, is over.
void forget_activity(Thread& thread);

// A record for a new object; its index, or record_count if there is none to be had now.
// publish_record() makes it known by its file's inode.
uint32_t claim_record();
void publish_record(uint32_t index, uint32_t id, uint64_t inode);
// Those that a dead thread had claimed are free.
void release_claims(unsigned thread);
// The object with this inode, or id 0.
Object object_of_inode(uint64_t inode);

}  // namespace torture

#endif
