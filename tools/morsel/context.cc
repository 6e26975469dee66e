// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "command.h"
#include "text.h"

namespace morsel::tool {

Exit exit_for(const Error& error) {
  switch (-error.code) {
    case ENOSPC:
    case ENOMEM:
    case EDQUOT:
      return Exit::no_space;
    case EPERM:
    case EACCES:
    case EROFS:
      return Exit::not_permitted;
    case EBUSY:
      return Exit::in_use;
    case ESTALE:
      return Exit::stale;
    default:
      return Exit::failed;
  }
}

void Context::print(const std::string& line) const {
  if (!json) std::printf("%s\n", line.c_str());
}

void Context::remark(const std::string& line) const {
  if (!quiet) std::fprintf(stderr, "%s\n", line.c_str());
}

void Context::fail(Exit exit, const std::string& text) {
  const char* no_colour_wanted = std::getenv("NO_COLOR");
  const bool colour = !no_colour && (no_colour_wanted == nullptr || *no_colour_wanted == 0) &&
                      ::isatty(STDERR_FILENO) == 1;
  std::fprintf(stderr, "%smorsel: %s%s\n", colour ? "\x1b[31m" : "", printable(text).c_str(),
               colour ? "\x1b[0m" : "");
  document["errors"].push_back({{"status", static_cast<int>(exit)}, {"text", text}});
  if (status == Exit::ok) status = exit;
}

bool Context::progress() const {
  const char* terminal = std::getenv("TERM");
  return !quiet && ::isatty(STDERR_FILENO) == 1 &&
         (terminal == nullptr || std::strcmp(terminal, "dumb") != 0);
}

}  // namespace morsel::tool
