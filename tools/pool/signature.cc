// SPDX-License-Identifier: MIT
#include "signature.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace morsel::pool {
namespace {

using namespace std::string_view_literals;

struct Signature {
  u64 offset;
  std::string_view bytes;
  const char* what;
};

// The first one that fits counts: what says more comes first.
constexpr Signature signatures[] = {
    {0, "MrslPool"sv, "a pool of morselfs"},
    {frame_bytes, "MrslPool"sv, "a pool of morselfs"},
    {1080, "\x53\xef"sv, "an ext2, ext3 or ext4 file system"},
    {0, "XFSB"sv, "an XFS file system"},
    {0x10040, "_BHRfS_M"sv, "a btrfs file system"},
    {1024, "\x10\x20\xf5\xf2"sv, "an F2FS file system"},
    {0, "hsqs"sv, "a squashfs file system"},
    {0, "LUKS\xba\xbe"sv, "an encrypted volume (LUKS)"},
    {512, "LABELONE"sv, "a physical volume of LVM"},
    {4086, "SWAPSPACE2"sv, "a swap area"},
    {0x8001, "CD001"sv, "an ISO 9660 file system"},
    {3, "NTFS    "sv, "an NTFS file system"},
    {0x1000, "\xfc\x4e\x2b\xa9"sv, "a member of a Linux RAID array"},
    {512, "EFI PART"sv, "a GPT partition table"},
    {510, "\x55\xaa"sv, "a boot sector or partition table"},
};

constexpr u64 looked_at = 64 << 10;

}  // namespace

std::string what_is_there(const Image& image) {
  const char* start = static_cast<const char*>(image.at(0));
  for (const Signature& signature : signatures)
    if (signature.offset + signature.bytes.size() <= image.bytes() &&
        std::memcmp(start + signature.offset, signature.bytes.data(), signature.bytes.size()) == 0)
      return signature.what;
  const u64 bytes = std::min<u64>(image.bytes(), looked_at);
  if (std::any_of(start, start + bytes, [](char byte) { return byte != 0; }))
    return "something that is not known here";
  return {};
}

}  // namespace morsel::pool
