// SPDX-License-Identifier: MIT
#include "memory.h"

#include <memory>

#include <setjmp.h>
#include <sys/resource.h>

namespace {

thread_local sigjmp_buf* landing;

void on_fault(int signal) {
  if (landing) siglongjmp(*landing, signal);
  ::signal(signal, SIG_DFL);  // not ours: die of it
}

void install_once() {
  static bool done = [] {
    struct sigaction action {};
    action.sa_handler = on_fault;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
    sigaction(SIGILL, &action, nullptr);
    return true;
  }();
  (void)done;
}

template <class F>
int guarded(F&& touch) {
  install_once();
  sigjmp_buf here;
  landing = &here;
  int signal = sigsetjmp(here, 0);
  if (signal == 0) touch();
  landing = nullptr;
  return signal;
}

constexpr size_t chunk = 256 << 10;

}  // namespace

int probe_read(const void* at, uint64_t* seen) {
  return guarded([=] {
    uint64_t value = *static_cast<const volatile uint64_t*>(at);
    if (seen) *seen = value;
  });
}

int probe_write(void* at, uint64_t value) {
  return guarded([=] { *static_cast<volatile uint64_t*>(at) = value; });
}

int probe_call(const void* at, int* result) {
  return guarded([=] { *result = reinterpret_cast<int (*)()>(const_cast<void*>(at))(); });
}

void write_filled(int fd, uint64_t seed, uint64_t offset, size_t bytes) {
  auto buffer = std::make_unique<char[]>(chunk);
  while (bytes) {
    size_t now = bytes < chunk ? bytes : chunk;
    fill(buffer.get(), seed, offset, (now + 7) & ~size_t(7));
    ssize_t done = SYS(pwrite(fd, buffer.get(), now, off_t(offset)));
    CHECK_EQ(done, now);
    offset += now;
    bytes -= now;
  }
}

int make_sparse(const char* name, size_t bytes) {
  int fd = SYS(open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  SYS(ftruncate(fd, off_t(bytes)));
  return fd;
}

int make_file(const char* name, uint64_t seed, size_t bytes) {
  int fd = SYS(open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  write_filled(fd, seed, 0, bytes);
  return fd;
}

template <class F>
static void each_chunk(int fd, uint64_t offset, size_t bytes, F&& check) {
  auto buffer = std::make_unique<char[]>(chunk);
  while (bytes) {
    size_t now = bytes < chunk ? bytes : chunk;
    ssize_t done = SYS(pread(fd, buffer.get(), now, off_t(offset)));
    CHECK_EQ(done, now);
    check(buffer.get(), offset, now);
    offset += now;
    bytes -= now;
  }
}

void check_file(int fd, uint64_t seed, uint64_t offset, size_t bytes) {
  each_chunk(fd, offset, bytes, [=](const char* data, uint64_t at, size_t now) {
    size_t bad = differs(data, seed, at, now);
    if (bad < (now & ~size_t(7)))
      FAIL("file at 0x%llx: expected 0x%llx, seen 0x%llx", (unsigned long long)(at + bad),
           (unsigned long long)word_at(seed, at + bad),
           (unsigned long long)*(const uint64_t*)(data + bad));
  });
}

void check_file_zero(int fd, uint64_t offset, size_t bytes) {
  each_chunk(fd, offset, bytes, [=](const char* data, uint64_t at, size_t now) {
    for (size_t i = 0; i < now; i++)
      if (data[i])
        FAIL("file at 0x%llx: expected zero, seen 0x%x", (unsigned long long)(at + i),
             data[i] & 0xff);
  });
}

char* map(int fd, size_t bytes, int prot, int flags, uint64_t offset, void* at) {
  void* got = mmap(at, bytes, prot, flags, fd, off_t(offset));
  if (got == MAP_FAILED)
    FAIL("mmap of 0x%zx bytes, prot %d, flags 0x%x, offset 0x%llx: expected success, seen %s",
         bytes, prot, flags, (unsigned long long)offset, strerror(errno));
  return static_cast<char*>(got);
}

char* reserve(size_t bytes, size_t align, size_t offset) {
  size_t total = bytes + 2 * align;
  char* all = map(-1, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  char* from = all + (-reinterpret_cast<uintptr_t>(all) & (align - 1)) + offset;
  if (from > all) munmap(all, size_t(from - all));
  munmap(from + bytes, size_t(all + total - (from + bytes)));
  return from;
}

char* map_at(Place place, int fd, size_t bytes, int prot) {
  size_t align = place == Place::slot ? slot : leaf;
  bytes = mapped_bytes(place, bytes);
  char* at = reserve(bytes, align, place == Place::odd ? page : 0);
  return map(fd, bytes, prot, MAP_SHARED | MAP_FIXED, 0, at);
}

morselfs_info info(int fd) {
  if (!harness::is_morselfs()) SKIP("about grafts, which only morselfs has");
  morselfs_info i{};
  i.size = sizeof i;
  SYS(ioctl(fd, MORSELFS_IOC_INFO, &i));
  return i;
}

bool has_dma_bufs() {
  int fd = SYS(open(".", O_TMPFILE | O_RDWR, 0600));
  CHECK_EQ(write(fd, "x", 1), 1);
  morselfs_export wish = {};
  wish.size = sizeof wish;
  wish.flags = MORSELFS_EXPORT_READ_ONLY;
  int error = ioctl(fd, MORSELFS_IOC_EXPORT, &wish) == 0 ? 0 : errno;
  if (error == 0) close(wish.fd);
  close(fd);
  return error != EOPNOTSUPP;
}

long status_kib(const char* key, pid_t pid) {
  char path[64], line[256];
  snprintf(path, sizeof path, pid ? "/proc/%d/status" : "/proc/self/status", pid);
  FILE* file = fopen(path, "re");
  CHECK(file);
  long value = -1;
  while (fgets(line, sizeof line, file))
    if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
      value = atol(line + strlen(key) + 1);
  fclose(file);
  if (value < 0) FAIL("expected a line %s in %s", key, path);
  return value;
}

long faults() {
  rusage usage;
  SYS(getrusage(RUSAGE_SELF, &usage));
  return usage.ru_minflt + usage.ru_majflt;
}

void* shared_memory(size_t bytes) { return map(-1, bytes, rw, MAP_SHARED | MAP_ANONYMOUS); }
