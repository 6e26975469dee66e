// SPDX-License-Identifier: MIT
// The store of a holder: an entry is a link to a descriptor of its, and what else there is to know
// it tells.
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <optional>

#include "holder_client.h"
#include "holder_link.h"
#include "store.h"

namespace morsel {

namespace {

using nlohmann::json;

// An entry from an answer; nothing if the holder talks nonsense.
std::optional<Entry> parse_entry(const json& from) {
  try {
    const int backend =
        morsel_backend_parse(from.at("backend").get<std::string>().c_str(), nullptr);
    if (backend < 0) return {};
    return Entry{from.at("name").get<std::string>(), morsel_backend(backend),
                 from.at("bytes").get<uint64_t>(),   from.at("mode").get<unsigned>(),
                 from.at("uid").get<uint32_t>(),     from.at("gid").get<uint32_t>(),
                 from.at("attributes").dump(),       from.at("in_use").get<bool>(),
                 from.at("atime_ns").get<int64_t>()};
  } catch (const json::exception&) {
    return {};
  }
}

class HolderStore final : public Store {
 public:
  HolderStore(const std::string& where, bool is_own) : Store(where, is_own) {}

  [[nodiscard]] Result<Opened> open(const std::string& name, morsel_access access) override {
    // It alone knows what is sealed, and may not be written to.
    if (access == MORSEL_READ)
      if (Opened opened = open_at_once(name); opened.file) return opened;
    auto talk = ask_holder(directory, false,
                           {{"op", "open"}, {"name", name}, {"write", access != MORSEL_READ}});
    if (!talk) return talk.error();
    if (!talk->answer.fd) return Error{-EPROTO, "the holder's answer has no descriptor"};
    const bool kept = talk->answer.body.value("kept", json()) == true;
    return Opened{std::move(talk->answer.fd), kept};
  }

  [[nodiscard]] Opened open_at_once(const std::string& name) override {
    return {open_by_link(directory, name), true};
  }

  [[nodiscard]] Status publish(const Publication& object) override {
    const json attributes = json::parse(object.attributes, nullptr, false);
    auto talk = ask_holder(directory, true,
                           {{"op", "publish"},
                            {"name", object.name},
                            {"attributes", attributes},
                            {"mode", object.mode},
                            {"backend", morsel_backend_name(object.backend)},
                            {"bytes", object.bytes},
                            {"replace", object.replace}},
                           object.fd);
    if (!talk) return talk.error();
    return Done{};
  }

  [[nodiscard]] Status remove(const std::string& name, bool if_unused) override {
    auto talk =
        ask_holder(directory, false, {{"op", "remove"}, {"name", name}, {"if_unused", if_unused}});
    if (!talk) return talk.error();
    return Done{};
  }

  [[nodiscard]] Result<std::vector<Entry>> list(const std::string& prefix) override {
    std::vector<Entry> entries;
    std::string after;
    for (bool more = true; more;) {
      auto talk =
          ask_holder(directory, false, {{"op", "list"}, {"prefix", prefix}, {"after", after}});
      if (!talk && talk.error().code == -ENOENT) return entries;
      if (!talk) return talk.error();
      const json& body = talk->answer.body;
      const auto part = body.find("entries");
      if (part == body.end() || !part->is_array())
        return Error{-EPROTO, "the holder's answer is no list"};
      for (const json& each : *part) {
        auto entry = parse_entry(each);
        if (!entry || entry->name <= after) return Error{-EPROTO, "the holder's answer is no list"};
        after = entry->name;
        entries.push_back(std::move(*entry));
      }
      more = !part->empty() && body.value("more", json()) == true;
    }
    return entries;
  }

  [[nodiscard]] Result<Claim> begin(const std::string& name, bool wait) override {
    const json question{{"op", "begin"}, {"name", name}, {"wait", wait}};
    // Who waits, waits as long as it takes: the holder's end wakes him.
    auto talk = wait ? ask_patiently(question) : ask_holder(directory, true, question);
    if (!talk) return talk.error();
    const json& body = talk->answer.body;
    const json state = body.value("state", json());
    if (state == "there") return Claim{Claim::State::there, 0, {}};
    if (state == "yours") return Claim{Claim::State::mine, 0, std::move(talk->connection)};
    if (state == "loading" && body.value("pid", json()).is_number_integer())
      return Claim{Claim::State::others, body["pid"].get<int64_t>(), {}};
    return Error{-EPROTO, "the holder's answer is no state"};
  }

 private:
  [[nodiscard]] Result<Conversation> ask_patiently(const json& question) const {
    for (;;) {
      auto greeting = ask_holder(directory, true, {{"op", "hello"}, {"version", holder_version}});
      if (!greeting) return greeting.error();
      const int connection = greeting->connection.get();
      const timeval forever{};
      setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
      auto answer = ask(connection, question);
      if (answer) return Conversation{std::move(*answer), std::move(greeting->connection)};
      if (answer.error().code != -EPIPE && answer.error().code != -ECONNRESET)
        return answer.error();
    }
  }
};

}  // namespace

std::unique_ptr<Store> holder_store(const std::string& directory, bool own) {
  return std::make_unique<HolderStore>(directory, own);
}

}  // namespace morsel
