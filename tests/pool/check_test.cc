// SPDX-License-Identifier: MIT
//
// Each thing that a walk can find, planted in a pool with one of everything: what is told, what is
// mended by whom, what is lost, and that it is gone afterwards.
#include <gtest/gtest.h>

#include <functional>

#include "pool.h"

namespace morsel::core::pool::test {
namespace {

constexpr Frame root = root_inode_frame;
using Kind = Finding::Kind;

struct World {
  Pool pool;
  Sample has = sample(pool);

  /// A frame that is free.
  Frame unused() const { return pool.media.frames() - 1; }
  /// Gives a header the checksum that it should have.
  void seal(Frame frame) {
    InodeHeader& header = pool.inode(frame)->header;
    header.crc = crc_of(header);
  }
  /// Both attribute slots become as this one is after `change`.
  template <class Change>
  void set_attributes(Frame frame, Change&& change) {
    Attributes made = pool.attributes(frame);
    change(made);
    for (unsigned i = 0; i < 2; i++) {
      made.sequence = 2 + i;
      made.crc = crc_of(made);
      pool.inode(frame)->attributes[i] = made;
    }
  }
  u64* tall_root_entry(u64 slot, Twin twin) {
    const u64 word = pool.inode(has.tall)->roots[unsigned(twin)];
    const Frame table = ((word & media_format().pfn_mask) - pool.sb.base) / frame_bytes;
    return in_frame<u64>(pool.media, table) + slot;
  }
  Frame first_names(Frame directory) { return pool.inode(directory)->names; }
};

struct Case {
  const char* name;
  Kind kind;
  std::function<void(World&)> plant;
  /// After a repair; what a mount that mends leftovers keeps of leftovers, too.
  std::function<void(World&)> expect = [](World&) {};
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

u64 leaf(World& w, Frame frame, Twin twin) {
  return media_format().make_leaf(twin, w.pool.sb.base / frame_bytes + frame, Level::pte);
}

void expect_all_pages(World& w) {
  for (Index i = 0; i < 5; i++) {
    EXPECT_EQ(w.pool.read(w.has.file, i), int(1 + i));
    EXPECT_EQ(w.pool.page(w.has.file, i, Twin::rw), w.pool.page(w.has.file, i, Twin::ro));
  }
}

const Case cases[] = {
    // Leftovers.
    {"LeafInTheWritableTwinOnly", Kind::half_leaf,
     [](World& w) { *w.pool.entry(w.has.file, 2, Twin::ro) = 0; },
     [](World& w) { EXPECT_EQ(w.pool.page(w.has.file, 2, Twin::rw), 0u); }},
    {"LeafInTheReadOnlyTwinOnly", Kind::half_leaf,
     [](World& w) { *w.pool.entry(w.has.file, 2, Twin::rw) = 0; },
     [](World& w) { EXPECT_EQ(w.pool.page(w.has.file, 2), 0u); }},
    {"TableInOneTwinOnly", Kind::half_leaf, [](World& w) { *w.tall_root_entry(1, Twin::ro) = 0; },
     [](World& w) {
       EXPECT_EQ(w.pool.read(w.has.tall, 700), -1);
       EXPECT_EQ(w.pool.read(w.has.tall, 0), 10);
     }},
    {"RootInOneTwinOnly", Kind::half_leaf, [](World& w) { w.pool.inode(w.has.file)->roots[1] = 0; },
     [](World& w) {
       EXPECT_EQ(w.pool.inode(w.has.file)->roots[0], 0u);
       EXPECT_EQ(w.pool.read(w.has.file, 0), -1);
     }},
    {"OneTwinIsTaller", Kind::half_leaf,
     [](World& w) {
       // The root of the read-only twin is the first table below it.
       const u64 entry = *w.tall_root_entry(0, Twin::ro);
       w.pool.inode(w.has.tall)->roots[1] = media_format().address(entry) | 1;
     },
     [](World& w) {
       EXPECT_EQ(w.pool.read(w.has.tall, 0), 10);
       EXPECT_EQ(w.pool.read(w.has.tall, 700), -1);
     }},
    {"PageBeyondTheEnd", Kind::beyond_end,
     [](World& w) { w.pool.set_size(w.has.file, 2 * frame_bytes + 1); },
     [](World& w) {
       EXPECT_EQ(w.pool.read(w.has.file, 2), 3) << "its first byte is inside";
       EXPECT_EQ(w.pool.read(w.has.file, 3), -1);
       EXPECT_EQ(w.pool.page(w.has.file, 4, Twin::rw), 0u);
     }},
    {"BitsThatTheHardwareSets", Kind::flags_set,
     [](World& w) {
       *w.pool.entry(w.has.file, 1, Twin::rw) &= ~(media_format().dirty | media_soft_dirty);
       *w.pool.entry(w.has.file, 1, Twin::ro) &= ~media_format().accessed;
     },
     [](World& w) {
       EXPECT_EQ(w.pool.read(w.has.file, 1), 2);
       EXPECT_EQ(*w.pool.entry(w.has.file, 1, Twin::ro),
                 leaf(w, w.pool.page(w.has.file, 1), Twin::ro));
     }},

    // Roots and entries.
    {"RootBeyondThePool", Kind::bad_root,
     [](World& w) {
       w.pool.inode(w.has.file)->roots[0] = w.pool.sb.base + w.pool.media.size() + 1;
     }},
    {"RootBelowThePool", Kind::bad_root,
     [](World& w) { w.pool.inode(w.has.file)->roots[1] = (w.pool.sb.base - frame_bytes) | 1; }},
    {"RootIsTheSuperblock", Kind::bad_root,
     [](World& w) { w.pool.inode(w.has.file)->roots[0] = w.pool.sb.base | 1; }},
    {"RootWithoutALevel", Kind::bad_root,
     [](World& w) { w.pool.inode(w.has.file)->roots[1] &= ~root_level_mask; }},
    {"RootOfNoLevel", Kind::bad_root, [](World& w) { w.pool.inode(w.has.file)->roots[1] |= 5; }},
    {"RelativeRootInASettledPool", Kind::bad_root,
     [](World& w) { w.pool.inode(w.has.file)->roots[1] |= root_relative; }},
    {"EntryBeyondThePool", Kind::bad_leaf,
     [](World& w) {
       *w.pool.entry(w.has.file, 2, Twin::ro) = leaf(w, w.pool.media.frames(), Twin::ro);
     },
     expect_all_pages},
    {"EntryToTheRootDirectory", Kind::bad_leaf,
     [](World& w) { *w.pool.entry(w.has.file, 2, Twin::rw) = leaf(w, root, Twin::rw); },
     expect_all_pages},
    {"EntryBelowThePool", Kind::bad_leaf,
     [](World& w) {
       *w.pool.entry(w.has.file, 2, Twin::rw) = frame_bytes | media_format().leaf[0];
     },
     expect_all_pages},
    {"EntryForTheKernel", Kind::bad_leaf,
     [](World& w) { *w.pool.entry(w.has.file, 0, Twin::rw) &= ~4UL; }, expect_all_pages},
    {"EntryOfAnotherCaching", Kind::bad_leaf,
     [](World& w) { *w.pool.entry(w.has.file, 0, Twin::ro) |= 1UL << 3; }, expect_all_pages},
    {"EntryThatIsExecutable", Kind::bad_leaf,
     [](World& w) { *w.pool.entry(w.has.file, 0, Twin::ro) &= ~(1UL << 63); }, expect_all_pages},
    {"EntryOfAShadowStack", Kind::bad_leaf,
     [](World& w) { *w.pool.entry(w.has.file, 0, Twin::ro) |= media_format().dirty; },
     expect_all_pages},
    {"WritableEntryForReaders", Kind::bad_leaf,
     [](World& w) { *w.pool.entry(w.has.file, 0, Twin::ro) |= media_format().write; },
     expect_all_pages},
    {"RelativeEntryInASettledPool", Kind::bad_leaf,
     [](World& w) { *w.pool.entry(w.has.file, 0, Twin::ro) &= ~media_format().present; },
     expect_all_pages},
    {"EveryEntryOfOneTwin", Kind::bad_leaf,
     [](World& w) {
       for (Index i = 0; i < 5; i++) *w.pool.entry(w.has.file, i, Twin::rw) = ~0UL;
     },
     expect_all_pages},
    {"EntryBeyondTheEndAndThePool", Kind::bad_leaf,
     [](World& w) {
       w.pool.set_size(w.has.file, 4 * frame_bytes);
       *w.pool.entry(w.has.file, 4, Twin::ro) = ~0UL;
     },
     [](World& w) { EXPECT_EQ(w.pool.page(w.has.file, 4, Twin::rw), 0u); }},
    {"EntriesOfBothTwins", Kind::bad_entry,
     [](World& w) {
       for (const Twin twin : twins) *w.pool.entry(w.has.file, 2, twin) |= 1UL << 3;
     },
     [](World& w) {
       EXPECT_EQ(w.pool.read(w.has.file, 1), 2);
       EXPECT_EQ(w.pool.read(w.has.file, 2), -1);
     }},
    // What the other twin has is somebody else's: one of them keeps it.
    {"EntryBesideOneToAnotherFile", Kind::bad_leaf,
     [](World& w) {
       *w.pool.entry(w.has.file, 2, Twin::rw) = ~0UL;
       *w.pool.entry(w.has.file, 2, Twin::ro) = leaf(w, w.pool.page(w.has.sparse, 17), Twin::ro);
     },
     [](World& w) {
       EXPECT_EQ((w.pool.read(w.has.sparse, 17) == -1) + (w.pool.read(w.has.file, 2) == -1), 1);
     }},
    {"EntryBesideOneToTheSameFile", Kind::bad_leaf,
     [](World& w) {
       *w.pool.entry(w.has.file, 4, Twin::rw) = ~0UL;
       *w.pool.entry(w.has.file, 4, Twin::ro) = leaf(w, w.pool.page(w.has.file, 2), Twin::ro);
     },
     [](World& w) {
       EXPECT_EQ(w.pool.read(w.has.file, 2), 3);
       EXPECT_EQ(w.pool.read(w.has.file, 4), -1);
     }},
    {"LargeLeaf", Kind::bad_entry,
     [](World& w) { *w.tall_root_entry(1, Twin::rw) |= media_format().huge; }},
    {"FrameInTwoFiles", Kind::frame_twice,
     [](World& w) {
       for (const Twin twin : twins)
         *w.pool.entry(w.has.sparse, 18, twin) = leaf(w, w.pool.page(w.has.file, 2), twin);
     },
     [](World& w) {
       EXPECT_EQ((w.pool.read(w.has.sparse, 18) == -1) + (w.pool.read(w.has.file, 2) == -1), 1);
       EXPECT_EQ(w.pool.read(w.has.sparse, 17), 12);
     }},
    {"FrameTwiceInAFile", Kind::frame_twice,
     [](World& w) {
       for (const Twin twin : twins)
         *w.pool.entry(w.has.file, 4, twin) = leaf(w, w.pool.page(w.has.file, 2), twin);
     },
     [](World& w) {
       EXPECT_EQ(w.pool.read(w.has.file, 2), 3);
       EXPECT_EQ(w.pool.read(w.has.file, 4), -1);
     }},
    {"OneTableForBothTwins", Kind::frame_twice,
     [](World& w) { *w.tall_root_entry(1, Twin::ro) = *w.tall_root_entry(1, Twin::rw); }},
    {"OneRootForBothTwins", Kind::frame_twice,
     [](World& w) {
       u64* roots = w.pool.inode(w.has.file)->roots;
       roots[1] = roots[0];
     }},
    {"InodeIsAPageOfAFile", Kind::frame_twice,
     [](World& w) {
       for (const Twin twin : twins)
         *w.pool.entry(w.has.file, 4, twin) = leaf(w, w.has.empty, twin);
     }},
    {"TwinsWithDifferentFrames", Kind::twins_differ,
     [](World& w) { *w.pool.entry(w.has.file, 2, Twin::ro) = leaf(w, w.unused(), Twin::ro); },
     [](World& w) {
       EXPECT_EQ(w.pool.read(w.has.file, 1), 2);
       EXPECT_EQ(w.pool.read(w.has.file, 2), -1);
     }},

    // Inodes.
    {"HeaderThatIsNotWhole", Kind::bad_inode,
     [](World& w) { w.pool.inode(w.has.file)->header.rdev_major = 1; },
     [](World& w) { EXPECT_EQ(w.pool.look_up(root, "file"), 0u); }},
    {"HeaderOfAnotherFrame", Kind::bad_inode,
     [](World& w) {
       w.pool.inode(w.has.file)->header.number++;
       w.seal(w.has.file);
     },
     [](World& w) { EXPECT_EQ(w.pool.look_up(root, "file"), 0u); }},
    {"HeaderOfNoType", Kind::bad_inode,
     [](World& w) {
       w.pool.inode(w.has.fifo)->header.type = 0150000;
       w.seal(w.has.fifo);
     }},
    {"RootDirectoryThatIsNotWhole", Kind::bad_inode,
     [](World& w) { w.pool.inode(root)->header.crc++; },
     [](World& w) {
       EXPECT_EQ(w.pool.attributes(root).mode, 0700u);
       EXPECT_EQ(w.pool.look_up(w.has.deep, "inner"), w.has.inner) << "all names are still there";
     }},
    {"RootDirectoryThatIsAFile", Kind::bad_inode,
     [](World& w) {
       w.pool.inode(root)->header.type = type_regular;
       w.seal(root);
     },
     [](World& w) { EXPECT_EQ(w.pool.look_up(root, "file"), w.has.file); }},
    {"NoAttributes", Kind::bad_attributes,
     [](World& w) {
       w.pool.inode(w.has.file)->attributes[0].crc++;
       w.pool.inode(w.has.file)->attributes[1].crc++;
     },
     [](World& w) {
       EXPECT_EQ(w.pool.attributes(w.has.file).size, 5 * frame_bytes) << "that of all its pages";
       EXPECT_EQ(w.pool.read(w.has.file, 4), 5);
       EXPECT_EQ(w.pool.attributes(w.has.file).mode, 0600u);
     }},
    {"NoAttributesOfADirectory", Kind::bad_attributes,
     [](World& w) {
       w.pool.inode(w.has.deep)->attributes[0].crc++;
       w.pool.inode(w.has.deep)->attributes[1].crc++;
     },
     [](World& w) { EXPECT_EQ(w.pool.look_up(w.has.deep, "inner"), w.has.inner); }},
    {"SizeThatNoFileHas", Kind::bad_attributes,
     [](World& w) { w.set_attributes(w.has.file, [](auto& a) { a.size = size_limit + 1; }); },
     [](World& w) { EXPECT_EQ(w.pool.read(w.has.file, 4), 5); }},
    {"ModeWithAType", Kind::bad_attributes,
     [](World& w) { w.set_attributes(w.has.fifo, [](auto& a) { a.mode = 0100644; }); }},
    {"TimeThatIsNone", Kind::bad_attributes,
     [](World& w) {
       w.set_attributes(w.has.fifo, [](auto& a) { a.change.nanoseconds = 1000000000; });
     }},
    {"SealedTwice", Kind::bad_attributes,
     [](World& w) { w.set_attributes(w.has.empty, [](auto& a) { a.sealed = 2; }); }},
    {"NamesOfAFile", Kind::bad_word,
     [](World& w) { w.pool.inode(w.has.file)->names = w.first_names(w.has.deep); },
     [](World& w) {
       EXPECT_EQ(w.pool.look_up(w.has.deep, "inner"), w.has.inner);
       EXPECT_EQ(w.pool.read(w.has.file, 4), 5);
     }},
    {"PagesOfADirectory", Kind::bad_word,
     [](World& w) { w.pool.inode(w.has.folder)->roots[1] = w.pool.inode(w.has.file)->roots[1]; },
     [](World& w) {
       EXPECT_EQ(w.pool.read(w.has.file, 4), 5);
       EXPECT_EQ(w.pool.look_up(w.has.folder, "deep"), w.has.deep);
     }},
    {"LinkOfAFile", Kind::bad_word, [](World& w) { w.pool.inode(w.has.empty)->link = w.unused(); }},
    {"TargetThatIsNotWhole", Kind::bad_link,
     [](World& w) { in_frame<u8>(w.pool.media, w.pool.inode(w.has.link)->link)[1] ^= 1; },
     [](World& w) { EXPECT_EQ(w.pool.look_up(w.has.folder, "link"), 0u); }},
    {"NoTarget", Kind::bad_link, [](World& w) { w.pool.inode(w.has.link)->link = 0; },
     [](World& w) { EXPECT_EQ(w.pool.look_up(w.has.folder, "link"), 0u); }},
    {"TargetOfAnotherLink", Kind::bad_link,
     [](World& w) {
       const Frame second = w.pool.symlink(root, "second", "../file");
       w.pool.inode(second)->link = w.pool.inode(w.has.link)->link;
     },
     [](World& w) {
       EXPECT_EQ(
           (w.pool.look_up(w.has.folder, "link") == 0) + (w.pool.look_up(root, "second") == 0), 1);
     }},
    {"LinkWithTwoNamesAndNoTarget", Kind::bad_link,
     [](World& w) {
       w.pool.link(root, "second", w.has.link);
       w.pool.inode(w.has.link)->link = w.pool.media.frames();
     },
     [](World& w) {
       EXPECT_EQ(w.pool.look_up(w.has.folder, "link"), 0u);
       EXPECT_EQ(w.pool.look_up(root, "second"), 0u);
     }},
    {"ExtendedAttributesThatAreNotWhole", Kind::bad_xattrs,
     [](World& w) { in_frame<Payload>(w.pool.media, w.pool.inode(w.has.file)->xattrs)->data[2]++; },
     [](World& w) {
       EXPECT_EQ(w.pool.inode(w.has.file)->xattrs, 0u);
       EXPECT_EQ(w.pool.read(w.has.file, 4), 5);
     }},
    {"ExtendedAttributesThatAreNone", Kind::bad_xattrs,
     [](World& w) { must(w.pool.set_xattrs(w.has.fifo, "nonsense")); }},
    {"ExtendedAttributesLongerThanAFrame", Kind::bad_xattrs,
     [](World& w) {
       in_frame<Payload>(w.pool.media, w.pool.inode(w.has.file)->xattrs)->bytes = ~0UL;
     }},
    {"ExtendedAttributesOfAnother", Kind::bad_xattrs,
     [](World& w) { w.pool.inode(w.has.fifo)->xattrs = w.pool.inode(w.has.file)->xattrs; }},

    // Names.
    {"NamesThatAreNone", Kind::bad_names,
     [](World& w) { in_frame<NamesFrame>(w.pool.media, w.first_names(w.has.deep))->magic = 0; },
     [](World& w) { EXPECT_EQ(w.pool.inode(w.has.deep)->names, 0u); }},
    {"NamesBeyondThePool", Kind::bad_names,
     [](World& w) { w.pool.inode(w.has.deep)->names = 1UL << 60; }},
    {"NamesInACircle", Kind::bad_names,
     [](World& w) {
       const Frame first = w.first_names(w.has.deep);
       const Frame second = in_frame<NamesFrame>(w.pool.media, first)->next;
       in_frame<NamesFrame>(w.pool.media, second)->next = first;
     },
     [](World& w) { EXPECT_EQ(w.pool.seen.names.at(w.has.deep).size(), 21u); }},
    {"NamesOfAnotherDirectory", Kind::bad_names,
     [](World& w) { w.pool.inode(w.has.deep)->names = w.first_names(w.has.folder); }},
    {"NameThatIsNotWhole", Kind::bad_name,
     [](World& w) { w.pool.name_at(w.pool.place(root, "file"))->bytes[0] = 'F'; },
     [](World& w) {
       EXPECT_EQ(w.pool.look_up(root, "file"), 0u);
       EXPECT_EQ(w.pool.look_up(root, "empty"), w.has.empty);
     }},
    {"NameThatLeadsOut", Kind::bad_name,
     [](World& w) { w.pool.name_at(w.pool.place(root, "file"))->target = w.pool.media.frames(); }},
    {"NameOfTheLog", Kind::bad_name,
     [](World& w) { w.pool.name_at(w.pool.place(root, "file"))->target = log_frame; }},
    {"NameWithASlash", Kind::bad_name,
     [](World& w) {
       Name* name = w.pool.name_at(w.pool.place(root, "file"));
       name->bytes[1] = '/';
       name->crc = name_crc(w.pool.place(root, "file"), *name);
     }},
    {"NameLongerThanItsSlot", Kind::bad_name,
     [](World& w) { w.pool.name_at(w.pool.place(root, "file"))->length = 0xffff; }},
    {"NameOfAPage", Kind::bad_inode,
     [](World& w) {
       w.pool.name_at(w.pool.place(root, "empty"))->target = w.pool.page(w.has.file, 0);
     }},
    {"TwoNamesThatAreTheSame", Kind::name_twice,
     [](World& w) {
       const char text[] = "file";
       publish_name(
           w.pool.media,
           must(prepare_name(w.pool.media, w.pool.frames(), w.pool.directory(root), text, 4)),
           w.has.empty);
     },
     [](World& w) { EXPECT_EQ(w.pool.look_up(root, "file"), w.has.file); }},
    {"TwoDirectoriesWithTheSameName", Kind::name_twice,
     [](World& w) {
       const Frame second = w.pool.create(root, "second", type_directory);
       w.pool.create(second, "child");
       Name* name = w.pool.name_at(w.pool.place(root, "second"));
       name->length = 6;
       std::memcpy(name->bytes, "folder", 6);
       name->crc = name_crc(w.pool.place(root, "second"), *name);
     },
     [](World& w) { EXPECT_EQ(w.pool.look_up(root, "folder"), w.has.folder); }},
    {"DirectoryWithTwoNames", Kind::directory_twice,
     [](World& w) { w.pool.link(root, "second", w.has.deep); }},
    {"DirectoryInItself", Kind::directory_twice,
     [](World& w) { w.pool.link(w.has.deep, "up", w.has.folder); },
     [](World& w) { EXPECT_EQ(w.pool.look_up(w.has.folder, "deep"), w.has.deep); }},
};

class CheckTest : public testing::TestWithParam<Case> {
 protected:
  World world;
  Pool& pool = world.pool;

  void SetUp() override {
    ASSERT_TRUE(pool.mount(Mending::none).ok());
    ASSERT_TRUE(pool.seen.findings.empty()) << "sound before";
    GetParam().plant(world);
  }
  static bool is_leftover() { return !is_damage(GetParam().kind); }
  /// What a sound file's page is, the one that nobody plants anything in.
  void expect_bystander() {
    EXPECT_EQ(pool.read(world.has.inner, 3), 13);
    EXPECT_EQ(pool.read(world.has.inner, 2), -1);
  }
};

TEST_P(CheckTest, IsToldAndNothingIsWritten) {
  const Memory before = pool.media;
  const Status status = pool.mount(Mending::none);
  EXPECT_TRUE(status.ok() || status.error() == Error::damaged);
  EXPECT_GE(pool.seen.count_of(GetParam().kind), 1u);
  EXPECT_EQ(pool.seen.damaged(), !is_leftover());
  EXPECT_TRUE(pool.media == before);
}

TEST_P(CheckTest, AMountMendsLeftoversAndLeavesDamage) {
  Memory before = pool.media;
  const Status status = pool.mount(Mending::leftovers);
  EXPECT_GE(pool.seen.count_of(GetParam().kind), 1u);
  EXPECT_EQ(pool.seen.damaged(), !is_leftover());
  if (is_leftover()) {
    ASSERT_TRUE(status.ok());
    GetParam().expect(world);
    expect_bystander();
    for (const auto& [frame, object] : pool.seen.objects) EXPECT_TRUE(object.sound) << frame;
    ASSERT_TRUE(pool.mount(Mending::none).ok());
    EXPECT_TRUE(pool.seen.findings.empty());
    return;
  }
  // Nothing is lost that a repair could need: of entries, words and names none has changed. The
  // list of free names is no more than a note.
  for (Frame frame = 0; frame < pool.media.frames(); frame++) {
    if (std::memcmp(before.at(frame), pool.media.at(frame), frame_bytes) == 0) continue;
    NamesFrame* was = in_frame<NamesFrame>(before, frame);
    NamesFrame* is = in_frame<NamesFrame>(pool.media, frame);
    ASSERT_EQ(was->magic, names_magic) << "frame " << frame;
    ASSERT_EQ(was->next, is->next);
    for (unsigned slot = 0; slot < names_per_frame; slot++)
      ASSERT_EQ(was->name[slot].target, is->name[slot].target);
  }
}

TEST_P(CheckTest, IsGoneAfterARepair) {
  ASSERT_TRUE(pool.mount(Mending::damage).ok());
  EXPECT_GE(pool.seen.count_of(GetParam().kind), 1u);
  for (const auto& [frame, object] : pool.seen.objects) EXPECT_TRUE(object.sound) << frame;
  ASSERT_TRUE(pool.mount(Mending::none).ok());
  for (const Finding& finding : pool.seen.findings)
    ADD_FAILURE() << "kind " << int(finding.kind) << " at " << finding.place;
  GetParam().expect(world);
  if (pool.look_up(world.has.deep, "inner") != 0) expect_bystander();
  // And it can be used.
  ASSERT_TRUE(pool.mount().ok());
  pool.write(pool.create(root, "made afterwards"), 0, 1);
  ASSERT_TRUE(pool.mount(Mending::none).ok());
  EXPECT_TRUE(pool.seen.findings.empty());
}

INSTANTIATE_TEST_SUITE_P(, CheckTest, testing::ValuesIn(cases),
                         [](const auto& info) { return info.param.name; });

TEST(Check, WhatIsSoundIsTold) {
  Pool pool;
  const Sample has = sample(pool);
  const u64 used = pool.frames().used();
  ASSERT_TRUE(pool.mount(Mending::none).ok());
  EXPECT_TRUE(pool.seen.findings.empty());
  EXPECT_EQ(pool.frames().used(), used) << "all that was given out, and nothing else";
  EXPECT_EQ(pool.seen.names[root].size(), 8u);
  EXPECT_EQ(pool.look_up(has.folder, "again"), has.twice);
  EXPECT_EQ(pool.seen.objects.at(has.file).leaves, 5u);
  EXPECT_EQ(pool.seen.objects.at(has.file).tables, 2u);
  EXPECT_EQ(pool.seen.objects.at(has.tall).tables, 6u);
}

// What can't be read counts as not whole, and nobody looks into it.
TEST(Check, WhatCannotBeReadIsDamage) {
  const auto frame_of = [](World& w, u64 entry) {
    return ((entry & media_format().pfn_mask) - w.pool.sb.base) / frame_bytes;
  };
  const struct {
    Kind kind;
    std::function<Frame(World&)> frame;
  } parts[] = {
      {Kind::bad_inode, [](World& w) { return w.has.file; }},
      {Kind::bad_root, [&](World& w) { return frame_of(w, w.pool.inode(w.has.file)->roots[0]); }},
      {Kind::bad_entry, [&](World& w) { return frame_of(w, *w.tall_root_entry(1, Twin::ro)); }},
      {Kind::bad_names, [](World& w) { return w.first_names(w.has.deep); }},
      {Kind::bad_link, [](World& w) { return w.pool.inode(w.has.link)->link; }},
      {Kind::bad_xattrs, [](World& w) { return w.pool.inode(w.has.file)->xattrs; }},
  };
  for (const auto& part : parts) {
    World world;
    const Frame frame = part.frame(world);
    std::memset(world.pool.media.at(frame), 0xff, frame_bytes);
    world.pool.seen.unreadable.insert(frame);
    ASSERT_TRUE(world.pool.mount(Mending::none).ok());
    EXPECT_EQ(world.pool.seen.count_of(part.kind), 1u) << int(part.kind);
    EXPECT_EQ(world.pool.seen.findings.size(), 1u) << int(part.kind);
    ASSERT_TRUE(world.pool.mount(Mending::damage).ok());
    ASSERT_TRUE(world.pool.mount(Mending::none).ok());
    EXPECT_TRUE(world.pool.seen.findings.empty()) << int(part.kind);
  }
}

// Nobody looks at the contents of pages.
TEST(Check, APageThatCannotBeReadStays) {
  World world;
  world.pool.seen.unreadable.insert(world.pool.page(world.has.file, 0));
  ASSERT_TRUE(world.pool.mount(Mending::none).ok());
  EXPECT_TRUE(world.pool.seen.findings.empty());
}

TEST(Check, DamageOfAFileStaysItsOwn) {
  World world;
  *world.pool.entry(world.has.file, 2, Twin::ro) |= 8;
  ASSERT_TRUE(world.pool.mount().ok());
  for (const auto& [frame, object] : world.pool.seen.objects)
    EXPECT_EQ(object.sound, frame != world.has.file) << frame;
}

}  // namespace
}  // namespace morsel::core::pool::test
