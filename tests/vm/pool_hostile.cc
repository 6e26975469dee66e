// SPDX-License-Identifier: MIT
//
// Pools that somebody has spoiled, checksums and all: the hardware walks their tables, so nothing
// of them may be believed. A mount is refused, or becomes read-only and refuses what is spoiled;
// the kernel says nothing about it but the module's own words (vm/run sees to that), and what is
// not spoiled can be read. DISK is a device such as /dev/pmem1.
#include <dirent.h>
#include <ftw.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "memory.h"
#include "pool_image.h"

namespace {

using namespace morsel::core;
using namespace morsel::core::pool;
using pool_image::Image;

constexpr size_t small = 40 * page, large = 3 * leaf;
constexpr const char* at = "n";

void populate(const std::string& device) {
  umount2(at, MNT_DETACH);  // what a test has left that failed
  Image(device).make();
  mkdir(at, 0755);
  SYS(mount(device.c_str(), at, "morselfs", 0, ""));
  close(make_file("n/victim", 1, small));
  int fd = make_sparse("n/large", large);
  for (off_t offset : {0UL, 7 * page, leaf, leaf + 9 * page, large - page})
    CHECK_EQ(pwrite(fd, "x", 1, offset), 1);
  close(fd);
  close(make_file("n/other", 3, small));
  SYS(setxattr("n/victim", "user.x", "value", 5, 0));
  SYS(mkdir("n/d", 0755));
  SYS(mkdir("n/d/e", 0755));
  for (int i = 0; i < 20; i++) close(make_file(("n/d/" + std::to_string(i)).c_str(), 4, page));
  SYS(symlink("target", "n/link"));
  SYS(umount(at));
}

// Looks at everything in all ways; errors are what is expected.
int visit(const char* path, const struct stat* st, int, FTW*) {
  char buffer[4096];
  (void)!listxattr(path, buffer, sizeof buffer);
  (void)!getxattr(path, "user.x", buffer, sizeof buffer);
  if (S_ISLNK(st->st_mode)) (void)!readlink(path, buffer, sizeof buffer);
  if (!S_ISREG(st->st_mode)) return 0;
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return 0;
  const size_t bytes = st->st_size < long(large) ? size_t(st->st_size) : large;
  const size_t step = bytes > small ? 7 * page : page;
  for (size_t offset = 0; offset < bytes; offset += step)
    (void)!pread(fd, buffer, page, off_t(offset));
  if (bytes > 0) {
    for (int flags : {MAP_SHARED, MAP_PRIVATE}) {
      void* m = mmap(nullptr, bytes, PROT_READ, flags, fd, 0);
      if (m == MAP_FAILED) continue;
      for (size_t offset = 0; offset < bytes; offset += step)
        (void)probe_read(static_cast<char*>(m) + offset);
      munmap(m, bytes);
    }
  }
  close(fd);
  return 0;
}

enum class Expected { damage, leftover, anything };

// Spoils a pool, mounts it, looks.
template <class Spoil>
void hostile(Spoil&& spoil, Expected expected = Expected::damage) {
  const std::string device = harness::disk();
  if (device.find("pmem") == std::string::npos) SKIP("no persistent memory");
  populate(device);
  {
    Image image(device);
    spoil(image);
  }
  for (unsigned long flags : {0UL, static_cast<unsigned long>(MS_RDONLY)}) {
    if (mount(device.c_str(), at, "morselfs", flags, "") != 0) {
      if (errno != EUCLEAN && errno != EINVAL) FAIL("mount: %s", strerror(errno));
      if (expected == Expected::leftover) FAIL("expected to be mounted, seen %s", strerror(errno));
      continue;
    }
    struct statvfs s;
    SYS(statvfs(at, &s));
    if (expected == Expected::damage) CHECK(s.f_flag & ST_RDONLY);
    if (expected == Expected::leftover && flags == 0) CHECK(!(s.f_flag & ST_RDONLY));
    int fd = open("n/other", O_RDONLY);
    if (expected != Expected::anything) {
      if (fd < 0) FAIL("other: %s", strerror(errno));
      check_file(fd, 3, 0, small);
    }
    close(fd);
    nftw(at, visit, 20, FTW_PHYS);
    SYS(umount(at));
  }
}

// The same bad value in both twins, or in one.
void set_both(Image& image, const char* name, Index index, u64 address, u64 toggled = 0) {
  Inode* inode = image.inode_called(name);
  for (const Twin twin : {Twin::rw, Twin::ro}) {
    u64* entry = image.entry(inode, twin, index);
    *entry = (address | (*entry & ~media_format().pfn_mask)) ^ toggled;
  }
}

u64 base(Image& image) { return image.superblock()->base; }

}  // namespace

TEST(hostile_leaf_beyond_the_pool) {
  hostile([](Image& i) { set_both(i, "victim", 3, base(i) + (i.frames() + 5) * page); });
}
TEST(hostile_leaf_in_the_kernel) {
  hostile([](Image& i) { set_both(i, "victim", 3, 16 << 20); });
}
TEST(hostile_leaf_at_the_end_of_addresses) {
  hostile([](Image& i) { set_both(i, "victim", 3, media_format().pfn_mask); });
}
TEST(hostile_leaf_is_its_own_table) {
  hostile([](Image& i) {
    set_both(i, "victim", 3, i.inode_called("victim")->roots[0] & media_format().pfn_mask);
  });
}
TEST(hostile_leaf_is_the_superblock) {
  hostile([](Image& i) { set_both(i, "victim", 3, base(i)); });
}
TEST(hostile_leaf_is_the_root_directory) {
  hostile([](Image& i) { set_both(i, "victim", 3, base(i) + root_inode_frame * page); });
}
TEST(hostile_leaf_of_another_file) {
  hostile([](Image& i) {
    // Files are walked in the order of their names' slots: "large" comes before "other".
    set_both(i, "large", 7,
             *i.entry(i.inode_called("victim"), Twin::ro, 3) & media_format().pfn_mask);
  });
}
TEST(hostile_leaf_is_another_files_table) {
  hostile([](Image& i) {
    set_both(i, "large", 7, i.inode_called("victim")->roots[0] & media_format().pfn_mask);
  });
}
TEST(hostile_leaf_is_free) {  // nothing is wrong with that
  hostile([](Image& i) { set_both(i, "victim", 3, base(i) + (i.frames() - 9) * page); },
          Expected::leftover);
}
TEST(hostile_reserved_bits) {
  for (int bit : {3, 4, 7, 8, 9, 10, 52, 58, 59, 62})
    hostile([=](Image& i) {
      u64* entry = i.entry(i.inode_called("victim"), Twin::rw, 3);
      *entry ^= 1UL << bit;
    });
}
TEST(hostile_leaf_for_the_kernel_only) {
  hostile([](Image& i) { *i.entry(i.inode_called("victim"), Twin::ro, 3) ^= 4; });
}
TEST(hostile_leaf_executable) {
  hostile([](Image& i) { *i.entry(i.inode_called("victim"), Twin::ro, 3) ^= 1UL << 63; });
}
TEST(hostile_leaf_writable_for_readers) {
  hostile([](Image& i) { *i.entry(i.inode_called("victim"), Twin::ro, 3) |= 2; });
}
TEST(hostile_leaf_of_a_shadow_stack) {
  hostile([](Image& i) { *i.entry(i.inode_called("victim"), Twin::ro, 3) |= 0x40; });
}
TEST(hostile_leaf_not_present) {
  hostile([](Image& i) { *i.entry(i.inode_called("victim"), Twin::ro, 3) &= ~1UL; });
}
TEST(hostile_twins_differ) {
  hostile([](Image& i) {
    u64* entry = i.entry(i.inode_called("victim"), Twin::rw, 3);
    *entry = i.entry_for(i.frames() - 9, *entry & ~media_format().pfn_mask);
  });
}
TEST(hostile_half_leaf) {
  hostile([](Image& i) { *i.entry(i.inode_called("victim"), Twin::ro, 3) = 0; },
          Expected::leftover);
  hostile([](Image& i) { *i.entry(i.inode_called("victim"), Twin::rw, 3) = 0; },
          Expected::leftover);
}
TEST(hostile_table_is_its_own_child) {
  hostile([](Image& i) {
    Inode* inode = i.inode_called("large");
    u64* entry = i.entry(inode, Twin::rw, 0, Level::pmd);
    *entry = (inode->roots[0] & media_format().pfn_mask) | media_format().table;
  });
}
TEST(hostile_table_for_both_twins) {
  hostile([](Image& i) {
    Inode* inode = i.inode_called("large");
    *i.entry(inode, Twin::ro, 0, Level::pmd) = *i.entry(inode, Twin::rw, 0, Level::pmd);
  });
  hostile([](Image& i) {
    Inode* inode = i.inode_called("victim");
    inode->roots[1] = inode->roots[0];
  });
}
TEST(hostile_table_outside) {
  for (u64 frame : {0UL, 1UL, 2UL, 3UL})
    hostile([=](Image& i) {
      *i.entry(i.inode_called("large"), Twin::rw, 0, Level::pmd) =
          i.entry_for(frame, media_format().table);
    });
  hostile([](Image& i) {
    *i.entry(i.inode_called("large"), Twin::rw, 0, Level::pmd) = (16 << 20) | media_format().table;
  });
}
TEST(hostile_table_flags) {
  for (u64 bits : {2UL, 4UL, 0x80UL, 1UL << 63, 1UL << 11, 1UL << 8})
    hostile([=](Image& i) { *i.entry(i.inode_called("large"), Twin::rw, 0, Level::pmd) ^= bits; });
}
TEST(hostile_root_word) {
  for (u64 level : {0UL, 2UL, 3UL, 4UL, 5UL, 7UL, 9UL})
    hostile([=](Image& i) {
      u64& word = i.inode_called("victim")->roots[0];
      word = (word & ~15UL) | level;
    });
  for (u64 word : {16UL << 20 | 1, ~0UL, 8UL, 1UL, 1UL << 63 | 1})
    hostile([=](Image& i) { i.inode_called("victim")->roots[1] = word; });
  hostile([](Image& i) { i.inode_called("victim")->roots[0] |= 64; });
}
TEST(hostile_root_of_another_file) {
  hostile([](Image& i) { i.inode_called("large")->roots[0] = i.inode_called("victim")->roots[0]; });
}
TEST(hostile_size) {
  for (u64 size : {1UL << 60, ~0UL, (1UL << 47) + 1, 1UL << 63})
    hostile([=](Image& i) {
      for (Attributes& slot : i.inode_called("victim")->attributes) slot.size = size;
      Image::sign(i.inode_called("victim"));
    });
  // Too small is no damage: what lies beyond goes.
  hostile(
      [](Image& i) {
        for (Attributes& slot : i.inode_called("victim")->attributes) slot.size = 5000;
        Image::sign(i.inode_called("victim"));
      },
      Expected::leftover);
}
TEST(hostile_attributes) {
  hostile([](Image& i) {
    for (Attributes& slot : i.inode_called("victim")->attributes) slot.mode = 0177777;
    Image::sign(i.inode_called("victim"));
  });
  hostile([](Image& i) {
    for (Attributes& slot : i.inode_called("victim")->attributes)
      slot.change.nanoseconds = 1UL << 40;
    Image::sign(i.inode_called("victim"));
  });
  hostile([](Image& i) {
    for (Attributes& slot : i.inode_called("victim")->attributes) slot.crc ^= 1;
  });
}
TEST(hostile_type) {
  for (u32 type : {type_link, type_directory, type_fifo, 0U, 0170000U})
    hostile([=](Image& i) {
      i.inode_called("victim")->header.type = type;
      Image::sign(i.inode_called("victim"));
    });
  hostile([](Image& i) {
    i.inode_called("d")->header.type = type_regular;
    Image::sign(i.inode_called("d"));
  });
}
TEST(hostile_inode_words) {
  for (Frame frame : {1UL, 3UL, 1UL << 40, ~0UL})
    hostile([=](Image& i) { i.inode_called("victim")->xattrs = frame; });
  for (Frame frame : {1UL, 3UL, 1UL << 40, ~0UL})
    hostile([=](Image& i) { i.inode_called("d")->names = frame; });
  for (Frame frame : {0UL, 3UL, 1UL << 40, ~0UL})
    hostile([=](Image& i) { i.inode_called("link")->link = frame; });
  hostile([](Image& i) { i.inode_called("other")->names = i.inode_called("d")->names; },
          Expected::anything);
}
TEST(hostile_link_length) {
  for (u64 bytes : {0UL, 4096UL, 1UL << 40, ~0UL})
    hostile([=](Image& i) {
      i.inode_called("link")->header.link_bytes = bytes;
      Image::sign(i.inode_called("link"));
    });
}
TEST(hostile_xattrs) {
  hostile([](Image& i) {
    auto* payload = in_frame<Payload>(i, i.inode_called("victim")->xattrs);
    payload->data[0] = 255;  // a name longer than all
    payload->data[1] = 255;
    payload->crc = payload_crc(*payload);
  });
  hostile(
      [](Image& i) { in_frame<Payload>(i, i.inode_called("victim")->xattrs)->bytes = 1UL << 40; });
}
TEST(hostile_name_targets) {
  for (Frame frame : {1UL, 2UL, 3UL, 1UL << 40, ~0UL})
    hostile([=](Image& i) { i.name("victim")->target = frame; });
  hostile([](Image& i) { i.name("victim")->target = i.inode_called("d")->names; });
  hostile(
      [](Image& i) { i.name("victim")->target = i.frame_of(i.inode_called("large")->roots[0]); });
}
TEST(hostile_directory_loops) {
  hostile([](Image& i) { i.name("e", i.name("d")->target)->target = i.name("d")->target; });
  hostile([](Image& i) { i.name("e", i.name("d")->target)->target = root_inode_frame; });
  hostile([](Image& i) {
    auto* names = in_frame<NamesFrame>(i, i.inode_called("d")->names);
    names->next = i.inode_called("d")->names;
  });
  hostile([](Image& i) { i.inode_called("d")->names = i.inode(root_inode_frame)->names; });
}
TEST(hostile_names) {
  for (const char* text : {"a/b", "..", ".", "large"})
    hostile([=](Image& i) {
      Name* name = i.name("victim");
      name->length = static_cast<u16>(strlen(text));
      memcpy(name->bytes, text, strlen(text));
      i.sign(name);
    });
  for (u16 length : {0, 256, 65535})
    hostile([=](Image& i) {
      Name* name = i.name("victim");
      name->length = static_cast<u16>(length);
      if (length <= name_limit) i.sign(name);
    });
}
TEST(hostile_root_directory) {
  hostile([](Image& i) { i.inode(root_inode_frame)->header.crc ^= 1; });
  hostile([](Image& i) {
    i.inode(root_inode_frame)->header.type = type_link;
    Image::sign(i.inode(root_inode_frame));
  });
  hostile([](Image& i) { i.inode(root_inode_frame)->xattrs = 1UL << 40; });
  hostile([](Image& i) { i.inode(root_inode_frame)->roots[0] = ~0UL; });
  hostile([](Image& i) { i.inode(root_inode_frame)->names = 1UL << 40; }, Expected::anything);
}
TEST(hostile_log) {
  const LogChange changes[] = {{3 * page, 7}, {1UL << 50, 7}, {5, 7}, {~7UL, 0}, {0, 0}};
  for (const LogChange& change : changes)
    hostile([=](Image& i) {
      LogRecord record{};
      record.magic = log_magic;
      record.count = 1;
      record.change[0] = change;
      record.crc = crc_of(record);
      memcpy(i.at(log_frame), &record, sizeof record);
      i.superblock()->clean = 0;
      Image::sign(i.superblock());
    });
}
TEST(hostile_superblock) {
  hostile([](Image& i) {
    i.superblock()->frames = 1UL << 40;
    Image::sign(i.superblock());
  });
  hostile([](Image& i) {
    i.superblock()->frames = 3;
    Image::sign(i.superblock());
  });
  hostile([](Image& i) {
    i.superblock()->version = 99;
    Image::sign(i.superblock());
  });
  hostile([](Image& i) {
    i.superblock()->incompat = 1;
    Image::sign(i.superblock());
  });
  hostile([](Image& i) {
    i.superblock()->ro_compat = 1;
    Image::sign(i.superblock());
  });
  for (u64 base : {1UL, ~0UL, 1UL << 62})
    hostile([=](Image& i) {
      i.superblock()->base = base;
      Image::sign(i.superblock());
    });
  hostile([](Image& i) {
    i.superblock()->base += 1UL << 30;
    Image::sign(i.superblock());
  });
  for (u32 phase : {1U, 2U, 3U})
    hostile(
        [=](Image& i) {
          i.superblock()->phase = static_cast<Phase>(phase);
          Image::sign(i.superblock());
        },
        Expected::anything);
  hostile(
      [](Image& i) {
        i.superblock()->frames = i.frames() / 64;
        Image::sign(i.superblock());
      },
      Expected::anything);
}
// Random words of what the walk reads become random values.
TEST_LIMIT(hostile_random, 600) {
  unsigned seed = 1;
  if (const char* given = getenv("MORSELS_TEST_SEED")) seed = unsigned(atoi(given));
  for (int turn = 0; turn < 20; turn++) {
    srandom(seed * 1000 + unsigned(turn));
    hostile(
        [](Image& i) {
          for (int n = 0; n < 30; n++) {
            const Frame frame = 2 + Frame(random()) % 120;
            auto* words = in_frame<u64>(i, frame);
            const u64 values[] = {
                0,
                ~0UL,
                u64(random()),
                u64(random()) % i.frames(),
                i.entry_for(u64(random()) % i.frames(), media_format().leaf[n % 2]),
                i.entry_for(u64(random()) % i.frames(), media_format().table)};
            words[random() % 512] = values[random() % 6];
          }
        },
        Expected::anything);
  }
}
