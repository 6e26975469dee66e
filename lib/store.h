// SPDX-License-Identifier: MIT
// Named objects: where they are kept, and how they are found (docs/library.md, "Stores").
#pragma once

#include <morsel/morsel.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "descriptor.h"
#include "result.h"

namespace morsel {

/// An entry's name begins with who gave it.
inline const std::string prefix_of_names = "name-";  /// users
inline const std::string prefix_of_files = "file-";  /// the cache

/// What is known of an entry without opening it.
struct Entry {
  std::string name;
  morsel_backend backend;
  uint64_t bytes;
  unsigned mode;
  uint32_t uid, gid;
  std::string attributes;  /// JSON
  bool in_use;
  int64_t atime_ns;  /// the last use
};

struct Opened {
  Descriptor file;
  /// hugetlb: the holder has filled all page tables that mappings share, and keeps them.
  bool tables_kept = false;
};

struct Publication {
  std::string name;
  int fd;
  morsel_backend backend;
  uint64_t bytes;
  unsigned mode;
  std::string attributes;
  bool replace;
};

/// The right to publish an entry of a name, as long as it lives. For a load, so that nobody else
/// loads the same.
struct Claim {
  enum class State { mine, there, others };
  State state;
  int64_t pid;        /// whose it is, with `others`; 0: not known
  Descriptor keeper;  /// with `mine`
};

class Store {
 public:
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  const std::string directory;
  /// This user's: he may publish and remove.
  const bool own;

  /// -ENOENT, -EACCES, -EPERM (sealed). Nothing is said about what kind of file it is.
  [[nodiscard]] virtual Result<Opened> open(const std::string& name, morsel_access access) = 0;
  /// For reading, without waiting for anybody's answer; nothing if that can't be.
  [[nodiscard]] virtual Opened open_at_once(const std::string& name) = 0;
  /// -EEXIST, unless it may replace.
  [[nodiscard]] virtual Status publish(const Publication& publication) = 0;
  /// -ENOENT, -EACCES, -EBUSY.
  [[nodiscard]] virtual Status remove(const std::string& name, bool if_unused) = 0;
  /// Those of a prefix that this user may read, in order of their names. None if the store isn't
  /// there.
  [[nodiscard]] virtual Result<std::vector<Entry>> list(const std::string& prefix) = 0;
  /// If `wait`, the state is not `others`. -EINTR: a signal came.
  [[nodiscard]] virtual Result<Claim> begin(const std::string& name, bool wait) = 0;

 protected:
  Store(std::string where, bool is_own) : directory(std::move(where)), own(is_own) {}
};

/// The directory of this user's holder.
std::string own_holder();

using Stores = std::vector<std::unique_ptr<Store>>;

/// All that this user looks in, in this order, whether they are there or not.
Stores stores();
/// This user's store for objects of this backend; on morselfs that of the mount that `fd` is on, or
/// without one, of the first mount that he can use.
Result<std::unique_ptr<Store>> store_for(morsel_backend backend, int fd = -1);

std::unique_ptr<Store> holder_store(const std::string& directory, bool own);
/// `mount` is where it is mounted, `user` whose store it is.
std::unique_ptr<Store> mount_store(const std::string& mount, uid_t user);

// The library's named objects, over all stores:

/// Gives the object a name; `name` is the entry's ("name-NAME" for those of users). The store keeps
/// a descriptor of its own; on morselfs it links the file, which was made by O_TMPFILE. -EEXIST.
Status publish(const std::string& name, int fd, morsel_backend backend, uint64_t bytes,
               unsigned mode, const std::string& attributes);

/// A descriptor with these rights. -ENOENT, -EACCES, -EPERM (sealed).
Result<Opened> open_named(const std::string& name, morsel_access access);

/// -ENOENT, -EACCES.
Status remove_named(const std::string& name);

}  // namespace morsel
