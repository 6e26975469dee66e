// SPDX-License-Identifier: MIT
#include "run_stores.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace morsel::tool {
namespace {

bool is_store(const std::string& directory) {
  struct stat st;
  return lstat(directory.c_str(), &st) == 0 && S_ISDIR(st.st_mode) &&
         (st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

}  // namespace

std::string existing_stores() {
  std::vector<std::string> all;
  if (const char* said = std::getenv("MORSEL_RUNTIME"))
    all.emplace_back(said);
  else
    all.emplace_back("/run/morsel");
  std::string list;
  for (const std::string& directory : all)
    if (is_store(directory)) list += (list.empty() ? "" : ":") + directory;
  return list;
}

}  // namespace morsel::tool
