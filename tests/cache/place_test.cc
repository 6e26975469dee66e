// SPDX-License-Identifier: MIT
// Directories that are trusted, and the holder's.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "directory.h"
#include "holder_place.h"
#include "temporary.h"

namespace morsel {
namespace {

using Directory = TemporaryDirectory;
using holder::Place;

TEST_F(Directory, others_must_not_write_to_it) {
  const std::string name = path("d");
  ASSERT_EQ(open_directory(AT_FDCWD, name).error().code, -ENOENT);
  ASSERT_TRUE(make_directory(AT_FDCWD, name, 0755));
  ASSERT_TRUE(make_directory(AT_FDCWD, name, 0755));
  for (const mode_t mode : {0775, 0757, 0777, 01777}) {
    ASSERT_EQ(chmod(name.c_str(), mode), 0);
    EXPECT_EQ(open_directory(AT_FDCWD, name).error().code, -EPERM);
  }
  EXPECT_TRUE(open_directory(AT_FDCWD, name, Writers::sticky));
  ASSERT_EQ(chmod(name.c_str(), 0777), 0);
  EXPECT_FALSE(open_directory(AT_FDCWD, name, Writers::sticky));
}

TEST_F(Directory, links_and_files_are_none) {
  file("f");
  ASSERT_EQ(symlink(directory_.c_str(), path("l").c_str()), 0);
  for (const char* name : {"f", "l"}) {
    EXPECT_EQ(open_directory(AT_FDCWD, path(name)).error().code, -EPERM);
    EXPECT_EQ(make_directory(AT_FDCWD, path(name), 0755).error().code, -EPERM);
  }
}

TEST_F(Directory, is_taken_by_one_holder) {
  const std::string name = path("d");
  {
    auto place = Place::take(name);
    ASSERT_TRUE(place);
    EXPECT_EQ(Place::take(name).error().code, -EBUSY);
    ASSERT_TRUE(place->listen());
    EXPECT_TRUE(Place::leftovers(name)->empty());
  }
  EXPECT_EQ(Place::leftovers(name)->size(), 1U);
  EXPECT_TRUE(Place::take(name));
}

TEST_F(Directory, is_swept) {
  const std::string name = path("d");
  auto place = Place::take(name);
  ASSERT_TRUE(place && place->links());
  file("d/socket");
  file("d/objects/name-x");
  ASSERT_EQ(mkdir(path("d/objects/empty").c_str(), 0700), 0);
  ASSERT_TRUE(place->sweep());
  EXPECT_TRUE(names_in(place->links()->get())->empty());
  EXPECT_TRUE(place->listen());
}

}  // namespace
}  // namespace morsel
