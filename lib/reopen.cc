// SPDX-License-Identifier: MIT
#include "reopen.h"

#include <fcntl.h>

namespace morsel {

Result<Descriptor> reopen(int fd, morsel_access access) {
  std::string path = "/proc/self/fd/" + std::to_string(fd);
  int mode = access == MORSEL_READ ? O_RDONLY : O_RDWR;
  Descriptor opened(open(path.c_str(), mode | O_CLOEXEC));
  if (!opened) return system_error("opening the object anew (" + path + ")");
  return opened;
}

Result<Descriptor> duplicate(int fd) {
  Descriptor copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return system_error("descriptor " + std::to_string(fd));
  return copy;
}

}  // namespace morsel
