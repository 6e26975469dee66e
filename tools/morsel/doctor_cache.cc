// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "cache.h"
#include "directory.h"
#include "doctor.h"
#include "holder_client.h"
#include "holder_place.h"
#include "text.h"

namespace morsel::tool {

namespace {

using enum Check::Level;

void check_user(Checks& checks) {
  if (geteuid() == 0)
    checks.push_back(
        {ok, "rights", "root: what is loaded is for all whom the source's mode permits", ""});
  else
    checks.push_back(
        {ok, "rights",
         "user " + std::to_string(geteuid()) + ": what is loaded is for this user; setup is root's",
         ""});
}

void check_holder(Checks& checks) {
  const std::string directory = own_holder();
  auto trusted = open_directory(AT_FDCWD, directory);
  if (!trusted && trusted.error().code != -ENOENT) {
    checks.push_back({missing, "holder", printable(trusted.error().text), ""});
    return;
  }
  auto talk = ask_holder(directory, false, {{"op", "hello"}, {"version", holder_version}});
  if (talk) {
    const auto& body = talk->answer.body;
    checks.push_back({ok, "holder",
                      "process " + std::to_string(body.value("pid", 0)) + " holds " +
                          std::to_string(body.value("objects", 0UL)) + " objects, " +
                          size_text(body.value("bytes", 0UL)),
                      ""});
  } else if (talk.error().code == -ENOENT) {
    checks.push_back({ok, "holder", "none runs; it is started when it is needed", ""});
  } else {
    checks.push_back({warn, "holder", printable(talk.error().text), "morsel holder --stop"});
  }
  auto left = holder::Place::leftovers(directory);
  if (!left)
    checks.push_back({warn, "leftovers", printable(left.error().text), ""});
  else if (left->empty())
    checks.push_back({ok, "leftovers", "none", ""});
  else
    checks.push_back({warn, "leftovers",
                      "a holder was killed and left " + std::to_string(left->size()) +
                          " names in " + printable(directory) + " (no memory)",
                      "morsel doctor --fix"});
}

void check_files(Checks& checks) {
  auto files = list_files();
  if (!files) {
    checks.push_back({warn, "files", printable(files.error().text), ""});
    return;
  }
  uint64_t bytes = 0, stale = 0;
  for (const CachedFile& file : *files) {
    const bool old = file.freshness == Freshness::changed || file.freshness == Freshness::gone;
    (old ? stale : bytes) += file.entry.bytes;
  }
  if (stale == 0)
    checks.push_back({ok, "files", size_text(bytes) + " in the cache", ""});
  else
    checks.push_back({warn, "files",
                      size_text(stale) + " in the cache are of files that were changed or are gone",
                      "morsel prune"});
}

}  // namespace

void check_cache(Checks& checks) {
  check_user(checks);
  check_holder(checks);
  check_files(checks);
}

}  // namespace morsel::tool
