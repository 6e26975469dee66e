// SPDX-License-Identifier: MIT
//
// Other ways into an address space: ptrace, /proc/PID/mem, process_vm_readv and writev.
// What writes goes only where nobody changes the mapping meanwhile: to this thread's
// own mappings, or to a child that is stopped.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker.h"

namespace torture {
namespace {

uint32_t words_of(const Hand& hand) { return hand.own_words ? hand.private_id : 0; }

void peek(Worker& w, int pid) {
  Hand* hand = w.any_hand();
  if (!hand) return;
  Range part = w.any_part(*hand, 4);
  auto place = unsigned(w.random.below(page_words));
  begin(Kind::ptrace_peek, hand->object.id, part.first, part.first + 1);
  Sight sight(hand->object, part.first);
  errno = 0;
  auto seen = uint64_t(ptrace(PTRACE_PEEKDATA, pid, hand->address(part.first) + place, nullptr));
  if (errno) return end(-errno);
  sight.check(&seen, place, 1, "ptrace peek", words_of(*hand));
  end(0);
}

void poke(Worker& w, int pid) {
  Hand* hand = w.any_hand();
  if (!hand) return;
  uint32_t page = w.any_part(*hand, 4).first;
  auto place = unsigned(w.random.below(page_words));
  uint64_t* at = hand->address(page) + place;
  if (!hand->shared) {  // breaks the copy-on-write of the child, whatever the rights
    uint32_t id = private_bit | (control->last_private_id.fetch_add(1) + 1);
    begin(Kind::ptrace_poke, id, page, page + 1);
    done(ptrace(PTRACE_POKEDATA, pid, at, word(page_key(id, page), place, 1)));
    return;
  }
  bool allowed = hand->prot & PROT_WRITE;
  begin(allowed ? Kind::ptrace_poke : Kind::ptrace_poke_refused, hand->object.id, page, page + 1);
  Change change(Change::write, hand->object, page, page + 1);
  uint64_t value = word(page_key(hand->object.id, page), place, change.stamp);
  if (!allowed) value = ~value;
  long result = ptrace(PTRACE_POKEDATA, pid, at, value);
  if (allowed)
    done(result);
  else if (result == 0)
    fail("ptrace poke into a shared read-only mapping, page 0x%x of object %u: it succeeded", page,
         hand->object.id);
  else
    end(0);
}

}  // namespace

void Worker::trace_child() {
  int pid = ::fork();
  if (pid == 0) {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    kill(getpid(), SIGSTOP);
    _exit(0);
  }
  int status;
  if (pid < 0 || waitpid(pid, &status, __WALL) != pid) return;
  if (WIFSTOPPED(status)) {
    for (auto i = random.between(1, 6); i > 0; i--)
      random.one_in(2) ? peek(*this, pid) : poke(*this, pid);
    if (random.one_in(2))
      ptrace(PTRACE_DETACH, pid, nullptr, SIGCONT);
    else
      kill(pid, SIGKILL);
    wait_for(pid);
  }
}

void Worker::proc_mem() {
  Hand* hand = any_hand();
  if (!hand) return;
  Range part = any_part(*hand, 8);
  bool write = random.one_in(2);
  begin(write ? Kind::proc_mem_write : Kind::proc_mem_read, hand->object.id, part.first, part.last);
  int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
  if (fd < 0) return end(-errno);
  auto at = off_t(uintptr_t(hand->address(part.first)));
  ssize_t got;
  if (!write) {
    Sights sights(hand->object, part);
    got = pread(fd, buffer, part.bytes(), at);
    done(got);
    // It stops where there is no page: how much it got says nothing.
    if (got > 0) {
      part.last = part.first + uint32_t(size_t(got) / page_bytes);
      check_pages(sights.all(), hand->object, part, buffer, size_t(got), "/proc/self/mem",
                  words_of(*hand));
    }
  } else if (hand->shared) {
    Change change(Change::write, hand->object, part.first, part.last);
    fill_pages(buffer, hand->object.id, part.first, part.pages(), change.stamp);
    got = pwrite(fd, buffer, part.bytes(), at);
    done(got);
    if (got > 0 && !(hand->prot & PROT_WRITE))
      fail("/proc/self/mem: wrote %zd bytes to a shared read-only mapping, page 0x%x of object %u",
           got, part.first, hand->object.id);
    if (got > 0) change.covered(part.first, part.first + uint32_t(size_t(got) / page_bytes));
  } else {  // as a debugger sets breakpoints: copies the page, whatever the rights
    hand->version.fetch_add(1);
    hand->own_words = true;
    fill_pages(buffer, hand->private_id, part.first, part.pages(), control->clock);
    done(pwrite(fd, buffer, part.bytes(), at));
    hand->version.fetch_add(1);
  }
  close(fd);
}

// From any thread of any process.
void Worker::vm_read() {
  bool self = random.one_in(3);
  auto other = self ? me : unsigned(random.below(control->threads));
  Hand& hand = control->thread[other].hands[random.below(hands_per_thread)];
  int pid = control->thread[other].process;
  uint32_t version = hand.version;
  Hand copy{};
  copy.at = hand.at;
  copy.pages = hand.pages;
  copy.first = hand.first;
  copy.object = hand.object;
  copy.prot = hand.prot;
  copy.own_words = hand.own_words;
  copy.private_id = hand.private_id;
  if (!pid || version % 2 || hand.version != version || !copy.at) return;
  Range part = any_part(copy, 32);
  begin(self ? Kind::vm_readv_self : Kind::vm_readv_other, copy.object.id, part.first, part.last);
  Sights sights(copy.object, part);
  iovec local{buffer, part.bytes()}, remote{copy.address(part.first), part.bytes()};
  ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
  done(got);
  if (got <= 0 || hand.version != version) return;
  if (copy.prot == PROT_NONE) fail("process_vm_readv: read %zd bytes through PROT_NONE", got);
  part.last = part.first + uint32_t(size_t(got) / page_bytes);
  check_pages(sights.all(), copy.object, part, buffer, size_t(got), "process_vm_readv",
              words_of(copy));
}

void Worker::vm_write() {
  Hand* hand = any_hand_that([](const Hand& h) { return h.shared; });
  if (!hand) return;
  Range part = any_part(*hand, 32);
  bool allowed = hand->prot & PROT_WRITE;
  begin(allowed ? Kind::vm_writev : Kind::vm_writev_refused, hand->object.id, part.first,
        part.last);
  Change change(Change::write, hand->object, part.first, part.last);
  fill_pages(buffer, hand->object.id, part.first, part.pages(), change.stamp);
  iovec local{buffer, part.bytes()}, remote{hand->address(part.first), part.bytes()};
  ssize_t got = process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
  if (!allowed) {
    if (got > 0)
      fail("process_vm_writev: wrote %zd bytes to a read-only mapping, page 0x%x of object %u", got,
           part.first, hand->object.id);
    return end(0);
  }
  done(got);
  if (got > 0) change.covered(part.first, part.first + uint32_t(size_t(got) / page_bytes));
}

}  // namespace torture
