// SPDX-License-Identifier: MIT
// The memory that is handed to a device, of one system, and how a process gets hold of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace morsel::bench {

/// What drivers get: a dma-buf, or else memory of the process, which they pin.
struct Handle {
  int dmabuf = -1;
  void* start = nullptr;
};

/// Memory of `length` bytes that is there from the start. A process that forks leaves it to its
/// child.
class Memory {
 public:
  explicit Memory(uint64_t length) : length_(length) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  virtual ~Memory() = default;

  [[nodiscard]] uint64_t length() const { return length_; }

  /// What a process has done before anything is measured: it has opened, mapped and touched the
  /// memory as it wants to use it.
  virtual void prepare() = 0;
  /// The system calls, if there are any, that make of it what a driver takes.
  virtual Handle get() = 0;

 private:
  uint64_t length_;
};

/// The names of all systems.
std::vector<std::string> systems();

/// At least `bytes` of this system's, new, in a file of `directory` if it is a file system's.
/// Throws std::system_error.
std::unique_ptr<Memory> make_memory(const std::string& system, const std::string& directory,
                                    uint64_t bytes);

}  // namespace morsel::bench
