// SPDX-License-Identifier: MIT
// From a mount to the first byte of a file.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace morsel::bench {

struct RestartOptions {
  std::string type, device, mount_options;
  std::string directory;  ///< where it is mounted
  std::string file;       ///< in there
  unsigned rounds = 5;
};

/// Mounts what is not mounted, again and again, in turn after an orderly unmount and after the file
/// system was shut down under something that had just changed. Samples, in microseconds, of both
/// ("clean", "unclean"); the first round does not count:
///   mount_us       mount(2)
///   open_us, map_us, byte_us   of the file; byte_us is a read of its first byte
///   first_byte_us  all of it
/// "unmount_us" of the orderly unmounts; and "dax": whether the file is mapped without the page
/// cache. Throws.
nlohmann::ordered_json measure_restart(const RestartOptions& options);

}  // namespace morsel::bench
