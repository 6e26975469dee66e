// SPDX-License-Identifier: MIT
// The store of a mount, on tmpfs: it asks nothing of morselfs but what any file system can. (With
// the module: tests/vm.)
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "store.h"
#include "temporary.h"

namespace morsel {
namespace {

class MountStore : public TemporaryDirectory {
 protected:
  void SetUp() override {
    if (mount("none", directory_.c_str(), "tmpfs", 0, "size=16m,mode=1777") != 0)
      GTEST_SKIP() << "only root mounts";
    mounted_ = true;
    store_ = mount_store(directory_, geteuid());
  }
  void TearDown() override {
    if (mounted_) {
      EXPECT_EQ(umount(directory_.c_str()), 0);
    }
  }

  // A file without a name, as objects are made.
  Descriptor file(size_t bytes = 5) const {
    Descriptor file(open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    EXPECT_EQ(ftruncate(file.get(), off_t(bytes)), 0);
    return file;
  }
  Status publish(const std::string& name, int fd, bool replace = false) {
    return store_->publish({name, fd, MORSEL_MORSELFS, 5, 0440, R"({"source":"/a"})", replace});
  }
  uint64_t free_inodes() const {
    struct statfs state;
    EXPECT_EQ(statfs(directory_.c_str(), &state), 0);
    return state.f_ffree;
  }

  bool mounted_ = false;
  std::unique_ptr<Store> store_;
};

TEST_F(MountStore, empty_where_nothing_was_made) {
  EXPECT_TRUE(store_->list("")->empty());
  EXPECT_EQ(store_->open("name-x", MORSEL_READ).error().code, -ENOENT);
  EXPECT_EQ(store_->remove("name-x", true).error().code, -ENOENT);
}

TEST_F(MountStore, publish_list_open_remove) {
  const Descriptor object = file();
  ASSERT_TRUE(publish("name-x", object.get()));
  EXPECT_EQ(publish("name-x", file().get()).error().code, -EEXIST);
  ASSERT_TRUE(publish("file-1", file().get()));

  const auto entries = store_->list(prefix_of_names);
  ASSERT_EQ(entries->size(), 1U);
  const Entry& entry = entries->front();
  EXPECT_EQ(entry.name, "name-x");
  EXPECT_EQ(entry.bytes, 5U);
  EXPECT_EQ(entry.mode, 0440U);
  EXPECT_EQ(entry.attributes, R"({"source":"/a"})");

  auto opened = store_->open("name-x", MORSEL_READ);
  ASSERT_TRUE(opened);
  struct stat a, b;
  ASSERT_EQ(fstat(opened->file.get(), &a) + fstat(object.get(), &b), 0);
  EXPECT_EQ(a.st_ino, b.st_ino);

  ASSERT_TRUE(store_->remove("name-x", true));
  EXPECT_EQ(store_->open("name-x", MORSEL_READ).error().code, -ENOENT);
}

TEST_F(MountStore, replaced) {
  ASSERT_TRUE(publish("name-x", file().get()));
  const Descriptor other = file(7);
  ASSERT_TRUE(publish("name-x", other.get(), true));
  EXPECT_EQ(store_->list("")->front().bytes, 7U);
}

TEST_F(MountStore, nothing_stays_of_what_was_not_published) {
  ASSERT_TRUE(publish("name-x", file().get()));
  const uint64_t before = free_inodes();
  file();
  ASSERT_TRUE(publish("name-y", file().get()));
  ASSERT_TRUE(store_->remove("name-y", false));
  EXPECT_EQ(free_inodes(), before);
}

TEST_F(MountStore, of_other_users_is_not_written_to_by_others) {
  ASSERT_TRUE(publish("name-x", file().get()));
  const std::string own = directory_ + "/.morsel/" + std::to_string(geteuid());
  ASSERT_EQ(chmod(own.c_str(), 0777), 0);
  EXPECT_EQ(store_->open("name-x", MORSEL_READ).error().code, -EPERM);
  ASSERT_EQ(chmod(own.c_str(), 0755), 0);
  EXPECT_TRUE(store_->open("name-x", MORSEL_READ));
  ASSERT_EQ(chown((directory_ + "/.morsel").c_str(), 65534, 65534), 0);
  EXPECT_EQ(store_->open("name-x", MORSEL_READ).error().code, -EPERM);
}

TEST_F(MountStore, what_is_no_file_is_no_object) {
  ASSERT_TRUE(publish("name-x", file().get()));
  const std::string objects = directory_ + "/.morsel/" + std::to_string(geteuid()) + "/objects/";
  ASSERT_EQ(symlink("/etc/passwd", (objects + "name-link").c_str()), 0);
  ASSERT_EQ(mkfifo((objects + "name-fifo").c_str(), 0600), 0);
  EXPECT_FALSE(store_->open("name-link", MORSEL_READ));
  EXPECT_FALSE(store_->open("name-fifo", MORSEL_READ));
  EXPECT_EQ(store_->list("")->size(), 1U);
}

TEST_F(MountStore, one_loads_at_a_time) {
  auto first = store_->begin("file-1", false);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->state, Claim::State::mine);
  EXPECT_EQ(store_->begin("file-1", false)->state, Claim::State::others);
  EXPECT_EQ(store_->begin("file-2", false)->state, Claim::State::mine);
  std::thread second([&] { EXPECT_EQ(store_->begin("file-1", true)->state, Claim::State::mine); });
  first->keeper = Descriptor();
  second.join();
}

}  // namespace
}  // namespace morsel
