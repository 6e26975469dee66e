// SPDX-License-Identifier: MIT
//
// Accesses to mappings that may raise SIGSEGV or SIGBUS.
#ifndef MORSELS_TORTURE_GUARD_H
#define MORSELS_TORTURE_GUARD_H

#include <cstddef>
#include <cstdint>

namespace torture {

// SIGSEGV and SIGBUS outside of the functions below fail the run.
void install_guard();

// 0, or the signal that the access raised. Word by word: no word is torn.
int load_words(uint64_t* to, const uint64_t* from, size_t count);
int store_words(uint64_t* to, const uint64_t* from, size_t count);

}  // namespace torture

#endif
