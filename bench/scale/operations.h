// SPDX-License-Identifier: MIT
// The operations whose scaling is measured.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "workers.h"

namespace morsel::bench {

/// Where the objects are: a directory of a file system, or memfds if it is empty.
struct Place {
  std::string directory;
  bool huge_pages = false;  ///< hugetlb: everything in pieces of 2 MiB
};

struct Operation {
  const char* name;
  bool same;     ///< all workers on one object
  bool by_file;  ///< files by name, or read and write: not memfd or hugetlb
};

/// map-same, map-own, fill-same, fill-own, read-same, write-same, create, nothing
const std::vector<Operation>& operations();

/// What all workers need, made before they start and removed after they end.
class Stage {
 public:
  Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual ~Stage() = default;
  virtual std::unique_ptr<Work> work(unsigned worker) = 0;
};
std::unique_ptr<Stage> make_stage(const std::string& operation, const Place& place,
                                  unsigned workers, unsigned times);

}  // namespace morsel::bench
