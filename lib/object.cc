// SPDX-License-Identifier: MIT
#include "object.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "error.h"
#include "reopen.h"

using namespace morsel;

namespace morsel {

Result<Handle> adopt(Descriptor fd, bool tables_kept) {
  struct stat st;
  struct statfs fs;
  if (fstat(fd.get(), &st) != 0 || fstatfs(fd.get(), &fs) != 0)
    return system_error("descriptor " + std::to_string(fd.get()));
  int flags = fcntl(fd.get(), F_GETFL);
  if (!S_ISREG(st.st_mode) || (flags & O_PATH) || (flags & O_ACCMODE) == O_WRONLY)
    return Error{-EINVAL, "a morsel's descriptor is a regular file's, open for reading"};
  if (st.st_size == 0) return Error{-EINVAL, "an empty file is no morsel"};
  for (const Backend* backend : backends()) {
    if (!backend->recognises(fd.get(), fs)) continue;
    bool writes = (flags & O_ACCMODE) == O_RDWR && !backend->is_sealed(fd.get());
    morsel_access access = writes ? MORSEL_READ_WRITE : MORSEL_READ;
    return Handle(new morsel_object{std::move(fd), backend, access, {}, tables_kept});
  }
  return Error{-EINVAL, "the file is on neither morselfs, hugetlbfs (2-MiB pages) nor tmpfs"};
}

Result<uint64_t> size_of(int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0) return system_error("the object's state");
  return uint64_t(st.st_size);
}

Status may_write(const morsel_object& object) {
  if (object.backend->is_sealed(object.fd.get())) return Error{-EPERM, "the object is sealed"};
  if (object.access == MORSEL_READ) return Error{-EACCES, "the object is open for reading only"};
  return Done{};
}

}  // namespace morsel

int morsel_from_fd(int fd, morsel_object** object, morsel_error* error) {
  return at_border(error, [&]() -> Status {
    auto copy = duplicate(fd);
    if (!copy) return copy.error();
    auto handle = adopt(std::move(*copy));
    if (!handle) return handle.error();
    *object = handle->release();
    return Done{};
  });
}

void morsel_close(morsel_object* object) { delete object; }

int morsel_seal(morsel_object* object, morsel_error* error) {
  return at_border(error, [&]() -> Status {
    int fd = object->fd.get();
    if (Status status = may_write(*object); !status) return status;
    if (Status status = object->backend->seal(fd); !status) return status;
    object->access = MORSEL_READ;
    // Readers that map a descriptor that could write would share no tables with others.
    if (auto reader = reopen(fd, MORSEL_READ); reader) dup3(reader->get(), fd, O_CLOEXEC);
    return Done{};
  });
}

int morsel_is_sealed(const morsel_object* object) {
  return object->backend->is_sealed(object->fd.get());
}

int morsel_export(const morsel_object* object, uint64_t offset, uint64_t bytes,
                  morsel_access access, int* fd, morsel_error* error) {
  return at_border(error, [&]() -> Status {
    if (access != MORSEL_READ && access != MORSEL_READ_WRITE)
      return Error{-EINVAL, "there is no access " + std::to_string(unsigned(access))};
    if (access == MORSEL_READ_WRITE)
      if (Status status = may_write(*object); !status) return status;
    auto exported = object->backend->export_part(object->fd.get(), offset, bytes, access);
    if (!exported) return exported.error();
    *fd = exported->release();
    return Done{};
  });
}

int morsel_resize(morsel_object* object, uint64_t bytes, morsel_error* error) {
  return at_border(error, [&]() -> Status {
    if (Status status = may_write(*object); !status) return Error{-EPERM, status.error().text};
    if (bytes == 0 || bytes > INT64_MAX - pud_slot)
      return Error{-EINVAL, "no object has " + std::to_string(bytes) + " bytes"};
    auto now = size_of(object->fd.get());
    if (!now) return now.error();
    return object->backend->resize(object->fd.get(), *now, object->backend->rounded(bytes));
  });
}

uint64_t morsel_bytes(const morsel_object* object) {
  auto bytes = size_of(object->fd.get());
  return bytes ? *bytes : 0;
}

morsel_backend morsel_backend_of(const morsel_object* object) { return object->backend->id; }

int morsel_fd(const morsel_object* object) { return object->fd.get(); }

const char* morsel_fallback(const morsel_object* object) { return object->fallback.c_str(); }

int morsel_stat(const morsel_object* object, morsel_statistics* statistics, morsel_error* error) {
  return at_border(error, [&]() -> Status {
    size_t known = statistics->struct_size;
    if (known < offsetof(morsel_statistics, resident) || known > largest_structure)
      return Error{-EINVAL, "morsel_statistics.struct_size is not set"};
    morsel_statistics all{};
    auto bytes = size_of(object->fd.get());
    if (!bytes) return bytes.error();
    all.bytes = *bytes;
    if (Status status = object->backend->statistics(object->fd.get(), all); !status) return status;
    // A newer caller's fields that this library doesn't know are zero.
    all.struct_size = known;
    memset(statistics, 0, known);
    memcpy(statistics, &all, std::min(known, sizeof all));
    return Done{};
  });
}
