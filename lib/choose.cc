// SPDX-License-Identifier: MIT
// The C interface's functions about backends, and the version.
#include <cerrno>
#include <cstring>

#include "backend.h"
#include "error.h"

using namespace morsel;

const char* morsel_backend_name(morsel_backend backend) {
  if (backend == MORSEL_ANY) return "any";
  const Backend* found = find_backend(backend);
  return found ? found->name : nullptr;
}

int morsel_backend_parse(const char* name, morsel_error* error) {
  return at_border(error, [&]() -> Result<int> {
    for (morsel_backend id : {MORSEL_ANY, MORSEL_MORSELFS, MORSEL_HUGETLB, MORSEL_MEMFD})
      if (name && strcmp(name, morsel_backend_name(id)) == 0) return int(id);
    return Error{-EINVAL, "there is no backend \"" + std::string(name ? name : "") +
                              "\"; there are any, morselfs, hugetlb and memfd"};
  });
}

int morsel_backend_probe(morsel_backend backend, uint64_t bytes, morsel_error* error) {
  return at_border(error, [&]() -> Status {
    if (backend != MORSEL_ANY) {
      const Backend* found = find_backend(backend);
      if (!found) return Error{-EINVAL, "there is no backend " + std::to_string(int(backend))};
      return found->probe(bytes, {});
    }
    std::string reasons;
    int code = 0;
    for (const Backend* each : backends()) {
      Status status = each->probe(bytes, {});
      if (status) return status;
      reasons +=
          (reasons.empty() ? "" : "; ") + std::string(each->name) + ": " + status.error().text;
      code = status.error().code;
    }
    return Error{code, reasons};
  });
}

const char* morsel_version() { return MORSEL_VERSION; }
