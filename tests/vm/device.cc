// SPDX-License-Identifier: MIT
//
// A device that has an object mapped while processes use it: QEMU's edu, which copies between its
// own memory and what the driver of tests/dma has handed to it as a dma-buf. On machines with and
// without an IOMMU. A copy takes a tenth of a second, so there are few of each kind.
#include <sys/mount.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "edu.h"

namespace {

constexpr size_t bytes = 2 * leaf + 16 * page;
// Within a page, across two pages, across two 2-MiB slots, at the end.
constexpr size_t places_in_object[] = {0, 5 * page - 512, leaf - 1024, bytes - copy_bytes};

void only_morselfs() {
  if (!harness::is_morselfs()) SKIP("about the exporter morselfs");
}

// Nothing but `at` ... `at + copy_bytes` has changed from contents 1, and there it is 7 as at
// `from`.
void check_stored(const char* m, size_t at, size_t from) {
  CHECK_PAGES(m, 1, 0, at / page * page);
  CHECK_FILLED(m + at / page * page, 1, at / page * page, at % page);
  CHECK_FILLED(m + at, 7, from, copy_bytes);
  size_t after = at + copy_bytes, whole = (after + page - 1) / page * page;
  CHECK_FILLED(m + after, 1, after, whole - after);
  CHECK_PAGES(m + whole, 1, whole, bytes - whole);
}

bool same(const std::vector<morsel_edu_segment>& a, const std::vector<morsel_edu_segment>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.address == y.address && x.length == y.length;
  });
}

uint64_t total(const std::vector<morsel_edu_segment>& segments) {
  uint64_t sum = 0;
  for (const auto& one : segments) sum += one.length;
  return sum;
}

// An object of contents `seed` that the device has mapped.
struct Mapped {
  Mapped(Edu& edu, const char* name, uint64_t seed, unsigned direction = MORSEL_EDU_BOTH) {
    file = make_exportable(name, seed, bytes);
    dmabuf = export_object(file);
    id = edu.attach(dmabuf);
    edu.map(id, direction);
  }
  ~Mapped() {
    close(dmabuf);
    close(file);
  }
  int file, dmabuf;
  unsigned id;
};

}  // namespace

// --- data -------------------------------------------------------------------------

// The device reads what a process has stored, and stores what two processes then see, one of them
// with a read-only mapping; meanwhile a third works on other pages.
TEST(device_reads_and_stores) {
  Edu edu;
  Mapped source(edu, "s", 7), target(edu, "t", 1);
  char* s = map(source.file, bytes, rw, MAP_SHARED);
  char* t = map(target.file, bytes, rw, MAP_SHARED);
  auto stop = shared<std::atomic<bool>>();
  auto counted = shared<std::atomic<uint64_t>>();
  constexpr size_t counters = leaf + 3 * page;  // in `t`
  auto* first = reinterpret_cast<volatile uint64_t*>(t + counters);
  pid_t counter = harness::spawn([&] {
    for (uint64_t i = 0; !*stop; i++) {
      first[i % page_words] = i;
      *counted = i;
    }
  });
  for (size_t at : places_in_object) {
    edu.load(source.id, at);
    edu.store(target.id, at);
    harness::in_child([&] {
      char* r = map(target.file, bytes, PROT_READ, MAP_SHARED);
      for (const char* seen : {r, t}) CHECK_FILLED(seen + at, 7, at, copy_bytes);
    });
    check_file(target.file, 7, at, copy_bytes);
  }
  *stop = true;
  harness::join(counter);
  uint64_t last = *counted;
  for (uint64_t i = last > page_words ? last - page_words + 1 : 0; i <= last; i++)
    CHECK_EQ(first[i % page_words], i);
  // What the process stores now, the device finds.
  fill(s + 9 * page, 8, 0, copy_bytes);
  edu.load(source.id, 9 * page);
  edu.store(target.id, 11 * page);
  CHECK_FILLED(t + 11 * page, 8, 0, copy_bytes);
}

TEST(device_stores_nowhere_else) {
  Edu edu;
  Mapped source(edu, "s", 7);
  for (size_t at : places_in_object) {
    Mapped target(edu, "t", 1);
    edu.load(source.id, 3 * page);
    edu.store(target.id, at);
    char* m = map(target.file, bytes, PROT_READ, MAP_SHARED);
    check_stored(m, at, 3 * page);
    SYS(munmap(m, bytes));
    edu.release(target.id);
    unlink("t");
  }
}

TEST(device_has_a_part_of_an_object) {
  Edu edu;
  Mapped source(edu, "s", 7);
  for (size_t start : {page, leaf - page, 2 * leaf}) {
    constexpr size_t length = 5 * page;
    int file = make_exportable("t", 1, bytes), dmabuf = export_object(file, 0, start, length);
    unsigned id = edu.attach(dmabuf);
    edu.map(id);
    CHECK_EQ(total(edu.segments(id)), length);
    CHECK_EQ(edu.try_copy(id, MORSEL_EDU_FROM_DEVICE, length), EINVAL);
    edu.load(source.id, 0);
    edu.store(id, length - copy_bytes);
    char* m = map(file, bytes, PROT_READ, MAP_SHARED);
    check_stored(m, start + length - copy_bytes, 0);
    SYS(munmap(m, bytes));
    edu.release(id);
    close(dmabuf);
    close(file);
    unlink("t");
  }
}

// Pages that a process has mapped, pinned as any memory is.
// A driver whose CPU works on the object maps all of it into the kernel, in order.
TEST(device_driver_has_all_in_one_mapping) {
  Edu edu;
  Mapped object(edu, "f", 7);
  std::vector<char> copy(bytes);
  CHECK_EQ(edu.try_read(object.id, 0, copy.data(), bytes), 0);
  CHECK_FILLED(copy.data(), 7, 0, bytes);
  CHECK_EQ(edu.try_read(object.id, page, copy.data(), bytes), EINVAL);
  fill(copy.data(), 8, 0, bytes);
  CHECK_EQ(edu.try_write(object.id, leaf - page, copy.data() + leaf - page, 2 * page), 0);
  char* m = map(object.file, bytes, PROT_READ, MAP_SHARED);
  CHECK_FILLED(m, 7, 0, leaf - page);
  CHECK_FILLED(m + leaf - page, 8, leaf - page, 2 * page);
  CHECK_FILLED(m + leaf + page, 7, leaf + page, bytes - leaf - page);

  only_morselfs();
  int read_only = export_object(object.file, MORSELFS_EXPORT_READ_ONLY);
  unsigned id = edu.attach(read_only);
  CHECK_EQ(edu.try_read(id, leaf - page, copy.data(), 2 * page), 0);
  CHECK_FILLED(copy.data(), 8, leaf - page, 2 * page);
  CHECK_EQ(edu.try_write(id, 0, copy.data(), page), EFAULT);
  CHECK_FILLED(m, 7, 0, page);
  edu.release(id);
  close(read_only);
}

TEST(device_has_pinned_pages) {
  Edu edu;
  int file = make_file("f", 1, bytes), reader = SYS(open("f", O_RDONLY));
  char* m = map(file, bytes, rw, MAP_SHARED);
  char* r = map(reader, bytes, PROT_READ, MAP_SHARED);
  CHECK_EQ(edu.try_pin(r, bytes, MORSEL_EDU_FROM_DEVICE), EFAULT);
  unsigned from = edu.pin(r, bytes, MORSEL_EDU_TO_DEVICE), to = edu.pin(m, bytes, MORSEL_EDU_BOTH);
  edu.map(from, MORSEL_EDU_TO_DEVICE);
  edu.map(to);
  CHECK_EQ(total(edu.segments(to)), bytes);
  edu.load(from, leaf - 1024);
  edu.store(to, 2 * leaf);
  CHECK_FILLED(r + 2 * leaf, 1, leaf - 1024, copy_bytes);
  // The pins outlive the data, which go to nobody else.
  SYS(ftruncate(file, 0));
  int other = make_file("g", 2, bytes);
  edu.store(to, 4096);
  check_file(other, 2, 0, bytes);
}

// --- mapped once --------------------------------------------------------------------

TEST(device_has_large_segments) {
  Edu edu;
  Mapped object(edu, "t", 1);
  auto segments = edu.segments(object.id);
  CHECK_EQ(total(segments), bytes);
  for (const auto& one : segments)
    CHECK(one.address % page == 0 && one.length % page == 0 && one.length > 0);
  if (!harness::is_morselfs()) return;
  if (has_iommu()) {
    // Its addresses are contiguous, whatever the machine's are.
    CHECK_EQ(segments.size(), 1);
  } else if (!harness::leaves_move()) {
    auto i = info(object.file);
    CHECK(segments.size() <= i.leaves_2m + i.leaves_4k);
  }
}

// The same addresses for all that map the object for this device, at the same time or one after the
// other, in whatever process.
TEST(device_knows_an_object_by_one_address) {
  only_morselfs();
  Edu edu;
  int file = make_exportable("t", 1, bytes), dmabuf = export_object(file);
  unsigned id = edu.attach(dmabuf);
  edu.map(id);
  auto first = edu.segments(id);
  auto check_same = [&first] {
    Edu own;
    int opened = SYS(open("t", O_RDWR)), exported = export_object(opened);
    unsigned again = own.attach(exported);
    own.map(again);
    CHECK(same(own.segments(again), first));
    close(exported);
    close(opened);
  };
  harness::in_child(check_same);  // while it is mapped
  unsigned second = edu.attach(dmabuf);
  edu.map(second);
  CHECK(same(edu.segments(second), first));
  edu.unmap(id);
  edu.map(id);
  CHECK(same(edu.segments(id), first));
  edu.release(second);
  edu.release(id);
  close(dmabuf);
  harness::in_child(check_same);  // when nobody has it mapped any more
  if (has_iommu()) {
    // Another object is elsewhere.
    Mapped other(edu, "u", 2);
    CHECK(!same(edu.segments(other.id), first));
  }
}

TEST(device_beside_another) {
  Edu one(0), two(1);
  int file = make_exportable("t", 1, bytes), dmabuf = export_object(file);
  unsigned a = one.attach(dmabuf), b = two.attach(dmabuf);
  one.map(a);
  two.map(b);
  CHECK_EQ(total(two.segments(b)), bytes);
  one.load(a, 0);
  one.store(a, leaf + 2 * page);
  two.load(b, leaf + 2 * page);
  two.store(b, 9 * page);
  char* m = map(file, bytes, PROT_READ, MAP_SHARED);
  CHECK_FILLED(m + 9 * page, 1, 0, copy_bytes);
}

// --- what a device may not ---------------------------------------------------------

TEST(device_read_only_export) {
  only_morselfs();
  Edu edu;
  Mapped source(edu, "s", 7);
  make_exportable("t", 1, bytes);
  int file = SYS(open("t", O_RDONLY)), dmabuf = -1;
  CHECK(try_export(file, 0, 0, 0, &dmabuf) != 0);  // it is not open for writing
  dmabuf = export_object(file, MORSELFS_EXPORT_READ_ONLY);
  unsigned id = edu.attach(dmabuf);
  CHECK_EQ(edu.try_map(id, MORSEL_EDU_FROM_DEVICE), EACCES);
  CHECK_EQ(edu.try_map(id, MORSEL_EDU_BOTH), EACCES);
  edu.map(id, MORSEL_EDU_TO_DEVICE);
  if (has_iommu()) {
    // The device stores all the same: the IOMMU keeps it from that. First of all, because QEMU's
    // does not report what a translation that it remembers forbids.
    edu.load(source.id, 5 * page);
    ExpectFault fault(edu.segments(id)[0].address + 3 * page);
    edu.store(id, 3 * page);
  }
  check_file(file, 1, 0, bytes);
  // And it goes on, as does the machine.
  char* s = map(source.file, bytes, PROT_READ, MAP_SHARED);
  for (size_t at : {3 * page, leaf - 1024}) {
    edu.load(id, at);
    edu.store(source.id, 0);
    CHECK_FILLED(s, 1, at, copy_bytes);
  }
}

// A sealed object can be read by devices, and by nothing else.
TEST(device_of_a_sealed_object) {
  only_morselfs();
  Edu edu;
  Mapped source(edu, "s", 7);
  int file = make_exportable("t", 1, bytes), dmabuf = -1;
  SYS(ioctl(file, MORSELFS_IOC_SEAL));
  CHECK_EQ(try_export(file, 0, 0, 0, &dmabuf), EPERM);
  dmabuf = export_object(file, MORSELFS_EXPORT_READ_ONLY);
  unsigned id = edu.attach(dmabuf);
  CHECK_EQ(edu.try_map(id, MORSEL_EDU_BOTH), EACCES);
  edu.map(id, MORSEL_EDU_TO_DEVICE);
  edu.load(id, 0);
  edu.store(source.id, 0);
  char* s = map(source.file, bytes, PROT_READ, MAP_SHARED);
  CHECK_FILLED(s, 1, 0, copy_bytes);
}

// The addresses that it had are nobody's any more when the object has gone.
TEST(device_loses_what_is_gone) {
  only_morselfs();
  if (!has_iommu()) SKIP("no IOMMU could notice");
  Edu edu;
  uint64_t address;
  {
    Mapped object(edu, "t", 1);
    address = edu.segments(object.id)[0].address;
    edu.load(object.id, 0);
    SYS(unlink("t"));
    edu.release(object.id);
  }
  usleep(50000);  // the kernel flushes the IOMMU's cache a little later
  ExpectFault fault(address);
  edu.store(0, address);
}

// --- the object changes ------------------------------------------------------------

// What the device stores after `change` is in the frames that it has mapped: it finds it there
// again. Nobody else sees it.
template <class Change>
static void changed_while_mapped(Change change) {
  Edu edu;
  Mapped source(edu, "s", 7), object(edu, "t", 1);
  char* m = map(object.file, bytes, rw, MAP_SHARED);
  CHECK_PAGES(m, 1, 0, bytes);
  change(object.file, m);
  int other = make_file("g", 2, 2 * bytes);  // wants memory
  for (size_t at : {size_t(0), leaf - 1024, bytes - copy_bytes}) {
    edu.load(source.id, at);
    edu.store(object.id, at);
    edu.load(source.id, 9 * page);  // something else
    edu.load(object.id, at);
    edu.store(source.id, 2 * leaf);
    char* s = map(source.file, bytes, PROT_READ, MAP_SHARED);
    CHECK_FILLED(s + 2 * leaf, 7, at, copy_bytes);
    SYS(munmap(s, bytes));
  }
  check_file(other, 2, 0, 2 * bytes);
  edu.release(object.id);
  SYS(munmap(m, bytes));
}

TEST(device_across_truncate) {
  only_morselfs();
  changed_while_mapped([](int fd, char* m) {
    SYS(ftruncate(fd, 0));
    CHECK_SIGNAL_READ(m, SIGBUS);
    SYS(ftruncate(fd, bytes));
    CHECK_ZERO(m, bytes);
  });
  int fd = SYS(open("t", O_RDONLY));
  check_file_zero(fd, 0, bytes);
}

TEST(device_across_punch) {
  only_morselfs();
  changed_while_mapped([](int fd, char* m) {
    SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes));
    CHECK_ZERO(m, bytes);
  });
  int fd = SYS(open("t", O_RDONLY));
  check_file_zero(fd, 0, bytes);
}

TEST(device_across_unlink_and_unmap) {
  only_morselfs();
  changed_while_mapped([](int, char*) { SYS(unlink("t")); });
}

// Exported again after its frames have changed, it is mapped anew.
TEST(device_maps_new_frames) {
  only_morselfs();
  Edu edu;
  Mapped source(edu, "s", 7), object(edu, "t", 1);
  SYS(fallocate(object.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, leaf));
  write_filled(object.file, 3, 0, leaf);
  int again = export_object(object.file);
  unsigned id = edu.attach(again);
  edu.map(id);
  edu.load(id, page);
  edu.store(source.id, page);
  char* s = map(source.file, bytes, PROT_READ, MAP_SHARED);
  CHECK_FILLED(s + page, 3, page, copy_bytes);
  edu.load(object.id, page);  // the old ones are as they were
  edu.store(source.id, page);
  CHECK_FILLED(s + page, 1, page, copy_bytes);
}

// --- ends ----------------------------------------------------------------------------

TEST(device_of_a_killed_process) {
  auto ready = shared<Gate>();
  make_exportable("t", 1, bytes);
  pid_t child = harness::spawn([&] {
    Edu edu;
    Mapped object(edu, "u", 1);
    unsigned pinned = edu.pin(map(object.file, bytes, rw, MAP_SHARED), bytes, MORSEL_EDU_BOTH);
    edu.map(pinned);
    ready->open();
    pause();
  });
  Edu edu;  // SKIPs here, too
  ready->wait();
  SYS(kill(child, SIGKILL));
  harness::join_killed(child, SIGKILL);
  Mapped object(edu, "v", 1);
  edu.load(object.id, 0);
}

TEST(device_driver_unbound) {
  const std::string driver = "/sys/bus/pci/drivers/morsel_edu/";
  int file = make_exportable("t", 1, bytes), dmabuf = export_object(file);
  char* m = map(file, bytes, PROT_READ, MAP_SHARED);
  for (size_t at : {page, leaf}) {
    Edu edu;
    unsigned id = edu.attach(dmabuf);
    edu.map(id);
    edu.load(id, 0);
    edu.store(id, at);
    CHECK_FILLED(m + at, 1, 0, copy_bytes);
    const std::string name = edu.name();
    tell(driver + "unbind", name);
    CHECK_EQ(edu.try_map(id, MORSEL_EDU_BOTH), ENODEV);
    CHECK_EQ(edu.try_attach(dmabuf), ENODEV);
    edu.close();  // or the next one has another number
    tell(driver + "bind", name);
  }
  CHECK_PAGES(m + leaf + page, 1, leaf + page, bytes - leaf - page);
}

// The device itself goes, as one that is pulled out, and comes back.
TEST(device_removed) {
  Edu edu;
  Mapped object(edu, "t", 1);
  tell(edu.sysfs() + "/remove", "1");
  CHECK_EQ(edu.try_copy(object.id, MORSEL_EDU_TO_DEVICE, 0), ENODEV);
  edu.close();
  check_file(object.file, 1, 0, bytes);
  tell("/sys/bus/pci/rescan", "1");
  Edu again;
  unsigned id = again.attach(object.dmabuf);
  again.map(id);
  again.load(id, leaf - 1024);
  again.store(id, 0);
  char* m = map(object.file, bytes, PROT_READ, MAP_SHARED);
  CHECK_FILLED(m, 1, leaf - 1024, copy_bytes);
}

TEST(device_keeps_the_mount) {
  only_morselfs();
  Edu edu;
  SYS(mkdir("n", 0755));
  if (mount("none", "n", "morselfs", 0, ("size=64m" + harness::huge_option()).c_str()) != 0)
    SKIP("can't mount here");
  int file = make_file("n/f", 1, bytes), dmabuf = export_object(file);
  unsigned id = edu.attach(dmabuf);
  edu.map(id);
  close(file);
  SYS_ERR(umount("n"), EBUSY);
  close(dmabuf);
  SYS_ERR(umount("n"), EBUSY);  // the device has it still
  edu.load(id, 0);
  edu.release(id);
  int result = -1;
  for (int i = 0; i < 100 && (result = umount("n")) != 0; i++) usleep(10000);
  CHECK_EQ(result, 0);
}
