// SPDX-License-Identifier: MIT
//
// Objects and their names: opened, made in place of others, renamed, unlinked while
// they are mapped. Names move, so an object is known by its inode number, which
// morselfs never gives twice.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker.h"

namespace torture {

std::string name_of_file(char kind, unsigned number) { return kind + std::to_string(number); }

// The first one is larger than a 1-GiB slot, and sparse.
NewObject shape_of(unsigned name) {
  if (name == 0) return {.pages = (1U << 18) + 20 * slot_pages, .shift = 7};
  static constexpr uint32_t pages[] = {2 * slot_pages, 700, 3 * slot_pages + 37, 130,
                                       4 * slot_pages, 1600};
  return {.pages = pages[name % std::size(pages)], .ragged = name % 3 == 2};
}

namespace {

uint64_t inode_of(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

std::string any_name(Worker& w) {
  return name_of_file('n', unsigned(w.random.below(control->names)));
}

// The file behind a name that is about to be taken from it.
class Victim {
 public:
  Victim(int dir, const std::string& name)
      : fd(openat(dir, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)) {}
  // If it lost its last name, its record may be used again, some time.
  ~Victim() {
    struct stat status;
    if (fd >= 0 && fstat(fd, &status) == 0 && status.st_nlink == 0)
      if (Object object = object_of_inode(status.st_ino); object.id)
        control->records[object.record].retired = control->clock.load();
    if (fd >= 0) close(fd);
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

 private:
  int fd;
};

}  // namespace

void Worker::open_file() {
  File& file = files[random.below(std::size(files))];
  if (file.fd >= 0) close(file.fd);
  file = {};
  bool frozen = random.one_in(8);
  std::string name =
      frozen ? name_of_file('f', unsigned(random.below(control->frozen))) : any_name(*this);
  file.writable = !frozen && !random.one_in(4);
  int flags = file.writable ? O_RDWR : O_RDONLY;
  if (random.one_in(8)) flags |= O_DIRECT;
  begin(Kind::open);
  file.fd = openat(dir, name.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (!done(file.fd)) return;
  file.object = object_of_inode(inode_of(file.fd));
  if (file.object.id) return;
  close(file.fd);  // its record was taken for another one, or it is a whiteout
  file.fd = -1;
}

File* Worker::any_file(bool writable) {
  for (unsigned i = 0, from = unsigned(random.below(4)); i < 4; i++) {
    File& file = files[(from + i) % 4];
    if (file.fd >= 0 && known(file.object) && (file.writable || !writable)) return &file;
  }
  return nullptr;
}

void Worker::create() {
  std::string name = any_name(*this), temporary = name_of_file('t', me);
  if (faccessat(dir, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0 && !random.one_in(3))
    name = any_name(*this);
  begin(Kind::create);
  unlinkat(dir, temporary.c_str(), 0);  // of one that was killed
  int fd = openat(dir, temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (!done(fd)) return;
  uint32_t index = claim_record();
  if (index < record_count && control->last_id < claimed / 2) {
    NewObject shape = shape_of(unsigned(atoi(name.c_str() + 1)));
    Record& record = control->records[index];
    record.pages = shape.pages;
    record.shift = shape.shift;
    record.ragged = shape.ragged;
    if (!random.one_in(4))
      (void)!ftruncate(fd, off_t(random.between(1, shape.pages)) * off_t(page_bytes));
    publish_record(index, control->last_id.fetch_add(1) + 1, inode_of(fd));
    Victim victim(dir, name);
    if (renameat(dir, temporary.c_str(), dir, name.c_str()) != 0)
      fail("rename of a new object to %s: %s", name.c_str(), strerror(errno));
  } else {
    unlinkat(dir, temporary.c_str(), 0);
  }
  close(fd);
}

void Worker::unlink_name() {
  std::string name = any_name(*this);
  Victim victim(dir, name);
  begin(Kind::unlink);
  done(unlinkat(dir, name.c_str(), 0));
}

void Worker::rename_name() {
  static constexpr struct {
    Kind kind;
    unsigned flags;
  } ways[] = {{Kind::rename, 0},
              {Kind::rename_noreplace, 1},
              {Kind::rename_exchange, 2},
              {Kind::rename_exchange, 2},
              {Kind::rename_whiteout, 4}};
  std::string from = any_name(*this), to = any_name(*this);
  auto& way = ways[random.below(std::size(ways))];
  Victim victim(dir, to);
  begin(way.kind);
  done(syscall(SYS_renameat2, dir, from.c_str(), dir, to.c_str(), way.flags));
}

}  // namespace torture
