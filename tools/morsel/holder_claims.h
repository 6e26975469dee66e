// SPDX-License-Identifier: MIT
// Who is about to publish what, and who waits for it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

namespace morsel::holder {

using ClientId = uint64_t;

class Claims {
 public:
  struct Owner {
    ClientId client;
    pid_t pid;
  };

  [[nodiscard]] std::optional<Owner> owner(const std::string& name) const;
  void take(const std::string& name, Owner owner) { claims_[name].owner = owner; }
  void wait(const std::string& name, Owner waiter) { claims_[name].waiters.push_back(waiter); }

  /// Those who waited for this name, which has been published.
  std::deque<Owner> published(const std::string& name);
  /// The client is gone. Names that it had, each with who has it now.
  std::map<std::string, Owner> leave(ClientId client);

 private:
  struct Claim {
    Owner owner;
    std::deque<Owner> waiters;
  };
  std::map<std::string, Claim> claims_;
};

}  // namespace morsel::holder
