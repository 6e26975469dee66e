// SPDX-License-Identifier: MIT
//
// What is run: all short sequences over a small name space, writes that another CPU breaks into,
// repairs, and long random sequences.
#pragma once

#include "world.h"

namespace morsel::sim {

/// A pool, and what it holds.
struct Start {
  Content content;
  Model model;
};

/// The second one gets full in random sequences.
inline constexpr u64 small_pool = 96, full_pool = 32;

inline Operations catalog() {
  // Pages 5, 600 and 262149 are in trees of one, two and three levels. /d is full: the next name
  // takes another frame.
  return parse_operations(
      "create /c;create /d/c;mkdir /e;symlink /s;link /a /d/h;unlink /a;unlink /d/b;"
      "rename /a /c;rename /a /d/b;rename /d/b /c;rename /d /e;rename /d/b /a;exchange /a /d/b;"
      "exchange /a /d;write /big 5;write /big 600;write /big 262149;write /a 0;write /a 2;"
      "write /a 8;write /d/b 0;write /c 0;truncate /a 0;truncate /a 1;truncate /a 700;"
      "truncate /big 600;truncate /big 0;punch /a 0 2;punch /a 1 1;punch /big 0 263168;prune "
      "/a;prune /big;fsync /a;"
      "chmod /a 384;chmod /d 448;setxattr /a 1;setxattr /d/b 2;removexattr /d/b;detach /a;"
      "write-open 3;close;rmdir /e;rmdir /d;unlink /c;unlink /s;remount;move 1;move 2;mkfs");
}

inline const char* setup_text =
    "create /a;write /a 0;write /a 1;truncate /a 8;mkdir /d;create /d/b;setxattr /d/b 1;"
    "create /big;truncate /big 263168;create /d/x;"
    "link /d/x /d/x1;link /d/x /d/x2;link /d/x /d/x3;link /d/x /d/x4;link /d/x /d/x5;"
    "link /d/x /d/x6;link /d/x /d/x7;link /d/x /d/x8;link /d/x /d/x9;link /d/x /d/y1;"
    "link /d/x /d/y2;link /d/x /d/y3;link /d/x /d/y4";

/// Made by core, all sites in place.
inline Start make_start(Tally& tally, u64 frames) {
  Start start;
  start.content.words.resize(frames * words_per_frame);
  for (u64 word = 0; word < start.content.words.size(); word++)
    start.content.words[word] = Memory::nonsense(word);
  start.content.hash = hash_of(start.content.words);
  World world({&tally}, start.content, start.model, Detail::fine);
  world.run(parse_operation("mkfs"), /*explored=*/false);
  for (const Operation& operation : parse_operations(setup_text))
    world.run(operation, /*explored=*/false);
  start.content = world.memory().durable();
  start.model = world.model();
  return start;
}

/// Power is cut in the last operation only: each beginning is a sequence of its own. Returns how
/// many events that operation has; 0 if the sequence makes no sense.
inline u64 run_sequence(const Context& context, const Start& start, const Operations& operations,
                        const Nest& nest = {}) {
  World world(context, start.content, start.model, Detail::fine);
  world.mount().mount(bases[0]);
  u64 events = 0;
  for (size_t i = 0; i < operations.size(); i++) {
    if (!applies(world.model(), operations[i])) return 0;
    const bool last = i + 1 == operations.size();
    events = world.run(operations[i], last, last ? nest : Nest{});
  }
  return events;
}

/// Power is cut in all of them; what does not apply is left out.
inline void run_all(const Context& context, const Start& start, const Operations& operations) {
  World world(context, start.content, start.model, Detail::fine);
  world.mount().mount(bases[0]);
  for (const Operation& operation : operations)
    if (applies(world.model(), operation)) world.run(operation, /*explored=*/true);
}

inline Operation random_operation(Random& random) {
  using Kind = Operation::Kind;
  static constexpr const char* paths[] = {"/a",   "/b",   "/c",    "/big", "/d",   "/e",  "/d/a",
                                          "/d/b", "/d/c", "/d/x1", "/e/a", "/e/b", "/e/f"};
  static constexpr u64 pages[] = {0, 1, 2, 5, 7, 511, 512, 600, 1023, 262149, 262150};
  static constexpr Kind kinds[] = {
      Kind::create,   Kind::create,   Kind::mkdir,  Kind::symlink,     Kind::link,
      Kind::unlink,   Kind::rmdir,    Kind::rename, Kind::rename,      Kind::exchange,
      Kind::write,    Kind::write,    Kind::write,  Kind::write,       Kind::truncate,
      Kind::truncate, Kind::punch,    Kind::prune,  Kind::fsync,       Kind::chmod,
      Kind::setxattr, Kind::setxattr, Kind::detach, Kind::removexattr, Kind::write_open,
      Kind::close,    Kind::remount,  Kind::move};
  const auto path = [&] { return std::string(paths[random.below(std::size(paths))]); };
  Operation made;
  made.kind = kinds[random.below(std::size(kinds))];
  if (made.kind == Kind::move && random.below(4) != 0) made.kind = Kind::remount;
  made.a = path();
  made.b = path();
  made.n = pages[random.below(std::size(pages))];
  made.m = pages[random.below(std::size(pages))];
  if (made.kind == Kind::chmod) made.n = random.below(01000);
  if (made.kind == Kind::move) made.n = random.below(std::size(bases));
  return parse_operation(to_text(made));  // without what does not belong to its kind
}

/// A sequence that applies from its beginning to its end.
inline Operations random_operations(const Start& start, u64 seed, u64 length) {
  Random random(seed);
  Operations made;
  Model model = start.model;
  while (made.size() < length) {
    const Operation operation = random_operation(random);
    if (!applies(model, operation)) continue;
    apply(model, operation);
    made.push_back(operation);
  }
  return made;
}

/// Plants one damage, and cuts power in the repair: repairing again must do, and when a repair has
/// come to its end, nothing is left to be found.
inline constexpr u64 damages = 7;
inline void run_repair(const Context& context, const Start& start, u64 which) {
  World world(context, start.content, start.model, Detail::fine);
  Memory& memory = world.memory();
  world.mount().mount(bases[0]);
  Content content = memory.durable();
  {
    // Straight into the medium, before anything is recorded.
    Image image(content.words);
    const auto inode = [&](const char* path) {
      return in_frame<Inode>(image, world.mount().at(path).inode);
    };
    Inode* a = inode("/a");
    Inode* d = inode("/d");
    switch (which) {
      case 0:
        a->xattrs = 1;
        break;
      case 1:
        a->attributes[0].crc ^= 1, a->attributes[1].crc ^= 1;
        break;
      case 2:
        a->header.crc ^= 1;
        break;
      case 3:
        in_frame<NamesFrame>(image, d->names)->name[2].crc ^= 1;
        break;
      case 4:
        d->roots[0] = 0x1000;
        break;
      case 5:
        in_frame<Inode>(image, root_inode_frame)->header.crc ^= 1;
        break;
      default:  // two pages are one frame
        for (const u64 root : a->roots) {
          const Phys table = root & media_format().pfn_mask;
          u64* entry = in_frame<u64>(image, (table - bases[0]) / frame_bytes);
          entry[1] = entry[0];
        }
    }
    content.hash = hash_of(content.words);
  }
  World damaged(context, content, start.model, Detail::fine);
  Expectation expected;
  expected.repair = Expectation::Repair::under_way;
  expected.bases = {bases[0]};
  Crash& crash = damaged.crash();
  crash.expect(expected);
  damaged.memory().on_event = [&](Memory::Event event) { crash.event(event); };
  unsigned whole = 0;
  Superblock sb = read_superblock(damaged.memory(), whole).value();
  SeenWalker walker(damaged.memory().frames());
  Recovery done{};
  if (!recover(damaged.memory(), walker, sb, bases[0], Mending::damage, done).ok())
    throw Failure("the repair fails");
  bool found = false;
  for (const Finding& finding : walker.findings()) found = found || is_damage(finding.kind);
  if (!found) throw Failure("the damage was not found");
  damaged.memory().on_event = nullptr;
  expected.repair = Expectation::Repair::done;
  crash.expect(expected);
  crash.explore();
}

}  // namespace morsel::sim
