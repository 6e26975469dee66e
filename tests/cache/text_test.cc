// SPDX-License-Identifier: MIT
#include "text.h"

#include <gtest/gtest.h>

#include "attributes.h"
#include "shards.h"
#include "size.h"

namespace morsel {
namespace {

TEST(Size, units) {
  EXPECT_EQ(*parse_size("4096"), 4096U);
  EXPECT_EQ(*parse_size("0"), 0U);
  EXPECT_EQ(*parse_size("2k"), 2048U);
  EXPECT_EQ(*parse_size("512M"), 512U << 20);
  EXPECT_EQ(*parse_size("512MiB"), 512U << 20);
  EXPECT_EQ(*parse_size("1.5GB"), 3UL << 29);
  EXPECT_EQ(*parse_size("10b"), 10U);
  EXPECT_EQ(*parse_size("8T"), 8UL << 40);
}

TEST(Size, no_sizes) {
  for (const char* text : {"", " ", "G", "-1", "+1", " 1", "1 G", "0x10", "1e", "nan", "inf",
                           "12345678901234567890", "9000P", "1.2.3", "1GG", "1iB", "bb"})
    EXPECT_FALSE(parse_size(text)) << text;
}

TEST(Text, sizes_for_people) {
  EXPECT_EQ(tool::size_text(0), "0 B");
  EXPECT_EQ(tool::size_text(1023), "1023 B");
  EXPECT_EQ(tool::size_text(7323916608), "6.82 GiB");
  EXPECT_EQ(tool::size_text(64UL << 30), "64.0 GiB");
}

TEST(Text, nothing_that_a_terminal_obeys) {
  EXPECT_EQ(tool::printable("a b-ü模"), "a b-ü模");
  EXPECT_EQ(tool::printable("\x1b[31m\n\t\x7f"), "\\x1b[31m\\n\\t\\x7f");
  EXPECT_EQ(tool::printable("\xc2\x9b\xff\xc3"), "\\xc2\\x9b\\xff\\xc3");
  EXPECT_EQ(tool::printable(std::string("\0", 1)), "\\x00");
}

TEST(Text, tables) {
  EXPECT_EQ(tool::table({{"A", "B"}, {"ü", "x"}, {"long", ""}}), "A     B\nü     x\nlong  ");
  EXPECT_EQ(tool::table({}), "");
}

TEST(Shards, all_of_a_model) {
  const std::vector<std::string> three{"/m/x-00001-of-00003.gguf", "/m/x-00002-of-00003.gguf",
                                       "/m/x-00003-of-00003.gguf"};
  for (const std::string& each : three) EXPECT_EQ(shards_of(each), three);
  EXPECT_EQ(shards_of("-00001-of-00001.gguf").size(), 1U);
  EXPECT_EQ(shards_of("x-00001-of-99999.gguf").size(), 99999U);
}

TEST(Shards, none) {
  for (const char* path : {"", "x", "model.gguf", "x-00000-of-00003.gguf", "x-00004-of-00003.gguf",
                           "x-0001-of-0003.gguf", "x-00001-of-00003.bin", "x-00001-of-00003.gguf/y",
                           "x-0000a-of-00003.gguf"})
    EXPECT_EQ(shards_of(path), std::vector<std::string>{path});
}

TEST(Attributes, any_path) {
  for (const std::string& path :
       {std::string("/a b\n"), std::string("/\xff\xfe"), std::string("/ü\"\\"), std::string()}) {
    Attributes attributes;
    attributes.source = attributes.model = path;
    attributes.loaded_at = 1234567890123;
    attributes.loaded_by = 4294967294U;
    const Attributes read = Attributes::parse(attributes.text());
    EXPECT_EQ(read.source, path);
    EXPECT_EQ(read.model, path);
    EXPECT_EQ(read.loaded_at, attributes.loaded_at);
    EXPECT_EQ(read.loaded_by, attributes.loaded_by);
  }
}

TEST(Attributes, garbage_is_empty) {
  for (const char* text :
       {"", "{", "[]", "1", R"({"source":1})", R"({"source":["x"],"loaded_at":"x"})"})
    EXPECT_EQ(Attributes::parse(text).source, "") << text;
}

}  // namespace
}  // namespace morsel
