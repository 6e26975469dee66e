// SPDX-License-Identifier: MIT
//
// Ways into memory that are not the CPU's and that readonly.cc leaves out. Each is
// tried on read-only mappings, where it must fail, and on a writable one, where it
// must work: an attack that never works proves nothing.
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "attack.h"

using namespace attacks;

namespace {

// Reads from the disk by the kernel's own asynchronous I/O; bytes or -errno.
long read_asynchronously(int disk, void* at, size_t size) {
  aio_context_t context = 0;
  SYS(syscall(SYS_io_setup, 1, &context));
  iocb request{};
  request.aio_lio_opcode = IOCB_CMD_PREAD;
  request.aio_fildes = uint32_t(disk);
  request.aio_buf = uintptr_t(at);
  request.aio_nbytes = size;
  iocb* requests[] = {&request};
  io_event event{};
  long result;
  if (syscall(SYS_io_submit, context, 1, requests) == 1) {
    CHECK_EQ(syscall(SYS_io_getevents, context, 1, 1, &event, nullptr), 1);
    result = event.res;
  } else {
    result = -errno;
  }
  SYS(syscall(SYS_io_destroy, context));
  return result;
}

long futex(void* at, int operation, uint32_t value, void* other = nullptr, uint32_t value3 = 0) {
  return syscall(SYS_futex, at, operation, value, 0L, other, value3);
}

// A thread without a library, for what the kernel writes when one comes and goes.
int end_at_once(void*) { return 0; }

// The kernel writes the thread's number to `at`, and clears it when the thread ends.
void come_and_go(char* at, int flags) {
  static char* stack = map(-1, 16 * page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  constexpr int common = CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD;
  int pid = SYS(clone(end_at_once, stack + 16 * page, common | flags, nullptr, at, nullptr, at));
  harness::join(pid);
}

int connected_pair(int ends[2]) {
  int listener = SYS(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0) return errno;
  SYS(listen(listener, 1));
  SYS(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length));
  ends[0] = SYS(socket(AF_INET, SOCK_STREAM, 0));
  int small = 4096;
  SYS(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
  if (connect(ends[0], reinterpret_cast<sockaddr*>(&address), length) != 0) return errno;
  ends[1] = SYS(accept(listener, nullptr, nullptr));
  close(listener);
  return 0;
}

}  // namespace

// GUP's slow way: nothing of the mapping was ever touched.
TEST(access_direct_read_into_untouched) {
  int disk = evil_disk();
  int fd = make_file("f", 1, bytes), reader = SYS(open("f", O_RDONLY));
  for (const Span& span : spans)
    for (int one : {fd, reader}) {
      char* m = map(one, bytes, PROT_READ, MAP_SHARED);
      SYS_ERR(pread(disk, m + span.at, span.bytes, 0), EFAULT);
      SYS(munmap(m, bytes));
    }
  check_file(fd, 1, 0, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_EQ(pread(disk, m + leaf, leaf, 0), leaf);
  CHECK_FILLED(m + leaf, 666, 0, leaf);
}

TEST(access_asynchronous_read) {
  int disk = evil_disk();
  attack_and_control([=](char* at, size_t size) {
    long got = read_asynchronously(disk, at, size);
    // The kernel says EIO where it needed several requests (above 1 MiB of 4-KiB pages).
    if (got != -EFAULT && got != -EIO) CHECK_EQ(got, size);
    return got > 0;
  });
}

// Read rights that were write rights when the kernel last looked.
TEST(access_direct_read_after_protection) {
  int disk = evil_disk();
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  for (const Span& span : spans) {
    CHECK_EQ(pread(disk, m + span.at, span.bytes, 0), span.bytes);
    fill(m, 1, 0, bytes);
    SYS(mprotect(m, bytes, PROT_READ));
    SYS_ERR(pread(disk, m + span.at, span.bytes, 0), EFAULT);
    CHECK_FILLED(m, 1, 0, bytes);
    SYS(mprotect(m, bytes, rw));
  }
}

// The kernel's operations on a futex word write to it.
TEST(access_futex_operations) {
  attack_and_control([](char* at, size_t size) {
    // wakes nobody, and adds to the word
    constexpr uint32_t add = FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0);
    bool added = futex(evil(), FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 1, at, add) >= 0;
    if (!added) CHECK_EQ(errno, EFAULT);
    // a lock whose owner the kernel writes; its word must be 0 to be free
    auto* word = reinterpret_cast<uint32_t*>(at + size - 8);
    if (added) *word = 0;
    bool locked = futex(word, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0) == 0;
    CHECK_EQ(locked, added);
    if (locked) {
      CHECK_EQ(*word & FUTEX_TID_MASK, gettid());
      SYS(futex(word, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0));
      memcpy(at, evil(), page);  // what the control looks for
    }
    return added;
  });
}

TEST(access_thread_numbers) {
  attack([](char* at, size_t) {
    come_and_go(at, CLONE_PARENT_SETTID);
    come_and_go(at + 8, CLONE_CHILD_CLEARTID);
  });
  int fd = make_file("control", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  auto* words = reinterpret_cast<volatile uint32_t*>(m);
  words[0] = 0;
  come_and_go(m, CLONE_PARENT_SETTID);
  CHECK(words[0] != 0);
  words[2] = 77;
  come_and_go(m + 8, CLONE_CHILD_CLEARTID);
  CHECK_EQ(words[2], 0);
}

// Into a descriptor that is open for reading only, by whoever copies in the kernel.
TEST(access_copies_into_a_read_only_descriptor) {
  int fd = make_file("f", 1, bytes), reader = SYS(open("f", O_RDONLY));
  int ends[2];
  SYS(pipe(ends));
  CHECK_EQ(write(ends[1], evil(), page), page);
  loff_t from = 0, to = 0;
  SYS_ERR(sendfile(reader, evil_file(), &from, page), EBADF);
  SYS_ERR(splice(ends[0], nullptr, reader, &to, page, 0), EBADF);
  SYS_ERR(copy_file_range(evil_file(), &from, reader, &to, page, 0), EBADF);
  SYS_ERR(pwrite(reader, evil(), page, 0), EBADF);
  SYS_ERR(fallocate(reader, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, page), EBADF);
  SYS_ERR(ftruncate(reader, 0), EINVAL);
  char* r = map(reader, bytes, PROT_READ, MAP_SHARED);
  SYS_ERR(madvise(r, leaf, MADV_REMOVE), EACCES);
  check_file(fd, 1, 0, bytes);
  CHECK_EQ(SYS(splice(ends[0], nullptr, fd, &to, page, 0)), page);
  check_file(fd, 666, 0, page);
}

// Advice from another process neither writes nor loses a byte, and a stranger may
// give none.
TEST(access_advice_from_outside) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  CHECK_PAGES(m, 1, 0, bytes);
  int self = SYS(int(syscall(SYS_pidfd_open, getpid(), 0)));
  iovec range{m, bytes};
  harness::in_child([&] {
    for (int advice : {MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, 25 /* MADV_COLLAPSE */})
      if (syscall(SYS_process_madvise, self, &range, 1, advice, 0) < 0) CHECK(errno == EINVAL);
    SYS_ERR(syscall(SYS_process_madvise, self, &range, 1, MADV_DONTNEED, 0), EINVAL);
  });
  harness::in_child([&] {
    SYS(setresuid(65534, 65534, 65534));
    CHECK(syscall(SYS_process_madvise, self, &range, 1, MADV_COLD, 0) == -1);
    CHECK(errno == EPERM || errno == EACCES);
    SYS_ERR(syscall(SYS_pidfd_getfd, self, fd, 0), EPERM);
  });
  CHECK_FILLED(m, 1, 0, bytes);
  check_file(fd, 1, 0, bytes);
}

// Pages wait in a socket, unsent, while their file is cut off and the memory is
// wanted elsewhere: the receiver gets what was sent.
TEST(access_zero_copy_send_outlives_data) {
  int ends[2], on = 1;
  if (int error = connected_pair(ends)) SKIP("no network here: %s", strerror(error));
  if (setsockopt(ends[0], SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) != 0)
    SKIP("no SO_ZEROCOPY here: %s", strerror(errno));
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  ssize_t sent = SYS(send(ends[0], m + page, leaf, MSG_ZEROCOPY | MSG_DONTWAIT));
  CHECK(sent > ssize_t(2 * page));  // more than the other end has taken
  SYS(ftruncate(fd, 0));
  int other = make_file("g", 2, bytes);
  SYS(shutdown(ends[0], SHUT_WR));
  char* got = map(-1, leaf, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  for (ssize_t at = 0; at < sent;) {
    ssize_t part = SYS(recv(ends[1], got + at, size_t(sent - at), 0));
    CHECK(part > 0);
    at += part;
  }
  CHECK_FILLED(got, 1, page, size_t(sent) & ~size_t(7));
  check_file(other, 2, 0, bytes);
}

// Packets go out of a mapping by the packet socket, and come in to it.
TEST(access_packet_socket) {
  int sender = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
  if (sender < 0) SKIP("no packet sockets here: %s", strerror(errno));
  int receiver = SYS(socket(AF_PACKET, SOCK_DGRAM, htons(0x88b5)));
  sockaddr_ll loopback{};
  loopback.sll_family = AF_PACKET;
  loopback.sll_protocol = htons(0x88b5);  // for local experiments
  loopback.sll_ifindex = int(if_nametoindex("lo"));
  loopback.sll_halen = 6;
  SYS(bind(receiver, reinterpret_cast<sockaddr*>(&loopback), sizeof loopback));
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
  CHECK_EQ(sendto(sender, r + leaf - 512, 1024, 0, reinterpret_cast<sockaddr*>(&loopback),
                  sizeof loopback),
           1024);
  SYS_ERR(recv(receiver, r, 1024, MSG_PEEK), EFAULT);
  CHECK_FILLED(r, 1, 0, page);
  CHECK_EQ(recv(receiver, m, 1024, 0), 1024);
  CHECK_FILLED(m, 1, leaf - 512, 1024);
}
