// SPDX-License-Identifier: MIT
// What may be opened by a link of a holder's directory, and what not.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "holder_link.h"
#include "temporary.h"

namespace morsel {
namespace {

class Link : public TemporaryDirectory {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(path("objects"));
    lock_ = Descriptor(open(file("lock").c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(show_that_it_runs(lock_.get()));
    links_ = Descriptor(open(path("objects").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    object_ = Descriptor(open(file("object", "hello").c_str(), O_RDONLY | O_CLOEXEC));
    link(path("object"));
    mark_link(links_.get(), "name-x", object_.get());
  }
  void link(const std::string& target) const {
    unlinkat(links_.get(), "name-x", 0);
    ASSERT_EQ(symlinkat(target.c_str(), links_.get(), "name-x"), 0);
  }
  [[nodiscard]] Descriptor open_it() const { return open_by_link(directory_, "name-x"); }

  Descriptor lock_, links_, object_;
};

TEST_F(Link, of_a_running_holder_is_opened_for_reading) {
  const Descriptor opened = open_it();
  ASSERT_TRUE(opened);
  EXPECT_EQ(fcntl(opened.get(), F_GETFL) & O_ACCMODE, O_RDONLY);
  char text[5];
  EXPECT_EQ(read(opened.get(), text, 5), 5);
  EXPECT_EQ(std::string(text, 5), "hello");
}

TEST_F(Link, of_a_dead_holder_is_not) {
  lock_ = Descriptor();
  EXPECT_FALSE(open_it());
  // The lock that keeps others from starting does not say that no link is an earlier holder's.
  lock_ = Descriptor(open(path("lock").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(flock(lock_.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_FALSE(open_it());
  unlink(path("lock").c_str());
  EXPECT_FALSE(open_it());
}

TEST_F(Link, without_a_mark_is_not) {
  link(path("object"));
  EXPECT_FALSE(open_it());
}

TEST_F(Link, that_leads_elsewhere_is_not) {
  struct stat st;
  ASSERT_EQ(fstat(object_.get(), &st), 0);
  for (const std::string& target :
       {file("other"), std::string("/dev/null"), directory_, path("none")}) {
    link(target);
    mark_link(links_.get(), "name-x", object_.get());
    EXPECT_FALSE(open_it()) << target;
  }
}

TEST_F(Link, that_is_a_file_is_not) {
  unlinkat(links_.get(), "name-x", 0);
  const Descriptor other(open(file("objects/name-x").c_str(), O_RDONLY | O_CLOEXEC));
  mark_link(links_.get(), "name-x", other.get());
  EXPECT_FALSE(open_it());
}

TEST_F(Link, of_another_name_is_not) { EXPECT_FALSE(open_by_link(directory_, "name-y")); }

TEST_F(Link, where_others_may_write_is_not) {
  ASSERT_EQ(chmod(directory_.c_str(), 0777), 0);
  EXPECT_FALSE(open_it());
}

}  // namespace
}  // namespace morsel
