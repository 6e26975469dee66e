// SPDX-License-Identifier: MIT
//
// A pool in use, the model of what it holds, and the power cuts in each of its operations.
#pragma once

#include "crash.h"
#include "sites.h"

namespace morsel::sim {

/// What another CPU does in the middle of an operation, at one of its events.
struct Nest {
  enum class Kind {
    none,
    fsync,     ///< of the page that is being written
    touch,     ///< a store to that page through a mapping, and fsync
    fill,      ///< a write to the next page, and fsync of that
    operation  ///< another one, which has nothing to do with this one
  } kind = Kind::none;
  u64 at = 0;
  Operation operation{};
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
  u64 run(const Operation& operation, bool explored, const Nest& nest = {}) {
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
    made.models = {&before_, &after_};
    made.nothing = operation_.kind == Operation::Kind::mkfs;
    made.bases = {mount_.base()};
    // A pool that was to move may be found anywhere.
    if (operation_.kind == Operation::Kind::move)
      made.bases.assign(std::begin(bases), std::end(bases));
    if (operation_.kind == Operation::Kind::mkfs) made.bases = {mount_.base(), bases[0]};
    return made;
  }

  void on_event(Memory::Event event) {
    // What happens before the other CPU's event is what happens without it.
    if (nest_.kind == Nest::Kind::none || events_ >= nest_.at) crash_.event(event);
    if (events_++ == nest_.at && nest_.kind != Nest::Kind::none) other_cpu();
  }

  void check_end() {
    try {
      Expectation made;
      made.models = {&after_};
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

  /// What the other CPU has done or has seen and synced, no power cut may lose any more.
  void other_cpu() {
    memory_.cpu ^= 1;
    if (nest_.kind == Nest::Kind::operation) {
      beside([&](Model& model) { apply(model, nest_.operation); },
             [&] { mount_.execute(nest_.operation, after_); });
    } else if (operation_.kind == Operation::Kind::write) {
      other_in_file(mount_.at(operation_.a), *before_.find_id(operation_.a));
    }
    memory_.cpu ^= 1;
    crash_.expect(expectation());
    crash_.explore();
  }

  void other_in_file(Node& node, size_t id) {
    const Index index = operation_.n + (nest_.kind == Nest::Kind::fill);
    const Thing& file = before_.things[id];
    if (index >= file.size / frame_bytes || file.pages.count(index) != 0) return;
    const auto sync = [&] { mount_.fsync(node, {index, index + 1}); };
    if (nest_.kind == Nest::Kind::fill) {
      beside([&](Model& model) { write_page(model, model.things[id], index); },
             [&] {
               if (!mount_.fill(node, index, after_.things[id].pages[index])) throw NoSpace();
               sync();
             });
      return;
    }
    const Page page = after_.things[id].pages[index];
    const bool touches = nest_.kind == Nest::Kind::touch;
    if (!mount_.has(node, touches ? Twin::rw : Twin::ro, index)) return sync();
    if (!touches) {
      sync();
      before_.things[id].pages[index] = page;
      return;
    }
    beside(
        [&](Model& model) {
          model.things[id].pages[index] = {++model.stamp, page.body};
        },
        [&] {
          mount_.store_mapped(node, index, after_.stamp);
          sync();
        });
  }

  /// `act` does to the pool what `change` does to both models.
  template <class Change, class Act>
  void beside(Change&& change, Act&& act) {
    const Model before = before_, after = after_;
    for (Model* model : {&before_, &after_}) {
      model->stamp = after.stamp;
      change(*model);
    }
    Expectation made = expectation();
    made.models.insert(made.models.end(), {&before, &after});
    crash_.expect(made);
    try {
      act();
    } catch (const NoSpace&) {
      before_ = before;
      after_ = after;
    }
  }

  /// Some images, above all those with something to mend, are mounted for good: power is cut in
  /// that mount, too, and in what is done next.
  void look_closer(const Content& content, const Verdict& verdict, Phys base) {
    if (crash_.expectation().models.size() > 2) return;  // another CPU is at work, too
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
