// SPDX-License-Identifier: MIT
// The objects that the holder keeps, and the links by which others find them.
#pragma once

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "descriptor.h"
#include "holder_keeper.h"
#include "holder_peer.h"
#include "holder_request.h"
#include "object.h"
#include "result.h"

namespace morsel::holder {

class Objects {
 public:
  /// `links` is the directory objects/, which is empty; `most` objects at once.
  Objects(Descriptor links, size_t most) : links_(std::move(links)), most_(most) {}
  Objects(const Objects&) = delete;
  Objects& operator=(const Objects&) = delete;
  ~Objects() { withdraw(); }
  /// Takes all links away.
  void withdraw() const;

  /// From now on it can be found. -EEXIST; -EINVAL: it isn't what the request says.
  Status publish(const Request& request, Descriptor fd);
  /// -ENOENT, -EACCES, -EPERM.
  Result<Descriptor> open(const std::string& name, bool write, const Peer& peer,
                          nlohmann::json& answer);
  /// -ENOENT, -EBUSY.
  Status remove(const std::string& name, bool if_unused);
  /// As much as fits into a packet of what this peer may read.
  [[nodiscard]] nlohmann::json list(const std::string& prefix, const std::string& after,
                                    const Peer& peer) const;
  [[nodiscard]] bool has(const std::string& name) const { return objects_.contains(name); }

  /// Whether page tables of it, or of any, have still to be filled.
  [[nodiscard]] bool is_unfinished(const std::string& name) const {
    return std::find(unfinished_.begin(), unfinished_.end(), name) != unfinished_.end();
  }
  [[nodiscard]] bool has_work() const { return !unfinished_.empty(); }
  /// A piece of that work. The name of an object that is finished by it.
  std::optional<std::string> work();

  [[nodiscard]] size_t count() const { return objects_.size(); }
  [[nodiscard]] uint64_t bytes() const;

 private:
  struct Object {
    Handle handle;
    uint64_t bytes;
    nlohmann::json attributes;
    std::optional<Keeper> keeper;
  };

  /// Sees to it that the page tables of a sealed hugetlb object live on.
  Status keep(const std::string& name, Object& object);
  Status link(const std::string& name, const Object& object) const;

  Descriptor links_;
  size_t most_;
  std::map<std::string, Object> objects_;
  std::vector<std::string> unfinished_;
};

}  // namespace morsel::holder
