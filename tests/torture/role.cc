// SPDX-License-Identifier: MIT
#include "role.h"

#include <cstdio>

#include <signal.h>
#include <sys/mman.h>

#include "guard.h"
#include "oracle.h"

namespace torture {

void ReaderRole::print(char* text, size_t bytes) const {
  snprintf(text, bytes, "%u %d %u %u %u %u", thread, fd, object.id, object.record, first, pages);
}

int play_role(const char* text) {
  ReaderRole role{};
  if (sscanf(text, "%u %d %u %u %u %u", &role.thread, &role.fd, &role.object.id,  // NOLINT
             &role.object.record, &role.first, &role.pages) != 6)
    return 2;
  attach_control();
  me = role.thread;
  install_guard();
  void* got = mmap(nullptr, role.pages * page_bytes, PROT_READ, MAP_SHARED, role.fd,
                   off_t(role.first) * off_t(page_bytes));
  if (got == MAP_FAILED) return 0;
  auto* at = static_cast<uint64_t*>(got);
  for (uint32_t i = 0; i < role.pages; i++) {
    uint64_t words[page_words];
    Sight sight(role.object, role.first + i);
    int signal = load_words(words, at + i * page_words, page_words);
    if (signal == SIGSEGV || (signal && sight.must_be_there()))
      fail("load after exec: page 0x%x of object %u: signal %d", role.first + i, role.object.id,
           signal);
    if (!signal) sight.check(words, 0, page_words, "load after exec");
  }
  return 0;
}

}  // namespace torture
