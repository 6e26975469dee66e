// SPDX-License-Identifier: MIT
//
// A pool in use, the model of what it holds, and the power cuts in each of its operations.
#pragma once

#include "crash.h"
#include "sites.h"

namespace morsel::sim {

/// What another CPU does in the middle of a write, at one of its events.
struct Nest {
  enum class Kind { none, fsync, touch, fill } kind = Kind::none;
  u64 at = 0;
};
inline constexpr const char* nest_names[] = {"none", "fsync", "touch", "fill"};

struct Context {
  Tally* tally;
  Site off = Site::count;
  u64 seed = 1;
};

class World {
 public:
  World(const Context& context, const Content& content, const Model& model, Detail detail)
      : context_(context),
        memory_(content, context.off),
        mount_(memory_),
        crash_(memory_, *context.tally, context.seed, detail),
        model_(model),
        detail_(detail) {}

  Mount& mount() { return mount_; }
  Memory& memory() { return memory_; }
  Crash& crash() { return crash_; }
  const Model& model() const { return model_; }

  /// Runs an operation that applies; with `explored`, power is cut everywhere in it. Returns how
  /// many events it had.
  u64 run(const Operation& operation, bool explored, Nest nest = {}) {
    memory_.cpu ^= 1;
    before_ = model_;
    after_ = model_;
    apply(after_, operation);
    operation_ = operation;
    nest_ = nest;
    events_ = 0;
    if (explored) {
      context_.tally->operations++;
      crash_.expect(expectation());
      if (detail_ == Detail::fine)
        crash_.on_state = [this](const Content& content, const Verdict& verdict, Phys base) {
          look_closer(content, verdict, base);
        };
      memory_.on_event = [this](Memory::Event event) { on_event(event); };
    }
    try {
      mount_.execute(operation, after_);
    } catch (const NoSpace&) {
      after_ = before_;
      context_.tally->refused++;
    } catch (const Failure& failure) {
      throw Failure(failure.what() + where());
    }
    memory_.on_event = nullptr;
    if (explored) check_end();
    model_ = after_;
    return events_;
  }

  /// Mounts, while power is cut everywhere in that; what is left may be either.
  void mount_explored(const Expectation& expectation, Phys base) {
    memory_.cpu = 1;
    crash_.expect(expectation);
    memory_.on_event = [this](Memory::Event event) { crash_.event(event); };
    mount_.mount(base);
    memory_.on_event = nullptr;
    crash_.explore();
  }

 private:
  Expectation expectation() const {
    Expectation made;
    made.before = &before_;
    made.after = &after_;
    made.nothing = operation_.kind == Operation::Kind::mkfs;
    made.bases = {mount_.base()};
    // A pool that was to move may be found anywhere.
    if (operation_.kind == Operation::Kind::move)
      made.bases.assign(std::begin(bases), std::end(bases));
    if (operation_.kind == Operation::Kind::mkfs) made.bases = {mount_.base(), bases[0]};
    return made;
  }

  void on_event(Memory::Event event) {
    crash_.event(event);
    if (events_++ == nest_.at && nest_.kind != Nest::Kind::none &&
        operation_.kind == Operation::Kind::write)
      other_cpu();
  }

  void check_end() {
    try {
      Expectation made;
      made.after = &after_;
      made.bases = {mount_.base()};
      crash_.on_state = nullptr;
      crash_.expect(made);
      crash_.explore();
      crash_.audit(mount_.base(), mount_.frames(), mount_.open());
    } catch (const Failure& failure) {
      throw Failure(failure.what() + std::string("\n  after the end of: ") + to_text(operation_));
    }
  }

  std::string where() const {
    return "\n  in: " + to_text(operation_) + ", at event " + std::to_string(events_);
  }

  /// The other CPU works on the file that is being written: it makes durable what it sees, and
  /// after that no power cut may lose it.
  void other_cpu() {
    const auto id = before_.find_id(operation_.a);
    const Index index = operation_.n;
    const u64 pages = before_.things[*id].size / frame_bytes;
    Node& node = mount_.at(operation_.a);
    memory_.cpu ^= 1;
    if (nest_.kind == Nest::Kind::fill) {
      if (index + 1 < pages && before_.things[*id].pages.count(index + 1) == 0)
        fill_neighbour(node, *id, index + 1);
    } else if (index < pages && before_.things[*id].pages.count(index) == 0) {
      sync_page(node, *id, index);
    }
    memory_.cpu ^= 1;
    crash_.expect(expectation());
    crash_.explore();
  }

  /// The very page that is being filled, if it can be seen already.
  void sync_page(Node& node, size_t id, Index index) {
    Page& page = after_.things[id].pages[index];
    const bool touches = nest_.kind == Nest::Kind::touch;
    const bool sees = mount_.has(node, touches ? Twin::rw : Twin::ro, index);
    if (sees && touches) {
      Expectation made = expectation();
      const u64 stamp = ++after_.stamp;
      made.loose = {id, index, {stamp, page.body}};
      crash_.expect(made);
      mount_.store_mapped(node, index, stamp);
      mount_.fsync(node, {index, index + 1});
      page.head = stamp;
    } else {
      mount_.fsync(node, {index, index + 1});
    }
    if (sees) before_.things[id].pages[index] = page;
  }

  void fill_neighbour(Node& node, size_t id, Index index) {
    Expectation made = expectation();
    const u64 stamp = ++after_.stamp;
    made.loose = {id, index, {stamp, stamp}};
    crash_.expect(made);
    if (!mount_.fill(node, index, made.loose->page)) return;
    mount_.fsync(node, {index, index + 1});
    before_.things[id].pages[index] = after_.things[id].pages[index] = made.loose->page;
  }

  /// Some images, above all those with something to mend, are mounted for good: power is cut in
  /// that mount, too, and in what is done next.
  void look_closer(const Content& content, const Verdict& verdict, Phys base) {
    if (crash_.expectation().loose) return;
    const bool rare = verdict.mended + verdict.replayed != 0;
    if (mix(content.hash ^ context_.seed) % (rare ? 4 : 64) != 0) return;
    context_.tally->full_mounts++;
    try {
      go_on(content, base);
      if (verdict.replayed != 0) make_anew(content);
    } catch (const Failure& failure) {
      throw Failure(failure.what() +
                    std::string("\n  after a first power cut, and another one in that"));
    }
  }

  void go_on(const Content& content, Phys base) {
    World next(context_, content, after_, Detail::coarse);
    Expectation expected = crash_.expectation();
    if (expected.nothing) return;  // mkfs
    // One in four moves; while it does, it may be found anywhere.
    const u64 place = mix(content.hash + 1) % (4 * std::size(bases));
    const Phys to = place < std::size(bases) ? bases[place] : base;
    expected.bases = {base};
    if (to != base) expected.bases.assign(std::begin(bases), std::end(bases));
    next.mount_explored(expected, to);
    // What has it become?
    const bool done = next.is(after_, to);
    if (!done && !next.is(before_, to)) return;  // some pages of the one, some of the other
    next.model_ = done ? after_ : before_;
    next.model_.open.reset();
    if (!done && applies(next.model_, operation_)) {
      next.run(operation_, /*explored=*/true);  // once more
    } else {
      for (const char* text : {"create /again", "write /again 1"}) {
        const Operation operation = parse_operation(text);
        if (applies(next.model_, operation)) next.run(operation, /*explored=*/true);
      }
    }
  }

  bool is(const Model& model, Phys base) {
    Image image(memory_.durable().words);
    return crash_.checker().is(image, model, base);
  }

  /// The log holds something, and the pool is given up for a new one.
  void make_anew(const Content& content) {
    World next(context_, content, after_, Detail::coarse);
    next.run(parse_operation("mkfs"), /*explored=*/false);
    for (const char* text : {"create /again", "create /more", "mkdir /d"})
      next.run(parse_operation(text), /*explored=*/true);
  }

  const Context context_;
  Memory memory_;
  Mount mount_;
  Crash crash_;
  Model model_, before_, after_;
  Operation operation_;
  Nest nest_;
  u64 events_ = 0;
  const Detail detail_;
};

}  // namespace morsel::sim
