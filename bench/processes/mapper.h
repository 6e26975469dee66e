// SPDX-License-Identifier: MIT
// One process's mapping of what all of them map.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace morsel::bench {

/// Maps one object, so that nothing faults afterwards. All of it throws: there is nothing to
/// measure then.
class Mapper {
 public:
  Mapper() = default;
  Mapper(const Mapper&) = delete;
  Mapper& operator=(const Mapper&) = delete;
  virtual ~Mapper() = default;

  /// Opens, maps, and touches what has to be.
  virtual void get_ready() = 0;
};

/// `file` is a path; for the system morsel-open a name that morsel_open() finds.
std::unique_ptr<Mapper> make_mapper(const std::string& system, const std::string& file,
                                    uint64_t bytes);

}  // namespace morsel::bench
