// SPDX-License-Identifier: MIT
// The holder's loop: one thread, which never waits for any client.
#pragma once

#include <poll.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "descriptor.h"
#include "holder_claims.h"
#include "holder_objects.h"
#include "holder_peer.h"
#include "holder_place.h"
#include "packet.h"

namespace morsel::holder {

class Server {
 public:
  /// `signals` becomes readable when it is time to end.
  Server(const Place& place, Descriptor listener, Descriptor signals, Objects& objects,
         std::chrono::milliseconds idle_limit);

  /// Until a signal, a request to stop, or no object and no client for so long; or until nobody can
  /// find us any more.
  void run();

 private:
  struct Client {
    Descriptor socket;
    Peer peer;
    /// Answer that the socket had no room for yet. Nothing is read from the client before it is
    /// out.
    std::optional<Packet> unsent;
    /// Its answer comes later; nothing is read from it before.
    bool waits = false;
  };
  using Clients = std::map<ClientId, Client>;

  [[nodiscard]] int timeout() const;
  /// The pollfds; those after the first ones are of the clients, in their order.
  [[nodiscard]] std::vector<pollfd> interests() const;
  /// Something was removed from our directory.
  void look_around();
  void accept_one();
  /// Too many for one user?
  [[nodiscard]] bool is_crowd(const Peer& peer) const;

  /// False: the client is to go.
  bool serve(ClientId id, Client& client, short events);
  bool receive(ClientId id, Client& client);
  bool send(Client& client, Packet packet);
  bool send(Client& client, const nlohmann::json& answer);
  bool send(Client& client, const Error& error);
  /// To one that waited.
  void send_late(ClientId id, const nlohmann::json& answer);
  void drop(ClientId id);

  bool answer(ClientId id, Client& client, const Request& request, Descriptor fd);
  bool answer_publish(ClientId id, Client& client, const Request& request, Descriptor fd);
  bool answer_begin(ClientId id, Client& client, const Request& request);
  void work();
  /// Tells who published it: there is nothing left to do, or it is gone already.
  void finish(const std::string& name);

  const Place& place_;
  Descriptor listener_, signals_, removals_;
  Objects& objects_;
  const std::chrono::milliseconds idle_limit_;
  Clients clients_;
  ClientId next_ = 0;
  Claims claims_;
  /// Who published what whose page tables are not filled yet.
  std::map<std::string, ClientId> publishers_;
  std::optional<std::chrono::steady_clock::time_point> idle_since_;
  bool full_ = false, ending_ = false;
};

}  // namespace morsel::holder
