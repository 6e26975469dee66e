// SPDX-License-Identifier: MIT
//
// Objects that are moved from 4-KiB leaves into 2-MiB ones and back: the contents stay, and what
// the info ioctl, the frames and the page tables of a process say is one story.
#include "huge.h"

namespace {

constexpr size_t slots = 4, bytes = slots * leaf + 7 * page;

// 4-KiB leaves everywhere, whatever the mount says; the module's worker leaves them alone.
int make_small(const char* name, uint64_t seed, size_t size) {
  int fd = make_sparse(name, 0);
  set_policy(fd, MORSELFS_HUGE_NEVER);
  write_filled(fd, seed, 0, size);
  CHECK_EQ(info(fd).leaves_2m, 0);
  return fd;
}

// One story. The leaves are not moved meanwhile.
void check_story(int fd, const char* at, size_t size, size_t large) {
  morselfs_info i = info(fd);
  struct stat st;
  SYS(fstat(fd, &st));
  CHECK_EQ(i.leaves_2m, large);
  CHECK_EQ(i.leaves_2m * leaf + i.leaves_4k * page, size);
  CHECK_EQ(st.st_blocks * 512, size + i.waste_bytes);
  CHECK_PAGES(at, 1, 0, size);
  CHECK_EQ(mapped_by_large_leaves(at), large * leaf);
  Frames frames = frames_behind(at, size);
  CHECK_EQ(frames.absent, 0);
  CHECK_EQ(frames.compound + frames.single, size / page);
  CHECK(frames.compound >= large * leaf / page);  // parts of large frames may be mapped as small
}

void skip_if_moving() {
  if (harness::leaves_move()) SKIP("the module's worker moves leaves all the time");
}

}  // namespace

TEST(leaves_promoted_and_demoted) {
  skip_if_moving();
  int fd = make_small("f", 1, bytes);
  for (Place place : {Place::fits, Place::slot}) {
    char* m = map_at(place, fd, bytes, rw);
    char* r = map_at(place, fd, bytes, PROT_READ);
    for (int round = 0; round < 3; round++) {
      check_story(fd, m, bytes, 0);
      check_story(fd, r, bytes, 0);
      morselfs_info before = info(fd);
      morselfs_range range = promote(fd);
      CHECK_EQ(range.done_bytes, slots * leaf);
      CHECK_EQ(range.busy_bytes + range.lacking_bytes, 0);
      check_story(fd, m, bytes, slots);
      check_story(fd, r, bytes, slots);
      CHECK_EQ(info(fd).promoted, before.promoted + slots);
      CHECK_EQ(promote(fd).done_bytes, 0);  // there is nothing more to do
      range = demote(fd);
      CHECK_EQ(range.done_bytes, slots * leaf);
      CHECK_EQ(range.busy_bytes + range.lacking_bytes, 0);
      CHECK_EQ(info(fd).demoted, before.demoted + slots);
      CHECK_EQ(demote(fd).done_bytes, 0);
    }
    check_story(fd, m, bytes, 0);
    SYS(munmap(m, mapped_bytes(place, bytes)));
    SYS(munmap(r, mapped_bytes(place, bytes)));
  }
  check_file(fd, 1, 0, bytes);
}

// What is mapped after the move finds the large leaves, too; and incongruent mappings, which can't
// have any in their tables, their frames.
TEST(leaves_promoted_before_they_are_mapped) {
  skip_if_moving();
  int fd = make_small("f", 1, bytes);
  CHECK_EQ(promote(fd).done_bytes, slots * leaf);
  for (Place place : places) {
    char* m = map_at(place, fd, bytes, rw);
    CHECK_PAGES(m, 1, 0, bytes);
    if (place != Place::odd) check_story(fd, m, bytes, slots);
    CHECK_EQ(frames_behind(m, bytes).compound, slots * leaf / page);
    SYS(munmap(m, mapped_bytes(place, bytes)));
  }
  char* p = map(fd, bytes, rw, MAP_PRIVATE);
  CHECK_PAGES(p, 1, 0, bytes);
  CHECK_EQ(frames_behind(p, bytes).compound, slots * leaf / page);
}

TEST(leaves_of_a_range) {
  skip_if_moving();
  int fd = make_small("f", 1, bytes);
  char* m = map_at(Place::fits, fd, bytes, rw);
  CHECK_PAGES(m, 1, 0, bytes);
  CHECK_EQ(promote(fd, page, leaf).done_bytes, 0);  // no whole slot
  CHECK_EQ(promote(fd, page, 2 * leaf).done_bytes, leaf);
  check_story(fd, m, bytes, 1);
  CHECK_EQ(mapped_by_large_leaves(m), leaf);
  CHECK_EQ(promote(fd, 3 * leaf).done_bytes, leaf);
  check_story(fd, m, bytes, 2);
  CHECK_EQ(demote(fd, leaf, leaf).done_bytes, leaf);
  check_story(fd, m, bytes, 1);
  CHECK_EQ(promote(fd, 100 * slot).done_bytes, 0);  // beyond the end
  check_story(fd, m, bytes, 1);
}

// The process's table ends within the mapping, so that its slots are in two. A slot that gets a
// large leaf in one of them leaves the other alone.
TEST(leaves_in_two_tables) {
  skip_if_moving();
  int fd = make_small("f", 1, bytes);
  char* end_of_table = reinterpret_cast<char*>(1UL << 45);
  char* m =
      map(fd, bytes, rw, MAP_SHARED | MAP_FIXED_NOREPLACE, 0, end_of_table - (slots - 1) * leaf);
  CHECK_PAGES(m, 1, 0, bytes);
  for (size_t promoted = 1; promoted <= 2; promoted++) {
    CHECK_EQ(promote(fd, promoted == 1 ? leaf : (slots - 1) * leaf, leaf).done_bytes, leaf);
    check_story(fd, m, bytes, promoted);
  }
}

// A slot with a hole is not full: a 2-MiB frame for it would take memory that the data does not.
TEST(leaves_with_holes_stay_small) {
  skip_if_moving();
  int fd = make_small("f", 1, bytes);
  char* m = map_at(Place::fits, fd, bytes, rw);
  CHECK_PAGES(m, 1, 0, bytes);
  SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, leaf + 9 * page, page));
  CHECK_EQ(promote(fd).done_bytes, (slots - 1) * leaf);
  morselfs_info i = info(fd);
  CHECK_EQ(i.leaves_2m, slots - 1);
  CHECK_EQ(i.leaves_2m * leaf + i.leaves_4k * page, bytes - page);
  CHECK_ZERO(m + leaf + 9 * page, page);
  fill(m + leaf + 9 * page, 1, leaf + 9 * page, page);  // the hole is filled by a store
  CHECK_EQ(promote(fd).done_bytes, leaf);
  check_story(fd, m, bytes, slots);
}

// What is cut out of a 2-MiB leaf leaves a frame of which some is wasted, and says so.
TEST(leaves_cut_by_punch) {
  skip_if_moving();
  int fd = make_small("f", 1, bytes);
  promote_all(fd);
  char* m = map_at(Place::fits, fd, bytes, rw);
  CHECK_PAGES(m, 1, 0, bytes);
  SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, leaf + page, 100 * page));
  morselfs_info i = info(fd);
  struct stat st;
  SYS(fstat(fd, &st));
  CHECK_EQ(i.leaves_2m, slots - 1);
  CHECK_EQ(i.leaves_4k * page + i.leaves_2m * leaf, bytes - 100 * page);
  CHECK_EQ(i.waste_bytes, 100 * page);
  CHECK_EQ(st.st_blocks * 512, bytes);
  CHECK_ZERO(m + leaf + page, 100 * page);
  CHECK_PAGES(m + leaf + 101 * page, 1, leaf + 101 * page, bytes - leaf - 101 * page);
  // Filled again, by stores, it can be made whole again, and nothing is wasted.
  fill(m + leaf + page, 1, leaf + page, 100 * page);
  promote_all(fd);
  CHECK_EQ(info(fd).waste_bytes, 0);
  check_story(fd, m, bytes, slots);
}

// Slots on both sides of a boundary of 1 GiB, and the whole GiB mapped as one slot.
TEST(leaves_around_a_gibibyte) {
  skip_if_moving();
  int fd = make_sparse("f", 2 * slot);
  set_policy(fd, MORSELFS_HUGE_NEVER);
  const uint64_t first = slot - 2 * leaf;
  write_filled(fd, 1, first, 4 * leaf);
  char* m = map(fd, 2 * slot, rw, MAP_SHARED | MAP_FIXED, 0, reserve(2 * slot, slot));
  char* r = map(fd, 2 * slot, PROT_READ, MAP_SHARED | MAP_FIXED, 0, reserve(2 * slot, slot));
  for (int round = 0; round < 3; round++) {
    CHECK_PAGES(m + first, 1, first, 4 * leaf);
    CHECK_PAGES(r + first, 1, first, 4 * leaf);
    CHECK_EQ(promote(fd, leaf).done_bytes, 4 * leaf);
    CHECK_EQ(info(fd).leaves_2m, 4);
    CHECK_PAGES(m + first, 1, first, 4 * leaf);
    CHECK_PAGES(r + first, 1, first, 4 * leaf);
    CHECK_EQ(mapped_by_large_leaves(m), 4 * leaf);
    CHECK_EQ(mapped_by_large_leaves(r), 4 * leaf);
    fill(m + slot, 1, slot, leaf);
    CHECK_EQ(demote(fd).done_bytes, 4 * leaf);
    CHECK_EQ(info(fd).leaves_2m, 0);
  }
  CHECK_FILLED(r + first, 1, first, 4 * leaf);
}
