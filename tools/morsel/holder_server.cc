// SPDX-License-Identifier: MIT
#include "holder_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "holder_client.h"
#include "packet.h"

namespace morsel::holder {

namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

// Connections of users who do not manage this holder. He himself has as many as he wants.
constexpr size_t most_of_a_user = 32;
constexpr size_t most_of_others = 256;

}  // namespace

Server::Server(const Place& place, Descriptor listener, Descriptor signals, Objects& objects,
               std::chrono::milliseconds idle_limit)
    : place_(place),
      listener_(std::move(listener)),
      signals_(std::move(signals)),
      removals_(place.watch()),
      objects_(objects),
      idle_limit_(idle_limit) {}

void Server::run() {
  while (!ending_) {
    if (objects_.count() != 0 || !clients_.empty())
      idle_since_.reset();
    else if (!idle_since_)
      idle_since_ = Clock::now();

    std::vector<pollfd> polled = interests();
    const int ready = poll(polled.data(), polled.size(), timeout());
    if (ready < 0 && errno != EINTR) return;
    if (ready <= 0) {
      if (objects_.has_work())
        work();
      else if (idle_since_ && Clock::now() - *idle_since_ >= idle_limit_)
        return;
      continue;
    }
    if (polled[0].revents != 0) return;
    // Clients come and go meanwhile: those that were polled, by their numbers.
    std::vector<std::pair<ClientId, short>> events;
    auto each = polled.begin() + 3;
    for (const auto& [id, client] : clients_) events.emplace_back(id, (each++)->revents);
    for (const auto& [id, happened] : events) {
      const auto client = clients_.find(id);
      if (happened != 0 && client != clients_.end() && !serve(id, client->second, happened))
        drop(id);
    }
    if (polled[1].revents != 0) accept_one();
    if (polled[2].revents != 0) look_around();
    if (objects_.has_work()) work();
  }
}

int Server::timeout() const {
  if (objects_.has_work()) return 0;
  if (!idle_since_) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(*idle_since_ + idle_limit_ - Clock::now());
  return int(std::max<int64_t>(left.count(), 0));
}

std::vector<pollfd> Server::interests() const {
  std::vector<pollfd> polled{{signals_.get(), POLLIN, 0},
                             {full_ ? -1 : listener_.get(), POLLIN, 0},
                             {removals_.get(), POLLIN, 0}};
  for (const auto& [id, client] : clients_) {
    const int events = client.unsent ? POLLOUT : client.waits ? 0 : POLLIN;
    polled.push_back({client.socket.get(), short(events), 0});
  }
  return polled;
}

// Without the socket's name nobody can come any more, and what we keep would be kept for ever.
void Server::look_around() {
  std::array<char, 4096> events;
  if (read(removals_.get(), events.data(), events.size()) < 0 && errno != EAGAIN) removals_ = {};
  ending_ = ending_ || !place_.can_be_found();
}

void Server::accept_one() {
  Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) {
    // Until one goes: what is in the queue would wake us for ever.
    full_ = (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) &&
            !clients_.empty();
    return;
  }
  auto peer = Peer::of(socket.get());
  if (!peer || is_crowd(*peer)) return;
  clients_.emplace(next_++, Client{std::move(socket), std::move(*peer), {}});
}

bool Server::is_crowd(const Peer& peer) const {
  if (peer.manages()) return false;
  size_t others = 0, same = 0;
  for (const auto& [id, client] : clients_) {
    if (client.peer.manages()) continue;
    ++others;
    if (client.peer.uid == peer.uid) ++same;
  }
  return same >= most_of_a_user || others >= most_of_others;
}

bool Server::serve(ClientId id, Client& client, short events) {
  if (client.unsent) {
    if ((events & POLLOUT) == 0) return false;
    Packet packet = std::move(*client.unsent);
    client.unsent.reset();
    return send(client, std::move(packet));
  }
  if ((events & POLLIN) != 0) return receive(id, client);
  return false;
}

bool Server::receive(ClientId id, Client& client) {
  auto packet = receive_packet(client.socket.get());
  if (!packet && packet.error().code == -EAGAIN) return true;
  if (!packet && packet.error().code != -EBADMSG) return false;
  if (!packet) return send(client, packet.error());
  auto request = parse_request(packet->text);
  if (!request) return send(client, request.error());
  return answer(id, client, *request, std::move(packet->fd));
}

bool Server::send(Client& client, Packet packet) {
  Status status = send_packet(client.socket.get(), packet.text, packet.fd.get());
  if (status) return true;
  if (status.error().code != -EAGAIN) return false;
  client.unsent = std::move(packet);
  return true;
}

bool Server::send(Client& client, const json& answer) {
  return send(client, Packet{answer.dump(), {}});
}

bool Server::send(Client& client, const Error& error) {
  return send(client, json{{"error", unsigned(-error.code)}, {"text", error.text}});
}

void Server::send_late(ClientId id, const json& answer) {
  const auto client = clients_.find(id);
  if (client == clients_.end()) return;
  client->second.waits = false;
  // One that is gone shows it by its socket.
  send(client->second, answer);
}

void Server::drop(ClientId id) {
  clients_.erase(id);
  full_ = false;
  for (const auto& [name, heir] : claims_.leave(id)) send_late(heir.client, {{"state", "yours"}});
}

bool Server::answer(ClientId id, Client& client, const Request& request, Descriptor fd) {
  const Operation operation = request.operation;
  const bool for_all =
      operation == Operation::hello || operation == Operation::open || operation == Operation::list;
  if (!for_all && !client.peer.manages())
    return send(client, Error{-EPERM, "only root and user " + std::to_string(geteuid()) +
                                          " may change what this holder has"});
  switch (operation) {
    case Operation::hello:
      return send(client, json{{"version", holder_version},
                               {"pid", getpid()},
                               {"objects", objects_.count()},
                               {"bytes", objects_.bytes()}});
    case Operation::publish:
      return answer_publish(id, client, request, std::move(fd));
    case Operation::open: {
      json body = json::object();
      auto file = objects_.open(request.name, request.write, client.peer, body);
      if (!file) return send(client, file.error());
      return send(client, Packet{body.dump(), std::move(*file)});
    }
    case Operation::remove: {
      Status status = objects_.remove(request.name, request.if_unused);
      if (status) finish(request.name);
      return status ? send(client, json::object()) : send(client, status.error());
    }
    case Operation::list:
      return send(client, objects_.list(request.prefix, request.after, client.peer));
    case Operation::begin:
      return answer_begin(id, client, request);
    case Operation::stop:
      ending_ = true;
      return send(client, json::object());
  }
  return false;
}

bool Server::answer_publish(ClientId id, Client& client, const Request& request, Descriptor fd) {
  Status status = objects_.publish(request, std::move(fd));
  if (!status) return send(client, status.error());
  finish(request.name);
  for (const Claims::Owner& waiter : claims_.published(request.name))
    send_late(waiter.client, {{"state", "there"}});
  if (!objects_.is_unfinished(request.name)) return send(client, json::object());
  // It is told when the page tables are filled.
  client.waits = true;
  publishers_[request.name] = id;
  return true;
}

bool Server::answer_begin(ClientId id, Client& client, const Request& request) {
  const std::string& name = request.name;
  if (objects_.has(name)) return send(client, json{{"state", "there"}});
  const auto owner = claims_.owner(name);
  if (!owner) claims_.take(name, {id, client.peer.pid});
  if (!owner || owner->client == id) return send(client, json{{"state", "yours"}});
  if (!request.wait) return send(client, json{{"state", "loading"}, {"pid", owner->pid}});
  claims_.wait(name, {id, client.peer.pid});
  client.waits = true;
  return true;
}

void Server::work() {
  if (const auto finished = objects_.work()) finish(*finished);
}

void Server::finish(const std::string& name) {
  const auto publisher = publishers_.find(name);
  if (publisher == publishers_.end()) return;
  send_late(publisher->second, json::object());
  publishers_.erase(publisher);
}

}  // namespace morsel::holder
