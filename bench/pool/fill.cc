// SPDX-License-Identifier: MIT
#include "fill.h"

#include <algorithm>
#include <vector>

#include "system_call.h"

namespace morsel::bench {

std::string file_name(const std::string& directory, unsigned number) {
  return directory + "/file-" + std::to_string(number);
}

void fill(const std::string& directory, unsigned files, uint64_t bytes) {
  const std::vector<char> data(std::min<uint64_t>(bytes, 2 << 20), 'x');
  for (unsigned number = 0; number < files; ++number) {
    const File file(file_name(directory, number), O_WRONLY | O_CREAT | O_EXCL);
    for (uint64_t at = 0; at < bytes; at += data.size())
      write_at(file.fd(), data.data(), std::min<uint64_t>(data.size(), bytes - at),
               static_cast<off_t>(at));
  }
  const File root(directory, O_RDONLY | O_DIRECTORY);
  checked(::syncfs(root.fd()), "syncfs");
}

}  // namespace morsel::bench
