// SPDX-License-Identifier: MIT
//
// 2-MiB leaves: slots of an object are moved into them and back under everybody's feet, and what is
// made from now on gets other leaves. Contents do not change, so the oracle need not know.
#include <sys/ioctl.h>

#include "../../uapi/morselfs.h"
#include "worker.h"

namespace torture {

// Often all of the object, most often some slots.
void Worker::move_slots(bool large) {
  File* file = any_file();
  if (!file || !options.morselfs) return;
  const Record& record = control->records[file->object.record];
  Range range{0, record.pages};
  if (!random.one_in(3)) {
    range.first = uint32_t(random.below(record.pages));
    range.last = range.first + uint32_t(random.between(1, 4)) * slot_pages;
  }
  morselfs_range moved{};
  moved.size = sizeof moved;
  moved.start = uint64_t(range.offset());
  moved.length = range.bytes();
  begin(large ? Kind::promote : Kind::demote, file->object.id, range.first, range.last);
  if (ioctl(file->fd, large ? MORSELFS_IOC_PROMOTE : MORSELFS_IOC_DEMOTE, &moved) != 0) {
    if (errno != EINTR && errno != ENOMEM) fail("moving slots: %s", strerror(errno));
    return end(-errno);
  }
  if (moved.done_bytes + moved.busy_bytes + moved.lacking_bytes > range.bytes())
    fail("moving slots: %llu bytes done, %llu busy, %llu lacking, of %zu",
         (unsigned long long)moved.done_bytes, (unsigned long long)moved.busy_bytes,
         (unsigned long long)moved.lacking_bytes, range.bytes());
  // Only what was moved counts as success.
  end(moved.done_bytes ? int64_t(moved.done_bytes) : moved.busy_bytes ? -EBUSY : -ENOENT);
}

void Worker::promote_some() { move_slots(true); }
void Worker::demote_some() { move_slots(false); }

void Worker::set_policy() {
  File* file = any_file();
  if (!file || !options.morselfs) return;
  auto policy = uint32_t(random.below(MORSELFS_HUGE_ALWAYS + 1));
  begin(Kind::huge_policy, file->object.id, policy);
  if (!done(ioctl(file->fd, MORSELFS_IOC_HUGE, &policy)) && errno != EINTR)
    fail("setting a policy: %s", strerror(errno));
}

}  // namespace torture
