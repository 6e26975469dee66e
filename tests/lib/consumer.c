// SPDX-License-Identifier: MIT
//
// The header is plain C11, and the shared library has what it promises.
#include <morsel/morsel.h>
#include <stdio.h>
#include <string.h>

static int failed(const char* what, const struct morsel_error* error) {
  fprintf(stderr, "%s: %d %s\n", what, error->code, error->text);
  return 1;
}

int main(void) {
  struct morsel_error error;
  struct morsel_options options = {.struct_size = sizeof options, .backend = MORSEL_MEMFD};
  morsel_object* object;
  morsel_mapping* mapping;

  if (strcmp(morsel_version(), MORSEL_VERSION) != 0) return 2;
  if (strcmp(morsel_backend_name(MORSEL_MEMFD), "memfd") != 0) return 3;
  if (morsel_create(100000, &options, &object, &error)) return failed("create", &error);
  if (morsel_map(object, MORSEL_READ_WRITE, &mapping, &error)) return failed("map", &error);
  strcpy(morsel_address(mapping), "a word");
  morsel_touch(mapping);
  morsel_unmap(mapping);
  if (morsel_promote(object, 0, 0, NULL, &error) == 0) return 8; /* not with this backend */
  if (morsel_seal(object, &error)) return failed("seal", &error);
  if (morsel_map(object, MORSEL_READ, &mapping, &error)) return failed("map for reading", &error);
  if (strcmp(morsel_address(mapping), "a word") != 0) return 4;
  if (morsel_mapped_bytes(mapping) != 100000) return 5;
  morsel_close(object);
  morsel_unmap(mapping);
  morsel_close(NULL);
  morsel_unmap(NULL);
  if (morsel_create(0, &options, &object, &error) == 0 || error.code == 0 || !error.text[0])
    return 6;
  if (morsel_create(0, &options, &object, NULL) != error.code) return 7;
  return 0;
}
