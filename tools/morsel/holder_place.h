// SPDX-License-Identifier: MIT
// The holder's directory: the lock, the socket, the links.
#pragma once

#include <string>
#include <vector>

#include "descriptor.h"
#include "result.h"

namespace morsel::holder {

class Place {
 public:
  /// Makes the directory if need be, and takes it for this process. -EBUSY: a holder has it;
  /// -EPERM: it is not this user's.
  static Result<Place> take(const std::string& directory);

  /// What a killed holder left, if nobody has the directory: names. None if it isn't there.
  static Result<std::vector<std::string>> leftovers(const std::string& directory);

  /// Removes everything that a holder may have left. -ENOTEMPTY and the like: what is there can't
  /// be a holder's, and stays.
  [[nodiscard]] Status sweep() const;
  /// The directory of links, empty.
  [[nodiscard]] Result<Descriptor> links() const;
  /// From now on links may be opened without asking.
  [[nodiscard]] Status show_that_it_runs() const;
  /// A socket that everybody may connect to.
  [[nodiscard]] Result<Descriptor> listen() const;
  /// Becomes readable when something in the directory is removed. None if the kernel has no more.
  [[nodiscard]] Descriptor watch() const;
  /// Whether clients can still come.
  [[nodiscard]] bool can_be_found() const;
  /// Takes the socket's name away.
  void leave() const;

 private:
  Place(std::string path, Descriptor directory, Descriptor lock)
      : path_(std::move(path)), directory_(std::move(directory)), lock_(std::move(lock)) {}

  std::string path_;
  Descriptor directory_, lock_;
};

}  // namespace morsel::holder
