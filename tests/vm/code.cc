// SPDX-License-Identifier: MIT
//
// Programs and machine code on the mount; and that data is not code.
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "memory.h"

namespace {

constexpr size_t bytes = 2 * leaf + 4 * page;

void need_exec() {
  struct statvfs s;
  SYS(statvfs(".", &s));
  if (s.f_flag & ST_NOEXEC) SKIP("the mount has noexec");
}

// A file full of functions that return `value`, one at the start of each page.
int make_code(const char* name, uint32_t value) {
  int fd = make_sparse(name, bytes);
  unsigned char code[6] = {0xb8, 0, 0, 0, 0, 0xc3};  // mov eax, value; ret
  memcpy(code + 1, &value, 4);
  for (size_t at = 0; at < bytes; at += 64 * page)
    CHECK_EQ(pwrite(fd, code, sizeof code, off_t(at)), sizeof code);
  return fd;
}

// What the function there returns, or minus the signal it raised.
int call(const char* at) {
  int result = 0, signal = probe_call(at, &result);
  return signal ? -signal : result;
}

constexpr size_t spots[] = {0, leaf - 64 * page, leaf, 2 * leaf};

void copy_program(const char* to) {
  int from = SYS(open("/proc/self/exe", O_RDONLY));
  int fd = SYS(open(to, O_WRONLY | O_CREAT | O_EXCL, 0755));
  char buffer[1 << 16];
  ssize_t got;
  while ((got = SYS(read(from, buffer, sizeof buffer))) > 0)
    CHECK_EQ(write(fd, buffer, size_t(got)), got);
  close(fd);
  close(from);
}

int run_program(const char* path) {  // without a mount to test it exits with 2
  pid_t pid = harness::spawn([=] {
    execl(path, path, "--quiet", nullptr);
    _exit(errno == EACCES ? 98 : 99);
  });
  int status;
  SYS(waitpid(pid, &status, 0));
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST(code_program_runs_from_mount) {
  need_exec();
  copy_program("program");
  for (int i = 0; i < 3; i++) CHECK_EQ(run_program("./program"), 2);
  SYS(chmod("program", 0644));
  CHECK_EQ(run_program("./program"), 98);
  SYS(chmod("program", 0755));
  SYS(link("program", "again"));
  SYS(unlink("program"));
  CHECK_EQ(run_program("./again"), 2);
}

TEST(code_running_program_is_busy) {
  need_exec();
  copy_program("program");
  int ends[2];
  SYS(pipe(ends));
  pid_t pid = harness::spawn([&] {  // reads its script from the pipe: waits for us
    dup2(ends[0], 0);
    close(ends[1]);
    execl("./program", "./program", "--quiet", "--wait", nullptr);
    _exit(99);
  });
  char path[64], target[512] = {};
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  while (readlink(path, target, sizeof target - 1) < 0 || !strstr(target, "/program")) usleep(1000);
  SYS_ERR(open("program", O_WRONLY), ETXTBSY);
  SYS(unlink("program"));  // the name may go
  close(ends[1]);
  int status;
  SYS(waitpid(pid, &status, 0));
  CHECK_EQ(WEXITSTATUS(status), 2);
}

TEST(code_in_executable_mapping) {
  need_exec();
  int fd = make_code("f", 42);
  for (int flags : {MAP_SHARED, MAP_PRIVATE}) {
    char* m = map(fd, bytes, PROT_READ | PROT_EXEC, flags);
    for (size_t at : spots) CHECK_EQ(call(m + at), 42);
    CHECK_SIGNAL_WRITE(m + leaf, SIGSEGV);
    munmap(m, bytes);
  }
}

TEST(code_is_data_without_exec) {
  need_exec();
  int fd = make_code("f", 42);
  for (int prot : {PROT_READ, rw})
    for (int flags : {MAP_SHARED, MAP_PRIVATE}) {
      char* m = map(fd, bytes, prot, flags);
      for (size_t at : spots) {
        CHECK_EQ(m[at] & 0xff, 0xb8);
        CHECK_EQ(call(m + at), -SIGSEGV);
      }
      munmap(m, bytes);
    }
}

TEST(code_protection_comes_and_goes) {
  need_exec();
  int fd = make_code("f", 42);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  for (int i = 0; i < 4; i++) {
    for (size_t at : spots) CHECK_EQ(call(m + at), -SIGSEGV);
    SYS(mprotect(m, bytes, PROT_READ | PROT_EXEC));
    for (size_t at : spots) {
      CHECK_EQ(call(m + at), 42);
      CHECK_SIGNAL_WRITE(m + at, SIGSEGV);
    }
    SYS(mprotect(m + leaf, page, rw));
    CHECK_EQ(call(m + leaf), -SIGSEGV);
    CHECK_EQ(call(m + leaf - 64 * page), 42);
    SYS(mprotect(m, bytes, rw));
    m[1] = 42;
  }
}

// As a compiler at run time does it: written by one mapping, run by another.
TEST(code_written_through_another_mapping) {
  need_exec();
  int fd = make_code("f", 1);
  char* w = map(fd, bytes, rw, MAP_SHARED);
  char* x = map(fd, bytes, PROT_READ | PROT_EXEC, MAP_SHARED);
  for (char value = 1; value < 20; value++)
    for (size_t at : spots) {
      w[at + 1] = value;
      CHECK_EQ(call(x + at), value);
    }
}

TEST(code_noexec_mount) {
  SYS(mkdir("n", 0755));
  std::string options = "size=16m" + harness::huge_option();
  if (mount("none", "n", harness::file_system(), MS_NOEXEC, options.c_str()) != 0)
    SKIP("can't mount here: %s", strerror(errno));
  SYS(chdir("n"));
  copy_program("program");
  CHECK_EQ(run_program("./program"), 98);
  int fd = make_code("f", 42);
  SYS_ERR(mmap(nullptr, page, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0), EPERM);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  SYS_ERR(mprotect(m, bytes, PROT_READ | PROT_EXEC), EACCES);
  munmap(m, bytes);
  close(fd);
  SYS(chdir(".."));
  SYS(umount("n"));
}
