// SPDX-License-Identifier: MIT
#include "holder_objects.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "holder_link.h"
#include "mapping.h"
#include "packet.h"
#include "reopen.h"
#include "store.h"

namespace morsel::holder {

namespace {

using nlohmann::json;

Error no_such(const std::string& name) {
  return {-ENOENT, "there is no object " + name.substr(prefix_of_names.size())};
}

struct stat state_of(const morsel_object& object) {
  struct stat st {};
  fstat(object.fd.get(), &st);
  return st;
}

// It is what the request says, and all that readers rely on.
Status check(const Request& request, const morsel_object& object) {
  const struct stat st = state_of(object);
  if (object.backend->id != request.backend)
    return Error{-EINVAL, std::string("the object is of the backend ") + object.backend->name};
  if (request.bytes == 0 || uint64_t(st.st_size) != object.backend->rounded(request.bytes))
    return Error{-EINVAL, "the object has another size than the request says"};
  if (uint64_t(st.st_blocks) * 512 < uint64_t(st.st_size))
    return Error{-EINVAL, "a part of the object's memory is missing"};
  if (request.name.starts_with(prefix_of_files) && !object.backend->is_sealed(object.fd.get()))
    return Error{-EINVAL, "a file of the cache is sealed, and this object is not"};
  return Done{};
}

}  // namespace

void Objects::withdraw() const {
  for (const auto& [name, object] : objects_) unlinkat(links_.get(), name.c_str(), 0);
}

Status Objects::publish(const Request& request, Descriptor fd) {
  if (!fd) return Error{-EBADMSG, "a request to publish comes with the object's descriptor"};
  if (has(request.name) && !request.replace)
    return Error{-EEXIST, "an object of that name is there already"};
  if (count() >= most_)
    return Error{-ENFILE, "the holder has " + std::to_string(most_) +
                              " objects, for more it needs a higher limit of open files"};
  auto theirs = adopt(std::move(fd));
  if (!theirs) return theirs.error();
  // An open file description of our own: that of the client has his flock. Now that we know what it
  // is, opening it can't block.
  auto own = reopen((*theirs)->fd.get(), MORSEL_READ);
  if (!own) return own.error();
  auto handle = adopt(std::move(*own));
  if (!handle) return handle.error();
  if (Status status = check(request, **handle); !status) return status;
  const int file = (*handle)->fd.get();
  if (fchmod(file, request.mode) != 0) return system_error("the object's mode");
  if (has(request.name))
    if (Status status = remove(request.name, false); !status) return status;
  Object object{std::move(*handle), request.bytes, request.attributes, {}};
  if (Status status = keep(request.name, object); !status) return status;
  if (Status status = link(request.name, object); !status) {
    std::erase(unfinished_, request.name);
    return status;
  }
  objects_.emplace(request.name, std::move(object));
  return Done{};
}

Status Objects::keep(const std::string& name, Object& object) {
  const morsel_object& handle = *object.handle;
  const int fd = handle.fd.get();
  if (object.keeper || handle.backend->id != MORSEL_HUGETLB || !handle.backend->is_sealed(fd))
    return Done{};
  auto mapped = Keeper::map(fd, uint64_t(state_of(handle).st_size));
  if (!mapped) return mapped.error();
  object.keeper.emplace(std::move(*mapped));
  unfinished_.push_back(name);
  return Done{};
}

// What lies there under that name is no object: those we know.
Status Objects::link(const std::string& name, const Object& object) const {
  const int fd = object.handle->fd.get();
  const std::string target = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd);
  unlinkat(links_.get(), name.c_str(), 0);
  if (symlinkat(target.c_str(), links_.get(), name.c_str()) != 0)
    return system_error("linking an object");
  // Of hugetlb only when its page tables are kept: we want to hear of the first use after it was
  // sealed, and who opens it without us relies on them.
  if (object.handle->backend->id != MORSEL_HUGETLB) mark_link(links_.get(), name, fd);
  return Done{};
}

Result<Descriptor> Objects::open(const std::string& name, bool write, const Peer& peer,
                                 json& answer) {
  const auto found = objects_.find(name);
  if (found == objects_.end()) return no_such(name);
  // It may have been sealed since it was published.
  if (Status status = keep(name, found->second); !status) return status.error();
  const morsel_object& object = *found->second.handle;
  if (!peer.may_open(state_of(object), write))
    return Error{-EACCES, "user " + std::to_string(peer.uid) + " may not open this object"};
  if (write && object.backend->is_sealed(object.fd.get()))
    return Error{-EPERM, "the object is sealed"};
  answer["backend"] = object.backend->name;
  answer["bytes"] = found->second.bytes;
  answer["kept"] = found->second.keeper && !is_unfinished(name);
  return reopen(object.fd.get(), write ? MORSEL_READ_WRITE : MORSEL_READ);
}

Status Objects::remove(const std::string& name, bool if_unused) {
  const auto found = objects_.find(name);
  if (found == objects_.end()) return no_such(name);
  if (if_unused) {
    auto used = in_use(*found->second.handle);
    if (!used) return used.error();
    if (*used) return Error{-EBUSY, "the object is in use"};
  }
  unlinkat(links_.get(), name.c_str(), 0);
  std::erase(unfinished_, name);
  objects_.erase(found);
  return Done{};
}

json Objects::list(const std::string& prefix, const std::string& after, const Peer& peer) const {
  json answer{{"entries", json::array()}, {"more", false}};
  size_t length = answer.dump().size();
  auto each = after.empty() ? objects_.lower_bound(prefix) : objects_.upper_bound(after);
  for (; each != objects_.end(); ++each) {
    const auto& [name, object] = *each;
    if (!name.starts_with(prefix)) break;
    const struct stat st = state_of(*object.handle);
    if (!peer.may_open(st, false)) continue;
    const auto used = in_use(*object.handle);
    json entry{{"name", name},
               {"backend", object.handle->backend->name},
               {"bytes", object.bytes},
               {"mode", st.st_mode & 07777},
               {"uid", st.st_uid},
               {"gid", st.st_gid},
               {"attributes", object.attributes},
               {"in_use", used && *used},
               {"atime_ns", st.st_atim.tv_sec * 1'000'000'000 + st.st_atim.tv_nsec}};
    length += entry.dump().size() + 1;
    if (length > longest_packet) {
      answer["more"] = true;
      break;
    }
    answer["entries"].push_back(std::move(entry));
  }
  return answer;
}

std::optional<std::string> Objects::work() {
  const std::string name = unfinished_.front();
  if (!objects_.at(name).keeper->step()) return {};
  unfinished_.erase(unfinished_.begin());
  mark_link(links_.get(), name, objects_.at(name).handle->fd.get());
  return name;
}

uint64_t Objects::bytes() const {
  uint64_t sum = 0;
  for (const auto& [name, object] : objects_) sum += object.bytes;
  return sum;
}

}  // namespace morsel::holder
