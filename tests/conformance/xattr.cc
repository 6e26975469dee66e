// SPDX-License-Identifier: MIT
//
// Extended attributes.
#include <set>

#include <sys/xattr.h>

#include "files.h"

namespace {

// tmpfs has user.* only since Linux 6.6.
void need_user_attributes() {
  if (setxattr(".", "user.probe", "x", 1, 0) != 0) {
    CHECK(!harness::is_morselfs());
    CHECK_EQ(errno, EOPNOTSUPP);
    SKIP("this tmpfs has no user attributes");
  }
}

std::string get(const char* path, const char* name) {
  char value[70000];
  ssize_t size = SYS(lgetxattr(path, name, value, sizeof value));
  return std::string(value, size_t(size));
}

std::set<std::string> list(const char* path) {
  char names[8192];
  ssize_t size = SYS(llistxattr(path, names, sizeof names));
  CHECK_EQ(llistxattr(path, nullptr, 0), size);
  std::set<std::string> found;
  for (ssize_t at = 0; at < size; at += ssize_t(strlen(names + at)) + 1)
    if (strncmp(names + at, "security.", 9) != 0 && strncmp(names + at, "system.", 7) != 0)
      found.insert(names + at);
  return found;
}

}  // namespace

TEST(xattr_set_and_get) {
  need_user_attributes();
  close(create("f"));
  SYS(setxattr("f", "user.a", "value", 5, 0));
  CHECK_TEXT(get("f", "user.a"), "value");
  CHECK_EQ(getxattr("f", "user.a", nullptr, 0), 5);
  char small[3];
  SYS_ERR(getxattr("f", "user.a", small, 3), ERANGE);
  SYS_ERR(getxattr("f", "user.b", small, 3), ENODATA);
  SYS(setxattr("f", "user.a", "", 0, 0));
  CHECK(get("f", "user.a").empty());
  SYS(setxattr("f", "user.a", "longer than it was before", 25, 0));
  CHECK_TEXT(get("f", "user.a"), "longer than it was before");
  SYS_ERR(setxattr("f", "user.a", "x", 1, XATTR_CREATE), EEXIST);
  SYS_ERR(setxattr("f", "user.b", "x", 1, XATTR_REPLACE), ENODATA);
  SYS(setxattr("f", "user.b", "two", 3, XATTR_CREATE));
  SYS(setxattr("f", "user.b", "2", 1, XATTR_REPLACE));
  CHECK(list("f") == (std::set<std::string>{"user.a", "user.b"}));
  SYS(removexattr("f", "user.a"));
  SYS_ERR(removexattr("f", "user.a"), ENODATA);
  CHECK(list("f") == (std::set<std::string>{"user.b"}));
  CHECK_TEXT(get("f", "user.b"), "2");
}

TEST(xattr_bad_names_and_sizes) {
  need_user_attributes();
  close(create("f"));
  SYS_ERR(setxattr("f", "nonsense.a", "x", 1, 0), EOPNOTSUPP);
  SYS_ERR(setxattr("f", "user.", "x", 1, 0), EINVAL);
  std::string longest = "user." + std::string(250, 'n'), longer = longest + "n";
  SYS(setxattr("f", longest.c_str(), "x", 1, 0));
  SYS_ERR(setxattr("f", longer.c_str(), "x", 1, 0), ERANGE);
  std::string big(3500, 'v'), huge(65536, 'v'), too_big(65537, 'v');
  SYS(setxattr("f", "user.big", big.data(), big.size(), 0));
  CHECK(get("f", "user.big") == big);
  if (setxattr("f", "user.huge", huge.data(), huge.size(), 0) == 0)
    CHECK(get("f", "user.huge") == huge);
  else
    CHECK(errno == ENOSPC || errno == E2BIG);
  SYS_ERR(setxattr("f", "user.big", too_big.data(), too_big.size(), 0), E2BIG);
  SYS_ERR(setxattr("f", "user.big", "x", 1, 77), EINVAL);
  CHECK(get("f", "user.big") == big);
}

TEST(xattr_many) {
  need_user_attributes();
  close(create("f"));
  std::set<std::string> expected;
  for (int i = 0; i < 60; i++) {
    std::string name = "user.n" + std::to_string(i);
    SYS(setxattr("f", name.c_str(), name.data(), name.size(), 0));
    expected.insert(name);
  }
  CHECK(list("f") == expected);
  for (const std::string& name : expected) CHECK(get("f", name.c_str()) == name);
  char few[10];
  SYS_ERR(listxattr("f", few, sizeof few), ERANGE);
}

TEST(xattr_kinds_of_files) {
  need_user_attributes();
  SYS(mkdir("d", 0755));
  SYS(setxattr("d", "user.a", "dir", 3, 0));
  CHECK_TEXT(get("d", "user.a"), "dir");
  SYS(symlink("d", "s"));
  SYS_ERR(lsetxattr("s", "user.a", "x", 1, 0), EPERM);
  SYS(mkfifo("p", 0644));
  SYS_ERR(setxattr("p", "user.a", "x", 1, 0), EPERM);
  SYS(lsetxattr("s", "trusted.a", "link", 4, 0));
  CHECK_TEXT(get("s", "trusted.a"), "link");
  CHECK_TEXT(get("d", "user.a"), "dir");
  int fd = create("f");
  SYS(fsetxattr(fd, "user.a", "open", 4, 0));
  SYS(link("f", "g"));
  CHECK_TEXT(get("g", "user.a"), "open");
  SYS(rename("g", "h"));
  CHECK_TEXT(get("h", "user.a"), "open");
}

TEST(xattr_as_another_user) {
  need_user_attributes();
  SYS(chmod(".", 0755));
  close(create("f", 0644));
  SYS(setxattr("f", "user.a", "x", 1, 0));
  SYS(setxattr("f", "trusted.a", "x", 1, 0));
  as_nobody([] {
    CHECK_TEXT(get("f", "user.a"), "x");
    SYS_ERR(setxattr("f", "user.a", "y", 1, 0), EACCES);
    SYS_ERR(setxattr("f", "trusted.a", "y", 1, 0), EPERM);
    char c;
    SYS_ERR(getxattr("f", "trusted.a", &c, 1), ENODATA);
    CHECK(list("f") == (std::set<std::string>{"user.a"}));
  });
  CHECK(list("f") == (std::set<std::string>{"user.a", "trusted.a"}));
}
