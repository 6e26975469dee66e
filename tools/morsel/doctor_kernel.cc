// SPDX-License-Identifier: MIT
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

#include "doctor.h"
#include "mounts.h"
#include "text.h"

namespace morsel::tool {

namespace {

using enum Check::Level;

std::string release() {
  utsname name{};
  uname(&name);
  return name.release;
}

void check_version(Checks& checks) {
  int major = 0, minor = 0;
  if (std::sscanf(release().c_str(), "%d.%d", &major, &minor) != 2 || major < 6 ||
      (major == 6 && minor < 1))
    checks.push_back({warn, "kernel", "Linux " + release() + "; tested are 6.1 and newer", ""});
  else
    checks.push_back({ok, "kernel", "Linux " + release(), ""});
}

void check_module(Checks& checks) {
  if (is_module_loaded()) {
    checks.push_back({ok, "module", "morselfs is loaded", ""});
  } else if (is_module_installed()) {
    checks.push_back(
        {warn, "module", "morselfs is installed, but not loaded", "morsel setup --module"});
  } else {
    checks.push_back({missing, "module",
                      "there is no morselfs for this kernel; without it huge pages have to do",
                      "make module-host && insmod build/kernel-host/morselfs.ko"});
  }
}

void check_mounts(Checks& checks) {
  const auto mounts = morselfs_mounts();
  if (mounts.empty()) {
    const bool possible = is_module_loaded() || is_module_installed();
    checks.push_back({missing, "mount", "no morselfs is mounted",
                      possible ? "morsel setup --mount /run/morselfs" : ""});
  }
  for (const std::string& mount : mounts) {
    struct statvfs state;
    const bool usable = access(mount.c_str(), W_OK | X_OK) == 0 ||
                        access((mount + "/.morsel").c_str(), W_OK | X_OK) == 0;
    if (!usable || statvfs(mount.c_str(), &state) != 0) {
      checks.push_back({warn, "mount",
                        printable(mount) + " is a morselfs that this user may not write to",
                        "morsel setup --mount " + printable(mount)});
      continue;
    }
    checks.push_back({ok, "mount",
                      printable(mount) + ": " + size_text(state.f_bavail * state.f_frsize) +
                          " of " + size_text(state.f_blocks * state.f_frsize) + " free",
                      ""});
  }
}

}  // namespace

bool is_module_loaded() {
  std::ifstream types("/proc/filesystems");
  for (std::string line; std::getline(types, line);)
    if (line.ends_with("\tmorselfs")) return true;
  return false;
}

bool is_module_installed() {
  std::ifstream modules("/lib/modules/" + release() + "/modules.dep");
  for (std::string line; std::getline(modules, line);)
    if (line.find("/morselfs.ko") < line.find(':')) return true;
  return false;
}

void check_kernel(Checks& checks) {
  check_version(checks);
  check_module(checks);
  check_mounts(checks);
}

}  // namespace morsel::tool
