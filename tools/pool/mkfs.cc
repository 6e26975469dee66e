// SPDX-License-Identifier: MIT
// mkfs.morselfs: an empty pool on a device or in an image file.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "core/pool/make.h"
#include "device.h"
#include "image.h"
#include "signature.h"
#include "size.h"
#include "text.h"
#include "uuid.h"

namespace morsel::pool {
namespace {

enum class Exit : int { ok = 0, failed = 1, usage = 2 };

constexpr const char* description =
    R"(Makes an empty pool of morselfs: files whose page tables lie on persistent memory.

  mkfs.morselfs -L models /dev/pmem0
  mkfs.morselfs -s 1G pool.img           (for a virtual machine's NVDIMM, or to look at))";

constexpr const char* footer = R"(Exit status: 0 done, 1 failed, 2 wrong usage.)";

struct Options {
  std::string path;
  std::string label;
  std::string uuid = "random";
  std::string size;
  u64 base = 0;
  bool force = false;
  bool quiet = false;
};

void remark(const Options& options, const std::string& text) {
  if (!options.quiet) std::fprintf(stderr, "mkfs.morselfs: %s\n", tool::printable(text).c_str());
}

/// Makes the image file as large as it shall be; an old one only by force.
Status make_file(const Options& options) {
  const auto bytes = parse_size(options.size);
  if (!bytes) return bytes.error();
  if (*bytes / frame_bytes < least_frames)
    return Error{-ENOSPC, options.size + " is too small; a pool needs at least " +
                              tool::size_text(least_frames * frame_bytes)};
  struct stat st {};
  if (::stat(options.path.c_str(), &st) == 0) {
    if (!S_ISREG(st.st_mode))
      return Error{-EINVAL, options.path + " is no file; -s is for image files only"};
    if (!options.force) return Error{-EEXIST, options.path + " is there already; -f overwrites it"};
  }
  const int fd = ::open(options.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return system_error("can't make " + options.path);
  const int failed = ::ftruncate(fd, static_cast<off_t>(*bytes)) != 0 ? errno : 0;
  ::close(fd);
  if (failed != 0) return system_error("can't give " + options.path + " that size", failed);
  return Done{};
}

Time now() {
  using namespace std::chrono;
  const auto since = system_clock::now().time_since_epoch();
  const auto whole = duration_cast<seconds>(since);
  return {whole.count(), static_cast<u64>(duration_cast<nanoseconds>(since - whole).count())};
}

/// What blkid would still find behind the first frames of the pool.
void clear_signatures(Image& image) {
  constexpr u64 reach = 32;
  const u64 frames = std::min(image.frames(), reach) - first_free_frame;
  image.zero(image.at(first_free_frame), frames * frame_bytes);
  image.flush(Site::make_void, image.at(first_free_frame), frames * frame_bytes);
}

Status make(const Options& options) {
  Superblock sb{};
  if (options.label.size() >= sizeof(sb.label))
    return Error{-EINVAL, "the label has " + std::to_string(options.label.size()) +
                              " bytes; at most " + std::to_string(sizeof(sb.label) - 1) + " fit"};
  std::memcpy(sb.label, options.label.data(), options.label.size());
  if (options.uuid == "random")
    make_uuid(sb.uuid);
  else if (!parse_uuid(options.uuid, sb.uuid))
    return Error{-EINVAL,
                 "'" + options.uuid + "' is no UUID; say 'random', or one as uuidgen prints it"};
  if (!options.size.empty())
    if (const Status made = make_file(options); !made) return made.error();
  auto image = Image::open(options.path, Access::change);
  if (!image) {
    if (image.error().code == -ENOENT)
      return Error{-ENOENT, image.error().text + "; -s SIZE makes an image file"};
    return image.error();
  }
  const std::string there = what_is_there(*image);
  if (!there.empty() && !options.force)
    return Error{-EEXIST, options.path + " holds " + there + "; -f overwrites it"};
  if (image->is_device())
    if (const std::string obstacle = obstacle_of(options.path); !obstacle.empty())
      remark(options, "warning: " + obstacle);

  sb.base = options.base;
  sb.frames = image->frames();
  if (sb.base % frame_bytes != 0 || sb.base > media_format().pfn_mask - sb.frames * frame_bytes)
    return Error{-EINVAL, "--base is no address of a frame that memory can have"};
  NewInode root{};
  root.attributes.mode = 0755;
  root.attributes.access = root.attributes.modification = root.attributes.change = now();
  root.header.birth = root.attributes.change;
  make_pool(*image, sb, root);
  clear_signatures(*image);  // only now: before, an old pool could have lost frames and be there
  if (const Status finished = image->finish(); !finished) return finished.error();
  if (!options.quiet)
    std::printf("%s: a pool of %s (%lu frames), label '%s', UUID %s\n",
                tool::printable(options.path).c_str(),
                tool::size_text(sb.frames * frame_bytes).c_str(), sb.frames,
                tool::printable(options.label).c_str(), uuid_text(sb.uuid).c_str());
  return Done{};
}

int run(int argc, char** argv) {
  CLI::App app{description, "mkfs.morselfs"};
  Options options;
  app.footer(footer);
  app.set_version_flag("-V,--version", "mkfs.morselfs, format 1");
  app.add_option("DEVICE", options.path, "an fsdax device, or an image file")->required();
  app.add_option("-L,--label", options.label, "name of the pool, at most 31 bytes");
  app.add_option("-U,--uuid", options.uuid, "'random' (default), or a UUID");
  app.add_option("-s,--size", options.size, "makes an image file of that size, e.g. 512M");
  app.add_option("--base", options.base,
                 "physical address that page tables are made for; a mount elsewhere moves them, "
                 "which costs nothing while the pool is empty (default: 0)");
  app.add_flag("-f,--force", options.force, "overwrites what is there");
  app.add_flag("-q,--quiet", options.quiet, "no remarks");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return static_cast<int>(app.exit(error) == 0 ? Exit::ok : Exit::usage);
  }
  const Status made = make(options);
  if (made) return static_cast<int>(Exit::ok);
  std::fprintf(stderr, "mkfs.morselfs: %s\n", tool::printable(made.error().text).c_str());
  return static_cast<int>(made.error().code == -EINVAL ? Exit::usage : Exit::failed);
}

}  // namespace
}  // namespace morsel::pool

int main(int argc, char** argv) { return morsel::pool::run(argc, argv); }
