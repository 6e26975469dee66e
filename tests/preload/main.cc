// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace {

/// Starts this executable anew under the shim, and waits for it.
int run_under_shim(char** argv) {
  std::string directory = "/tmp/morsel-preload-XXXXXX";
  if (!mkdtemp(directory.data())) return 2;
  std::filesystem::create_directories(directory + "/store/objects");
  std::filesystem::create_directory(directory + "/sources");
  chmod(directory.c_str(), 0755);  // tests become other users
  const pid_t pid = fork();
  if (pid == 0) {
    setenv("MORSEL_TEST_DIRECTORY", directory.c_str(), 1);
    setenv("MORSEL_STORES", (directory + "/missing:" + directory + "/store").c_str(), 1);
    setenv("LD_PRELOAD", MORSEL_PRELOAD, 1);
    execv("/proc/self/exe", argv);
    _exit(2);
  }
  int status = 2;
  waitpid(pid, &status, 0);
  std::filesystem::remove_all(directory);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

int main(int argc, char** argv) {
  if (!std::getenv("MORSEL_TEST_DIRECTORY")) return run_under_shim(argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
