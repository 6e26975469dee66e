// SPDX-License-Identifier: MIT
//
// Before: the objects are made. Afterwards, when nobody works any more: all bytes of
// every object, read in three ways; nothing is mapped; and when all is removed, all is
// free again.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../uapi/morselfs.h"
#include "guard.h"
#include "supervisor.h"
#include "worker.h"

namespace torture {
namespace {

struct statfs before;
constexpr double patience = 30;  // seconds; frames may be freed after grace periods
constexpr uint32_t at_once = Sights::most;
alignas(page_bytes) uint64_t buffer[at_once * page_words];

std::string folder() { return options.mount + "/torture"; }

void make_object(char kind, unsigned number, NewObject shape) {
  std::string path = folder() + "/" + name_of_file(kind, number);
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  struct stat status;
  uint32_t index = claim_record();
  if (fd < 0 || fstat(fd, &status) != 0 || index >= record_count)
    return complain("making %s: %s", path.c_str(), strerror(errno));
  Record& record = control->records[index];
  record.pages = shape.pages;
  record.shift = shape.shift;
  record.ragged = shape.ragged;
  record.frozen = shape.frozen;
  uint32_t id = control->last_id.fetch_add(1) + 1;
  for (uint32_t page = 0; shape.frozen && page < shape.pages; page++) {
    fill_page(buffer, id, page, 1);
    if (pwrite(fd, buffer, page_bytes, off_t(page) * off_t(page_bytes)) != ssize_t(page_bytes))
      return complain("writing %s: %s", path.c_str(), strerror(errno));
    record.filled[record.unit(page)] = 1;
  }
  if (!shape.frozen) (void)!ftruncate(fd, off_t(shape.pages) * off_t(page_bytes));
  publish_record(index, id, status.st_ino);
  close(fd);
}

void check_reads(int fd, const Object& object, uint32_t pages) {
  for (uint32_t first = 0; first < pages; first += at_once) {
    off_t data = lseek(fd, off_t(first) * off_t(page_bytes), SEEK_DATA);
    if (data < 0) break;
    if (data / off_t(page_bytes) >= first + at_once)
      first = uint32_t(data / off_t(page_bytes)) / at_once * at_once;
    Range range{first, first + at_once < pages ? first + at_once : pages};
    Sights sights(object, range);
    ssize_t got = pread(fd, buffer, range.bytes(), range.offset());
    if (got < 0) fail("audit: read of object %u: %s", object.id, strerror(errno));
    for (uint32_t i = 0; i < range.pages(); i++) {
      size_t from = i * page_bytes;
      if (size_t(got) < from + page_bytes && sights.all()[i].must_be_there())
        fail("audit: object %u ends in page 0x%x or before; expected more", object.id, first + i);
      if (size_t(got) > from)
        sights.all()[i].check(
            buffer + i * page_words, 0,
            (size_t(got) - from < page_bytes ? size_t(got) - from : page_bytes) / 8,
            "audit by read");
    }
  }
}

// Only where there is data: a touched hole is one no more.
void check_mapping(int fd, const Object& object, uint32_t pages, int flags, const char* how) {
  void* got = mmap(nullptr, pages * page_bytes, PROT_READ, flags, fd, 0);
  if (got == MAP_FAILED) fail("%s: mmap of object %u: %s", how, object.id, strerror(errno));
  auto* at = static_cast<uint64_t*>(got);
  for (uint32_t page = 0; page < pages; page++) {
    off_t data = lseek(fd, off_t(page) * off_t(page_bytes), SEEK_DATA);
    if (data < 0) break;
    page = uint32_t(data / off_t(page_bytes));
    uint64_t words[page_words], read_words[page_words] = {};
    Sight sight(object, page);
    if (int signal = load_words(words, at + page * page_words, page_words))
      fail("%s: page 0x%x of object %u has data: signal %d", how, page, object.id, signal);
    sight.check(words, 0, page_words, how);
    ssize_t count = pread(fd, read_words, page_bytes, off_t(page) * off_t(page_bytes));
    if (count < 0 || memcmp(words, read_words, size_t(count)) != 0)
      fail("%s: page 0x%x of object %u is not what read(2) gives", how, page, object.id);
  }
  munmap(got, pages * page_bytes);
}

// Processes are gone, so nothing is mapped.
void check_info(int fd, const Object& object) {
  morselfs_info info{};
  for (double end = now() + patience;; usleep(20000)) {
    info.size = sizeof info;
    if (!options.morselfs) return;
    if (ioctl(fd, MORSELFS_IOC_INFO, &info) != 0)
      fail("audit: the info ioctl: %s", strerror(errno));
    if (!info.mappings && !info.graft_pud_slots && !info.graft_pmd_slots && !info.raw_pages &&
        !info.grafted_bytes)
      return;
    if (now() > end) break;
  }
  fail(
      "audit: object %u: nobody maps it; seen %llu mappings, %llu and %llu grafted slots, %llu raw "
      "pages, %llu grafted bytes",
      object.id, (unsigned long long)info.mappings, (unsigned long long)info.graft_pud_slots,
      (unsigned long long)info.graft_pmd_slots, (unsigned long long)info.raw_pages,
      (unsigned long long)info.grafted_bytes);
}

void check_object(const std::string& path) {
  int fd = open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) return;  // a whiteout
  Object object = object_of_inode(status.st_ino);
  if (object.id) {
    uint32_t pages = control->records[object.record].pages;
    check_reads(fd, object, pages);
    check_mapping(fd, object, pages, MAP_SHARED, "audit by a shared mapping");
    check_mapping(fd, object, pages, MAP_PRIVATE, "audit by a private mapping");
    check_info(fd, object);
  }
  close(fd);
}

void each_file(void (*visit)(const std::string&)) {
  DIR* dir = opendir(folder().c_str());
  if (!dir) return;
  while (dirent* entry = readdir(dir))
    if (entry->d_name[0] != '.') visit(folder() + "/" + entry->d_name);
  closedir(dir);
}

void check_free() {
  struct statfs after;
  for (double end = now() + patience;; usleep(20000)) {
    statfs(options.mount.c_str(), &after);
    if (after.f_bfree == before.f_bfree && after.f_ffree == before.f_ffree) return;
    if (now() > end) break;
  }
  complain("leak: expected %ld free blocks and %ld inodes as before, seen %ld and %ld",
           long(before.f_bfree), long(before.f_ffree), long(after.f_bfree), long(after.f_ffree));
}

void remove_all() {
  each_file([](const std::string& path) { unlink(path.c_str()); });
  if (rmdir(folder().c_str()) != 0) complain("rmdir: %s", strerror(errno));
}

}  // namespace

void make_objects() {
  statfs(options.mount.c_str(), &before);
  options.morselfs = before.f_type == MORSELFS_SUPER_MAGIC;
  if (mkdir(folder().c_str(), 0755) != 0)
    return complain("mkdir %s: %s", folder().c_str(), strerror(errno));
  control->names = options.objects;
  control->frozen = 2;
  for (unsigned i = 0; i < control->names; i++) make_object('n', i, shape_of(i));
  make_object('f', 0, {.pages = 2 * slot_pages, .frozen = true});
  make_object('f', 1, {.pages = slot_pages + 77, .frozen = true});
}

void audit() {
  fflush(stdout);
  int pid = fork();
  if (pid == 0) {
    install_guard();
    each_file(check_object);
    _exit(0);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
    complain("the audit ended with wait status 0x%x", status);
  remove_all();
  check_free();
}

}  // namespace torture
