// SPDX-License-Identifier: MIT
//
// Nobody writes to an object through a read-only mapping, by whatever way the
// kernel offers to write into memory. Each attack must fail or leave the object
// as it is.
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "attack.h"

using namespace attacks;

TEST(readonly_direct_read) {
  int disk = evil_disk();
  attack([=](char* at, size_t size) { SYS_ERR(pread(disk, at, size, 0), EFAULT); });
}

TEST(readonly_direct_readv) {
  int disk = evil_disk();
  attack([=](char* at, size_t size) {
    // The first part goes into memory of our own.
    char* own = map(-1, page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
    iovec parts[] = {{own, page}, {at, size}};
    ssize_t got = preadv(disk, parts, 2, 0);
    CHECK(got <= ssize_t(page));
    munmap(own, page);
  });
}

TEST(readonly_direct_read_by_child) {
  int disk = evil_disk();
  attack([=](char* at, size_t size) {
    harness::in_child([=] { SYS_ERR(pread(disk, at, size, 0), EFAULT); });
  });
}

TEST(readonly_read) {
  attack([](char* at, size_t size) { SYS_ERR(pread(evil_file(), at, size, 0), EFAULT); });
}

TEST(readonly_readv_from_pipe) {
  attack([](char* at, size_t) {
    int ends[2];
    SYS(pipe(ends));
    CHECK_EQ(write(ends[1], evil(), page), page);
    iovec parts[] = {{at, 100}, {at + 100, page - 100}};
    SYS_ERR(readv(ends[0], parts, 2), EFAULT);
    close(ends[0]);
    close(ends[1]);
  });
}

TEST(readonly_receive) {
  attack([](char* at, size_t) {
    int ends[2];
    SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    CHECK_EQ(send(ends[1], evil(), page, 0), page);
    SYS_ERR(recv(ends[0], at, page, 0), EFAULT);
    close(ends[0]);
    close(ends[1]);
  });
}

TEST(readonly_results_of_system_calls) {
  attack([](char* at, size_t size) {
    SYS_ERR(getrandom(at, size, 0), EFAULT);
    SYS_ERR(syscall(SYS_clock_gettime, CLOCK_REALTIME, at), EFAULT);
    SYS_ERR(syscall(SYS_getcwd, at, size), EFAULT);
  });
}

TEST(readonly_process_vm_writev_self) {
  attack([](char* at, size_t size) {
    iovec from{evil(), size}, to{at, size};
    SYS_ERR(process_vm_writev(getpid(), &from, 1, &to, 1, 0), EFAULT);
  });
}

TEST(readonly_process_vm_writev_from_outside) {
  attack([](char* at, size_t size) {
    pid_t victim = getpid();
    harness::in_child([=] {
      iovec from{evil(), size}, to{at, size};
      SYS_ERR(process_vm_writev(victim, &from, 1, &to, 1, 0), EFAULT);
    });
  });
}

TEST(readonly_proc_mem) {
  attack([](char* at, size_t size) {
    int mem = SYS(open("/proc/self/mem", O_RDWR));
    ssize_t got = pwrite(mem, evil(), size, off_t(at));
    CHECK(got <= 0);
    close(mem);
  });
}

TEST(readonly_ptrace_poke) {
  attack([](char* at, size_t size) {
    pid_t victim = getpid();
    pid_t child = fork();  // it has the mapping, too; the parent pokes
    if (child == 0) {
      ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      raise(SIGSTOP);
      _exit(getppid() == victim ? 0 : 1);
    }
    int status;
    SYS(waitpid(child, &status, 0));
    CHECK(WIFSTOPPED(status));
    for (size_t p = 0; p < size; p += 16 * page) {
      errno = 0;
      long seen = ptrace(PTRACE_PEEKDATA, child, at + p, nullptr);
      CHECK_EQ(errno, 0);
      CHECK_EQ(seen, *reinterpret_cast<volatile long*>(at + p));
      SYS_ERR(ptrace(PTRACE_POKEDATA, child, at + p, 666L), EIO);
    }
    SYS(ptrace(PTRACE_CONT, child, nullptr, nullptr));
    harness::join(child);
  });
}

// The object's pages lie in the pipe themselves; what is written to the pipe later,
// or made of its pages elsewhere, must not land in them.
TEST(readonly_pages_in_a_pipe) {
  attack([](char* at, size_t size) {
    size_t count = size < 8 * page ? size : 8 * page;
    int a[2], b[2];
    SYS(pipe(a));
    SYS(pipe(b));
    iovec part{at, count - 100};  // ends inside a page: room to append to it
    ssize_t in_pipe = SYS(vmsplice(a[1], &part, 1, SPLICE_F_NONBLOCK));
    CHECK_EQ(write(a[1], evil(), 64), 64);
    ssize_t copied = SYS(tee(a[0], b[1], leaf, SPLICE_F_NONBLOCK));
    CHECK(copied >= in_pipe);
    (void)!write(b[1], evil(), 64);
    int out = SYS(open("out", O_RDWR | O_CREAT | O_TRUNC, 0600));
    loff_t where = 0;
    SYS(splice(a[0], nullptr, out, &where, leaf, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
    // The file that got them is written to; the object must not notice.
    CHECK_EQ(pwrite(out, evil(), page, 0), page);
    char* moved = map(out, page, rw, MAP_SHARED);
    fill(moved, 667, 0, page);
    munmap(moved, page);
    for (int fd : {a[0], a[1], b[0], b[1], out}) close(fd);
  });
}

TEST(readonly_gifted_pages) {
  attack([](char* at, size_t size) {
    size_t count = size < 8 * page ? size : 8 * page;
    int a[2];
    SYS(pipe(a));
    iovec part{at, count};
    CHECK_EQ(SYS(vmsplice(a[1], &part, 1, SPLICE_F_GIFT | SPLICE_F_NONBLOCK)), count);
    int out = SYS(open("out", O_RDWR | O_CREAT | O_TRUNC, 0600));
    loff_t where = 0;
    CHECK_EQ(SYS(splice(a[0], nullptr, out, &where, count, SPLICE_F_MOVE)), count);
    write_filled(out, 666, 0, count);
    check_file(out, 666, 0, count);
    for (int fd : {a[0], a[1], out}) close(fd);
  });
}

// splice out of the file, then into the pipe: the "dirty pipe" way.
TEST(readonly_spliced_file_pages) {
  attack([](char*, size_t size) {
    int fd = SYS(open("f", O_RDONLY)), a[2];
    SYS(pipe(a));
    loff_t from = 10;
    CHECK_EQ(SYS(splice(fd, &from, a[1], nullptr, size < 100 ? size : 100, 0)), 100);
    CHECK_EQ(write(a[1], evil(), 64), 64);
    for (int one : {fd, a[0], a[1]}) close(one);
  });
}

TEST(readonly_stores) {
  attack([](char* at, size_t size) {
    for (size_t p = 0; p < size; p += 8 * page) {
      CHECK_SIGNAL_WRITE(at + p, SIGSEGV);
      CHECK_SIGNAL_WRITE(at + p + page - 8, SIGSEGV);
    }
  });
}

// A private mapping of it may be poked (that makes a copy), and the object stays.
TEST(readonly_private_is_copied) {
  int fd = make_file("f", 1, bytes);
  int reader = SYS(open("f", O_RDONLY));
  char* shared_one = map(reader, bytes, PROT_READ, MAP_SHARED);
  char* m = map(reader, bytes, PROT_READ, MAP_PRIVATE);
  CHECK_PAGES(m, 1, 0, bytes);
  int mem = SYS(open("/proc/self/mem", O_RDWR));
  uint64_t word = 666;
  for (size_t at : {size_t(0), leaf - page, leaf + 8, 2 * leaf + 3 * page}) {
    CHECK_EQ(pwrite(mem, &word, 8, off_t(m + at)), 8);
    CHECK_EQ(*reinterpret_cast<volatile uint64_t*>(m + at), 666);
  }
  CHECK_FILLED(shared_one, 1, 0, bytes);
  check_file(fd, 1, 0, bytes);
}
