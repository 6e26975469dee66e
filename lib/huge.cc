// SPDX-License-Identifier: MIT
// The C interface's functions about large pages.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "error.h"
#include "object.h"

using namespace morsel;

namespace {

constexpr std::array names{"mount", "never", "within_size", "always"};  // by enum morsel_huge

Status move(const morsel_object* object, Backend::Move how, uint64_t offset, uint64_t bytes,
            morsel_moved* moved) {
  const size_t known = moved ? moved->struct_size : 0;
  if (moved && (known < offsetof(morsel_moved, done) || known > largest_structure))
    return Error{-EINVAL, "morsel_moved.struct_size is not set"};
  auto result = object->backend->move(object->fd.get(), how, offset, bytes);
  if (!result) return result.error();
  if (!moved) return Done{};
  // A newer caller's fields that this library doesn't know are zero.
  result->struct_size = known;
  memset(moved, 0, known);
  memcpy(moved, &*result, std::min(known, sizeof *result));
  return Done{};
}

}  // namespace

const char* morsel_huge_name(morsel_huge policy) {
  return policy < names.size() ? names[policy] : nullptr;
}

int morsel_huge_parse(const char* name, morsel_error* error) {
  return at_border(error, [&]() -> Result<int> {
    for (size_t policy = 0; policy < names.size(); policy++)
      if (name && strcmp(name, names[policy]) == 0) return int(policy);
    return Error{-EINVAL, "there is no policy \"" + std::string(name ? name : "") +
                              "\"; there are mount, never, within_size and always"};
  });
}

int morsel_set_huge(const morsel_object* object, morsel_huge policy, morsel_error* error) {
  return at_border(error, [&]() -> Status {
    if (!morsel_huge_name(policy))
      return Error{-EINVAL, "there is no policy " + std::to_string(unsigned(policy))};
    return object->backend->set_huge(object->fd.get(), policy);
  });
}

int morsel_promote(const morsel_object* object, uint64_t offset, uint64_t bytes,
                   morsel_moved* moved, morsel_error* error) {
  return at_border(error,
                   [&] { return move(object, Backend::Move::promote, offset, bytes, moved); });
}

int morsel_demote(const morsel_object* object, uint64_t offset, uint64_t bytes, morsel_moved* moved,
                  morsel_error* error) {
  return at_border(error,
                   [&] { return move(object, Backend::Move::demote, offset, bytes, moved); });
}
