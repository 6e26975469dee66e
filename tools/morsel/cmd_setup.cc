// SPDX-License-Identifier: MIT
// morsel setup: does what `morsel doctor` proposes.
#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>

#include "command.h"
#include "directory.h"
#include "doctor.h"
#include "mounts.h"
#include "size.h"
#include "text.h"

namespace morsel::tool {

namespace {

constexpr const char* usual_mount = "/run/morselfs";

struct Options {
  std::string huge_pages;
  bool module = false;
  std::string mount, size;
};

void did(const std::string& what, Context& context) {
  context.document["done"].push_back(what);
  if (!context.quiet) context.print(printable(what));
}

void allow_huge_pages(const std::string& size, Context& context) {
  unsigned long pages = sensible_huge_pages();
  if (!size.empty()) {
    auto bytes = parse_size(size);
    if (!bytes) return context.fail(Exit::usage, "--hugepages: " + bytes.error().text);
    pages = *bytes >> 21;
  }
  const std::string file = huge_pages_directory + "nr_overcommit_hugepages";
  std::ofstream(file) << pages << std::flush;
  if (line_of(file) != std::to_string(pages))
    return context.fail(Exit::failed,
                        "the kernel did not take " + std::to_string(pages) + " in " + file);
  did("up to " + std::to_string(pages) + " 2-MiB pages on demand, " +
          size_text(uint64_t(pages) << 21),
      context);
  context.remark("until the next start of the machine; for ever: echo vm.nr_overcommit_hugepages=" +
                 std::to_string(pages) + " > /etc/sysctl.d/morsel.conf");
}

bool load_module(Context& context) {
  if (is_module_loaded()) {
    did("morselfs is loaded already", context);
    return true;
  }
  std::string words[] = {"modprobe", "morselfs"};
  char* arguments[] = {words[0].data(), words[1].data(), nullptr};
  pid_t pid = -1;
  int status = -1;
  if (posix_spawnp(&pid, "modprobe", nullptr, nullptr, arguments, environ) == 0)
    waitpid(pid, &status, 0);
  if (status != 0 || !is_module_loaded()) {
    context.fail(Exit::failed,
                 "modprobe morselfs failed; from the source: make module-host && "
                 "insmod build/kernel-host/morselfs.ko");
    return false;
  }
  did("loaded the module morselfs", context);
  return true;
}

void mount_at(const std::string& where, const std::string& size, Context& context) {
  std::error_code error;
  const bool there = is_on_morselfs(where);
  if (!there) {
    std::filesystem::create_directories(where, error);
    const std::string options = size.empty() ? "" : "size=" + size;
    if (mount("none", where.c_str(), "morselfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
      return context.fail(system_error("mounting morselfs on " + where));
    did("mounted morselfs on " + where, context);
  }
  auto stores = make_directory(AT_FDCWD, where + "/.morsel", 01777, Writers::sticky);
  if (!stores) return context.fail(stores.error());
  if (there) did("morselfs is on " + where + " already, and ready for all users", context);
}

void do_what_makes_sense(Context& context) {
  if (is_module_loaded() || is_module_installed()) {
    const auto mounts = morselfs_mounts();
    if (load_module(context)) mount_at(mounts.empty() ? usual_mount : mounts.front(), "", context);
  } else {
    context.remark(
        "there is no morselfs for this kernel (make module-host builds it); "
        "2-MiB pages do meanwhile");
  }
  const unsigned long now =
      std::strtoul(line_of(huge_pages_directory + "nr_overcommit_hugepages").c_str(), nullptr, 10);
  if (now < sensible_huge_pages())
    allow_huge_pages("", context);
  else
    did(std::to_string(now) + " 2-MiB pages on demand are allowed already", context);
}

void run(const Options& options, bool huge_pages, Context& context) {
  context.document["done"] = nlohmann::json::array();
  if (geteuid() != 0)
    return context.fail(Exit::not_permitted,
                        "setup changes the machine, which only root may: sudo morsel setup");
  if (!options.module && !huge_pages && options.mount.empty()) return do_what_makes_sense(context);
  if (options.module) load_module(context);
  if (!options.mount.empty()) mount_at(options.mount, options.size, context);
  if (huge_pages) allow_huge_pages(options.huge_pages, context);
}

}  // namespace

void add_setup(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("setup", "prepares this machine; as root");
  CLI::Option* huge_pages =
      command
          ->add_option(
              "--hugepages", options->huge_pages,
              "allows 2-MiB pages on demand, for so many bytes (default: half of the memory)")
          ->expected(0, 1);
  command->add_flag("--module", options->module, "loads the module morselfs");
  command->add_option("--mount", options->mount, "mounts a morselfs there, for all users");
  command->add_option("--size", options->size, "of the mount: bytes, k, m, g, or % of the memory");
  command->footer(
      "Without options: what makes sense on this machine. Nothing of it outlives a restart.");
  command->callback(
      [options, huge_pages, &context] { run(*options, huge_pages->count() > 0, context); });
}

}  // namespace morsel::tool
