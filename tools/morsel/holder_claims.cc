// SPDX-License-Identifier: MIT
#include "holder_claims.h"

namespace morsel::holder {

std::optional<Claims::Owner> Claims::owner(const std::string& name) const {
  const auto found = claims_.find(name);
  if (found == claims_.end()) return {};
  return found->second.owner;
}

std::deque<Claims::Owner> Claims::published(const std::string& name) {
  const auto found = claims_.find(name);
  if (found == claims_.end()) return {};
  std::deque<Owner> waiters = std::move(found->second.waiters);
  claims_.erase(found);
  return waiters;
}

std::map<std::string, Claims::Owner> Claims::leave(ClientId client) {
  std::map<std::string, Owner> heirs;
  for (auto each = claims_.begin(); each != claims_.end();) {
    auto& [name, claim] = *each;
    std::erase_if(claim.waiters, [&](const Owner& waiter) { return waiter.client == client; });
    if (claim.owner.client != client) {
      ++each;
    } else if (claim.waiters.empty()) {
      each = claims_.erase(each);
    } else {
      claim.owner = claim.waiters.front();
      claim.waiters.pop_front();
      heirs[name] = claim.owner;
      ++each;
    }
  }
  return heirs;
}

}  // namespace morsel::holder
