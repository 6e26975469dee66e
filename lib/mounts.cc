// SPDX-License-Identifier: MIT
#include "mounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>
#include <string_view>

#include "../uapi/morselfs.h"
#include "descriptor.h"

namespace morsel {

namespace {

// Blanks, tabs, newlines and backslashes are written in octal: \040.
std::string unescape(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += char(std::stoi(text.substr(i + 1, 3), nullptr, 8));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// "36 35 98:0 /root /where options shared:1 master:2 - type source options"
struct Mount {
  explicit Mount(const std::string& line) {
    std::istringstream words(line);
    std::string skipped;
    words >> skipped >> skipped >> skipped >> skipped >> where;
    while (words >> skipped && skipped != "-") {
    }
    words >> type;
    where = unescape(where);
  }
  std::string where, type;
};

// Cheaper to read than the mounts, of which there may be hundreds, and most kernels have none.
bool kernel_has_morselfs() {
  std::array<char, 4096> text;
  const Descriptor file(open("/proc/filesystems", O_RDONLY | O_CLOEXEC));
  const ssize_t got = file ? read(file.get(), text.data(), text.size()) : -1;
  if (got < 0 || size_t(got) == text.size()) return true;  // who knows
  return std::string_view(text.data(), size_t(got)).find("\tmorselfs\n") != std::string_view::npos;
}

bool is_directory(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

}  // namespace

std::vector<std::string> morselfs_mounts() {
  std::vector<std::string> mounts;
  if (!kernel_has_morselfs()) return mounts;
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    Mount mount(line);
    if (mount.type == "morselfs" && is_on_morselfs(mount.where) && is_directory(mount.where))
      mounts.push_back(mount.where);
  }
  return mounts;
}

bool is_on_morselfs(const std::string& path) {
  struct statfs fs;
  return statfs(path.c_str(), &fs) == 0 && fs.f_type == MORSELFS_SUPER_MAGIC;
}

bool is_on_morselfs(int fd) {
  struct statfs fs;
  return fstatfs(fd, &fs) == 0 && fs.f_type == MORSELFS_SUPER_MAGIC;
}

}  // namespace morsel
