// SPDX-License-Identifier: MIT
#include "oracle.h"

#include <algorithm>
#include <cstdio>

namespace torture {
namespace {

void raise(std::atomic<uint32_t>& value, uint32_t to) {
  uint32_t seen = value;
  while (seen < to && !value.compare_exchange_weak(seen, to))
    ;
}

// Whose word it is, by trying all objects. For a failure's report only.
void describe(uint64_t seen, char* text, size_t bytes) {
  for (const Record& record : control->records) {
    uint32_t id = record.id;
    if (!id || (id & claimed)) continue;
    for (uint32_t page = 0; page < record.pages; page++) {
      uint64_t key = page_key(id, page);
      for (unsigned place = 0; place < page_words; place++)
        if (word(key, place, uint32_t(seen)) == seen) {
          snprintf(text, bytes, "word %u of page 0x%x of object %u, stamp %u", place, page, id,
                   uint32_t(seen));
          return;
        }
      if (record.shift && page == 4 * slot_pages) page = record.pages - 16 * slot_pages;
    }
  }
  snprintf(text, bytes, "no word of any object that is known");
}

}  // namespace

bool known(const Object& object) {
  return object.id && control->records[object.record].id == object.id;
}

Sight::Sight(const Object& o, uint32_t p) : object(o), page(p) {
  const Record& record = control->records[object.record];
  if (!known(object)) return;
  unit = record.unit(page);
  if (unit >= unit_count) return;
  floor = record.floor[unit];
  filled = record.filled[unit];
  frozen = record.frozen;
}

bool Sight::must_be_there() const {
  const Record& record = control->records[object.record];
  return filled && record.removed[unit] < filled && known(object);
}

void Sight::wrong(uint64_t seen, unsigned place, const char* how, uint32_t private_id) const {
  const Record& record = control->records[object.record];
  char whose[160] = "zero";
  if (seen) describe(seen, whose, sizeof whose);
  fail(
      "%s: object %u, page 0x%x, word %u: seen 0x%llx (%s); expected a word of that place%s with "
      "a stamp of at least %u; now: clock %u, floor %u, filled %u (was %u), removed %u%s%s",
      how, object.id, page, place, (unsigned long long)seen, whose,
      private_id ? " or of the private mapping"
      : filled   ? ""
                 : " or zero",
      floor, control->clock.load(), record.floor[unit].load(), record.filled[unit].load(), filled,
      record.removed[unit].load(), record.frozen ? ", frozen" : "",
      record.ragged ? ", ragged" : "");
}

void Sight::check(const uint64_t* words, unsigned place, size_t count, const char* how,
                  uint32_t private_id) const {
  uint64_t key = page_key(object.id, page);
  uint64_t private_key = private_id ? page_key(private_id, page) : 0;
  bool strict = !private_id;
  uint32_t now = control->clock;
  for (size_t i = 0; i < count; i++) {
    uint64_t seen = words[i];
    unsigned at = unsigned(place + i);
    auto stamp = uint32_t(seen);
    if (seen == 0) {
      if (strict && filled && must_be_there()) wrong(seen, at, how, private_id);
      continue;
    }
    if (private_id && seen == word(private_key, at, stamp)) continue;
    if (seen != word(key, at, stamp)) wrong(seen, at, how, private_id);
    // A record that changed hands meanwhile says nothing; ids are never given again.
    if (strict && (stamp < floor || stamp > now || (frozen && stamp != 1)) && known(object))
      wrong(seen, at, how, private_id);
  }
  control->words_checked.fetch_add(count, std::memory_order_relaxed);
}

Change::Change(Type t, const Object& o, uint32_t first, uint32_t last) : type(t), object(o) {
  Activity& activity = control->thread[me].activity;
  Record& record = control->records[object.record];
  // First the time, then who is active at it: who is not seen here has a later stamp.
  horizon = control->clock;
  for (const Thread& thread : control->thread)
    if (uint32_t active = thread.activity.stamp) horizon = std::min(horizon, active);
  // Announced before the stamp is taken; so the announced one is not later.
  activity.stamp = control->clock.load();
  if (known(object)) {
    first_unit = std::min(record.unit(first), unit_count - 1);
    last_unit = std::min(record.unit(last > first ? last - 1 : first), unit_count - 1);
  }
  activity.first = first_unit;
  activity.last = last_unit;
  activity.removal = type == removal;
  activity.record = object.record + 1;
  // Who wants to use the record for another object looks for activities first.
  blind = !known(object);
  if (blind) activity.record = 0;
  stamp = control->clock.fetch_add(1) + 1;
  for (uint32_t unit = first_unit; type == removal && !blind && unit <= last_unit; unit++)
    raise(record.removed[unit], stamp);
}

static bool removal_overlaps(uint32_t record, uint32_t unit) {
  for (const Thread& thread : control->thread) {
    const Activity& activity = thread.activity;
    if (activity.record == record + 1 && activity.removal && activity.first <= unit &&
        unit <= activity.last)
      return true;
  }
  return false;
}

void Change::covered(uint32_t first, uint32_t last) {
  if (blind) return;
  Record& record = control->records[object.record];
  uint32_t size = 1U << record.shift;
  for (uint32_t unit = record.unit(first + size - 1); unit < unit_count; unit++) {
    if (((unit + 1) << record.shift) > last) break;
    raise(record.floor[unit], horizon);
    if (type == write && !record.ragged && !removal_overlaps(object.record, unit) &&
        record.removed[unit] < stamp)
      raise(record.filled[unit], stamp);
  }
}

static void end_removal(Record& record, uint32_t first, uint32_t last) {
  uint32_t now = control->clock.fetch_add(1) + 1;
  for (uint32_t unit = first; unit <= last; unit++) raise(record.removed[unit], now);
}

Change::~Change() {
  Activity& activity = control->thread[me].activity;
  if (type == removal && !blind)
    end_removal(control->records[object.record], first_unit, last_unit);
  activity.record = 0;
  activity.stamp = 0;
}

void forget_activity(Thread& thread) {
  Activity& activity = thread.activity;
  if (activity.record && activity.removal)
    end_removal(control->records[activity.record - 1], activity.first, activity.last);
  activity.record = 0;
  activity.stamp = 0;
}

static bool is_active(uint32_t record) {
  for (const Thread& thread : control->thread)
    if (thread.activity.record == record + 1) return true;
  return false;
}

uint32_t claim_record() {
  uint32_t best = record_count, oldest = UINT32_MAX;
  for (uint32_t i = 0; i < record_count; i++) {
    const Record& record = control->records[i];
    uint32_t id = record.id;
    if (id & claimed) continue;
    uint32_t age = id ? record.retired.load() : 1;
    if (age && age < oldest) {
      oldest = age;
      best = i;
    }
  }
  if (best == record_count) return best;
  Record& record = control->records[best];
  uint32_t id = record.id;
  if ((id & claimed) || (id && !record.retired)) return record_count;
  if (!record.id.compare_exchange_strong(id, claimed | me)) return record_count;
  if (is_active(best)) {
    record.id = id;
    return record_count;
  }
  record.retired = 0;
  record.inode = 0;
  record.frozen = record.ragged = 0;
  for (unsigned unit = 0; unit < unit_count; unit++)
    record.floor[unit] = record.filled[unit] = record.removed[unit] = 0;
  return best;
}

void publish_record(uint32_t index, uint32_t id, uint64_t inode) {
  control->records[index].inode = inode;
  control->records[index].id = id;
}

void release_claims(unsigned thread) {
  for (Record& record : control->records)
    if (uint32_t id = claimed | thread; record.id.compare_exchange_strong(id, 0)) continue;
}

Object object_of_inode(uint64_t inode) {
  for (uint32_t i = 0; i < record_count; i++) {
    const Record& record = control->records[i];
    uint32_t id = record.id;
    if (id && !(id & claimed) && record.inode == inode && record.id == id) return {id, i};
  }
  return {};
}

}  // namespace torture
