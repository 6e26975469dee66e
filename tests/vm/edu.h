// SPDX-License-Identifier: MIT
//
// QEMU's PCI device edu, for tests: the driver's calls (tests/dma/morsel_edu.h), objects as
// dma-bufs, and the IOMMU's faults.
#ifndef MORSELS_TESTS_EDU_H
#define MORSELS_TESTS_EDU_H

#include <string>
#include <vector>

#include "../dma/morsel_edu.h"
#include "memory.h"

constexpr size_t copy_bytes = MORSEL_EDU_COPY_BYTES;

// An open device. Its file descriptor takes all that is attached with it when it is closed.
class Edu {
 public:
  // SKIPs the test if the machine has no such device.
  explicit Edu(unsigned number = 0);
  ~Edu() { close(); }
  Edu(const Edu&) = delete;
  Edu& operator=(const Edu&) = delete;
  void close();

  // Each of these fails the test unless the driver does it; the id of a buffer, its segments.
  unsigned attach(int dmabuf);
  unsigned pin(const void* start, size_t bytes, unsigned direction);
  unsigned map(unsigned id, unsigned direction = MORSEL_EDU_BOTH);
  void unmap(unsigned id);
  void release(unsigned id);
  std::vector<morsel_edu_segment> segments(unsigned id);
  // Has the device fetch bytes from `offset` of a buffer, and store what it fetched last.
  void load(unsigned id, uint64_t offset, size_t bytes = copy_bytes);
  void store(unsigned id, uint64_t offset, size_t bytes = copy_bytes);

  // The errno of a call that may fail, 0 if it doesn't.
  int try_attach(int dmabuf);
  int try_pin(const void* start, size_t bytes, unsigned direction);
  int try_map(unsigned id, unsigned direction);
  int try_copy(unsigned id, unsigned direction, uint64_t offset, size_t bytes = copy_bytes);
  // By the kernel's CPUs, which map the whole buffer for it: out of the buffer, into it.
  int try_read(unsigned id, uint64_t offset, void* to, size_t bytes);
  int try_write(unsigned id, uint64_t offset, const void* from, size_t bytes);

  int fd() const { return fd_; }
  // Its folder in /sys, and what it is called there (0000:00:02.0).
  const std::string& sysfs() const { return sysfs_; }
  std::string name() const;

 private:
  int fd_;
  std::string sysfs_;
};

// The machine's devices are behind an IOMMU that contains them.
bool has_iommu();

// All of an object, or a part of it, as a dma-buf. What can be exported: a file on morselfs;
// elsewhere, where only the test is tested, memory that udmabuf exports, as this kernel has it.
int make_exportable(const char* name, uint64_t seed, size_t bytes);
int export_object(int fd, uint32_t flags = 0, uint64_t start = 0, uint64_t bytes = 0);
int try_export(int fd, uint32_t flags, uint64_t start, uint64_t bytes, int* dmabuf);

// Says in the kernel's log that a fault at the device's address is no mistake, and sees that it
// comes, by the end of this object's life.
class ExpectFault {
 public:
  explicit ExpectFault(uint64_t address);
  ~ExpectFault();
  ExpectFault(const ExpectFault&) = delete;
  ExpectFault& operator=(const ExpectFault&) = delete;

 private:
  uint64_t address_;
  int log_;
};

// Writes text to a file of the kernel's.
void tell(const std::string& path, const std::string& text);

#endif
