// SPDX-License-Identifier: MIT
//
// Mount options: what they do, what is refused, what a remount can change.
#include <linux/magic.h>
#include <sys/sysinfo.h>

#include <cctype>

#include "files.h"

namespace {

void done() { SYS(umount("n")); }

void check_refused(const std::string& options) {
  int error = try_mount("n", options);
  if (error == EPERM) SKIP("can't mount here");
  if (error == 0) FAIL("mount with '%s': expected EINVAL, seen success", options.c_str());
  if (error != EINVAL)
    FAIL("mount with '%s': expected EINVAL, seen %s", options.c_str(), strerror(error));
}

int try_remount(const std::string& options, unsigned long flags = 0) {
  return mount("none", "n", harness::file_system(), MS_REMOUNT | flags, options.c_str()) ? errno
                                                                                         : 0;
}

std::string shown_options() {
  FILE* mounts = fopen("/proc/self/mountinfo", "re");
  CHECK(mounts);
  char line[1024];
  std::string found;
  while (fgets(line, sizeof line, mounts))
    if (strstr(line, "/n ") && strstr(line, harness::mount_dir().c_str()))
      found = std::string(",") + (strrchr(line, ' ') + 1);
  fclose(mounts);
  while (!found.empty() && found.back() == '\n') found.pop_back();
  return "," + found.substr(found.find_first_not_of(", ")) + ",";
}

// mpol= with its list of nodes, which may have commas; empty if it is not shown.
std::string shown_policy() {
  std::string all = shown_options();
  size_t from = all.find(",mpol=");
  if (from == std::string::npos) return "";
  from += strlen(",mpol=");
  size_t to = all.find(',', from);
  while (isdigit(all[to + 1])) to = all.find(',', to + 1);
  return all.substr(from, to - from);
}

void check_policy(const std::string& policy, const std::string& shown) {
  mount_with("n", "mpol=" + policy + ",size=8m");
  CHECK_EQ(space("n").f_blocks, (8 << 20) / page);  // what follows the policy counts
  CHECK_TEXT(shown_policy(), shown);
  int fd = make_file("n/f", 1, leaf + page);
  check_file(fd, 1, 0, leaf + page);
  close(fd);
  done();
}

}  // namespace

TEST(options_size_and_inodes) {
  mount_with("n", "size=8m,nr_inodes=50");
  CHECK_EQ(space("n").f_blocks, (8 << 20) / page);
  CHECK_EQ(space("n").f_bfree, (8 << 20) / page);
  CHECK_EQ(space("n").f_files, 50);
  CHECK(shown_options().find(",size=8192k,") != std::string::npos);
  CHECK(shown_options().find(",nr_inodes=50,") != std::string::npos);
  done();
  constexpr struct {
    const char* option;
    uint64_t blocks;
  } ways[] = {{"size=1048576", 256},
              {"size=1024k", 256},
              {"size=1M", 256},
              {"size=4097", 2},
              {"nr_blocks=77", 77}};
  for (auto [option, blocks] : ways) {
    mount_with("n", option);
    CHECK_EQ(space("n").f_blocks, blocks);
    done();
  }
  mount_with("n", "size=10%");
  struct sysinfo memory;
  SYS(sysinfo(&memory));
  uint64_t tenth = memory.totalram / 10 / page;
  CHECK(space("n").f_blocks >= tenth - 2 && space("n").f_blocks <= tenth + 2);
  done();
}

TEST(options_default_is_half_of_memory) {
  mount_with("n", "mode=755");
  struct sysinfo memory;
  SYS(sysinfo(&memory));
  uint64_t half = memory.totalram / 2 / page;
  CHECK(space("n").f_blocks >= half - 2 && space("n").f_blocks <= half + 2);
  CHECK(space("n").f_files > 0);
  done();
}

TEST(options_owner_and_mode_of_the_root) {
  mount_with("n", "mode=1750,uid=12,gid=34");
  CHECK_EQ(status("n").st_mode, S_IFDIR | 01750);
  CHECK_EQ(status("n").st_uid, 12);
  CHECK_EQ(status("n").st_gid, 34);
  CHECK(shown_options().find(",uid=12,gid=34,") != std::string::npos);
  done();
  mount_with("n", "size=1m");
  CHECK_EQ(status("n").st_mode, S_IFDIR | 01777);
  CHECK_EQ(status("n").st_uid, 0);
  done();
}

TEST(options_huge) {
  if (!harness::is_morselfs()) SKIP("a tmpfs may have no huge pages");
  if (harness::leaves_move()) SKIP("the module's worker moves leaves all the time");
  constexpr struct {
    const char* option;
    bool huge, shown;
  } ways[] = {{"huge=never", false, true},
              {"huge=within_size", true, false},  // the default
              {"huge=always", true, true},
              {"huge=advise", false, true},
              {"size=64m", true, false}};
  for (auto [option, huge, shown] : ways) {
    CHECK_EQ(try_mount("n", option), 0);
    int fd = make_file("n/f", 1, 2 * leaf + page);
    morselfs_info i = info(fd);
    CHECK_EQ(i.leaves_2m, huge ? 2 : 0);
    CHECK_EQ(i.leaves_4k, huge ? 1 : 1025);
    const std::string all = shown_options();
    CHECK_EQ(all.find(",huge=") != std::string::npos, shown);
    if (shown) CHECK(all.find("," + std::string(option) + ",") != std::string::npos);
    close(fd);
    done();
  }
}

TEST(options_unknown_or_wrong) {
  for (const char* options : {"nonsense",   "nonsense=1",  "size=1m,nonsense",
                              "size=",      "size",        "size=abc",
                              "size=1x",    "size=1m1m",   "size=-1m",
                              "nr_inodes=", "nr_inodes=x", "nr_inodes=-5",
                              "mode=9",     "mode=x",      "uid=root",
                              "uid=-x",     "gid=",        "huge=sometimes?",
                              "huge",       "huge=",       "nr_blocks=q"})
    check_refused(options);
  // What tmpfs takes without a word, and nobody can have meant.
  if (harness::is_morselfs())
    for (const char* options :
         {"size=0", "size=0%", "nr_blocks=0", "size=101%", "size=9999g", "size=15e",
          "size=99999999999999999999999", "nr_blocks=99999g", "size=1m,nr_blocks=1",
          "nr_blocks=300,size=1m", "mode=10000", "mode=77777", "size=50%%", "huge=within-size",
          "huge=0", "huge=Always"})
      check_refused(options);
  mount_with("n", "size=1m");  // and nothing of that is left behind
  done();
}

TEST(options_remount) {
  mount_with("n", "size=4m,nr_inodes=20");
  int fd = make_file("n/f", 1, 2 << 20);
  CHECK_EQ(try_remount("size=8m,nr_inodes=40"), 0);
  CHECK_EQ(space("n").f_blocks, (8 << 20) / page);
  CHECK_EQ(space("n").f_bfree, (6 << 20) / page);
  CHECK_EQ(space("n").f_files, 40);
  CHECK_EQ(space("n").f_ffree, 38);
  CHECK_EQ(try_remount("size=3m"), 0);
  CHECK_EQ(space("n").f_bfree, (1 << 20) / page);
  CHECK_EQ(try_remount("size=1m"), EINVAL);  // less than is in use
  CHECK_EQ(try_remount("nr_inodes=1"), EINVAL);
  CHECK_EQ(try_remount("nonsense"), EINVAL);
  CHECK_EQ(space("n").f_blocks, (3 << 20) / page);
  write_filled(fd, 1, 2 << 20, 1 << 20);
  SYS_ERR(pwrite(fd, "x", 1, 3 << 20), ENOSPC);
  check_file(fd, 1, 0, 3 << 20);
  close(fd);
  done();
}

TEST(options_remount_huge) {
  if (!harness::is_morselfs()) SKIP("a tmpfs may have no huge pages");
  if (harness::leaves_move()) SKIP("the module's worker moves leaves all the time");
  CHECK_EQ(try_mount("n", "size=64m,huge=never"), 0);
  int small = make_file("n/small", 1, 2 * leaf);
  CHECK_EQ(try_remount("huge=always"), 0);
  int big = make_file("n/big", 2, 2 * leaf);
  CHECK_EQ(info(small).leaves_2m, 0);  // what is there stays as it is
  CHECK_EQ(info(big).leaves_2m, 2);
  CHECK_EQ(try_remount("huge=never"), 0);
  check_file(small, 1, 0, 2 * leaf);
  check_file(big, 2, 0, 2 * leaf);
  CHECK_EQ(space("n").f_blocks, (64 << 20) / page);
  close(small);
  close(big);
  done();
}

TEST(options_remount_read_only) {
  mount_with("n", "size=16m");
  int fd = make_file("n/f", 1, leaf);
  CHECK_EQ(try_remount("size=16m", MS_RDONLY), EBUSY);  // open for writing
  char* m = map(fd, leaf, rw, MAP_SHARED);
  close(fd);
  CHECK_EQ(try_remount("size=16m", MS_RDONLY), EBUSY);  // mapped for writing
  fill(m, 2, 0, leaf);
  SYS(munmap(m, leaf));
  CHECK_EQ(try_remount("size=16m", MS_RDONLY), 0);
  SYS_ERR(open("n/f", O_RDWR), EROFS);
  SYS_ERR(mkdir("n/d", 0755), EROFS);
  fd = SYS(open("n/f", O_RDONLY));
  m = map(fd, leaf, PROT_READ, MAP_SHARED);
  CHECK_FILLED(m, 2, 0, leaf);
  SYS(munmap(m, leaf));
  close(fd);
  CHECK_EQ(try_remount("size=16m"), 0);
  SYS(mkdir("n/d", 0755));
  done();
}

TEST(options_remount_keeps_owner_and_mode) {
  mount_with("n", "size=4m");
  SYS(chmod("n", 0700));
  CHECK_EQ(try_remount("size=8m"), 0);
  CHECK_EQ(status("n").st_mode & 07777, 0700);
  done();
}

TEST(options_memory_policy) {
  std::string all = memory_nodes();
  if (all.empty()) {
    check_refused("mpol=local");
    SKIP("this kernel has no NUMA");
  }
  mount_with("n", "size=8m");
  CHECK(shown_options().find("mpol") == std::string::npos);
  done();
  check_policy("default", "");
  check_policy("local", "local");
  check_policy("prefer", "local");
  check_policy("prefer:0", "prefer:0");
  check_policy("prefer=static:0", "prefer=static:0");
  check_policy("bind:0", "bind:0");
  check_policy("bind:0,0-0", "bind:0");
  check_policy("bind=static:0", "bind=static:0");
  check_policy("bind:" + all, "bind:" + all);
  check_policy("interleave:0", "interleave:0");
  check_policy("interleave", "interleave:" + all);
  check_policy("interleave=static", "interleave=static:" + all);
  // A list has the commas that separate options.
  if (all == "0-1") {
    check_policy("bind:0,1", "bind:0-1");
    check_policy("interleave=static:1,0", "interleave=static:0-1");
    check_policy("prefer:1", "prefer:1");
  }
  // tmpfs shows a space, which separates fields there.
  if (harness::is_morselfs()) check_policy("prefer (many):0", "prefer\\040(many):0");
}

TEST(options_memory_policy_wrong) {
  for (const char* policy : {"mpol",
                             "mpol=",
                             "mpol=nonsense",
                             "mpol=bind",
                             "mpol=bind:",
                             "mpol=bind:x",
                             "mpol=bind:0-",
                             "mpol=bind:1-0",
                             "mpol=bind:-1",
                             "mpol=bind:1023",
                             "mpol=bind:0,1023",
                             "mpol=bind:99999999",
                             "mpol=bind=:0",
                             "mpol=bind=dynamic:0",
                             "mpol=bind=static",
                             "mpol=default:0",
                             "mpol=local:0",
                             "mpol=local=static",
                             "mpol=prefer:",
                             "mpol=prefer:0-0",
                             "mpol=prefer:0,0",
                             "mpol=prefer:1023",
                             "mpol=prefer=static",
                             "mpol=prefer (many)",
                             "mpol=interleave:",
                             "mpol=interleave:1023",
                             "mpol=:0",
                             "mpol=Bind:0",
                             "mpol=bind:0,size=1m,9"})
    check_refused(policy);
  // What tmpfs takes, and has no meaning, or none for a mount that cpusets share.
  if (harness::is_morselfs())
    for (const char* policy : {"mpol=bind=relative:0", "mpol=default=static", "mpol=bind:0=static",
                               "mpol=weighted interleave"})
      check_refused(policy);
  std::string all = memory_nodes();
  if (all == "0")
    for (const char* policy : {"mpol=bind:1", "mpol=prefer:1", "mpol=interleave:0-1"})
      check_refused(policy);
  mount_with("n", "size=1m");
  done();
}

TEST(options_remount_memory_policy) {
  if (memory_nodes().empty()) SKIP("this kernel has no NUMA");
  mount_with("n", "size=4m,mpol=bind:0");
  CHECK_EQ(try_remount("size=8m"), 0);
  CHECK_TEXT(shown_policy(), "bind:0");
  CHECK_EQ(try_remount("mpol=prefer=static:0"), 0);
  CHECK_TEXT(shown_policy(), "prefer=static:0");
  CHECK_EQ(space("n").f_blocks, (8 << 20) / page);
  CHECK_EQ(try_remount("mpol=bind:1023"), EINVAL);
  int fd = make_file("n/f", 1, 2 << 20);
  CHECK_EQ(try_remount("mpol=local,size=1m"), EINVAL);  // all or nothing
  CHECK_TEXT(shown_policy(), "prefer=static:0");
  CHECK_EQ(try_remount("mpol=local"), 0);
  CHECK_TEXT(shown_policy(), "local");
  // tmpfs takes it, and changes nothing.
  CHECK_EQ(try_remount("mpol=default"), 0);
  if (harness::is_morselfs()) CHECK_TEXT(shown_policy(), "");
  check_file(fd, 1, 0, 2 << 20);
  close(fd);
  done();
}

TEST(options_mounts_are_independent) {
  mount_with("n", "size=4m");
  SYS(mkdir("k", 0755));
  SYS(mount("none", "k", harness::file_system(), 0, "size=8m"));
  write_all("n/f", "one");
  CHECK(!exists("k/f"));
  CHECK(status("n").st_dev != status("k").st_dev);
  CHECK_EQ(space("k").f_blocks, (8 << 20) / page);
  SYS_ERR(rename("n/f", "k/f"), EXDEV);
  SYS_ERR(link("n/f", "k/f"), EXDEV);
  done();
  SYS(umount("k"));
}
