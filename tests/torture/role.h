// SPDX-License-Identifier: MIT
//
// What a worker starts by exec: reads a range of an object and ends.
#ifndef MORSELS_TORTURE_ROLE_H
#define MORSELS_TORTURE_ROLE_H

#include "control.h"

namespace torture {

struct ReaderRole {
  unsigned thread;  // for whom
  int fd;
  Object object;
  uint32_t first, pages;

  void print(char* text, size_t bytes) const;
};

// Plays the role that print() described; the exit status.
int play_role(const char* text);

}  // namespace torture

#endif
