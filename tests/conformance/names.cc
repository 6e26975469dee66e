// SPDX-License-Identifier: MIT
//
// Directories, links, special files: what names do.
#include <set>

#include <dirent.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "files.h"

namespace {

std::set<std::string> list(const char* directory) {
  std::set<std::string> names;
  DIR* dir = opendir(directory);
  CHECK(dir);
  while (dirent* entry = readdir(dir)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") CHECK(names.insert(name).second);  // each once
  }
  closedir(dir);
  return names;
}

}  // namespace

TEST(names_create) {
  int fd = create("f");
  CHECK_EQ(status(fd).st_size, 0);
  CHECK(S_ISREG(status(fd).st_mode));
  CHECK_EQ(status(fd).st_nlink, 1);
  CHECK_EQ(status(fd).st_blocks, 0);
  SYS_ERR(open("f", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
  SYS_ERR(open("missing", O_RDWR), ENOENT);
  SYS_ERR(open("missing/f", O_RDWR | O_CREAT, 0644), ENOENT);
  SYS_ERR(open("f/g", O_RDWR | O_CREAT, 0644), ENOTDIR);
  SYS_ERR(open(".", O_RDWR), EISDIR);
  SYS_ERR(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
  std::string longest(255, 'n'), longer(256, 'n');
  close(create(longest.c_str()));
  SYS_ERR(open(longer.c_str(), O_RDWR | O_CREAT, 0644), ENAMETOOLONG);
  SYS_ERR(mkdir(longer.c_str(), 0755), ENAMETOOLONG);
  CHECK(list(".") == (std::set<std::string>{"f", longest}));
}

TEST(names_directories) {
  SYS(mkdir("d", 0750));
  CHECK_EQ(status("d").st_mode, S_IFDIR | 0750);
  CHECK_EQ(status("d").st_nlink, 2);
  SYS_ERR(mkdir("d", 0755), EEXIST);
  SYS(mkdir("d/one", 0755));
  SYS(mkdir("d/two", 0755));
  CHECK_EQ(status("d").st_nlink, 4);
  CHECK_EQ(status("d/one/..").st_ino, status("d").st_ino);
  SYS_ERR(rmdir("d"), ENOTEMPTY);
  SYS_ERR(unlink("d/one"), EISDIR);
  SYS(rmdir("d/one"));
  CHECK_EQ(status("d").st_nlink, 3);
  close(create("d/f"));
  SYS_ERR(rmdir("d/f"), ENOTDIR);
  SYS_ERR(rmdir("d/two/."), EINVAL);
  SYS_ERR(rmdir("d/two/.."), ENOTEMPTY);
  SYS(unlink("d/f"));
  SYS(rmdir("d/two"));
  SYS(rmdir("d"));
  SYS_ERR(rmdir("d"), ENOENT);
}

TEST(names_removed_working_directory) {
  SYS(mkdir("d", 0755));
  SYS(chdir("d"));
  SYS(rmdir("../d"));
  SYS_ERR(open("f", O_CREAT | O_RDWR, 0644), ENOENT);
  SYS_ERR(mkdir("e", 0755), ENOENT);
  SYS(chdir(".."));
}

TEST(names_hard_links) {
  write_all("a", "contents");
  SYS(link("a", "b"));
  SYS(mkdir("d", 0755));
  SYS(link("b", "d/c"));
  CHECK_EQ(status("a").st_nlink, 3);
  CHECK_EQ(status("a").st_ino, status("d/c").st_ino);
  SYS_ERR(link("a", "b"), EEXIST);
  SYS_ERR(link("missing", "e"), ENOENT);
  SYS_ERR(link("d", "e"), EPERM);
  write_all("b", "other");
  CHECK_TEXT(read_all("d/c"), "other");
  SYS(unlink("a"));
  SYS(unlink("b"));
  CHECK_EQ(status("d/c").st_nlink, 1);
  CHECK_TEXT(read_all("d/c"), "other");
}

TEST(names_symbolic_links) {
  write_all("f", "contents");
  for (const char* target : {"f", "./f", "missing"}) (void)!(unlink("s") + symlink(target, "s"));
  char buffer[4200];
  CHECK_EQ(readlink("s", buffer, sizeof buffer), 7);
  CHECK_EQ(readlink("s", buffer, 3), 3);
  SYS_ERR(open("s", O_RDONLY), ENOENT);
  SYS(unlink("s"));
  SYS(symlink("f", "s"));
  CHECK_TEXT(read_all("s"), "contents");
  CHECK(S_ISLNK(status("s").st_mode));
  CHECK_EQ(status("s").st_size, 1);
  SYS_ERR(open("s", O_RDONLY | O_NOFOLLOW), ELOOP);
  SYS_ERR(readlink("f", buffer, 10), EINVAL);
  SYS(symlink("loop", "loop"));
  SYS_ERR(open("loop", O_RDONLY), ELOOP);
  // Short ones and long ones are often kept in different ways.
  for (size_t length : {1, 20, 59, 60, 127, 128, 1000, 4094}) {
    std::string target(length, 'x');
    SYS(symlink(target.c_str(), "long"));
    CHECK_EQ(readlink("long", buffer, sizeof buffer), length);
    CHECK(std::string(buffer, length) == target);
    CHECK_EQ(status("long").st_size, length);
    SYS(unlink("long"));
  }
  SYS_ERR(symlink(std::string(4096, 'x').c_str(), "long"), ENAMETOOLONG);
  SYS_ERR(symlink("", "empty"), ENOENT);
  SYS_ERR(symlink("f", "s"), EEXIST);
}

TEST(names_special_files) {
  SYS(mkfifo("fifo", 0644));
  CHECK(S_ISFIFO(status("fifo").st_mode));
  int reader = SYS(open("fifo", O_RDONLY | O_NONBLOCK)), writer = SYS(open("fifo", O_WRONLY));
  CHECK_EQ(write(writer, "x", 1), 1);
  char c;
  CHECK_EQ(read(reader, &c, 1), 1);
  SYS(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
  CHECK_EQ(status("null").st_rdev, makedev(1, 3));
  int null = open("null", O_WRONLY);
  if (null >= 0)  // unless the mount has nodev
    CHECK_EQ(write(null, "x", 1), 1);
  int socket_fd = SYS(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{AF_UNIX, "socket"};
  SYS(bind(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof address));
  CHECK(S_ISSOCK(status("socket").st_mode));
  SYS(listen(socket_fd, 1));
  int client = SYS(socket(AF_UNIX, SOCK_STREAM, 0));
  SYS(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address));
  SYS(mknod("plain", S_IFREG | 0600, 0));
  CHECK(S_ISREG(status("plain").st_mode));
}

TEST(names_directory_listing) {
  std::set<std::string> expected;
  for (int i = 0; i < 300; i++) {
    std::string name = "entry" + std::to_string(i);
    SYS(mknod(name.c_str(), S_IFREG | 0600, 0));
    expected.insert(name);
  }
  CHECK(list(".") == expected);
  // Removed while being listed: what stays is seen, once.
  DIR* dir = opendir(".");
  std::set<std::string> seen;
  while (dirent* entry = readdir(dir)) {
    std::string name = entry->d_name;
    if (name[0] == '.') continue;
    CHECK(seen.insert(name).second);
    CHECK_EQ(entry->d_type, DT_REG);
    if (seen.size() % 2) SYS(unlink(name.c_str()));
  }
  CHECK_EQ(seen.size(), 300);
  rewinddir(dir);
  size_t left = 0;
  while (dirent* entry = readdir(dir)) left += entry->d_name[0] != '.';
  CHECK_EQ(left, 150);
  closedir(dir);
}

TEST(names_types_in_listing) {
  SYS(mkdir("d", 0755));
  SYS(symlink("x", "l"));
  SYS(mkfifo("p", 0644));
  close(create("f"));
  DIR* dir = opendir(".");
  while (dirent* entry = readdir(dir)) {
    char c = entry->d_name[0];
    unsigned char expected = c == '.' || c == 'd' ? DT_DIR
                             : c == 'l'           ? DT_LNK
                             : c == 'p'           ? DT_FIFO
                                                  : DT_REG;
    CHECK_EQ(entry->d_type, expected);
    CHECK_EQ(entry->d_ino, status(entry->d_name).st_ino);
  }
  closedir(dir);
}

TEST(names_group_of_a_directory) {  // set-group-ID directories pass their group on
  SYS(mkdir("d", 0755));
  SYS(chown("d", 0, 1234));
  SYS(chmod("d", 02775));
  close(create("d/f"));
  SYS(mkdir("d/e", 0755));
  CHECK_EQ(status("d/f").st_gid, 1234);
  CHECK_EQ(status("d/e").st_gid, 1234);
  CHECK_EQ(status("d/e").st_mode & 02000, 02000);
}

TEST(names_times_of_the_directory) {
  SYS(mkdir("d", 0755));
  timespec past[2] = {{1000, 0}, {1000, 0}};
  auto touched = [&](auto&& action) {
    SYS(utimensat(AT_FDCWD, "d", past, 0));
    action();
    return status("d").st_mtim.tv_sec != 1000;
  };
  CHECK(touched([] { close(create("d/f")); }));
  CHECK(touched([] { SYS(rename("d/f", "d/g")); }));
  CHECK(touched([] { SYS(link("d/g", "d/h")); }));
  CHECK(touched([] { SYS(unlink("d/h")); }));
  CHECK(touched([] { SYS(mkdir("d/e", 0755)); }));
  CHECK(touched([] { SYS(rmdir("d/e")); }));
  CHECK(touched([] { SYS(symlink("x", "d/s")); }));
  CHECK(!touched([] { write_all("d/g", "x"); }));
}
