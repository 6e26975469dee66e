// SPDX-License-Identifier: MIT
//
// What all tests of fault injection do before and after: see that nothing is lost. Their files have
// no names, so that all is given back when their process ends.
#include "inject.h"

#include <dirent.h>
#include <sys/wait.h>

namespace inject {

void check_free(const struct statfs& before, const char* what, unsigned long n) {
  struct statfs now;
  for (int i = 0; i < 500; i++) {  // inodes may go a moment later
    SYS(statfs(".", &now));
    if (now.f_bfree == before.f_bfree && now.f_ffree == before.f_ffree) return;
    usleep(10000);
  }
  FAIL(
      "%s, allocation %lu failed: expected %ld free blocks and %ld inodes as before, seen %ld and "
      "%ld",
      what, n, long(before.f_bfree), long(before.f_ffree), long(now.f_bfree), long(now.f_ffree));
}

// Pages of page tables that no process has: the kernel's count less what each says it has. Those
// of a file on morselfs are among them.
static long tables_of_nobody() {
  char line[256];
  unsigned long pages = 0;
  long tables = 0;
  if (FILE* refresh = fopen("/proc/sys/vm/stat_refresh", "re")) {
    (void)!fread(line, 1, sizeof line, refresh);
    fclose(refresh);
  }
  FILE* counters = fopen("/proc/vmstat", "re");
  CHECK(counters);
  while (fgets(line, sizeof line, counters))
    if (sscanf(line, "nr_page_table_pages %lu", &pages) == 1) tables = long(pages);
  fclose(counters);
  DIR* processes = opendir("/proc");
  CHECK(processes);
  while (dirent* entry = readdir(processes)) {
    std::string path = std::string("/proc/") + entry->d_name + "/status";
    FILE* status = atoi(entry->d_name) ? fopen(path.c_str(), "re") : nullptr;
    if (!status) continue;
    while (fgets(line, sizeof line, status))
      if (sscanf(line, "VmPTE: %lu", &pages) == 1) tables -= long(pages) / 4;
    fclose(status);
  }
  closedir(processes);
  return tables;
}

// Processes come and go while they are asked one by one: until all answers of a row are the same.
static long steady_tables_of_nobody() {
  long tables = tables_of_nobody();
  for (int same = 1, tries = 0; same < 4 && tries < 100; tries++) {
    usleep(2000);
    long again = tables_of_nobody();
    same = again == tables ? same + 1 : 1;
    tables = again;
  }
  return tables;
}

void session(void (*body)()) {
  need();
  if (harness::leaves_move()) SKIP("the module's worker would be who gets no memory");
  long before = steady_tables_of_nobody(), after = 0;
  pid_t pid = harness::spawn([body] {
    body();
    if (!failed_allocations) return;  // it counts by itself
    printf("# %lu allocations failed, one after the other\n", failed_allocations);
    fflush(stdout);
  });
  int status;
  SYS(waitpid(pid, &status, 0));
  end();  // also after a failure: others have tests, too
  if (status != 0) _exit(1);
  for (int i = 0; i < 100; i++) {  // tables are freed after a grace period
    after = tables_of_nobody();
    if (after <= before) return;
    usleep(20000);
  }
  FAIL("expected %ld page tables that no process has, as before, seen %ld", before, after);
}

}  // namespace inject
