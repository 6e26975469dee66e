// SPDX-License-Identifier: MIT
//
// The work of a run, cut into items that processes take one after the other; what fails first is
// what is likely to.
#pragma once

#include <unistd.h>

#include "runs.h"

namespace morsel::sim {

struct Item {
  enum class Kind { sequence, nested, repair, random } kind;
  Operations operations;
  Nest nest;
  u64 number = 0;  ///< of a repair; seed of a random one
};

struct Plan {
  unsigned sequences = 2;  ///< all of up to this length
  u64 sample = 0;          ///< and of the next length, so many
  u64 random = 0;          ///< random sequences
  u64 length = 30;         ///< of that many operations
  u64 states = 0;          ///< or as many as it takes to see so many images
  u64 seed = 1;
};

/// How to run an item again.
inline std::string to_text(const Item& item, u64 length) {
  switch (item.kind) {
    case Item::Kind::sequence:
      return "--run '" + to_text(item.operations) + "'";
    case Item::Kind::nested: {
      std::string text = "--run '" + to_text(item.operations) + "' --other '";
      text += item.nest.kind == Nest::Kind::operation
                  ? to_text(item.nest.operation)
                  : nest_names[static_cast<unsigned>(item.nest.kind)];
      if (item.nest.at != ~0UL) text += "@" + std::to_string(item.nest.at);
      return text + "'";
    }
    case Item::Kind::repair:
      return "--repair " + std::to_string(item.number);
    case Item::Kind::random:
      return "--random 1 --length " + std::to_string(length) + " --sequences 0 --seed " +
             std::to_string(item.number);
  }
  return {};
}

class Items {
 public:
  Items(const Plan& plan, Tally& tally)
      : plan_(plan), small_(make_start(tally, small_pool)), full_(make_start(tally, full_pool)) {
    const Operations all = catalog();
    if (plan.sequences >= 1) {
      add_sequences(all, 1);
      add_telling();
      add_nested();
      for (u64 which = 0; which < damages; which++)
        items_.push_back({Item::Kind::repair, {}, {}, which});
    }
    for (unsigned length = 2; length <= plan.sequences; length++) add_sequences(all, length);
    if (plan.sample > 0) add_sample(all, plan.sequences + 1);
    for (u64 i = 0; i < plan.random; i++)
      items_.push_back({Item::Kind::random, {}, {}, plan.seed + i});
  }

  u64 size() const { return items_.size(); }
  /// Beyond the end there are more random ones.
  Item at(u64 index) const {
    return index < items_.size()
               ? items_[index]
               : Item{
                     Item::Kind::random, {}, {}, plan_.seed + plan_.random + index - items_.size()};
  }

  /// Throws Failure, which says how to repeat it. `where` is told what is being run.
  void run(const Context& context, Item item, Tally::Text& where) const {
    const auto tell = [&] {
      std::snprintf(where, sizeof(where), "%s", to_text(item, plan_.length).c_str());
    };
    tell();
    alarm(300);  // an endless loop in core is a failure, too
    try {
      switch (item.kind) {
        case Item::Kind::sequence:
          run_sequence(context, small_, item.operations);
          break;
        case Item::Kind::nested: {
          if (item.nest.at != ~0UL) {
            run_sequence(context, small_, item.operations, item.nest);
            break;
          }
          const u64 events = run_sequence(context, small_, item.operations);
          for (item.nest.at = 0; item.nest.at < events; item.nest.at++) {
            tell();
            run_sequence(context, small_, item.operations, item.nest);
          }
          break;
        }
        case Item::Kind::repair:
          run_repair(context, small_, item.number);
          break;
        case Item::Kind::random:
          random(context, item.number % 2 == 0 ? full_ : small_, item.number);
          break;
      }
    } catch (const std::exception& failure) {
      std::string repeat = "\n  repeat: morsel-sim " + to_text(item, plan_.length);
      if (item.kind != Item::Kind::random && context.seed != 1)
        repeat += " --seed " + std::to_string(context.seed);
      if (context.off != Site::count)
        repeat += " --off " + std::string(site_names[static_cast<unsigned>(context.off)]);
      throw Failure(failure.what() + std::move(repeat));
    }
  }

 private:
  void random(const Context& context, const Start& start, u64 seed) const {
    run_all({context.tally, context.off, seed}, start,
            random_operations(start, seed, plan_.length));
  }

  void add_sequences(const Operations& all, unsigned length) {
    std::vector<Operations> begun = {{}};
    for (unsigned i = 0; i < length; i++) {
      std::vector<Operations> longer;
      for (const Operations& begin : begun)
        for (const Operation& next : all) {
          if (!applies(model_after(begin), next)) continue;
          longer.push_back(begin);
          longer.back().push_back(next);
        }
      begun = std::move(longer);
    }
    for (Operations& operations : begun)
      items_.push_back({Item::Kind::sequence, std::move(operations), {}, 0});
  }

  Model model_after(const Operations& operations) const {
    Model model = small_.model;
    for (const Operation& operation : operations) apply(model, operation);
    return model;
  }

  void add_sample(const Operations& all, unsigned length) {
    Random random(plan_.seed);
    for (u64 i = 0; i < plan_.sample; i++) {
      Operations operations;
      Model model = small_.model;
      while (operations.size() < length) {
        const Operation& next = all[random.below(all.size())];
        if (!applies(model, next)) continue;
        apply(model, next);
        operations.push_back(next);
      }
      items_.push_back({Item::Kind::sequence, operations, {}, 0});
    }
  }

  /// Longer ones that nothing shorter stands for.
  void add_telling() {
    for (const char* text :
         {"write /big 5;write /big 600", "rename /a /c;unlink /c", "rename /a /c;rename /d/b /a",
          "write /big 600;truncate /big 0", "write /big 600;punch /big 0 1024;prune /big",
          "detach /a;write-open 3;close", "create /c;write /c 0;rename /c /a"})
      items_.push_back({Item::Kind::sequence, parse_operations(text), {}, 0});
  }

  void add_nested() {
    for (const char* text :
         {"write /big 5", "write /big 600", "write /big 262149", "write /a 5", "write /d/b 0",
          "write /big 5;write /big 600", "write /big 600;write /big 262149"})
      for (const Nest::Kind kind : {Nest::Kind::fill, Nest::Kind::fsync, Nest::Kind::touch})
        items_.push_back({Item::Kind::nested, parse_operations(text), {kind, ~0UL, {}}, 0});
    // Locks keep two operations apart that have a directory or a file in common.
    for (const char* text : {"rename /a /c", "create /c", "unlink /a", "write /a 2",
                             "truncate /a 0", "setxattr /a 1", "punch /a 0 2"})
      for (const char* other : {"rename /d/x1 /d/z", "rename /d/b /d/x", "unlink /d/b",
                                "create /d/c", "write /big 600", "chmod /d/b 384"})
        items_.push_back({Item::Kind::nested,
                          parse_operations(text),
                          {Nest::Kind::operation, ~0UL, parse_operation(other)},
                          0});
  }

  const Plan plan_;
  const Start small_, full_;
  std::vector<Item> items_;
};

}  // namespace morsel::sim
