// SPDX-License-Identifier: MIT
//
// The first process: starts the workers, kills some, starts others in their place, and
// watches over all of them.
#ifndef MORSELS_TORTURE_SUPERVISOR_H
#define MORSELS_TORTURE_SUPERVISOR_H

namespace torture {

double now();  // seconds

void make_objects();  // the directory, and one object for each name
void supervise();     // until the time is over, or a failure
void audit();         // afterwards: every object's bytes, and the counts; and all is removed

// Something went wrong that is not a worker's: as fail(), and returns.
void complain(const char* format, ...) __attribute__((format(printf, 1, 2)));

// What stands in the way of the workers: memory pressure, dropped caches, CPUs that
// come and go. Never returns; a process of its own.
[[noreturn]] void disturb();
void restore_cpus();  // all of them online again

void report(double seconds);  // 0 if nothing failed
void report_failure();
// Where the threads of a process are, in the kernel.
void dump_stacks(int process);

}  // namespace torture

#endif
