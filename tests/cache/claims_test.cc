// SPDX-License-Identifier: MIT
#include "holder_claims.h"

#include <gtest/gtest.h>

namespace morsel::holder {
namespace {

TEST(Claims, first_who_waits_inherits) {
  Claims claims;
  EXPECT_FALSE(claims.owner("a"));
  claims.take("a", {1, 11});
  claims.wait("a", {2, 22});
  claims.wait("a", {3, 33});
  EXPECT_EQ(claims.owner("a")->pid, 11);

  const auto heirs = claims.leave(1);
  ASSERT_EQ(heirs.size(), 1U);
  EXPECT_EQ(heirs.at("a").client, 2U);
  EXPECT_EQ(claims.owner("a")->pid, 22);
}

TEST(Claims, who_waits_and_goes_inherits_nothing) {
  Claims claims;
  claims.take("a", {1, 11});
  claims.wait("a", {2, 22});
  EXPECT_TRUE(claims.leave(2).empty());
  EXPECT_TRUE(claims.leave(1).empty());
  EXPECT_FALSE(claims.owner("a"));
}

TEST(Claims, all_who_wait_learn_of_a_publication) {
  Claims claims;
  claims.take("a", {1, 11});
  claims.take("b", {1, 11});
  claims.wait("a", {2, 22});
  claims.wait("a", {3, 33});
  EXPECT_EQ(claims.published("a").size(), 2U);
  EXPECT_TRUE(claims.published("a").empty());
  EXPECT_FALSE(claims.owner("a"));
  EXPECT_TRUE(claims.owner("b"));
}

TEST(Claims, of_all_names_of_one_who_goes) {
  Claims claims;
  claims.take("a", {1, 11});
  claims.take("b", {1, 11});
  claims.take("c", {2, 22});
  claims.wait("b", {2, 22});
  EXPECT_EQ(claims.leave(1).size(), 1U);
  EXPECT_FALSE(claims.owner("a"));
  EXPECT_EQ(claims.owner("b")->client, 2U);
  EXPECT_EQ(claims.owner("c")->client, 2U);
}

}  // namespace
}  // namespace morsel::holder
