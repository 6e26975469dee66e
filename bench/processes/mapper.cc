// SPDX-License-Identifier: MIT
#include "mapper.h"

#include <morsel/morsel.hpp>
#include <optional>

#include "mapping.h"
#include "prepare.h"
#include "system.h"

namespace morsel::bench {
namespace {

class FileMapper final : public Mapper {
 public:
  FileMapper(const System& system, const std::string& file, uint64_t bytes)
      : request_(request_for(system, file, bytes)) {
    request_.populate = system.by_pages();
    plan_.method = !system.touched()   ? Method::none
                   : system.by_pages() ? Method::populate
                                       : Method::list;
    if (plan_.method == Method::list) plan_.uncovered = {0};
  }
  void get_ready() override {
    mapping_.emplace(request_);
    prepare(plan_, request_, mapping_->data());
  }

 private:
  MapRequest request_;
  Plan plan_;
  std::optional<Mapping> mapping_;
};

class LibraryMapper final : public Mapper {
 public:
  explicit LibraryMapper(const std::string& name) : name_(name) {}
  void get_ready() override {
    object_ = Object::open(name_.c_str(), MORSEL_READ);
    mapping_ = object_->map(MORSEL_READ);
    mapping_->touch();
  }

 private:
  std::string name_;
  std::optional<Object> object_;
  std::optional<morsel::Mapping> mapping_;
};

}  // namespace

std::unique_ptr<Mapper> make_mapper(const std::string& system, const std::string& file,
                                    uint64_t bytes) {
  if (system == "morsel-open") return std::make_unique<LibraryMapper>(file);
  return std::make_unique<FileMapper>(*system_by_name(system), file, bytes);
}

}  // namespace morsel::bench
