// SPDX-License-Identifier: MIT
#include "holder_client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "directory.h"
#include "packet.h"

namespace morsel {

namespace {

using nlohmann::json;

// Long enough for any machine; who takes longer hangs.
constexpr std::chrono::seconds patience{60};
constexpr std::chrono::seconds short_patience{1};

bool is_gone(const Error& error) {
  return error.code == -ENOENT || error.code == -EPIPE || error.code == -ECONNRESET;
}

Status check_peer(int connection, const std::string& directory) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
    return system_error("the holder of " + directory);
  if (peer.uid != geteuid() && peer.uid != 0)
    return Error{-EPERM, "the holder of " + directory + " runs as user " +
                             std::to_string(peer.uid) + ", so it is not trusted"};
  return Done{};
}

}  // namespace

Result<Descriptor> connect_to_holder(const std::string& directory) {
  auto where = open_directory(AT_FDCWD, directory);
  if (!where) return where.error();
  Descriptor connection(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!connection) return system_error("a socket");
  // By /proc, as an address has room for 107 bytes only.
  sockaddr_un address{AF_UNIX, {}};
  const std::string path = "/proc/self/fd/" + std::to_string(where->get()) + "/socket";
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const timeval timeout{patience.count(), 0};
  setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  if (connect(connection.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    // A socket that nobody listens at is what a killed holder left.
    const int code = errno == ECONNREFUSED ? ENOENT : errno;
    return system_error("the holder of " + directory, code);
  }
  if (Status status = check_peer(connection.get(), directory); !status) return status.error();
  return connection;
}

Result<Answer> ask(int connection, const json& question, int fd) {
  std::string text;
  try {
    text = question.dump();
  } catch (const json::exception&) {
    return Error{-EILSEQ, "the holder takes names in UTF-8 only"};
  }
  auto late = [](const Error& error) {
    return error.code == -EAGAIN ? Error{-ETIMEDOUT, "the holder does not answer"} : error;
  };
  if (Status status = send_packet(connection, text, fd); !status) return late(status.error());
  auto packet = receive_packet(connection);
  if (!packet) return late(packet.error());
  json body = json::parse(packet->text, nullptr, false);
  if (!body.is_object()) return Error{-EPROTO, "the holder's answer is none"};
  if (auto code = body.find("error"); code != body.end()) {
    const auto why = body.find("text");
    if (!code->is_number_unsigned() || why == body.end() || !why->is_string())
      return Error{-EPROTO, "the holder's answer is none"};
    return Error{-code->get<int>(), why->get<std::string>()};
  }
  return Answer{std::move(body), std::move(packet->fd)};
}

Result<Conversation> ask_holder(const std::string& directory, bool start, const json& question,
                                int fd) {
  // Who needs none is soon content with the answer that there is none.
  const auto deadline = std::chrono::steady_clock::now() + (start ? patience : short_patience);
  for (;;) {
    auto connection = connect_to_holder(directory);
    if (connection) {
      auto answer = ask(connection->get(), question, fd);
      if (answer) return Conversation{std::move(*answer), std::move(*connection)};
      // It may have been on its way out: a dying process's socket takes connections for a moment.
      if (!is_gone(answer.error()) || answer.error().code == -ENOENT) return answer.error();
      if (!start && std::chrono::steady_clock::now() > deadline) return answer.error();
    } else {
      if (!start || !is_gone(connection.error())) return connection.error();
      if (Status status = start_holder(directory); !status) return status.error();
    }
    if (std::chrono::steady_clock::now() > deadline)
      return Error{-ETIMEDOUT, "the holder of " + directory + " could not be reached"};
    // One that is just ending holds its lock for a moment.
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace morsel
