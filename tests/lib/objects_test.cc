// SPDX-License-Identifier: MIT
//
// Making objects, their size, seals, statistics.
#include <fcntl.h>
#include <sys/stat.h>

#include "fixture.h"

using namespace conformance;

CONFORMANCE_SUITE(Objects);

namespace {

constexpr uint64_t odd = 5 * mib + 100;

// The size that an object of `bytes` gets.
uint64_t sized(morsel_backend backend, uint64_t bytes) {
  return backend == MORSEL_HUGETLB ? (bytes + 2 * mib - 1) / (2 * mib) * 2 * mib : bytes;
}

morsel_statistics statistics(const Object& object) {
  morsel_statistics all{};
  all.struct_size = sizeof all;
  EXPECT_EQ(morsel_stat(object.get(), &all, nullptr), 0);
  return all;
}

int create_error(uint64_t bytes, const morsel_options& options) {
  morsel_object* object = nullptr;
  morsel_error error;
  int result = morsel_create(bytes, &options, &object, &error);
  EXPECT_EQ(error.code, result);
  EXPECT_EQ(strlen(error.text) > 0, result < 0) << error.text;
  EXPECT_EQ(object, nullptr);
  morsel_close(object);
  return result;
}

}  // namespace

TEST_P(Objects, has_its_size_and_all_its_memory) {
  for (uint64_t bytes : {uint64_t(1), uint64_t(4096), 2 * mib, odd}) {
    Object object = create(bytes);
    EXPECT_EQ(morsel_bytes(object.get()), sized(GetParam(), bytes));
    EXPECT_EQ(morsel_backend_of(object.get()), GetParam());
    EXPECT_STREQ(morsel_fallback(object.get()), "");
    EXPECT_GE(statistics(object).resident, bytes);
    EXPECT_LE(statistics(object).resident, bytes + 2 * mib);
    EXPECT_EQ(fcntl(morsel_fd(object.get()), F_GETFD), FD_CLOEXEC);
    struct stat st;
    ASSERT_EQ(fstat(morsel_fd(object.get()), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600U);
  }
}

TEST_P(Objects, is_zero_though_memory_was_used_before) {
  for (int round = 0; round < 3; round++) {
    Object object = create(16 * mib);
    Map mapping = map(object, MORSEL_READ_WRITE);
    EXPECT_TRUE(is_zero(mapping));
    fill(mapping, 1);
  }
}

TEST_P(Objects, from_a_descriptor) {
  Object object = create(odd);
  fill(map(object, MORSEL_READ_WRITE), 3);
  Object other = from_fd(morsel_fd(object.get()));
  object.reset();
  EXPECT_EQ(morsel_backend_of(other.get()), GetParam());
  EXPECT_EQ(morsel_bytes(other.get()), sized(GetParam(), odd));
  EXPECT_TRUE(has(map(other, MORSEL_READ), 3));
}

TEST_P(Objects, grows_with_zeros_and_is_cut) {
  Object object = create(odd);
  fill(map(object, MORSEL_READ_WRITE), 5);
  for (uint64_t bytes : {9 * mib + 8, odd, 2 * mib, 3 * mib, 8192 * uint64_t(1), 7 * mib}) {
    uint64_t before = morsel_bytes(object.get());
    ASSERT_EQ(morsel_resize(object.get(), bytes, nullptr), 0);
    uint64_t now = sized(GetParam(), bytes);
    EXPECT_EQ(morsel_bytes(object.get()), now);
    EXPECT_GE(statistics(object).resident, bytes);
    Map mapping = map(object, MORSEL_READ_WRITE);
    for (uint64_t i = before; i < now; i++)
      if (*at(mapping, i) != 0) FAIL() << "byte " << i << " of " << now << " is not zero";
    fill(mapping, 6);
  }
  EXPECT_EQ(morsel_resize(object.get(), 0, nullptr), -EINVAL);
  EXPECT_EQ(morsel_resize(object.get(), UINT64_MAX, nullptr), -EINVAL);
}

// What was written behind the end, in the last page, is not seen when the object grows.
TEST_P(Objects, grows_with_zeros_where_somebody_wrote_behind_the_end) {
  if (GetParam() == MORSEL_HUGETLB) GTEST_SKIP() << "there is nothing behind the end";
  Object object = create(odd);
  {
    Map mapping = map(object, MORSEL_READ_WRITE);
    memset(at(mapping, odd), 7, 1000);
  }
  ASSERT_EQ(morsel_resize(object.get(), 9 * mib, nullptr), 0);
  Map mapping = map(object, MORSEL_READ);
  for (uint64_t i = odd; i < odd + 4096; i++) ASSERT_EQ(*at(mapping, i), 0) << i;
}

TEST_P(Objects, can_not_grow_beyond_memory) {
  Object object = create(4 * mib);
  fill(map(object, MORSEL_READ_WRITE), 5);
  morsel_error error;
  int result = morsel_resize(object.get(), uint64_t(1) << 45, &error);
  EXPECT_TRUE(result == -ENOSPC || result == -ENOMEM) << error.text;
  EXPECT_EQ(morsel_bytes(object.get()), 4 * mib);
  EXPECT_TRUE(has(map(object, MORSEL_READ), 5));
}

TEST_P(Objects, can_not_be_larger_than_memory) {
  morsel_options options{sizeof options, GetParam(), nullptr, 0, nullptr};
  if (GetParam() == MORSEL_MORSELFS) options.directory = settings.directory.c_str();
  int result = create_error(uint64_t(1) << 45, options);
  EXPECT_TRUE(result == -ENOSPC || result == -ENOMEM) << result;
  morsel_error error;
  if (GetParam() != MORSEL_MORSELFS) {
    EXPECT_LT(morsel_backend_probe(GetParam(), uint64_t(1) << 45, &error), 0);
    EXPECT_NE(strlen(error.text), 0U);
  }
}

TEST_P(Objects, sealed_nobody_can_change_it) {
  SKIP_UNLESS_SEALABLE();
  Object object = create(odd);
  Object other = from_fd(morsel_fd(object.get()));
  fill(map(object, MORSEL_READ_WRITE), 2);
  EXPECT_EQ(morsel_is_sealed(object.get()), 0);
  seal(object);
  for (const Object* each : {&object, &other}) {
    EXPECT_EQ(morsel_is_sealed(each->get()), 1);
    morsel_mapping* mapping = nullptr;
    EXPECT_EQ(morsel_map(each->get(), MORSEL_READ_WRITE, &mapping, nullptr), -EPERM);
    EXPECT_EQ(morsel_resize(each->get(), 2 * mib, nullptr), -EPERM);
    EXPECT_EQ(morsel_resize(each->get(), 9 * mib, nullptr), -EPERM);
    EXPECT_EQ(morsel_seal(each->get(), nullptr), -EPERM);
    EXPECT_TRUE(has(map(*each, MORSEL_READ), 2));
  }
  // Nor without the library, by a descriptor that was open for writing.
  int fd = morsel_fd(other.get());
  EXPECT_LT(ftruncate(fd, 4096), 0);
  EXPECT_LT(pwrite(fd, "x", 1, 0), 0);
  EXPECT_LT(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 * mib), 0);
  EXPECT_EQ(mmap(nullptr, 2 * mib, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
  EXPECT_EQ(fcntl(morsel_fd(object.get()), F_GETFL) & O_ACCMODE, O_RDONLY);
  EXPECT_EQ(fcntl(morsel_fd(object.get()), F_GETFD), FD_CLOEXEC);
  Object third = from_fd(fd);
  EXPECT_EQ(morsel_is_sealed(third.get()), 1);
}

TEST_P(Objects, can_not_be_sealed_while_somebody_writes) {
  SKIP_UNLESS_SEALABLE();
  Object object = create(odd);
  Map writer = map(object, MORSEL_READ_WRITE);
  Map reader = map(object, MORSEL_READ);
  morsel_error error;
  EXPECT_EQ(morsel_seal(object.get(), &error), -EBUSY);
  EXPECT_NE(strlen(error.text), 0U);
  EXPECT_EQ(morsel_is_sealed(object.get()), 0);
  *at(writer) = 1;
  writer.reset();
  seal(object);  // readers don't matter
  EXPECT_EQ(*at(reader), 1);
}

TEST_P(Objects, open_for_reading_only) {
  Object object = create(odd);
  fill(map(object, MORSEL_READ_WRITE), 2);
  std::string path = "/proc/self/fd/" + std::to_string(morsel_fd(object.get()));
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  Object reader = from_fd(fd);
  morsel_mapping* mapping = nullptr;
  EXPECT_EQ(morsel_map(reader.get(), MORSEL_READ_WRITE, &mapping, nullptr), -EACCES);
  EXPECT_EQ(morsel_resize(reader.get(), 4 * mib, nullptr), -EPERM);
  EXPECT_EQ(morsel_seal(reader.get(), nullptr), -EACCES);
  EXPECT_EQ(morsel_populate(reader.get(), fd, 0, 1, nullptr, nullptr, nullptr), -EACCES);
  close(fd);
  EXPECT_TRUE(has(map(reader, MORSEL_READ), 2));
}

TEST_P(Objects, statistics_know_sizes_of_structures) {
  Object object = create(odd);
  struct {
    morsel_statistics known;
    uint64_t more[4];
  } newer;
  memset(&newer, 0xff, sizeof newer);
  newer.known.struct_size = sizeof newer;
  ASSERT_EQ(morsel_stat(object.get(), &newer.known, nullptr), 0);
  EXPECT_EQ(newer.known.bytes, sized(GetParam(), odd));
  EXPECT_EQ(newer.more[0] | newer.more[3], 0U);
  morsel_statistics older;
  memset(&older, 0xff, sizeof older);
  older.struct_size = offsetof(morsel_statistics, huge);
  ASSERT_EQ(morsel_stat(object.get(), &older, nullptr), 0);
  EXPECT_EQ(older.huge, UINT64_MAX);
  for (size_t size : {size_t(0), SIZE_MAX}) {
    older.struct_size = size;
    EXPECT_EQ(morsel_stat(object.get(), &older, nullptr), -EINVAL);
  }
}

TEST_P(Objects, statistics_of_pages) {
  Object object = create(6 * mib);
  morsel_statistics all = statistics(object);
  if (GetParam() == MORSEL_HUGETLB) {
    EXPECT_EQ(all.huge, 6 * mib);
  }
  EXPECT_LE(all.huge, all.resident);
  EXPECT_EQ(all.mappings, 0U);
  if (GetParam() != MORSEL_MORSELFS) return;
  EXPECT_GT(all.table_bytes, 0U);
  Map mapping = map(object, MORSEL_READ);
  EXPECT_EQ(statistics(object).mappings, 1U);
}

TEST_P(Objects, large_pages) {
  Object object = create(6 * mib);
  morsel_moved moved{};
  morsel_error error;
  moved.struct_size = sizeof moved;
  EXPECT_EQ(morsel_set_huge(object.get(), morsel_huge(4), &error), -EINVAL);
  if (GetParam() != MORSEL_MORSELFS) {
    EXPECT_EQ(statistics(object).huge_policy, MORSEL_HUGE_MOUNT);
    EXPECT_EQ(morsel_set_huge(object.get(), MORSEL_HUGE_NEVER, &error), -EOPNOTSUPP);
    EXPECT_NE(strstr(error.text, "morselfs"), nullptr) << error.text;
    EXPECT_EQ(morsel_promote(object.get(), 0, 0, &moved, nullptr), -EOPNOTSUPP);
    EXPECT_EQ(morsel_demote(object.get(), 0, 0, nullptr, nullptr), -EOPNOTSUPP);
    return;
  }
  ASSERT_EQ(morsel_set_huge(object.get(), MORSEL_HUGE_ALWAYS, &error), 0) << error.text;
  EXPECT_EQ(statistics(object).huge_policy, MORSEL_HUGE_ALWAYS);
  ASSERT_EQ(morsel_resize(object.get(), 10 * mib, nullptr), 0);
  EXPECT_GE(statistics(object).huge, 4 * mib);
  object = create(6 * mib);
  ASSERT_EQ(morsel_set_huge(object.get(), MORSEL_HUGE_NEVER, nullptr), 0);
  const uint64_t before = statistics(object).huge;
  ASSERT_EQ(morsel_resize(object.get(), 10 * mib, nullptr), 0);
  EXPECT_EQ(statistics(object).huge, before);
  for (size_t size : {size_t(0), SIZE_MAX}) {
    moved.struct_size = size;
    EXPECT_EQ(morsel_promote(object.get(), 0, 0, &moved, nullptr), -EINVAL);
  }
}

TEST_P(Objects, dma_bufs) {
  Object object = create(6 * mib);
  morsel_error error;
  int fd = -1;
  EXPECT_EQ(morsel_export(object.get(), 0, 0, morsel_access(7), &fd, &error), -EINVAL);
  if (GetParam() != MORSEL_MORSELFS) {
    EXPECT_EQ(morsel_export(object.get(), 0, 0, MORSEL_READ, &fd, &error), -EOPNOTSUPP);
    EXPECT_NE(strstr(error.text, "morselfs"), nullptr) << error.text;
    return;
  }
  for (uint64_t offset : {uint64_t(1), uint64_t(6 * mib), UINT64_MAX - 4095}) {
    EXPECT_EQ(morsel_export(object.get(), offset, 0, MORSEL_READ, &fd, &error), -EINVAL);
    EXPECT_NE(strstr(error.text, "no part of the object"), nullptr) << error.text;
  }
  EXPECT_EQ(fd, -1);
  ASSERT_EQ(morsel_export(object.get(), 4096, 2 * mib, MORSEL_READ_WRITE, &fd, &error), 0)
      << error.text;
  EXPECT_EQ(lseek(fd, 0, SEEK_END), off_t(2 * mib));
  EXPECT_EQ(morsel_seal(object.get(), &error), -EBUSY);
  close(fd);
  seal(object);
  EXPECT_EQ(morsel_export(object.get(), 0, 0, MORSEL_READ_WRITE, &fd, &error), -EPERM);
  ASSERT_EQ(morsel_export(object.get(), 0, 0, MORSEL_READ, &fd, &error), 0) << error.text;
  EXPECT_EQ(lseek(fd, 0, SEEK_END), off_t(6 * mib));
  close(fd);
}

TEST(Policies, have_names) {
  for (unsigned policy = 0; policy < 4; policy++)
    EXPECT_EQ(morsel_huge_parse(morsel_huge_name(morsel_huge(policy)), nullptr), int(policy));
  EXPECT_EQ(morsel_huge_name(morsel_huge(4)), nullptr);
  for (const char* name : {"", "advise", "Never", static_cast<const char*>(nullptr)}) {
    morsel_error error;
    EXPECT_EQ(morsel_huge_parse(name, &error), -EINVAL);
    EXPECT_NE(strstr(error.text, "within_size"), nullptr) << error.text;
  }
}

TEST_P(Objects, bad_options) {
  morsel_options good{sizeof good, GetParam(), nullptr, 0, nullptr};
  auto with = [&](auto change) {
    morsel_options options = good;
    change(options);
    return create_error(4096, options);
  };
  EXPECT_EQ(create_error(0, good), -EINVAL);
  EXPECT_EQ(create_error(UINT64_MAX, good), -EINVAL);
  EXPECT_EQ(create_error(uint64_t(INT64_MAX), good), -EINVAL);
  EXPECT_EQ(with([](auto& o) { o.struct_size = 0; }), -EINVAL);
  EXPECT_EQ(with([](auto& o) { o.struct_size = SIZE_MAX; }), -EINVAL);
  EXPECT_EQ(with([](auto& o) { o.backend = morsel_backend(77); }), -EINVAL);
  EXPECT_EQ(with([](auto& o) { o.mode = 04755; }), -EINVAL);
  std::string longest(201, 'x');
  for (const char* name : {"", ".hidden", "..", "a/b", "/", longest.c_str()}) {
    EXPECT_EQ(with([&](auto& o) { o.name = name; }), -EINVAL) << name;
    morsel_object* object = nullptr;
    EXPECT_EQ(morsel_open(name, MORSEL_READ, &object, nullptr), -EINVAL) << name;
    EXPECT_EQ(morsel_remove(name, nullptr), -EINVAL) << name;
  }
  if (GetParam() == MORSEL_MORSELFS) {
    EXPECT_EQ(with([](auto& o) { o.directory = "/proc"; }), -EINVAL);
    EXPECT_EQ(with([](auto& o) { o.directory = "/not there"; }), -EINVAL);
  }
  struct {
    morsel_options known;
    uint64_t more;
  } newer{good, 0};
  newer.known.struct_size = sizeof newer;
  if (GetParam() == MORSEL_MORSELFS) newer.known.directory = settings.directory.c_str();
  morsel_object* object = nullptr;
  ASSERT_EQ(morsel_create(4096, &newer.known, &object, nullptr), 0);
  morsel_close(object);
  newer.more = 1;
  EXPECT_EQ(create_error(4096, newer.known), -E2BIG);
}

TEST_P(Objects, of_any_backend_say_why) {
  morsel_object* raw = nullptr;
  morsel_error error;
  ASSERT_EQ(morsel_create(odd, nullptr, &raw, &error), 0) << error.text;
  Object object(raw);
  std::string fallback = morsel_fallback(raw);
  switch (morsel_backend_of(raw)) {
    case MORSEL_MORSELFS:
      EXPECT_EQ(fallback, "");
      break;
    case MORSEL_MEMFD:
      EXPECT_NE(fallback.find("; hugetlb: "), std::string::npos) << fallback;
      [[fallthrough]];
    default:
      EXPECT_EQ(fallback.find("morselfs: "), 0U) << fallback;
  }
  EXPECT_EQ(morsel_backend_probe(MORSEL_ANY, odd, &error), 0) << error.text;
}

TEST_P(Objects, not_from_every_descriptor) {
  morsel_object* object = nullptr;
  auto from = [&](int fd) {
    int result = morsel_from_fd(fd, &object, nullptr);
    if (fd >= 0) close(fd);
    return result;
  };
  EXPECT_EQ(from(-1), -EBADF);
  EXPECT_EQ(from(open("/", O_RDONLY)), -EINVAL);
  EXPECT_EQ(from(open("/dev/null", O_RDWR)), -EINVAL);
  EXPECT_EQ(from(open("/proc/self/maps", O_RDONLY)), -EINVAL);
  EXPECT_EQ(from(socket(AF_UNIX, SOCK_STREAM, 0)), -EINVAL);
  EXPECT_EQ(from(memfd_create("empty", 0)), -EINVAL);
  Object real = create(4096);
  std::string path = "/proc/self/fd/" + std::to_string(morsel_fd(real.get()));
  EXPECT_EQ(from(open(path.c_str(), O_WRONLY)), -EINVAL);
  EXPECT_EQ(from(open(path.c_str(), O_PATH)), -EINVAL);
}
