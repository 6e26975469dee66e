// SPDX-License-Identifier: MIT
#include "device.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>

namespace morsel::pool {

std::string obstacle_of(const std::string& device) {
  struct stat st {};
  if (::stat(device.c_str(), &st) != 0) return {};
  const std::string sysfs = "/sys/dev/block/" + std::to_string(major(st.st_rdev)) + ":" +
                            std::to_string(minor(st.st_rdev));
  if (std::ifstream(sysfs + "/partition").good())
    return device + " is a partition; a pool is mounted from a whole device";
  int dax = -1;
  std::ifstream(sysfs + "/queue/dax") >> dax;
  if (dax == 0)
    return device +
           " is no DAX device (queue/dax in sysfs is 0); a pool is mounted from an fsdax "
           "namespace, which `ndctl create-namespace --mode=fsdax` makes";
  return {};
}

}  // namespace morsel::pool
