// SPDX-License-Identifier: MIT
// The same through libmorsel: a sealed, named object of 2-MiB pages, which the holder holds.
#include <fcntl.h>
#include <morsel/morsel.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "way.h"

static struct morsel_error error;
static char name[64];

static void check(int result, const char* what) {
  if (result == 0) return;
  fprintf(stderr, "%s: %s\n", what, error.text);
  exit(1);
}

void way_hold(const char* source) {
  const int in = open(source, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (in < 0 || fstat(in, &st) != 0) {
    perror(source);
    exit(1);
  }
  snprintf(name, sizeof name, "bench-%d", getpid());
  const struct morsel_options options = {
      .struct_size = sizeof options, .backend = MORSEL_HUGETLB, .name = name};
  morsel_object* object = NULL;
  check(morsel_create((uint64_t)st.st_size, &options, &object, &error), "morsel_create");
  check(morsel_populate(object, in, 0, (uint64_t)st.st_size, NULL, NULL, &error),
        "morsel_populate");
  check(morsel_seal(object, &error), "morsel_seal");
  morsel_close(object);
  close(in);
  puts(name);
}

void way_drop(void) { check(morsel_remove(name, &error), "morsel_remove"); }

void way_open(const char* object, uint64_t bytes, struct way_mapping* mapping) {
  (void)bytes; /* the object knows */
  morsel_object* opened = NULL;
  check(morsel_open(object, MORSEL_READ, &opened, &error), "morsel_open");
  mapping->object = opened;
  mapping->fd = morsel_fd(opened);
}

void way_map(struct way_mapping* mapping) {
  morsel_mapping* mapped = NULL;
  check(morsel_map(mapping->object, MORSEL_READ, &mapped, &error), "morsel_map");
  morsel_touch(mapped);
  mapping->mapped = mapped;
  mapping->data = morsel_address(mapped);
}

void way_warm(void) {
  const struct morsel_options options = {.struct_size = sizeof options, .backend = MORSEL_MEMFD};
  morsel_object* object = NULL;
  morsel_mapping* mapped = NULL;
  if (morsel_open("bench-none", MORSEL_READ, &object, &error) == 0) morsel_close(object);
  check(morsel_create(4096, &options, &object, &error), "morsel_create");
  check(morsel_map(object, MORSEL_READ, &mapped, &error), "morsel_map");
  morsel_touch(mapped);
  morsel_unmap(mapped);
  morsel_close(object);
}

/* The object stays open: by hand there is no such thing. */
void way_unmap(struct way_mapping* mapping) { morsel_unmap(mapping->mapped); }
