// SPDX-License-Identifier: MIT
//
// System calls without libc: no errno, no cancellation, no lazy binding, and no way back into the
// functions that this library stands in front of. A failure is a negative errno.
#pragma once

#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#ifndef __x86_64__
#error "the calling convention below is that of x86-64"
#endif

namespace morsel::preload {

template <typename T>
long to_register(T value) {
  if constexpr (std::is_null_pointer_v<T>)
    return 0;
  else if constexpr (std::is_pointer_v<T>)
    return reinterpret_cast<long>(value);
  else
    return static_cast<long>(value);
}

inline long call_with(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result = number;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

template <typename A = long, typename B = long, typename C = long, typename D = long,
          typename E = long, typename F = long>
long call(long number, A a = 0, B b = 0, C c = 0, D d = 0, E e = 0, F f = 0) {
  return call_with(number, to_register(a), to_register(b), to_register(c), to_register(d),
                   to_register(e), to_register(f));
}

/// Addresses are results too: only the last 4095 numbers are errors.
inline bool failed(long result) { return static_cast<unsigned long>(result) > -4096UL; }

}  // namespace morsel::preload
