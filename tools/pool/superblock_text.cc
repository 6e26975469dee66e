// SPDX-License-Identifier: MIT
#include "superblock_text.h"

#include <cerrno>
#include <cstring>

#include "signature.h"
#include "text.h"

namespace morsel::pool {

Result<Superblock> read_pool(Image& image, unsigned& whole) {
  for (Frame frame = 0; frame < first_free_frame; frame++)
    if (!image.is_readable(frame))
      return Error{
          -EIO, image.path() + ": the beginning of the pool can't be read: the memory is broken"};
  const core::Result<Superblock> read = read_superblock(image, whole);
  if (read.ok()) {
    image.limit(read.value().frames);
    return read.value();
  }
  const std::string& path = image.path();
  if (read.error() == core::Error::unsupported)
    return Error{-ENOTSUP, path +
                               " is a pool of a newer format, or with features that this program "
                               "does not know; use the tools that came with the module"};
  if (read.error() == core::Error::damaged)
    return Error{-EUCLEAN,
                 path + ": the superblock contradicts the device: a pool that was larger (" +
                     tool::size_text(image.bytes()) +
                     " are there), or damage; if the device was cut, give it its size back"};
  const std::string there = what_is_there(image);
  if (there == "a pool of morselfs")
    return Error{-EUCLEAN, path +
                               ": both copies of the superblock are damaged; there is nothing "
                               "that could be repaired from"};
  return Error{-EINVAL, path + " is no pool of morselfs; it holds " +
                            (there.empty() ? "nothing but zeros at its start" : there)};
}

std::string label_of(const Superblock& sb) {
  const char* label = reinterpret_cast<const char*>(sb.label);
  return {label, strnlen(label, sizeof(sb.label))};
}

const char* phase_name(Phase phase) {
  switch (phase) {
    case Phase::settled:
      return "settled";
    case Phase::loosening:
      return "loosening";
    case Phase::binding:
      return "binding";
  }
  return "unknown";
}

}  // namespace morsel::pool
