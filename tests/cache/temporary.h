// SPDX-License-Identifier: MIT
// A directory for one test.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace morsel {

class TemporaryDirectory : public testing::Test {
 protected:
  TemporaryDirectory() {
    std::string name = testing::TempDir() + "/morsel-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~TemporaryDirectory() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] std::string path(const std::string& name) const { return directory_ + "/" + name; }
  std::string file(const std::string& name, const std::string& text = "text") const {
    std::ofstream(path(name)) << text;
    return path(name);
  }

  std::string directory_;
};

}  // namespace morsel
