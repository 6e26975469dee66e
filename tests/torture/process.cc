// SPDX-License-Identifier: MIT
//
// Processes: fork, vfork, exec, exit. A child works with the mappings of its parent, which
// waits for it; both leave the record of the mappings alone meanwhile.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "guard.h"
#include "role.h"
#include "worker.h"

namespace torture {

int wait_for(int pid) {
  int status = 0;
  while (waitpid(pid, &status, __WALL) < 0)
    if (errno != EINTR) fail("waitpid of a child: %s", strerror(errno));
  forget_activity(control->thread[me]);  // it may have been killed in a change
  if (WIFEXITED(status) && WEXITSTATUS(status) == 9) _exit(9);  // it has failed the run
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
    fail("a child ended with exit status %d", WEXITSTATUS(status));
  if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
    fail("a child was killed by signal %d", WTERMSIG(status));
  return status;
}

// What the child writes into a private mapping is seen by the child only: the parent
// does not know this id.
static void store_in_private(Worker& w) {
  Hand* hand = w.any_hand_that([](const Hand& h) { return !h.shared && (h.prot & PROT_WRITE); });
  if (!hand) return;
  uint64_t words[page_words], again[page_words];
  Range part = w.any_part(*hand, 4);
  fill_page(words, private_bit | (control->last_private_id.fetch_add(1) + 1), part.first,
            control->clock);
  if (store_words(hand->address(part.first), words, page_words) != 0) return;
  if (load_words(again, hand->address(part.first), page_words) != 0) return;  // truncated
  for (size_t i = 0; i < page_words; i++)
    if (again[i] != words[i] && control->records[hand->object.record].frozen)
      fail("private page 0x%x of object %u in a child: expected what was stored, seen 0x%llx",
           part.first, hand->object.id, (unsigned long long)again[i]);
}

static void work_in_child(Worker& w, bool has_children) {
  for (auto i = w.random.below(5); i > 0; i--) {
    Hand* hand = w.any_hand();
    if (!hand) return;
    Range part = w.any_part(*hand, 8);
    for (uint32_t page = part.first; page < part.last && hand->prot != PROT_NONE; page++)
      w.load_page(*hand, page, 8);
    if (hand->shared && (hand->prot & PROT_WRITE)) w.store_pages(*hand, part);
  }
  if (has_children) {
    int pid = ::fork();
    if (pid == 0) {
      work_in_child(w, false);
      _exit(0);
    }
    if (pid > 0) wait_for(pid);
  }
  // After these the child does not know its mappings any more.
  if (w.random.one_in(2)) {
    store_in_private(w);
  } else if (Hand* hand = w.any_hand()) {
    Range part = w.any_part(*hand, hand->pages);
    munmap(hand->address(part.first), part.bytes());
  }
}

void Worker::fork_some() {
  bool killed = random.one_in(3);
  begin(killed ? Kind::fork_killed : Kind::fork);
  uint64_t delay = random.below(3000);
  int pid = ::fork();
  if (pid == 0) {
    // A grandchild of one that is killed would outlive it, and use mappings that have changed.
    work_in_child(*this, !killed && random.one_in(8));
    if (killed) pause();
    _exit(0);
  }
  if (!done(pid)) return;
  if (killed) {
    usleep(useconds_t(delay));
    kill(pid, SIGKILL);
  }
  wait_for(pid);
}

void Worker::vfork_some() {
  begin(Kind::vfork);
  int pid = vfork();  // NOLINT: that is what is tested
  if (pid == 0) _exit(0);
  if (done(pid)) wait_for(pid);
}

// A program of its own that maps the object and reads it.
void Worker::exec_some() {
  File* file = any_file();
  if (!file) return;
  Range range = any_range(file->object, 64);
  ReaderRole role{me, file->fd, file->object, range.first, range.pages()};
  char text[96];
  role.print(text, sizeof text);
  begin(Kind::exec, file->object.id, range.first, range.last);
  int pid = ::fork();
  if (pid == 0) {
    fcntl(file->fd, F_SETFD, 0);
    char name[] = "torture", option[] = "--role";
    char* arguments[] = {name, option, text, nullptr};
    execv("/proc/self/exe", arguments);
    _exit(errno == ENOMEM ? 0 : 3);
  }
  if (done(pid)) wait_for(pid);
}

// With all threads, and everything still mapped.
void Worker::leave() {
  begin(Kind::exit);
  end(0);
  _exit(0);
}

}  // namespace torture
