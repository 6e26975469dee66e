// SPDX-License-Identifier: MIT
#include "report.h"

#include <fcntl.h>
#include <unistd.h>

#include "range.h"
#include "settings.h"
#include "syscall.h"
#include "text.h"

namespace morsel::preload {
namespace {

using Line = Text<4608>;

Line begin_line(int source, size_t length) {
  Text<32> link;
  link << "/proc/self/fd/";
  link.decimal(source);
  char path[4096];
  const long size = call(SYS_readlinkat, AT_FDCWD, link.c_str(), path, sizeof path);
  Line line;
  line << "morsel: " << (size > 0 ? std::string_view(path, size) : std::string_view("?")) << ": ";
  line.decimal(static_cast<long long>(length >> 20)) << " MiB ";
  return line;
}

/// One write, so that lines of several processes stay whole.
void end_line(Line& line) {
  line << "\n";
  call(SYS_write, STDERR_FILENO, line.c_str(), line.view().size());
}

}  // namespace

void report_replaced(int source, size_t length, Kind kind) {
  if (!settings().verbose) return;
  Line line = begin_line(source, length);
  line << "mapped from the cache, " << name_of(kind);
  end_line(line);
}

void report_refused(int source, size_t length, const char* why) {
  if (!settings().verbose) return;
  Line line = begin_line(source, length);
  line << "mapped from the file: " << why;
  end_line(line);
}

}  // namespace morsel::preload
