// SPDX-License-Identifier: MIT
// fsck.morselfs: looks at all of a pool, and repairs it.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>

#include "findings.h"
#include "superblock_text.h"
#include "text.h"

namespace morsel::pool {
namespace {

// Those of fsck(8); they add up.
constexpr int mended = 1, damage_left = 4, operational = 8, usage = 16;

constexpr const char* description =
    R"(Checks a pool of morselfs, and repairs it. Without -a, -p or -y nothing is written.

A power cut leaves no damage, only leftovers: pages that were about to come or go. Every mount puts
them in order by itself, and checks all of the pool; so fsck.morselfs is needed only after a mount
has found damage.)";

constexpr const char* footer =
    R"(A repair never makes anything up: what is damaged is cleared, and what was behind it is lost,
but for pages that the file's other page table still has right. -n shows beforehand what that would be.

Exit status, as fsck(8) has it; the numbers add up:
   0  no damage (in a run that only looks, there may be leftovers)
   1  leftovers or damage were put right
   4  there is damage
   8  the check could not be done
  16  wrong usage)";

struct Options {
  std::string path;
  bool look = false;
  bool automatic = false;
  bool repair = false;
  bool force = false;
  bool verbose = false;
  bool json = false;

  [[nodiscard]] Mending mending() const {
    // A run that only looks goes all the way, on a copy in memory.
    return automatic ? Mending::leftovers : Mending::damage;
  }
  [[nodiscard]] bool writes() const { return automatic || repair; }
};

class Fsck {
 public:
  explicit Fsck(const Options& options) : options_(options) {}

  int run() {
    const Status done = guarded_check();
    if (!done) {
      status_ |= operational;
      document_["error"] = done.error().text;
      std::fprintf(stderr, "fsck.morselfs: %s\n", tool::printable(done.error().text).c_str());
    }
    document_["status"] = status_;
    if (options_.json) {
      using Handler = nlohmann::json::error_handler_t;
      std::puts(document_.dump(2, ' ', false, Handler::replace).c_str());
    }
    if (std::fflush(stdout) != 0) {
      std::perror("fsck.morselfs: standard output");
      status_ |= operational;
    }
    return status_;
  }

 private:
  Status guarded_check() {
    try {
      return check();
    } catch (const std::exception& error) {  // memory, most of all
      return Error{-ENOMEM, std::string("the check did not come to its end: ") + error.what()};
    }
  }

  Status check() {
    auto image = Image::open(options_.path, options_.writes() ? Access::change : Access::look);
    if (!image) return image.error();
    auto read = read_pool(*image, whole_);
    if (!read) {
      if (read.error().code == -EUCLEAN) status_ |= damage_left;
      return read.error();
    }
    Superblock sb = *read;
    if (options_.writes() && sb.ro_compat != 0)
      return Error{-ENOTSUP, options_.path +
                                 " has features that this program does not know and must "
                                 "not write with; use the fsck.morselfs that came with "
                                 "the module"};
    document_["label"] = label_of(sb);
    document_["clean"] = sb.clean != 0;
    if (options_.automatic && !options_.force && is_orderly(*image, sb, whole_)) {
      print(name() + ": clean; every mount checks it (-f does so now)");
      return Done{};
    }
    if (const Status checked = check_all(*image, sb); !checked) return checked;
    if ((status_ & mended) != 0 && (status_ & damage_left) == 0 && options_.writes())
      if (const Status again = look_again(*image, sb); !again) return again;
    return image->finish();
  }

  static bool is_orderly(Image& image, const Superblock& sb, unsigned whole) {
    return sb.clean != 0 && sb.phase == Phase::settled && whole == 2 && Log::pending(image) == 0;
  }

  Status check_all(Image& image, Superblock& sb) {
    PoolWalker walker(image);
    Recovery done{};
    const u64 records = Log::pending(image);
    const core::Status status = recover(image, walker, sb, sb.base, options_.mending(), done);
    if (!status.ok() && status.error() != core::Error::damaged)
      return Error{-EIO, "the check of " + image.path() + " did not come to its end"};
    report(walker, done, records);
    // Whatever stopped it was told, but for the log.
    if (!status.ok() && !any_damage(walker)) {
      print(
          "the log holds a record that changes what is no name; left as it is, and so is the rest");
      document_["log_damaged"] = true;
      status_ |= damage_left;
    }
    if (!status.ok()) {
      settle_superblock(image, sb);
      print(name() + ": DAMAGED; not all of it was looked at");
      advise();
      return Done{};
    }
    // And in repairs there is one thing that is not told: such a record is dropped.
    if (options_.mending() == Mending::damage && done.replayed < records) {
      print("records of the log that change what is no name: " +
            std::to_string(records - done.replayed) + "; " +
            (options_.writes() ? "dropped" : "a repair would drop them"));
      document_["log_damaged"] = true;
      status_ |= options_.writes() ? mended : damage_left;
    }
    settle_superblock(image, sb);
    summarize(walker, image);
    return Done{};
  }

  void report(const PoolWalker& walker, const Recovery& done, u64 records) {
    document_["log_records"] = records;
    document_["findings"] = nlohmann::json::array();
    if (done.replayed != 0) {
      print("changes of names that the log has in full: " + std::to_string(done.replayed) + "; " +
            (options_.writes() ? "made" : "the next mount makes them"));
      if (options_.writes()) status_ |= mended;
    }
    if (done.moved && options_.writes()) status_ |= mended;
    if (done.moved)
      print(std::string("the pool was moving to another base; ") +
            (options_.writes() ? "done" : "the next mount goes on with it"));
    u64 leftovers = 0;
    for (const Found& found : walker.findings()) {
      const bool damage = is_damage(found.finding.kind);
      Outcome outcome = damage ? Outcome::repaired : Outcome::mended;
      if (!options_.writes() || (damage && options_.automatic)) outcome = Outcome::left;
      status_ |= outcome != Outcome::left ? mended : damage ? damage_left : 0;
      document_["findings"].push_back(to_json(found, walker, outcome));
      // Leftovers are nothing to worry about, and may be many.
      if (!damage && !options_.verbose)
        leftovers++;
      else
        print(line_for(found, walker, outcome, !options_.writes()));
    }
    if (leftovers != 0)
      print("leftovers of a power cut: " + std::to_string(leftovers) + " (-v shows them); " +
            (options_.writes() ? "put in order" : "the next mount puts them in order"));
  }

  static bool any_damage(const PoolWalker& walker) {
    for (const Found& found : walker.findings())
      if (is_damage(found.finding.kind)) return true;
    return false;
  }

  /// Both copies are whole afterwards, and say that the pool is in order if it is.
  void settle_superblock(Image& image, Superblock& sb) {
    document_["superblock_copies"] = whole_;
    if (whole_ < 2)
      print(std::string("one of the two copies of the superblock is not whole; ") +
            (options_.writes() ? "written anew" : "the next mount writes it anew"));
    const bool in_order = (status_ & damage_left) == 0;
    if (!options_.writes() || (whole_ == 2 && (sb.clean != 0 || !in_order))) return;
    if (whole_ < 2) status_ |= mended;
    sb.clean = sb.clean != 0 || in_order;
    write_superblock(image, sb);
  }

  /// What was put right must stay right.
  Status look_again(Image& image, const Superblock& sb) {
    PoolWalker walker(image);
    Superblock copy = sb;
    Recovery done{};
    const core::Status status = recover(image, walker, copy, copy.base, Mending::none, done);
    if (status.ok() && walker.findings().empty()) return Done{};
    for (const Found& found : walker.findings())
      print(line_for(found, walker, Outcome::left, false));
    status_ |= damage_left;
    return Error{-EIO,
                 "the repair left damage behind: a bug in fsck.morselfs; please report it with "
                 "the lines above"};
  }

  void summarize(const PoolWalker& walker, const Image& image) {
    const Counts counts = walker.counts();
    document_["frames"] = image.frames();
    document_["used"] = walker.claimed();
    document_["files"] = counts.files;
    document_["directories"] = counts.directories;
    print(name() + ": " + verdict() + "; " + std::to_string(counts.files) + " files, " +
          std::to_string(counts.directories) + " directories, " +
          tool::size_text(walker.claimed() * frame_bytes) + " of " +
          tool::size_text(image.frames() * frame_bytes) + " in use");
    advise();
  }

  void advise() const {
    if ((status_ & damage_left) != 0 && !options_.json)
      std::fprintf(stderr, "fsck.morselfs: there is damage; `fsck.morselfs -y %s` repairs it\n",
                   tool::printable(options_.path).c_str());
  }

  std::string verdict() const {
    if ((status_ & damage_left) != 0) return "DAMAGED";
    return (status_ & mended) != 0 ? "put right" : "sound";
  }

  std::string name() const {
    const std::string label = document_.value("label", "");
    return tool::printable(label.empty() ? options_.path : label);
  }
  void print(const std::string& text) const {
    if (!options_.json) std::printf("%s\n", text.c_str());
  }

  const Options& options_;
  nlohmann::json document_{{"schema", 1}};
  int status_ = 0;
  unsigned whole_ = 0;  ///< copies of the superblock, of two
};

int run(int argc, char** argv) {
  CLI::App app{description, "fsck.morselfs"};
  Options options;
  app.footer(footer);
  app.set_version_flag("-V,--version", "fsck.morselfs, format 1");
  app.add_option("DEVICE", options.path, "a device with a pool, or an image file")->required();
  CLI::Option* look = app.add_flag("-n", options.look, "only looks (the default)");
  CLI::Option* automatic = app.add_flag("-a,-p", options.automatic,
                                        "puts leftovers in order, repairs nothing; does nothing "
                                        "after an orderly unmount");
  CLI::Option* repair = app.add_flag("-y", options.repair, "repairs damage, too");
  look->excludes(automatic, repair);
  automatic->excludes(repair);
  app.add_flag("-f", options.force, "checks after an orderly unmount, too (with -a)");
  app.add_flag("-v", options.verbose, "shows each leftover");
  app.add_flag("--json", options.json, "the answer as JSON, with a \"schema\": 1");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : usage;
  }
  return Fsck(options).run();
}

}  // namespace
}  // namespace morsel::pool

int main(int argc, char** argv) { return morsel::pool::run(argc, argv); }
