// SPDX-License-Identifier: MIT
// Objects with names, by the C interface, in a holder that is started on demand.
#include <morsel/morsel.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>

#include "holder_client.h"
#include "holder_link.h"
#include "temporary.h"

namespace morsel {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;  // the sanitizer's own memory faults, too
#else
constexpr bool sanitized = false;
#endif

class Named : public TemporaryDirectory, public testing::WithParamInterface<morsel_backend> {
 protected:
  void SetUp() override {
    if (!getenv("MORSEL_COMMAND")) GTEST_SKIP() << "MORSEL_COMMAND is not set";
    setenv("MORSEL_RUNTIME", path("runtime").c_str(), 1);
    if (morsel_backend_probe(GetParam(), bytes, &error_) != 0) GTEST_SKIP() << error_.text;
  }
  void TearDown() override {
    using nlohmann::json;
    auto talk = ask_holder(path("runtime"), false, json::object({{"op", "stop"}}));
    // When it closes the connection it is through.
    if (talk) (void)ask(talk->connection.get(), json::object({{"op", "stop"}}));
  }

  int create(const char* name, unsigned mode = 0, uint64_t bytes = Named::bytes) {
    morsel_options options{};
    options.struct_size = sizeof options;
    options.backend = GetParam();
    options.name = name;
    options.mode = mode;
    morsel_object* object = nullptr;
    const int code = morsel_create(bytes, &options, &object, &error_);
    if (code == 0) object_.reset(object);
    return code;
  }
  int open(const char* name, morsel_access access) {
    morsel_object* object = nullptr;
    const int code = morsel_open(name, access, &object, &error_);
    if (code == 0) opened_.reset(object);
    return code;
  }

  /// In the end: the holder does its work after it has answered.
  [[nodiscard]] bool can_be_opened_by_link(const std::string& name) const {
    for (int i = 0; i < 10'000; i++) {
      if (open_by_link(path("runtime"), "name-" + name)) return true;
      usleep(1000);
    }
    return false;
  }
  static long faults() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
  }

  static constexpr uint64_t bytes = 2 << 20;
  struct Close {
    void operator()(morsel_object* object) const { morsel_close(object); }
  };
  std::unique_ptr<morsel_object, Close> object_, opened_;
  morsel_error error_{};
};

TEST_P(Named, opened_by_another_process) {
  ASSERT_EQ(create("model"), 0) << error_.text;
  morsel_mapping* mapping = nullptr;
  ASSERT_EQ(morsel_map(object_.get(), MORSEL_READ_WRITE, &mapping, &error_), 0) << error_.text;
  strcpy(static_cast<char*>(morsel_address(mapping)), "hello");
  const pid_t child = fork();
  if (child == 0) {
    morsel_mapping* seen = nullptr;
    const bool same = open("model", MORSEL_READ) == 0 &&
                      morsel_map(opened_.get(), MORSEL_READ, &seen, nullptr) == 0 &&
                      strcmp(static_cast<char*>(morsel_address(seen)), "hello") == 0;
    _exit(same ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  morsel_unmap(mapping);
}

TEST_P(Named, has_one_owner_of_a_name) {
  ASSERT_EQ(create("model"), 0) << error_.text;
  EXPECT_EQ(create("model"), -EEXIST);
  ASSERT_EQ(morsel_remove("model", &error_), 0) << error_.text;
  EXPECT_EQ(morsel_remove("model", &error_), -ENOENT);
  EXPECT_EQ(open("model", MORSEL_READ), -ENOENT);
  EXPECT_EQ(create("model"), 0) << error_.text;
}

TEST_P(Named, is_found_by_no_other_name) {
  EXPECT_EQ(open("model", MORSEL_READ), -ENOENT);
  ASSERT_EQ(create("model"), 0) << error_.text;
  for (const char* name : {"mode", "model2", "Model", "name-model"})
    EXPECT_EQ(open(name, MORSEL_READ), -ENOENT) << name;
}

TEST_P(Named, sealed_is_opened_for_reading_only) {
  ASSERT_EQ(create("model"), 0) << error_.text;
  EXPECT_EQ(open("model", MORSEL_READ_WRITE), 0) << error_.text;
  opened_.reset();
  ASSERT_EQ(morsel_seal(object_.get(), &error_), 0) << error_.text;
  EXPECT_EQ(open("model", MORSEL_READ_WRITE), -EPERM);
  ASSERT_EQ(open("model", MORSEL_READ), 0) << error_.text;
  EXPECT_EQ(morsel_is_sealed(opened_.get()), 1);
  EXPECT_EQ(morsel_backend_of(opened_.get()), GetParam());
}

// A holder that has other things to do, or hangs, does not keep readers from opening.
TEST_P(Named, is_opened_without_the_holders_help) {
  ASSERT_EQ(create("model"), 0) << error_.text;
  ASSERT_EQ(morsel_seal(object_.get(), &error_), 0) << error_.text;
  // It learns by the first one who asks that the object is sealed, and keeps its tables then.
  ASSERT_EQ(open("model", MORSEL_READ), 0) << error_.text;
  ASSERT_TRUE(can_be_opened_by_link("model"));
  auto connection = connect_to_holder(path("runtime"));
  ASSERT_TRUE(connection);
  ucred holder{};
  socklen_t length = sizeof holder;
  ASSERT_EQ(getsockopt(connection->get(), SOL_SOCKET, SO_PEERCRED, &holder, &length), 0);
  ASSERT_EQ(kill(holder.pid, SIGSTOP), 0);
  const int code = open("model", MORSEL_READ);
  kill(holder.pid, SIGCONT);
  EXPECT_EQ(code, 0) << error_.text;
  EXPECT_EQ(morsel_is_sealed(opened_.get()), 1);
}

// One page brings all others where the holder keeps the tables, and morsel_touch() knows it.
TEST_P(Named, kept_tables_are_touched_once) {
  constexpr uint64_t larger = 8 << 20;
  if (morsel_backend_probe(GetParam(), larger, &error_) != 0) GTEST_SKIP() << error_.text;
  ASSERT_EQ(create("model", 0, larger), 0) << error_.text;
  ASSERT_EQ(morsel_seal(object_.get(), &error_), 0) << error_.text;
  for (const bool kept : {false, true}) {  // by the holder, which begins to keep them; by the link
    SCOPED_TRACE(kept);
    ASSERT_EQ(open("model", MORSEL_READ), 0) << error_.text;
    morsel_mapping* mapping = nullptr;
    ASSERT_EQ(morsel_map(opened_.get(), MORSEL_READ, &mapping, &error_), 0) << error_.text;
    const long before = faults();
    morsel_touch(mapping);
    const long touched = faults();
    for (uint64_t at = 0; at < larger; at += 4096)
      EXPECT_EQ(static_cast<volatile char*>(morsel_address(mapping))[at], 0);
    const long after = faults();
    morsel_unmap(mapping);
    if (!sanitized) {
      EXPECT_EQ(after - touched, 0);
    }
    if (!sanitized && kept && GetParam() == MORSEL_HUGETLB) {
      EXPECT_EQ(touched - before, 1);
    }
    EXPECT_TRUE(can_be_opened_by_link("model"));
  }
}

TEST_P(Named, outlives_the_handle_and_its_holder_not) {
  ASSERT_EQ(create("model"), 0) << error_.text;
  object_.reset();
  ASSERT_EQ(open("model", MORSEL_READ), 0) << error_.text;
  TearDown();
  EXPECT_EQ(morsel_bytes(opened_.get()), bytes);
  EXPECT_EQ(open("model", MORSEL_READ), -ENOENT);
  // The next one knows nothing of it.
  EXPECT_EQ(create("model"), 0) << error_.text;
}

TEST_P(Named, names_that_are_none) {
  for (const char* name : {"", "a/b", ".a", "\xff"}) EXPECT_LT(create(name), 0) << name;
  EXPECT_EQ(create(std::string(200, 'x').c_str()), 0) << error_.text;
  EXPECT_EQ(create(std::string(201, 'x').c_str()), -EINVAL);
}

INSTANTIATE_TEST_SUITE_P(Backends, Named, testing::Values(MORSEL_HUGETLB, MORSEL_MEMFD),
                         [](const auto& info) { return morsel_backend_name(info.param); });

}  // namespace
}  // namespace morsel
