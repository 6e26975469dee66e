// SPDX-License-Identifier: MIT
// A sum over all bytes that notices pages in the wrong place, made of plain 64-bit additions: an
// emulator runs those fastest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace morsel::bench {

uint64_t checksum(const unsigned char* data, size_t bytes);

/// In hexadecimal: JSON readers that know only double-precision numbers would round it.
std::string checksum_text(const unsigned char* data, size_t bytes);

}  // namespace morsel::bench
