// SPDX-License-Identifier: MIT
//
// Inodes: attribute slots, links' targets, extended attributes, and pages.
#include <gtest/gtest.h>

#include "pool.h"

namespace morsel::core::pool::test {
namespace {

constexpr Frame root = root_inode_frame;

struct InodeTest : testing::Test {
  Pool pool;
  Frame file = pool.create(root, "file");
};

TEST_F(InodeTest, AttributesAreWrittenInTurn) {
  for (u64 size = 1; size < 6; size++) {
    const u64 sequence = pool.attributes(file).sequence;
    const Attributes kept = pool.inode(file)->attributes[sequence % 2];
    pool.set_size(file, size);
    EXPECT_EQ(std::memcmp(&kept, &pool.inode(file)->attributes[sequence % 2], sizeof(kept)), 0);
    EXPECT_EQ(pool.attributes(file).sequence, sequence + 1);
    EXPECT_EQ(pool.attributes(file).size, size);
  }
}

TEST_F(InodeTest, AnAttributeSlotThatIsWrongLeavesTheOtherOne) {
  pool.set_size(file, 5);
  pool.set_size(file, 6);
  Attributes& newer = pool.inode(file)->attributes[pool.attributes(file).sequence % 2];
  for (u64 bit = 0; bit < 8 * sizeof(Attributes); bit++) {
    u8* byte = reinterpret_cast<u8*>(&newer) + bit / 8;
    *byte ^= 1U << bit % 8;
    ASSERT_EQ(pool.attributes(file).size, 5u) << bit;
    *byte ^= 1U << bit % 8;
  }
  EXPECT_EQ(pool.attributes(file).size, 6u);
  newer.crc++;
  pool.inode(file)->attributes[1 - pool.attributes(file).sequence % 2] = {};
  EXPECT_TRUE(pool.mount().ok());
  EXPECT_TRUE(pool.seen.findings.empty()) << "one slot is enough";
}

TEST_F(InodeTest, AHeaderIsWholeInItsOwnFrameOnly) {
  InodeHeader header = pool.inode(file)->header;
  EXPECT_TRUE(is_whole(header, file));
  EXPECT_FALSE(is_whole(header, file + 1));
  for (u64 bit = 0; bit < 8 * sizeof(header); bit++) {
    u8* byte = reinterpret_cast<u8*>(&header) + bit / 8;
    *byte ^= 1U << bit % 8;
    EXPECT_FALSE(is_whole(header, file)) << bit;
    *byte ^= 1U << bit % 8;
  }
}

TEST_F(InodeTest, AllTypesAreKnownAndNoOther) {
  unsigned known = 0;
  for (u32 type = 0; type < 0200000; type += 010000) known += is_type(type);
  EXPECT_EQ(known, 7u);
  for (const u32 type :
       {type_fifo, type_char, type_directory, type_block, type_regular, type_socket})
    pool.create(root, std::to_string(type), type);
  pool.symlink(root, "link", "target");
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_TRUE(pool.seen.findings.empty());
  EXPECT_EQ(pool.seen.objects.size(), 8u);
}

TEST_F(InodeTest, LinksOfAnyLength) {
  for (const u64 bytes : {1UL, 100UL, link_bytes_limit}) {
    const Frame link = pool.symlink(root, std::to_string(bytes), std::string(bytes, 'x'));
    EXPECT_TRUE(is_whole_link(pool.media, *pool.inode(link)));
    u8* text = in_frame<u8>(pool.media, pool.inode(link)->link);
    EXPECT_EQ(std::strlen(reinterpret_cast<char*>(text)), bytes);
    text[bytes] = 'y';
    EXPECT_FALSE(is_whole_link(pool.media, *pool.inode(link))) << "without an end";
    text[bytes] = 0;
    text[bytes / 2] ^= 1;
    EXPECT_FALSE(is_whole_link(pool.media, *pool.inode(link)));
    text[bytes / 2] ^= 1;
  }
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_TRUE(pool.seen.findings.empty());
}

TEST_F(InodeTest, ExtendedAttributesAreReplacedAsAWhole) {
  const u64 used = pool.frames().used();
  const std::string largest = xattr("user.x", std::string(sizeof(Payload::data) - 10, 'x'));
  ASSERT_EQ(largest.size(), sizeof(Payload::data));
  for (const std::string& bytes : {xattr("user.a", "1"), largest, xattr("user.b", "")}) {
    ASSERT_TRUE(pool.set_xattrs(file, bytes).ok());
    EXPECT_EQ(pool.frames().used(), used + 1);
    const Payload* payload = in_frame<Payload>(pool.media, pool.inode(file)->xattrs);
    EXPECT_TRUE(is_whole_payload(pool.media, pool.inode(file)->xattrs));
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(payload->data), payload->bytes), bytes);
    ASSERT_TRUE(pool.mount().ok());
    EXPECT_TRUE(pool.seen.findings.empty());
  }
  EXPECT_EQ(pool.set_xattrs(file, largest + "x").error(), Error::too_large);
  ASSERT_TRUE(pool.set_xattrs(file, "").ok());
  EXPECT_EQ(pool.inode(file)->xattrs, 0u);
  EXPECT_EQ(pool.frames().used(), used);
}

TEST_F(InodeTest, ExtendedAttributesWithoutAFreeFrameStay) {
  ASSERT_TRUE(pool.set_xattrs(file, xattr("user.a", "1")).ok());
  while (pool.frames().get().ok()) {
  }
  const Memory before = pool.media;
  EXPECT_EQ(pool.set_xattrs(file, xattr("user.a", "2")).error(), Error::no_space);
  EXPECT_TRUE(pool.media == before);
}

TEST_F(InodeTest, ListsOfExtendedAttributesAreReadBack) {
  const auto read = [](const std::string& bytes, std::string& seen) {
    return each_xattr(reinterpret_cast<const u8*>(bytes.data()), bytes.size(),
                      [&](const u8* name, u64 name_bytes, const u8* value, u64 value_bytes) {
                        seen.append(reinterpret_cast<const char*>(name), name_bytes) += '=';
                        seen.append(reinterpret_cast<const char*>(value), value_bytes) += ' ';
                        return true;
                      });
  };
  std::string seen;
  EXPECT_TRUE(read(xattr("user.a", "1") + xattr("user.b", "") + xattr("c", "23"), seen));
  EXPECT_EQ(seen, "user.a=1 user.b= c=23 ");
  EXPECT_TRUE(read("", seen));
  const std::string good = xattr("user.a", "1");
  for (size_t bytes = 1; bytes < good.size(); bytes++)
    EXPECT_FALSE(read(good.substr(0, bytes), seen)) << bytes;
  EXPECT_FALSE(read(xattr("", "1"), seen));
  EXPECT_FALSE(read(xattr(std::string("a\0b", 3), "1"), seen));
  EXPECT_FALSE(read(xattr(std::string(name_limit + 1, 'x'), "1"), seen));
}

TEST_F(InodeTest, PagesAreInBothTwinsAfterTheNextMount) {
  for (const Index index :
       {0UL, 1UL, 511UL, 512UL, 3 * 512UL + 7, 512 * 512UL, 512 * 512 * 512UL + 5})
    pool.write(file, index, u8(index % 251));
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_TRUE(pool.seen.findings.empty());
  for (const Index index :
       {0UL, 1UL, 511UL, 512UL, 3 * 512UL + 7, 512 * 512UL, 512 * 512 * 512UL + 5}) {
    EXPECT_EQ(pool.read(file, index), int(index % 251));
    EXPECT_EQ(pool.page(file, index, Twin::rw), pool.page(file, index, Twin::ro));
  }
  EXPECT_EQ(pool.read(file, 2), -1);
  EXPECT_EQ(pool.seen.objects.at(file).leaves, 7u);
  EXPECT_EQ(pool.seen.objects.at(file).tables, 2u * 11);
}

TEST_F(InodeTest, WithoutAFrameForATableThePageIsGivenBack) {
  while (pool.frames().used() < pool.media.frames() - 2) (void)pool.frames().get();
  auto tree = pool.tree(file);
  const auto fill = [&](void* frame) { std::memset(frame, 1, frame_bytes); };
  EXPECT_EQ(fill_hole(pool.media, pool.frames(), tree, pool.sb.base, 0, fill).error(),
            Error::no_memory);
  EXPECT_EQ(pool.read(file, 0), -1);
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_FALSE(pool.seen.damaged());
}

}  // namespace
}  // namespace morsel::core::pool::test
