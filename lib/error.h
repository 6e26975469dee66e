// SPDX-License-Identifier: MIT
// From results to the C interface: a number and a sentence.
#pragma once

#include <morsel/morsel.h>

#include <cerrno>
#include <exception>
#include <new>

#include "result.h"

namespace morsel {

/// Writes it to `out`, if that is not null, and returns its number.
int report(const Error& error, morsel_error* out);

/// A structure of the C interface is never larger than that: who says so forgot to set its size.
constexpr size_t largest_structure = 4096;

/// "1536 MiB"; bytes where it is less than one.
std::string amount(uint64_t bytes);

inline int number_of(Done) { return 0; }
inline int number_of(int value) { return value; }

/// Runs a function of the C interface, which returns a Status or a Result<int>. Nothing is thrown
/// into C, and memory is the only thing whose want is told by an exception.
template <typename Body>
int at_border(morsel_error* out, Body&& body) noexcept {
  try {
    auto result = body();
    if (!result) return report(result.error(), out);
    if (out) *out = {};
    return number_of(*result);
  } catch (const std::bad_alloc&) {
    return report({-ENOMEM, {}}, out);
  } catch (const std::exception& e) {
    return report({-EIO, e.what()}, out);
  }
}

}  // namespace morsel
