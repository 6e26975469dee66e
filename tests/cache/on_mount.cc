// SPDX-License-Identifier: MIT
// The cache and named objects on a mount of morselfs: what the tests of this machine can't show.
#include <morsel/morsel.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>

#include "../vm/disk.h"
#include "../vm/harness.h"
#include "cache.h"
#include "mapping.h"

using namespace morsel;

namespace {

constexpr uint64_t source_bytes = (3 << 20) + 5;

/// The stores go with it: the mount has to be as it was.
class CleanMount {
 public:
  CleanMount() {
    if (!harness::is_morselfs()) SKIP("needs morselfs");
  }
  ~CleanMount() { std::filesystem::remove_all(harness::mount_dir() + "/.morsel"); }
};

std::string make_source(const std::string& name, uint64_t bytes = source_bytes) {
  std::string text(bytes, 0);
  for (uint64_t i = 0; i < bytes; ++i) text[i] = char(i * 2654435761 >> 16);
  std::ofstream(name) << text;
  return name;
}

std::vector<LoadedFile> load_here(const std::string& path) {
  LoadOptions options;
  options.backend = MORSEL_MORSELFS;
  options.limit = UINT64_MAX;
  auto loaded = load(path, options);
  if (!loaded) FAIL("load: %s", loaded.error().text.c_str());
  return *loaded;
}

struct stat state_of(const std::string& path) {
  struct stat state;
  SYS(stat(path.c_str(), &state));
  return state;
}

}  // namespace

// Past the page cache, so that the source does not take memory twice.
TEST(cache_loads_from_disk) {
  const CleanMount clean;
  mount_disk();
  constexpr uint64_t bytes = (40 << 20) + 5 * page;
  const int fd = make_file("disk/model", 7, bytes);
  SYS(chmod("disk/model", 0644));
  SYS(fsync(fd));
  SYS(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
  CHECK(!load_here("disk/model").front().was_there);

  auto copy = find_copy(state_of("disk/model"));
  CHECK(copy);
  auto mapping = map_object(**copy, MORSEL_READ);
  CHECK(mapping);
  CHECK_FILLED((*mapping)->region.at(), 7, 0, bytes);

  char* view = map(fd, bytes, PROT_READ, MAP_SHARED);
  unsigned char cached[bytes / page];
  SYS(mincore(view, bytes, cached));
  size_t count = 0;
  for (unsigned char one : cached) count += one & 1;
  CHECK(count < bytes / page / 4);
  SYS(munmap(view, bytes));
  close(fd);
  unmount_disk();
}

TEST(cache_loads_and_finds) {
  const CleanMount clean;
  const std::string path = make_source("model");
  SYS(chmod(path.c_str(), 0640));
  SYS(chmod(".", 0755));  // what is above the source counts, too
  CHECK(!load_here(path).front().was_there);
  CHECK(load_here(path).front().was_there);

  auto copy = find_copy(state_of(path));
  CHECK(copy);
  CHECK(morsel_is_sealed(copy->get()) == 1);
  struct stat state;
  SYS(fstat((*copy)->fd.get(), &state));
  CHECK_EQ(state.st_mode & 07777, 0440);
  CHECK_EQ(mtime_of(state), mtime_of(state_of(path)));
  auto mapping = map_object(**copy, MORSEL_READ);
  CHECK(mapping);
  std::string text(source_bytes, 0);
  std::ifstream(path).read(text.data(), source_bytes);
  CHECK(memcmp(text.data(), (*mapping)->region.at(), source_bytes) == 0);

  const auto files = list_files();
  CHECK(files);
  CHECK_EQ(files->size(), 1);
  const CachedFile& file = files->front();
  CHECK(file.attributes.source == std::filesystem::canonical(path));
  CHECK(file.freshness == Freshness::fresh);
  CHECK(file.entry.in_use);
  CHECK_EQ(remove_file(file, true).error().code, -EBUSY);
  mapping->reset();
  CHECK(remove_file(file, true));
  CHECK(!find_copy(state_of(path)));
}

TEST(cache_sees_plain_mappings) {
  const CleanMount clean;
  const std::string path = make_source("model");
  load_here(path);
  auto copy = find_copy(state_of(path));
  CHECK(copy);
  // Of a program that knows nothing of flocks.
  void* at = SYS(mmap(nullptr, source_bytes, PROT_READ, MAP_SHARED, (*copy)->fd.get(), 0));
  CHECK(list_files()->front().entry.in_use);
  SYS(munmap(at, source_bytes));
  CHECK(!list_files()->front().entry.in_use);
}

TEST(cache_knows_stale_files) {
  const CleanMount clean;
  const std::string path = make_source("model");
  load_here(path);
  std::ofstream(path, std::ios::app) << "more";
  CHECK(!find_copy(state_of(path)));
  CHECK(list_files()->front().freshness == Freshness::changed);
  CHECK(!load_here(path).front().was_there);
  CHECK_EQ(list_files()->size(), 2);
  CHECK_EQ(shrink_cache(source_bytes + 4, {})->size(), 1);
  CHECK(find_copy(state_of(path)));
}

TEST(cache_is_left_nothing_by_killed_loaders) {
  const CleanMount clean;
  const std::string path = make_source("model", 64 << 20);
  load_here(make_source("other"));
  CHECK(remove_file(list_files()->front(), false));
  const uint64_t before = harness::free_bytes();
  for (int i = 0; i < 8; ++i) {
    int ends[2];
    SYS(pipe(ends));
    const pid_t loader = harness::spawn([&] {
      LoadOptions options;
      options.backend = MORSEL_MORSELFS;
      options.limit = UINT64_MAX;
      // The i-th time that something is heard of it.
      int times = 0;
      options.progress = [&](uint64_t, uint64_t) {
        if (times++ == i && write(ends[1], "x", 1) == 1) pause();
      };
      (void)load(path, options);
      _exit(write(ends[1], "y", 1) == 1 ? 0 : 1);
    });
    char word = 0;
    CHECK_EQ(SYS(read(ends[0], &word, 1)), 1);
    SYS(kill(loader, SIGKILL));
    SYS(waitpid(loader, nullptr, 0));
    close(ends[0]);
    close(ends[1]);
    const auto files = list_files();
    CHECK(files);
    for (const CachedFile& file : *files) CHECK(remove_file(file, false));
    CHECK_EQ(harness::free_bytes(), before);
  }
}

TEST(cache_names_objects) {
  const CleanMount clean;
  morsel_options options{};
  options.struct_size = sizeof options;
  options.backend = MORSEL_MORSELFS;
  options.name = "a name";
  morsel_object *object, *opened;
  morsel_error why;
  if (morsel_create(source_bytes, &options, &object, &why) != 0) FAIL("create: %s", why.text);
  CHECK_EQ(morsel_create(source_bytes, &options, &opened, &why), -EEXIST);
  CHECK_EQ(morsel_open("a name", MORSEL_READ_WRITE, &opened, &why), 0);
  morsel_close(opened);
  CHECK_EQ(morsel_seal(object, &why), 0);
  CHECK_EQ(morsel_open("a name", MORSEL_READ_WRITE, &opened, &why), -EPERM);
  CHECK_EQ(morsel_open("a name", MORSEL_READ, &opened, &why), 0);
  morsel_close(opened);
  CHECK_EQ(morsel_remove("a name", &why), 0);
  CHECK_EQ(morsel_open("a name", MORSEL_READ, &opened, &why), -ENOENT);
  morsel_close(object);
}
