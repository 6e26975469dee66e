// SPDX-License-Identifier: MIT
// morsel run: a program under the shim (preload/), so that its mmap of a cached file gets the
// object. The shim is told by the environment, which the program's children inherit.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "command.h"
#include "directory.h"
#include "holder_client.h"
#include "mounts.h"
#include "named_copies.h"
#include "program.h"
#include "store.h"

namespace morsel::tool {
namespace {

// As the shell, env(1) and the like end when they can't run a program.
constexpr auto not_runnable = static_cast<Exit>(126);
constexpr auto not_found = static_cast<Exit>(127);

constexpr const char* shim = "libmorsel-preload.so";

/// The library, in the build tree or where it was installed; "" if it is nowhere.
std::string find_shim() {
  namespace fs = std::filesystem;
  if (const char* said = std::getenv("MORSEL_PRELOAD")) return said;
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& path :
       {here / shim, here / "../../preload" / shim, here / "../lib/morsel" / shim,
        fs::path(MORSEL_LIBRARY_DIRECTORY) / shim})
    if (fs::exists(path, error)) return fs::weakly_canonical(path, error);
  return "";
}

/// Before what is there already: the first one in the list is asked first.
void add_to_preloaded(const std::string& library) {
  const char* before = std::getenv("LD_PRELOAD");
  std::string list = library;
  if (before && *before) {
    if (std::string(before).starts_with(library)) return;  // `morsel run morsel run ...`
    list += ":" + std::string(before);
  }
  setenv("LD_PRELOAD", list.c_str(), 1);
}

/// Those that exist and that nobody else can write to, in the order in which they are asked; and
/// whether those of holders have one that runs.
std::string existing_stores(bool& holders_run) {
  std::string list;
  holders_run = true;
  for (const auto& store : stores()) {
    if (!open_directory(AT_FDCWD, store->directory)) continue;
    list += (list.empty() ? "" : ":") + store->directory;
    holders_run =
        holders_run && (is_on_morselfs(store->directory) || connect_to_holder(store->directory));
  }
  return list;
}

/// The shim may follow links without looking where they lead, for a while: preload/settings.h.
void say_that_holders_run() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long milliseconds = now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
  setenv("MORSEL_HOLDERS_RAN", std::to_string(milliseconds).c_str(), 1);
}

void run(Context& context, bool verbose) {
  if (context.program.empty())
    return context.fail(Exit::usage, "run which program? morsel run [--verbose] -- PROGRAM ARG...");
  const std::string& name = context.program.front();
  const auto path = find_program(name);
  if (!path)
    return context.fail(path.error().code == -ENOENT ? not_found : not_runnable, path.error().text);
  if (const auto reason = why_not_preloadable(*path)) return context.fail(not_runnable, *reason);

  const std::string library = find_shim();
  if (library.empty() || access(library.c_str(), R_OK) != 0)
    return context.fail(not_runnable, (library.empty() ? shim : library) +
                                          " is not there; MORSEL_PRELOAD can say where it is");
  if (library.find_first_of(": \t\n") != std::string::npos)
    return context.fail(not_runnable,
                        "LD_PRELOAD can't name " + library + ": its path has a colon or a space");
  add_to_preloaded(library);
  bool holders_run = false;
  const std::string list = existing_stores(holders_run);
  setenv("MORSEL_STORES", list.c_str(), 1);
  if (holders_run)
    say_that_holders_run();
  else
    unsetenv("MORSEL_HOLDERS_RAN");
  const std::string opened = open_named_copies(context.program);
  if (opened.empty())
    unsetenv("MORSEL_OPENED");
  else
    setenv("MORSEL_OPENED", opened.c_str(), 1);
  if (verbose) {
    setenv("MORSEL_VERBOSE", "1", 1);
    if (list.empty()) context.remark("morsel: nothing is in the cache: see morsel load");
  }

  std::vector<char*> arguments;
  for (std::string& argument : context.program) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  execv(path->c_str(), arguments.data());
  context.fail(errno == ENOENT ? not_found : not_runnable, *path + ": " + std::strerror(errno));
}

}  // namespace

int take_program(int argc, char** argv, Context& context) {
  char** const end = argv + argc;
  const auto is_word = [](const char* argument) { return argument[0] != '-'; };
  char** const command = std::find_if(argv + 1, end, is_word);
  if (command == end || std::strcmp(*command, "run") != 0) return argc;
  char** const first = std::find_if(command + 1, end, [&](const char* argument) {
    return is_word(argument) || std::strcmp(argument, "--") == 0;
  });
  context.program.assign(first != end && !is_word(*first) ? first + 1 : first, end);
  return static_cast<int>(first - argv);
}

void add_run(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "run",
      "Runs a program so that it maps cached files from memory:\n"
      "  morsel run [--verbose] -- PROGRAM ARG...\n"
      "Ends with the program's status; 126: it can't be run this way, 127: it is not there.");
  auto verbose = std::make_shared<bool>(false);
  command->add_flag("--verbose", *verbose,
                    "a line on stderr per mapping of a large file: from the cache, or why not");
  command->callback([&context, verbose] { run(context, *verbose); });
}

}  // namespace morsel::tool
