// SPDX-License-Identifier: MIT
// dump.morselfs: what lies in a pool, down to the frames.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <exception>
#include <nlohmann/json.hpp>

#include "superblock_text.h"
#include "tables.h"
#include "text.h"
#include "uuid.h"
#include "walker.h"

namespace morsel::pool {
namespace {

constexpr int failed = 1, usage = 2;

constexpr const char* description =
    R"(Shows what lies in a pool of morselfs; nothing is written.

  dump.morselfs /dev/pmem0               the pool: superblock, and what its frames hold
  dump.morselfs /dev/pmem0 /models/a     a file or directory: inode, attributes, frames
  dump.morselfs -i 17 /dev/pmem0         the same, by its number)";

constexpr const char* footer = R"(Exit status: 0 done, 1 failed, 2 wrong usage.)";

struct Options {
  std::string image;
  std::string path;
  u64 inode = 0;
  bool json = false;
};

using Rows = std::vector<std::vector<std::string>>;

std::string octal(u32 mode) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", mode);
  return text.data();
}

std::string hexadecimal(u64 value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%#lx", value);
  return text.data();
}

std::string when(const Time& time) {
  std::array<char, 64> text{};
  tm parts{};
  const time_t seconds = time.seconds;
  if (::gmtime_r(&seconds, &parts) == nullptr ||
      std::strftime(text.data(), text.size(), "%F %T", &parts) == 0)
    return std::to_string(time.seconds) + " s";
  std::array<char, 16> rest{};
  std::snprintf(rest.data(), rest.size(), ".%09lu UTC", time.nanoseconds);
  return std::string(text.data()) + rest.data();
}

const char* type_name(u32 type) {
  switch (type) {
    case type_fifo:
      return "FIFO";
    case type_char:
      return "character device";
    case type_directory:
      return "directory";
    case type_block:
      return "block device";
    case type_regular:
      return "file";
    case type_link:
      return "symbolic link";
    case type_socket:
      return "socket";
    default:
      return "unknown";
  }
}

std::string bytes_text(const u8* bytes, u64 count) {
  return {reinterpret_cast<const char*>(bytes), count};
}

class Dump {
 public:
  Dump(const Options& options, Image& image, const Superblock& sb)
      : options_(options), image_(image), sb_(sb), walker_(image) {}

  Status run() {
    const Form form{sb_.base, /*accepts_relative=*/sb_.phase != Phase::settled,
                    /*wants_relative=*/false};
    const core::Status walked =
        Check<Image, PoolWalker>(image_, walker_, form, Mending::none, /*announce=*/true).run();
    const u64 damage = count_damage();
    if (damage != 0)
      std::fprintf(stderr, "dump.morselfs: the pool is damaged (`fsck.morselfs %s` says more)\n",
                   tool::printable(options_.image).c_str());
    if (!walked.ok()) return Error{-EUCLEAN, "the root directory is damaged"};
    const bool whole_pool = options_.path.empty() && options_.inode == 0;
    if (whole_pool) {
      show_pool(damage);
    } else {
      Frame frame = options_.inode;
      if (!options_.path.empty()) {
        frame = look_up(options_.path);
        if (frame == 0) return Error{-ENOENT, options_.path + " is not in the pool"};
      }
      if (frame != root_inode_frame && walker_.object(frame) == nullptr)
        return Error{-ENOENT, "no name leads to an inode " + std::to_string(frame)};
      show_inode(frame);
    }
    if (options_.json) {
      using Handler = nlohmann::json::error_handler_t;
      std::puts(document_.dump(2, ' ', false, Handler::replace).c_str());
    } else {
      std::puts(tool::table(rows_).c_str());
    }
    if (std::fflush(stdout) != 0) return system_error("standard output");
    return Done{};
  }

 private:
  void row(const std::string& what, const std::string& value) { rows_.push_back({what, value}); }

  u64 count_damage() const {
    u64 count = 0;
    for (const Found& found : walker_.findings()) count += is_damage(found.finding.kind);
    return count;
  }

  void show_pool(u64 damage) {
    const Counts counts = walker_.counts();
    const u64 free = sb_.frames - walker_.claimed();
    const u64 metadata = walker_.claimed() - counts.data;
    document_["superblock"] = {
        {"version", sb_.version},         {"label", label_of(sb_)},  {"uuid", uuid_text(sb_.uuid)},
        {"generation", sb_.generation},   {"base", sb_.base},        {"frames", sb_.frames},
        {"phase", phase_name(sb_.phase)}, {"clean", sb_.clean != 0}, {"compat", sb_.compat},
        {"ro_compat", sb_.ro_compat},     {"incompat", sb_.incompat}};
    document_["inodes"] = {{"files", counts.files},
                           {"directories", counts.directories},
                           {"links", counts.links},
                           {"others", counts.others}};
    document_["frames"] = {{"used", walker_.claimed()},
                           {"free", free},
                           {"data", counts.data},
                           {"tables", counts.tables},
                           {"inodes", counts.inodes()},
                           {"names", counts.names_frames},
                           {"link_targets", counts.link_frames},
                           {"xattrs", counts.xattr_frames}};
    document_["names"] = counts.names;
    document_["log_records"] = Log::pending(image_);
    document_["damage"] = damage;
    row("label", tool::printable(label_of(sb_)));
    row("UUID", uuid_text(sb_.uuid));
    row("format", std::to_string(sb_.version));
    row("features", sb_.compat == 0 && sb_.ro_compat == 0 && sb_.incompat == 0
                        ? "none"
                        : hexadecimal(sb_.compat) + " " + hexadecimal(sb_.ro_compat) + " " +
                              hexadecimal(sb_.incompat));
    row("base", hexadecimal(sb_.base) + " (" + phase_name(sb_.phase) + ")");
    row("generation", std::to_string(sb_.generation));
    row("unmounted", sb_.clean != 0 ? "orderly" : "no: in use, or the power went");
    row("log", std::to_string(Log::pending(image_)) + " records");
    row("size", frames_text(sb_.frames));
    row("free", frames_text(free));
    row("used", frames_text(walker_.claimed()));
    row("  data", frames_text(counts.data));
    row("  page tables", frames_text(counts.tables));
    row("  inodes", frames_text(counts.inodes()));
    row("  names", frames_text(counts.names_frames));
    row("  link targets", frames_text(counts.link_frames));
    row("  extended attributes", frames_text(counts.xattr_frames));
    row("  superblock, log", frames_text(first_free_frame - 1));
    row("files", std::to_string(counts.files));
    row("directories", std::to_string(counts.directories));
    row("symbolic links", std::to_string(counts.links));
    row("other inodes", std::to_string(counts.others));
    row("names", std::to_string(counts.names));
    if (counts.data != 0) {
      const double per_gib = static_cast<double>(metadata) * frame_bytes /
                             (static_cast<double>(counts.data) * frame_bytes / 0x1p30);
      document_["metadata_bytes_per_gib"] = static_cast<u64>(per_gib);
      row("metadata per GiB of data", tool::size_text(static_cast<u64>(per_gib)));
    }
  }

  static std::string frames_text(u64 frames) {
    return std::to_string(frames) + " frames, " + tool::size_text(frames * frame_bytes);
  }

  /// 0 if there is no such name.
  Frame look_up(const std::string& path) const {
    Frame at = root_inode_frame;
    for (size_t begin = 0; begin < path.size();) {
      const size_t end = std::min(path.find('/', begin), path.size());
      const std::string part = path.substr(begin, end - begin);
      begin = end + 1;
      if (part.empty() || part == ".") continue;
      Frame next = 0;
      for (const Link& link : walker_.links(at))
        if (link.name == part) next = link.inode;
      if (next == 0) return 0;
      at = next;
    }
    return at;
  }

  void show_inode(Frame frame) {
    const Inode& inode = *static_cast<const Inode*>(image_.at(frame));
    const InodeHeader& header = inode.header;
    const Object* object = walker_.object(frame);
    const bool sound = object == nullptr || object->sound;
    document_["inode"] = frame;
    document_["path"] = walker_.path(frame);
    document_["type"] = type_name(header.type);
    document_["sound"] = sound;
    document_["birth"] = time_json(header.birth);
    row("path", tool::printable(walker_.path(frame)));
    row("inode", std::to_string(frame) + ", at " + hexadecimal(frame * frame_bytes));
    row("type", type_name(header.type));
    if (!sound) row("state", "DAMAGED");
    if (header.type == type_char || header.type == type_block) {
      document_["device"] = {header.rdev_major, header.rdev_minor};
      row("device", std::to_string(header.rdev_major) + ":" + std::to_string(header.rdev_minor));
    }
    row("born", when(header.birth));
    show_attributes(inode);
    if (object != nullptr) {
      document_["names"] = walker_.names_of(frame);
      row("names", std::to_string(walker_.names_of(frame)));
    }
    show_xattrs(inode);
    if (header.type == type_link && image_.is_readable(inode.link) &&
        is_whole_link(image_, inode)) {
      const std::string target =
          bytes_text(static_cast<const u8*>(image_.at(inode.link)), header.link_bytes);
      document_["target"] = target;
      row("target", tool::printable(target) + " (frame " + std::to_string(inode.link) + ")");
    }
    if (header.type == type_directory) show_names(frame);
    if (header.type == type_regular && object != nullptr) show_pages(inode, *object);
  }

  static nlohmann::json time_json(const Time& time) { return {time.seconds, time.nanoseconds}; }

  void show_attributes(const Inode& inode) {
    const core::Result<unsigned> slot = current_attributes(inode);
    if (!slot.ok()) {
      row("attributes", "DAMAGED: neither copy is whole");
      return;
    }
    const Attributes& is = inode.attributes[slot.value()];
    document_["attributes"] = {{"sequence", is.sequence},
                               {"size", is.size},
                               {"mode", is.mode},
                               {"uid", is.uid},
                               {"gid", is.gid},
                               {"flags", is.flags},
                               {"sealed", is.sealed != 0},
                               {"access", time_json(is.access)},
                               {"modification", time_json(is.modification)},
                               {"change", time_json(is.change)}};
    row("size", tool::size_text(is.size) + " (" + std::to_string(is.size) + ")");
    row("rights",
        octal(is.mode) + ", user " + std::to_string(is.uid) + ", group " + std::to_string(is.gid));
    row("flags", hexadecimal(is.flags) + (is.sealed != 0 ? ", sealed" : ""));
    row("access", when(is.access));
    row("modification", when(is.modification));
    row("change", when(is.change));
    row("sequence", std::to_string(is.sequence) + ", copy " + std::to_string(slot.value()));
  }

  void show_xattrs(const Inode& inode) {
    if (inode.xattrs == 0) return;
    document_["xattrs"] = nlohmann::json::object();
    if (!image_.is_readable(inode.xattrs) || !is_whole_payload(image_, inode.xattrs)) {
      row("extended attributes", "DAMAGED");
      return;
    }
    const Payload& payload = *static_cast<const Payload*>(image_.at(inode.xattrs));
    const bool whole = each_xattr(payload.data, payload.bytes,
                                  [&](const u8* name, u64 name_bytes, const u8* value, u64 bytes) {
                                    const std::string key = bytes_text(name, name_bytes),
                                                      text = bytes_text(value, bytes);
                                    document_["xattrs"][key] = text;
                                    row(tool::printable(key), "\"" + tool::printable(text) + "\"");
                                    return true;
                                  });
    if (!whole) row("extended attributes", "DAMAGED");
  }

  void show_names(Frame directory) {
    document_["entries"] = nlohmann::json::array();
    for (const Link& link : walker_.links(directory)) {
      document_["entries"].push_back({{"name", link.name}, {"inode", link.inode}});
      row("  " + std::to_string(link.inode), tool::printable(link.name));
    }
  }

  void show_pages(const Inode& inode, const Object& object) {
    document_["pages"] = object.leaves;
    document_["tables"] = object.tables;
    document_["roots"] = {inode.roots[0], inode.roots[1]};
    row("roots", hexadecimal(inode.roots[0]) + " (writable), " + hexadecimal(inode.roots[1]) +
                     " (read-only)");
    if (!object.sound) return;
    row("pages", frames_text(object.leaves));
    row("page tables", frames_text(object.tables));
    document_["extents"] = nlohmann::json::array();
    each_extent(image_, inode, Twin::ro, sb_.base, [&](const Extent& extent) {
      document_["extents"].push_back(
          {{"page", extent.page}, {"frame", extent.frame}, {"pages", extent.pages}});
      row("  pages " + range(extent.page, extent.pages),
          "frames " + range(extent.frame, extent.pages));
    });
  }

  static std::string range(u64 first, u64 count) {
    return count == 1 ? std::to_string(first)
                      : std::to_string(first) + "-" + std::to_string(first + count - 1);
  }

  const Options& options_;
  Image& image_;
  const Superblock& sb_;
  PoolWalker walker_;
  Rows rows_;
  nlohmann::json document_{{"schema", 1}};
};

Status dump(const Options& options) {
  auto image = Image::open(options.image, Access::look);
  if (!image) return image.error();
  unsigned whole = 0;
  const auto sb = read_pool(*image, whole);
  if (!sb) return sb.error();
  if (whole < 2)
    std::fprintf(stderr, "dump.morselfs: one of the two copies of the superblock is not whole\n");
  return Dump(options, *image, *sb).run();
}

int run(int argc, char** argv) {
  CLI::App app{description, "dump.morselfs"};
  Options options;
  app.footer(footer);
  app.set_version_flag("-V,--version", "dump.morselfs, format 1");
  app.add_option("DEVICE", options.image, "a device with a pool, or an image file")->required();
  CLI::Option* path = app.add_option("PATH", options.path, "of a file or directory in the pool");
  app.add_option("-i,--inode", options.inode, "number of an inode")->excludes(path);
  app.add_flag("--json", options.json, "the answer as JSON, with a \"schema\": 1");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : usage;
  }
  try {
    const Status done = dump(options);
    if (done) return 0;
    std::fprintf(stderr, "dump.morselfs: %s\n", tool::printable(done.error().text).c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dump.morselfs: %s\n", error.what());
  }
  return failed;
}

}  // namespace
}  // namespace morsel::pool

int main(int argc, char** argv) { return morsel::pool::run(argc, argv); }
