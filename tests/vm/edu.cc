// SPDX-License-Identifier: MIT
#include "edu.h"

#include <dirent.h>
#include <linux/udmabuf.h>

#include <climits>

// --- the driver ---------------------------------------------------------------------

Edu::Edu(unsigned number) {
  std::string file = "morsel_edu" + std::to_string(number);
  fd_ = open(("/dev/" + file).c_str(), O_RDWR | O_CLOEXEC);
  if (fd_ < 0 && errno == ENOENT) SKIP("this machine has no /dev/%s", file.c_str());
  SYS(fd_);
  char path[PATH_MAX];
  CHECK(realpath(("/sys/class/misc/" + file + "/device").c_str(), path));
  sysfs_ = path;
}

void Edu::close() {
  if (fd_ >= 0) SYS(::close(fd_));
  fd_ = -1;
}

std::string Edu::name() const { return sysfs_.substr(sysfs_.rfind('/') + 1); }

int Edu::try_attach(int dmabuf) {
  morsel_edu_buffer buffer{};
  buffer.fd = dmabuf;
  if (ioctl(fd_, MORSEL_EDU_ATTACH, &buffer) != 0) return errno;
  release(buffer.id);
  return 0;
}

int Edu::try_pin(const void* start, size_t bytes, unsigned direction) {
  morsel_edu_buffer buffer{};
  buffer.start = reinterpret_cast<uint64_t>(start);
  buffer.length = bytes;
  buffer.direction = direction;
  if (ioctl(fd_, MORSEL_EDU_PIN, &buffer) != 0) return errno;
  release(buffer.id);
  return 0;
}

int Edu::try_map(unsigned id, unsigned direction) {
  morsel_edu_buffer buffer{};
  buffer.id = id;
  buffer.direction = direction;
  return ioctl(fd_, MORSEL_EDU_MAP, &buffer) == 0 ? 0 : errno;
}

int Edu::try_copy(unsigned id, unsigned direction, uint64_t offset, size_t bytes) {
  morsel_edu_copy copy{};
  copy.id = id;
  copy.direction = direction;
  copy.offset = offset;
  copy.length = bytes;
  return ioctl(fd_, MORSEL_EDU_COPY, &copy) == 0 ? 0 : errno;
}

namespace {

int cpu_copy(int fd, unsigned id, unsigned direction, uint64_t offset, const void* memory,
             size_t bytes) {
  morsel_edu_cpu_copy copy{};
  copy.id = id;
  copy.direction = direction;
  copy.offset = offset;
  copy.length = bytes;
  copy.memory = reinterpret_cast<uint64_t>(memory);
  return ioctl(fd, MORSEL_EDU_CPU_COPY, &copy) == 0 ? 0 : errno;
}

}  // namespace

int Edu::try_read(unsigned id, uint64_t offset, void* to, size_t bytes) {
  return cpu_copy(fd_, id, MORSEL_EDU_TO_DEVICE, offset, to, bytes);
}

int Edu::try_write(unsigned id, uint64_t offset, const void* from, size_t bytes) {
  return cpu_copy(fd_, id, MORSEL_EDU_FROM_DEVICE, offset, from, bytes);
}

unsigned Edu::attach(int dmabuf) {
  morsel_edu_buffer buffer{};
  buffer.fd = dmabuf;
  SYS(ioctl(fd_, MORSEL_EDU_ATTACH, &buffer));
  return buffer.id;
}

unsigned Edu::pin(const void* start, size_t bytes, unsigned direction) {
  morsel_edu_buffer buffer{};
  buffer.start = reinterpret_cast<uint64_t>(start);
  buffer.length = bytes;
  buffer.direction = direction;
  SYS(ioctl(fd_, MORSEL_EDU_PIN, &buffer));
  return buffer.id;
}

unsigned Edu::map(unsigned id, unsigned direction) {
  morsel_edu_buffer buffer{};
  buffer.id = id;
  buffer.direction = direction;
  SYS(ioctl(fd_, MORSEL_EDU_MAP, &buffer));
  return buffer.segments;
}

void Edu::unmap(unsigned id) {
  morsel_edu_buffer buffer{};
  buffer.id = id;
  SYS(ioctl(fd_, MORSEL_EDU_UNMAP, &buffer));
}

void Edu::release(unsigned id) {
  morsel_edu_buffer buffer{};
  buffer.id = id;
  SYS(ioctl(fd_, MORSEL_EDU_RELEASE, &buffer));
}

std::vector<morsel_edu_segment> Edu::segments(unsigned id) {
  std::vector<morsel_edu_segment> all(65536);
  morsel_edu_segments asked{};
  asked.id = id;
  asked.count = uint32_t(all.size());
  asked.segments = reinterpret_cast<uint64_t>(all.data());
  SYS(ioctl(fd_, MORSEL_EDU_SEGMENTS, &asked));
  CHECK(asked.count < all.size());
  all.resize(asked.count);
  return all;
}

void Edu::load(unsigned id, uint64_t offset, size_t bytes) {
  CHECK_EQ(try_copy(id, MORSEL_EDU_TO_DEVICE, offset, bytes), 0);
}

void Edu::store(unsigned id, uint64_t offset, size_t bytes) {
  CHECK_EQ(try_copy(id, MORSEL_EDU_FROM_DEVICE, offset, bytes), 0);
}

// --- the machine ----------------------------------------------------------------------

bool has_iommu() {
  DIR* groups = opendir("/sys/kernel/iommu_groups");
  if (!groups) return false;
  int entries = 0;
  while (readdir(groups)) entries++;
  closedir(groups);
  return entries > 2;  // . and ..
}

void tell(const std::string& path, const std::string& text) {
  int fd = SYS(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  CHECK_EQ(SYS(write(fd, text.data(), text.size())), text.size());
  close(fd);
}

static std::string in_hex(uint64_t address) {
  char text[32];
  snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(address));
  return text;
}

ExpectFault::ExpectFault(uint64_t address) : address_(address & ~uint64_t(page - 1)) {
  log_ = SYS(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  SYS(lseek(log_, 0, SEEK_END));
  tell("/dev/kmsg", "vm-device: expects a DMA fault at " + in_hex(address_) + "\n");
}

ExpectFault::~ExpectFault() {
  const std::string wanted = "fault addr " + in_hex(address_) + " ";
  char record[4096];
  for (int i = 0; i < 500; i++) {
    ssize_t got;
    while ((got = read(log_, record, sizeof record - 1)) > 0) {
      record[got] = 0;
      if (strstr(record, "DMAR: ") && strstr(record, wanted.c_str())) {
        close(log_);
        return;
      }
    }
    usleep(10000);
  }
  FAIL("expected the IOMMU to report a fault at %s, seen none in 5 s", in_hex(address_).c_str());
}

// --- objects that can be exported -----------------------------------------------------

int make_exportable(const char* name, uint64_t seed, size_t bytes) {
  if (harness::is_morselfs()) return make_file(name, seed, bytes);
  int fd = SYS(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  write_filled(fd, seed, 0, bytes);
  SYS(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));  // udmabuf wants that
  return fd;
}

int try_export(int fd, uint32_t flags, uint64_t start, uint64_t bytes, int* dmabuf) {
  if (harness::is_morselfs()) {
    morselfs_export request{};
    request.size = sizeof request;
    request.flags = flags;
    request.start = start;
    request.length = bytes;
    if (ioctl(fd, MORSELFS_IOC_EXPORT, &request) != 0) return errno;
    *dmabuf = request.fd;
    return 0;
  }
  int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
  if (device < 0) SKIP("this kernel has no udmabuf");
  struct stat info;
  SYS(fstat(fd, &info));
  udmabuf_create request{};
  request.memfd = uint32_t(fd);
  request.flags = UDMABUF_FLAGS_CLOEXEC;
  request.offset = start;
  request.size = bytes ? bytes : uint64_t(info.st_size) - start;
  *dmabuf = ioctl(device, UDMABUF_CREATE, &request);
  int error = *dmabuf < 0 ? errno : 0;
  close(device);
  return error;
}

int export_object(int fd, uint32_t flags, uint64_t start, uint64_t bytes) {
  int dmabuf = -1;
  if (int error = try_export(fd, flags, start, bytes, &dmabuf))
    FAIL("export: expected success, seen %s", strerror(error));
  return dmabuf;
}
