// SPDX-License-Identifier: MIT
// Making objects, and finding named ones.
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "error.h"
#include "object.h"
#include "store.h"

using namespace morsel;

namespace {

constexpr size_t longest_name = 200;

// The entry's name in a store.
Result<std::string> entry(const char* name) {
  size_t length = name ? strnlen(name, longest_name + 1) : 0;
  if (length == 0 || length > longest_name || name[0] == '.' || strchr(name, '/'))
    return Error{-EINVAL, "a name has 1 to 200 bytes, no '/', and does not begin with '.'"};
  return std::string("name-") + name;
}

// What this library knows of the caller's options; -E2BIG if there is more, and it matters.
Result<morsel_options> read_options(const morsel_options* options) {
  morsel_options all{};
  if (!options) return all;
  size_t size = options->struct_size;
  if (size < offsetof(morsel_options, name) || size > largest_structure)
    return Error{-EINVAL, "morsel_options.struct_size is not set"};
  auto* bytes = reinterpret_cast<const unsigned char*>(options);
  for (size_t at = sizeof all; at < size; at++)
    if (bytes[at] != 0)
      return Error{-E2BIG, "morsel_options has a field that this library is too old for"};
  memcpy(&all, options, std::min(size, sizeof all));
  if (all.backend != MORSEL_ANY && !find_backend(all.backend))
    return Error{-EINVAL, "there is no backend " + std::to_string(int(all.backend))};
  if (all.mode & ~0777U) return Error{-EINVAL, "a mode has permission bits only"};
  return all;
}

Result<Handle> create_with(const Backend& backend, uint64_t bytes, const std::string& directory) {
  if (Status status = backend.probe(bytes, directory); !status) return status.error();
  auto file = backend.create(bytes, directory);
  if (!file) return file.error();
  return Handle(new morsel_object{std::move(*file), &backend, MORSEL_READ_WRITE, {}});
}

// The best backend that works, and why not a better one.
Result<Handle> create_with_any(uint64_t bytes, const std::string& directory) {
  std::string reasons;
  int code = 0;
  for (const Backend* backend : backends()) {
    auto object = create_with(*backend, bytes, directory);
    if (object) {
      (*object)->fallback = reasons;
      return object;
    }
    reasons +=
        (reasons.empty() ? "" : "; ") + std::string(backend->name) + ": " + object.error().text;
    code = object.error().code;
  }
  return Error{code, reasons};
}

Result<Handle> create(uint64_t bytes, const morsel_options& options) {
  std::string directory = options.directory ? options.directory : "";
  const Backend* backend = find_backend(options.backend);
  if (!backend) return create_with_any(bytes, directory);
  auto object = create_with(*backend, bytes, directory);
  if (!object) return Error{object.error().code, backend->name + (": " + object.error().text)};
  return object;
}

Status name_it(const morsel_object& object, const std::string& name, unsigned mode) {
  if (mode == 0) mode = 0600;
  if (fchmod(object.fd.get(), mode) != 0) return system_error("the object's mode");
  auto bytes = size_of(object.fd.get());
  if (!bytes) return bytes.error();
  return publish(name, object.fd.get(), object.backend->id, *bytes, mode, "{}");
}

}  // namespace

int morsel_create(uint64_t bytes, const morsel_options* options, morsel_object** object,
                  morsel_error* error) {
  return at_border(error, [&]() -> Status {
    if (bytes == 0 || bytes > INT64_MAX - pud_slot)
      return Error{-EINVAL, "no object has " + std::to_string(bytes) + " bytes"};
    auto wanted = read_options(options);
    if (!wanted) return wanted.error();
    std::string name;
    if (wanted->name) {
      auto valid = entry(wanted->name);
      if (!valid) return valid.error();
      name = *valid;
    }
    auto made = create(bytes, *wanted);
    if (!made) return made.error();
    if (!name.empty())
      if (Status status = name_it(**made, name, wanted->mode); !status) return status;
    *object = made->release();
    return Done{};
  });
}

int morsel_open(const char* name, morsel_access access, morsel_object** object,
                morsel_error* error) {
  return at_border(error, [&]() -> Status {
    auto valid = entry(name);
    if (!valid) return valid.error();
    if (access != MORSEL_READ && access != MORSEL_READ_WRITE)
      return Error{-EINVAL, "an object is opened with MORSEL_READ or MORSEL_READ_WRITE"};
    auto opened = open_named(*valid, access);
    if (!opened) return opened.error();
    auto handle = adopt(std::move(opened->file), opened->tables_kept);
    if (!handle) return handle.error();
    if (access == MORSEL_READ_WRITE)
      if (Status status = may_write(**handle); !status) return status;
    (*handle)->access = access;
    *object = handle->release();
    return Done{};
  });
}

int morsel_remove(const char* name, morsel_error* error) {
  return at_border(error, [&]() -> Status {
    auto valid = entry(name);
    if (!valid) return valid.error();
    return remove_named(*valid);
  });
}
