/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// The redo log: up to four words, anywhere in the pool, that change together or not at all.
//
// A record is valid by its checksum; from the moment that it is durable, the changes count as made.
// Records that are valid at the same time never name the same word: whoever changes a name holds
// its directory until log_done.
#pragma once

#include "crc.h"
#include "log_slots.h"
#include "media.h"

namespace morsel::core::pool {

class Log {
 public:
  /// Makes the changes; durable when it returns. What they lead to must have been flushed, not
  /// fenced. False, with nothing done, while all records are in use: try again.
  template <Media M>
  bool commit(M& media, const LogChange* change, unsigned count) {
    unsigned slot = 0;
    if (!slots_.take(slot)) return false;
    LogRecord* record = in_frame<LogRecord>(media, log_frame) + slot;
    LogRecord made{};
    made.magic = log_magic;
    made.count = count;
    for (unsigned i = 0; i < count; i++) made.change[i] = change[i];
    made.crc = crc_of(made);
    media.fence(Site::log_ready);
    media.write(record, &made, sizeof(made));
    media.flush(Site::log_record, record, sizeof(made));
    media.fence(Site::log_written);
    apply(media, made);
    clear(media, record);
    slots_.give_back(slot);
    return true;
  }

  /// After a power cut: makes the changes of each valid record. Error::damaged, with nothing done,
  /// where one names what is no name's target; then a repair clears the record (`clear_bad`).
  template <Media M>
  static Status replay(M& media, bool clear_bad, u64& replayed) {
    LogRecord* record = in_frame<LogRecord>(media, log_frame);
    for (unsigned slot = 0; slot < log_records; slot++) {
      if (!is_valid(record[slot])) continue;
      if (is_sound(media, record[slot])) continue;
      if (!clear_bad) return Error::damaged;
      clear(media, &record[slot]);
    }
    for (unsigned slot = 0; slot < log_records; slot++) {
      if (!is_valid(record[slot])) continue;
      apply(media, record[slot]);
      clear(media, &record[slot]);
      replayed++;
    }
    return {};
  }

  /// How many records a replay would make.
  template <Media M>
  static u64 pending(M& media) {
    const LogRecord* record = in_frame<LogRecord>(media, log_frame);
    u64 count = 0;
    for (unsigned slot = 0; slot < log_records; slot++) count += is_valid(record[slot]);
    return count;
  }

 private:
  static bool is_valid(const LogRecord& record) {
    return record.magic == log_magic && record.count <= log_changes && record.crc == crc_of(record);
  }

  /// Only targets of names are ever changed. The walk afterwards checks what they lead to.
  template <Media M>
  static bool is_sound(M& media, const LogRecord& record) {
    for (u64 i = 0; i < record.count; i++) {
      const LogChange& change = record.change[i];
      const Frame frame = change.place / frame_bytes;
      const u64 offset = change.place % frame_bytes;
      constexpr u64 first = __builtin_offsetof(NamesFrame, name);
      if (!is_usable(frame, media.frames()) || offset < first ||
          (offset - first) % sizeof(Name) != 0)
        return false;
      if (in_frame<NamesFrame>(media, frame)->magic != names_magic) return false;
      if (change.value != 0 && !is_usable(change.value, media.frames())) return false;
    }
    return true;
  }

  template <Media M>
  static void apply(M& media, const LogRecord& record) {
    for (u64 i = 0; i < record.count; i++) {
      u64* word = at_place<u64>(media, record.change[i].place);
      media.store(word, record.change[i].value);
      media.flush(Site::log_change, word, sizeof(u64));
    }
    media.fence(Site::log_applied);
  }

  template <Media M>
  static void clear(M& media, LogRecord* record) {
    media.store(reinterpret_cast<u64*>(record), 0);
    media.flush(Site::log_cleared, record, sizeof(u64));
    media.fence(Site::log_done);
  }

  LogSlots slots_;
};

}  // namespace morsel::core::pool
