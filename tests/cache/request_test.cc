// SPDX-License-Identifier: MIT
// The parser of requests, which anybody on the machine may send. What a whole holder makes of bad
// ones: holder_test.py.
#include "holder_request.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <random>

namespace morsel::holder {
namespace {

using nlohmann::json;

json publish() {
  return {{"op", "publish"}, {"name", "name-x"},     {"attributes", json::object()},
          {"mode", 0600},    {"backend", "hugetlb"}, {"bytes", 1 << 21},
          {"replace", false}};
}

TEST(Request, publish_has_all_fields) {
  json packet = publish();
  packet["attributes"] = {{"source", "/a"}};
  packet["replace"] = true;
  auto request = parse_request(packet.dump());
  ASSERT_TRUE(request) << request.error().text;
  EXPECT_EQ(request->operation, Operation::publish);
  EXPECT_EQ(request->name, "name-x");
  EXPECT_EQ(request->attributes, packet["attributes"]);
  EXPECT_EQ(request->mode, 0600U);
  EXPECT_EQ(request->backend, MORSEL_HUGETLB);
  EXPECT_EQ(request->bytes, 1U << 21);
  EXPECT_TRUE(request->replace);
}

TEST(Request, flags_may_be_missing) {
  auto request = parse_request(R"({"op":"remove","name":"file-1"})");
  ASSERT_TRUE(request);
  EXPECT_FALSE(request->if_unused);
  EXPECT_TRUE(parse_request(R"({"op":"begin","name":"file-1","wait":true})")->wait);
}

TEST(Request, another_version_is_told_from_nonsense) {
  EXPECT_EQ(parse_request(R"({"op":"hello","version":2})").error().code, -EPROTONOSUPPORT);
  EXPECT_EQ(parse_request(R"({"op":"hello"})").error().code, -EBADMSG);
}

TEST(Request, each_field_must_be_there_and_of_its_type) {
  const json wrong[] = {nullptr, -1, 1.5, "x", json::array(), json::object(), true};
  for (const char* field : {"name", "attributes", "mode", "backend", "bytes"}) {
    json packet = publish();
    packet.erase(field);
    EXPECT_FALSE(parse_request(packet.dump())) << packet;
    for (const json& value : wrong) {
      if (value.type() == publish()[field].type() && !value.is_string()) continue;
      packet[field] = value;
      EXPECT_FALSE(parse_request(packet.dump())) << packet;
    }
  }
}

TEST(Request, deep_and_long_ones) {
  for (const char* opening : {"[", "{\"a\":", "[{\"a\":"}) {
    std::string text;
    while (text.size() < 65000) text += opening;
    EXPECT_FALSE(parse_request(text));
  }
  EXPECT_FALSE(parse_request(std::string(65536, '\0')));
  EXPECT_FALSE(parse_request(""));
}

// What was changed at random is refused or is a request that keeps the rules.
TEST(Request, random_changes) {
  const char* seed = std::getenv("MORSELS_TEST_SEED");
  std::mt19937 random(seed ? std::strtoul(seed, nullptr, 10) : 1);
  const std::string seeds[] = {publish().dump(), R"({"op":"open","name":"name-x","write":false})",
                               R"({"op":"list","prefix":"name-","after":""})",
                               R"({"op":"begin","name":"file-1-2-3-4","wait":true})",
                               R"({"op":"hello","version":1})"};
  unsigned accepted = 0;
  for (int i = 0; i < 10000; ++i) {
    std::string text = seeds[random() % std::size(seeds)];
    for (unsigned changes = random() % 4; changes > 0; --changes) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = char(random());
          break;
        case 1:
          text.erase(at, random() % 8);
          break;
        case 2:
          text.insert(at, text.substr(random() % text.size(), random() % 16));
          break;
        default:
          text.insert(at, 1, "{}[],:\"\\0-e."[random() % 12]);
      }
      if (text.empty()) text.assign(1, 'x');
    }
    auto request = parse_request(text);
    if (!request) {
      EXPECT_LT(request.error().code, 0);
      continue;
    }
    ++accepted;
    EXPECT_EQ(request->name.find('/'), std::string::npos);
    EXPECT_EQ(request->name.find('\0'), std::string::npos);
    EXPECT_LE(request->name.size(), 205U);
    EXPECT_LE(request->mode, 0777U);
    EXPECT_LE(request->bytes, uint64_t(INT64_MAX));
  }
  EXPECT_GT(accepted, 100U);
}

}  // namespace
}  // namespace morsel::holder
