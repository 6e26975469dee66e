// SPDX-License-Identifier: MIT
// Objects of libmorsel: a new one for each packet, sent over a socket; or one that all stages have
// mapped, of which only word is passed.
#include <sys/socket.h>

#include <morsel/morsel.hpp>
#include <optional>

#include "sockets.h"

namespace morsel::bench {
namespace {

class MorselWay final : public Way {
 public:
  explicit MorselWay(const WayOptions& options)
      : options_(options), recycles_(options.system == "morsel-recycled") {
    if (recycles_) object_ = create();
  }

  void enter(Stage stage) override {
    sockets_.enter(stage);
    access_ = stage == Stage::last ? MORSEL_READ : MORSEL_READ_WRITE;
    if (recycles_) map();
  }
  Bytes make() override {
    if (!recycles_) object_ = create();
    return open();
  }
  void await() override {
    if (recycles_)
      (void)sockets_.receive();
    else
      object_ = Object::receive(sockets_.previous());
  }
  Bytes open() override {
    if (!recycles_) map();
    // The last stage only reads.
    auto* data = const_cast<std::byte*>(mapping_->bytes().data());
    return {data, options_.bytes};
  }
  void pass() override {
    if (recycles_) return sockets_.send();
    object_->send(sockets_.next(), MORSEL_READ_WRITE);
    drop();
  }
  void finish() override {
    if (!recycles_) drop();
    sockets_.send();
  }
  void await_end() override { (void)sockets_.receive(); }
  [[nodiscard]] std::string note() const override { return note_; }

 private:
  Object create() {
    Options options;
    options.directory = options_.directory;
    Object object = Object::create(options_.bytes, options);
    note_ = morsel_backend_name(object.backend());
    return object;
  }
  void map() {
    mapping_ = object_->map(access_);
    mapping_->touch();
  }
  void drop() {
    mapping_.reset();
    object_.reset();
  }

  WayOptions options_;
  bool recycles_;
  Sockets sockets_{SOCK_SEQPACKET};
  morsel_access access_ = MORSEL_READ;
  std::optional<Object> object_;
  std::optional<Mapping> mapping_;
  std::string note_;
};

}  // namespace

std::unique_ptr<Way> make_morsel_way(const WayOptions& options) {
  return std::make_unique<MorselWay>(options);
}

}  // namespace morsel::bench
