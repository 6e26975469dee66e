// SPDX-License-Identifier: MIT
//
// QEMU's PCI device "edu", driven from user space by VFIO: it copies memory that was mapped for
// it, half a page at a time.
#ifndef MORSELS_TESTS_VFIO_H
#define MORSELS_TESTS_VFIO_H

#include <dirent.h>

#include <linux/vfio.h>

#include "memory.h"

class Edu {
 public:
  static constexpr size_t at_once = page / 2;

  Edu() {
    const std::string name = find();
    const std::string folder = "/sys/bus/pci/devices/" + name;
    // QEMU's IOMMU, as these machines have it, does not translate interrupts, which VFIO wants.
    write_word("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "1");
    write_word(folder + "/driver_override", "vfio-pci");
    if (access((folder + "/driver").c_str(), F_OK) != 0)
      write_word("/sys/bus/pci/drivers_probe", name);
    char link[256] = {};
    SYS(readlink((folder + "/iommu_group").c_str(), link, sizeof link - 1));
    const std::string group_name = strrchr(link, '/') + 1;

    container = SYS(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
    int group = SYS(open(("/dev/vfio/" + group_name).c_str(), O_RDWR | O_CLOEXEC));
    SYS(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
    SYS(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
    int device = SYS(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name.c_str()));

    vfio_region_info config{}, bar{};
    config.argsz = bar.argsz = sizeof bar;
    config.index = VFIO_PCI_CONFIG_REGION_INDEX;
    bar.index = VFIO_PCI_BAR0_REGION_INDEX;
    SYS(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config));
    SYS(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar));
    uint16_t command = 0;
    constexpr int command_at = 4, bus_master = 4;
    SYS(pread(device, &command, sizeof command, off_t(config.offset) + command_at));
    command |= bus_master;
    SYS(pwrite(device, &command, sizeof command, off_t(config.offset) + command_at));
    registers =
        reinterpret_cast<volatile uint64_t*>(map(device, bar.size, rw, MAP_SHARED, bar.offset));
  }

  // Pins the memory and lets the device reach it at `io`; 0 or an errno.
  int try_map_dma(const char* at, uint64_t io, size_t size, uint32_t flags) {
    vfio_iommu_type1_dma_map request{};
    request.argsz = sizeof request;
    request.flags = flags;
    request.vaddr = uintptr_t(at);
    request.iova = io;
    request.size = size;
    return ioctl(container, VFIO_IOMMU_MAP_DMA, &request) ? errno : 0;
  }
  void map_dma(const char* at, uint64_t io, size_t size,
               uint32_t flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE) {
    CHECK_EQ(try_map_dma(at, io, size, flags), 0);
  }
  void unmap_dma(uint64_t io, size_t size) {
    vfio_iommu_type1_dma_unmap request{};
    request.argsz = sizeof request;
    request.iova = io;
    request.size = size;
    SYS(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &request));
    CHECK_EQ(request.size, size);
  }

  // The device's own buffer, from and to memory at `io`.
  void load(uint64_t io) { transfer(io, buffer, run); }
  void store(uint64_t io) { transfer(buffer, io, run | to_memory); }
  void copy(uint64_t from, uint64_t to) {
    load(from);
    store(to);
  }

 private:
  static constexpr uint64_t buffer = 0x40000, run = 1, to_memory = 2;

  int container;
  volatile uint64_t* registers;

  void transfer(uint64_t from, uint64_t to, uint64_t command) {
    registers[0x80 / 8] = from;
    registers[0x88 / 8] = to;
    registers[0x90 / 8] = at_once;
    registers[0x98 / 8] = command;
    while (registers[0x98 / 8] & run) usleep(1000);
  }

  static void write_word(const std::string& file, const std::string& word) {
    int fd = open(file.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, word.data(), word.size()) != ssize_t(word.size()))
      FAIL("%s: expected to take '%s', seen %s", file.c_str(), word.c_str(), strerror(errno));
    close(fd);
  }

  static std::string read_word(const std::string& file) {
    char word[64] = {};
    int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return "";
    ssize_t got = read(fd, word, sizeof word - 1);
    close(fd);
    return got < 0 ? "" : std::string(word, strcspn(word, "\n"));
  }

  // As 0000:00:02.0.
  static std::string find() {
    std::string name;
    DIR* all = opendir("/sys/bus/pci/devices");
    for (dirent* one; all && (one = readdir(all)) && name.empty();) {
      const std::string folder = std::string("/sys/bus/pci/devices/") + one->d_name;
      if (read_word(folder + "/vendor") == "0x1234" && read_word(folder + "/device") == "0x11e8")
        name = one->d_name;
    }
    if (all) closedir(all);
    if (name.empty()) SKIP("NEEDS A DEVICE: QEMU's edu (vm/run --edu --iommu)");
    if (access("/dev/vfio/vfio", F_OK) != 0)
      SKIP("NEEDS VFIO: the kernel's modules vfio_pci and vfio_iommu_type1");
    return name;
  }
};

#endif
