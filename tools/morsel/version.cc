// SPDX-License-Identifier: MIT
#include "version.h"

#include <dlfcn.h>
#include <morsel/morsel.h>

#include "doctor.h"

namespace morsel::tool {

namespace {

/// This command has the library's code inside: what programs get is what the linker finds.
std::string library_version() {
  void* const library = dlopen("libmorsel.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (!library) return "not installed";
  using Version = const char*();
  auto* const version = reinterpret_cast<Version*>(dlsym(library, "morsel_version"));
  const std::string text = version ? version() : "of no version";
  dlclose(library);
  return text;
}

std::string module_version() {
  const std::string version = line_of("/sys/module/morselfs/version");
  if (!version.empty()) return version;
  return is_module_loaded() ? "loaded, and does not say its version" : "not loaded";
}

}  // namespace

std::string version_text() {
  return std::string("morsel ") + morsel_version() + "\nlibmorsel " + library_version() +
         "\nmorselfs " + module_version();
}

}  // namespace morsel::tool
