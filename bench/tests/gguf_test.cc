// SPDX-License-Identifier: MIT
// make-model's parts: the file is what the layout says, and does not depend on the threads.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "layout.h"
#include "model_file.h"
#include "vocabulary.h"
#include "weights.h"

namespace morsel::bench {
namespace {

constexpr Shape tiny{.name = "tiny",
                     .embedding = 256,
                     .blocks = 2,
                     .feed_forward = 512,
                     .heads = 4,
                     .context = 64,
                     .vocabulary = 40,
                     .file_bytes = 0};

Vocabulary some_vocabulary() {
  Vocabulary vocabulary{.tokens = {"<unk>", "<s>", "</s>", "a", "b"},
                        .scores = {0, 0, 0, -1, -2},
                        .types = {2, 3, 3, 1, 1}};
  return vocabulary;
}

class GgufTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "morsels-gguf-" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const char* name) const { return folder_ + "/" + name; }

  static std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string folder_;
};

TEST_F(GgufTest, FileIsAsLongAsPlanned) {
  const Layout layout = plan_layout(tiny, some_vocabulary());
  write_model({path("model"), {}}, layout, 1, 1);
  EXPECT_EQ(std::filesystem::file_size(path("model")), layout.file_bytes);
  EXPECT_FALSE(std::filesystem::exists(path("model.part")));
}

TEST_F(GgufTest, BytesDependOnTheSeedAndNotOnTheThreads) {
  const Layout layout = plan_layout(tiny, some_vocabulary());
  write_model({path("one"), {}}, layout, 1, 1);
  write_model({path("three"), {}}, layout, 1, 3);
  write_model({path("other"), {}}, layout, 2, 1);
  EXPECT_EQ(content(path("one")), content(path("three")));
  EXPECT_NE(content(path("one")), content(path("other")));
}

TEST_F(GgufTest, WritesIntoTheMiddleOfAFile) {
  const Layout layout = plan_layout(tiny, some_vocabulary());
  write_model({path("own"), {}}, layout, 1, 1);
  std::ofstream(path("image")) << std::string(layout.file_bytes + 10000, 'x');
  write_model({path("image"), 5000}, layout, 1, 2);
  const std::string image = content(path("image"));
  EXPECT_EQ(image.substr(0, 5000), std::string(5000, 'x'));
  EXPECT_EQ(image.substr(5000, layout.file_bytes), content(path("own")));
  EXPECT_EQ(image.substr(5000 + layout.file_bytes), std::string(5000, 'x'));
}

TEST_F(GgufTest, MetadataIsPaddedToTheSizeThatTheShapeAsksFor) {
  Shape shape = tiny;
  shape.file_bytes = plan_layout(tiny, some_vocabulary()).file_bytes + uint64_t{32} * 100;
  EXPECT_EQ(plan_layout(shape, some_vocabulary()).file_bytes, shape.file_bytes);
  shape.file_bytes = 32;
  EXPECT_THROW(plan_layout(shape, some_vocabulary()), std::runtime_error);
}

TEST_F(GgufTest, ShardsHaveTheTensorsOfTheWholeModel) {
  const Layout whole = plan_layout(tiny, some_vocabulary());
  write_model({path("whole"), {}}, whole, 1, 2);
  const std::string all = content(path("whole"));
  const auto shards = plan_shards(tiny, some_vocabulary(), 3);
  ASSERT_EQ(shards.size(), 3U);
  size_t next = 0;
  for (const Layout& shard : shards) {
    write_model({path("shard"), {}}, shard, 1, 2);
    const std::string one = content(path("shard"));
    EXPECT_EQ(one.size(), shard.file_bytes);
    EXPECT_FALSE(shard.tensors.empty());
    for (const TensorPlan& tensor : shard.tensors) {
      const TensorPlan& same = whole.tensors.at(next++);
      EXPECT_EQ(tensor.name, same.name);
      EXPECT_EQ(one.substr(shard.header.size() + tensor.offset, tensor.bytes),
                all.substr(whole.header.size() + same.offset, same.bytes));
    }
  }
  EXPECT_EQ(next, whole.tensors.size());
}

TEST_F(GgufTest, ThereAreNoMoreShardsThanTensors) {
  const auto count = static_cast<uint16_t>(plan_layout(tiny, some_vocabulary()).tensors.size());
  for (const Layout& shard : plan_shards(tiny, some_vocabulary(), count))
    EXPECT_EQ(shard.tensors.size(), 1U);
  EXPECT_THROW(plan_shards(tiny, some_vocabulary(), count + 1), std::runtime_error);
  EXPECT_THROW(plan_shards(tiny, some_vocabulary(), 0), std::runtime_error);
}

TEST_F(GgufTest, VocabularyIsReadBackAsItWasWritten) {
  write_model({path("model"), {}}, plan_layout(tiny, some_vocabulary()), 1, 1);
  const Vocabulary read = read_vocabulary(path("model"));
  ASSERT_EQ(read.tokens.size(), tiny.vocabulary);
  EXPECT_EQ(read.tokens[3], "a");
  EXPECT_EQ(read.scores[4], -2);
  EXPECT_EQ(read.types[0], 2);
  EXPECT_EQ(read.tokens[39], "<x39>");
}

TEST_F(GgufTest, RefusesWhatIsNoVocabulary) {
  std::ofstream(path("text")) << "GGUX and so on";
  EXPECT_THROW(read_vocabulary(path("text")), std::runtime_error);
  std::ofstream(path("short")) << "GGUF\x03";
  EXPECT_THROW(read_vocabulary(path("short")), std::runtime_error);
  EXPECT_THROW(read_vocabulary(path("absent")), std::runtime_error);
}

TEST(WeightsTest, BytesOfABlockAreOddAndItsScaleIsPositive) {
  const TensorPlan tensor{
      "t", 0, gguf::Tensor::q8_0, 256, 4, 0, uint64_t{4} * 256 / 32 * gguf::q8_0_bytes};
  std::vector<unsigned char> bytes(tensor.bytes);
  fill_chunk(tensor, 1, 0, bytes);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const size_t place = i % gguf::q8_0_bytes;
    if (place >= 2) {
      EXPECT_EQ(bytes[i] % 2, 1) << i;
    }
  }
  const unsigned scale = bytes[0] + bytes[1] * 256U;
  EXPECT_GT(scale, 0U);
  EXPECT_LT(scale, 0x3c00U) << "half-precision 1.0";
}

}  // namespace
}  // namespace morsel::bench
