// SPDX-License-Identifier: MIT
// Opening a holder's object without asking the holder.
//
// objects/NAME is a symbolic link to a descriptor of the holder's, /proc/PID/fd/FD. Two things can
// be wrong with it: the holder is dead and PID is another process, or the object has gone and FD is
// another one. So a running holder, once no link of an earlier one is left, has a write lock on its
// lock file (F_OFD_SETLK: to look at it takes nothing), and a link's time of modification says
// which file it leads to: seconds are the inode, nanoseconds the device. A link without such a time
// is for who looks at the file closely, or asks the holder.
#pragma once

#include <morsel/morsel.h>

#include <string>

#include "descriptor.h"
#include "result.h"

namespace morsel {

/// Says that the holder that has this lock file runs, and that all links are its own. Until the
/// last descriptor of this open file description is closed.
Status show_that_it_runs(int lock);

/// Writes down that the link leads to this file. Where that can't be, the holder is asked.
void mark_link(int links, const std::string& name, int fd);

/// For reading. None: the holder has to be asked. So it is for other users than the holder's and
/// root.
Descriptor open_by_link(const std::string& directory, const std::string& name);

}  // namespace morsel
