// SPDX-License-Identifier: MIT
#include "leaf.h"

#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <system_error>

#include "mapping.h"

namespace morsel::bench {
namespace {

constexpr uint64_t present_bit = uint64_t{1} << 63;
constexpr uint64_t pfn_mask = (uint64_t{1} << 55) - 1;
constexpr uint64_t block = pmd_slot_bytes / page_bytes;

class ProcFile {
 public:
  explicit ProcFile(const char* path) : fd_(::open(path, O_RDONLY | O_CLOEXEC)) {}
  ~ProcFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  ProcFile(const ProcFile&) = delete;
  ProcFile& operator=(const ProcFile&) = delete;

  bool is_open() const { return fd_ >= 0; }

  /// Reads words from the given word number on; what the kernel does not give is 0.
  template <size_t count>
  std::array<uint64_t, count> words(uint64_t number) const {
    std::array<uint64_t, count> out{};
    if (::pread(fd_, out.data(), sizeof out, static_cast<off_t>(number * sizeof out[0])) < 0)
      out.fill(0);
    return out;
  }

 private:
  int fd_;
};

constexpr bool has(uint64_t flags, unsigned bit) { return (flags >> bit & 1) != 0; }

void classify(LeafSurvey& survey, const ProcFile& kpageflags, uint64_t pfn) {
  const auto flags = kpageflags.words<block>(pfn / block * block);
  const uint64_t own = flags[pfn % block];
  if (!has(own, KPF_COMPOUND_HEAD) && !has(own, KPF_COMPOUND_TAIL)) {
    ++survey.small;
    return;
  }
  // A frame of 2 MiB: one head where the block starts, and nothing but tails after it. (1-GiB
  // frames have tails only in the blocks after the first one.)
  const bool tails = std::all_of(flags.begin() + 1, flags.end(),
                                 [](uint64_t f) { return has(f, KPF_COMPOUND_TAIL); });
  const bool starts = has(flags[0], KPF_COMPOUND_HEAD) || has(flags[0], KPF_COMPOUND_TAIL);
  ++(tails && starts ? survey.large : survey.other);
}

/// Sum of the smaps fields that count 2-MiB entries, for the VMAs in [start, end).
uint64_t pmd_mapped_bytes(uintptr_t start, uintptr_t end) {
  std::ifstream smaps("/proc/self/smaps");
  uint64_t kib_sum = 0;
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long from = 0;
    unsigned long to = 0;
    std::array<char, 32> name{};
    unsigned long kib = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) {
      inside = from < end && to > start;
    } else if (inside &&
               std::sscanf(line.c_str(), "%31[A-Za-z_]: %lu kB", name.data(), &kib) == 2) {
      const std::string field = name.data();
      if (field == "FilePmdMapped" || field == "ShmemPmdMapped" || field == "Shared_Hugetlb" ||
          field == "Private_Hugetlb")
        kib_sum += kib;
    }
  }
  return kib_sum * 1024;
}

}  // namespace

LeafSurvey survey_leaves(const unsigned char* data, uint64_t pages) {
  LeafSurvey survey;
  const auto start = reinterpret_cast<uintptr_t>(data);
  survey.pmd_mapped = pmd_mapped_bytes(start, start + pages * page_bytes);

  const ProcFile pagemap("/proc/self/pagemap");
  const ProcFile kpageflags("/proc/kpageflags");
  if (!pagemap.is_open() || !kpageflags.is_open()) {
    survey.permitted = false;
    return survey;
  }
  const uint64_t looks = std::min<uint64_t>(pages, 1024);
  for (uint64_t i = 0; i < looks; ++i) {
    const uint64_t page = i * pages / looks;
    const uint64_t entry = pagemap.words<1>(start / page_bytes + page)[0];
    if ((entry & present_bit) == 0)
      ++survey.absent;
    else if ((entry & pfn_mask) == 0)
      survey.permitted = false;
    else
      classify(survey, kpageflags, entry & pfn_mask);
  }
  return survey;
}

}  // namespace morsel::bench
