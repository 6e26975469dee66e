// SPDX-License-Identifier: MIT
//
// A user who may not look into the holder's descriptors asks it for the object. The holder is a
// thread of the test here, and not always a good one.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "world.h"

namespace morsel::preload_test {
namespace {

constexpr size_t bytes = 2 * huge_page + 3 * page + 1;
constexpr uid_t nobody = 65534;

/// Answers one request with `text` and the descriptor that `object` gives, or none.
class Holder {
 public:
  Holder(const std::string& text, const std::function<int()>& object)
      : listener_(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = store() + "/socket";
    unlink(path.c_str());
    std::memcpy(address.sun_path, path.c_str(), path.size());
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(chmod(path.c_str(), 0777), 0);
    EXPECT_EQ(listen(listener_, 4), 0);
    thread_ = std::thread([this, text, object] { serve(text, object); });
  }
  ~Holder() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
    unlink((store() + "/socket").c_str());
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  [[nodiscard]] const std::string& request() const { return request_; }

 private:
  void serve(const std::string& text, const std::function<int()>& object) {
    const int peer = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (peer < 0) return;
    char buffer[1024];
    const ssize_t size = recv(peer, buffer, sizeof buffer, 0);
    if (size > 0) request_.assign(buffer, static_cast<size_t>(size));
    const int fd = object ? object() : -1;
    if (!text.empty()) {
      iovec part{const_cast<char*>(text.data()), text.size()};
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
      if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
      }
      sendmsg(peer, &message, MSG_NOSIGNAL);
    } else {
      recv(peer, buffer, sizeof buffer, 0);  // until he has lost his patience
    }
    if (fd >= 0) close(fd);
    close(peer);
  }

  int listener_;
  std::string request_;
  std::thread thread_;
};

class OtherUser : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "not root";
    if (!can_make(GetParam())) GTEST_SKIP() << "no 2-MiB pages here";
  }
};
INSTANTIATE_TEST_SUITE_P(, OtherUser, testing::Values(Kind::hugetlb, Kind::memfd),
                         [](const auto& info) { return name_of(info.param); });

enum Outcome { from_object = 10, from_file, wrong };

/// What nobody gets when he maps the file.
Outcome map_as_nobody(const Source& source) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    if (setgid(nobody) != 0 || setuid(nobody) != 0) _exit(wrong);
    const int fd = source.open();
    void* p = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED || !holds(p, 0, bytes)) _exit(wrong);
    const bool object = is_object(p);
    _exit(munmap(p, bytes) != 0 ? wrong : object ? from_object : from_file);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? static_cast<Outcome>(WEXITSTATUS(status)) : wrong;
}

TEST_P(OtherUser, AsksTheHolder) {
  const Source source(bytes);
  const Cached cached(source, GetParam());
  const Holder holder(R"({"backend":"","bytes":1})", [&] { return cached.open(); });
  EXPECT_EQ(map_as_nobody(source), from_object);
  EXPECT_EQ(holder.request(), R"({"op":"open","name":")" + source.name() + R"(","write":false})");
}

TEST_P(OtherUser, IsRefused) {
  const Source source(bytes);
  const Cached cached(source, GetParam());
  const Holder holder(R"({"error":13,"text":"no"})", nullptr);
  EXPECT_EQ(map_as_nobody(source), from_file);
}

TEST_P(OtherUser, NobodyAnswers) {
  const Source source(bytes);
  const Cached cached(source, GetParam());
  EXPECT_EQ(map_as_nobody(source), from_file);
  const Holder holder("", nullptr);  // takes the request, and hangs
  EXPECT_EQ(map_as_nobody(source), from_file);
}

TEST_P(OtherUser, GetsSomethingElse) {
  const Source source(bytes);
  const Cached cached(source, GetParam());
  {
    const Holder holder("{}", [&] { return source.open(); });
    EXPECT_EQ(map_as_nobody(source), from_file);
  }
  {
    const Holder holder("{}", [&] { return open("/dev/null", O_RDONLY); });
    EXPECT_EQ(map_as_nobody(source), from_file);
  }
  const Source other(bytes + huge_page);
  const Cached wrong_one(other, GetParam());
  const Holder holder("{}", [&] { return wrong_one.open(); });
  EXPECT_EQ(map_as_nobody(source), from_file);
}

}  // namespace
}  // namespace morsel::preload_test
