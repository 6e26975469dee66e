// SPDX-License-Identifier: MIT
#include "program.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "descriptor.h"

namespace morsel::tool {
namespace {

constexpr auto machine = EM_X86_64;
constexpr int deepest_script = 4;  // the kernel's limit

bool is_runnable(const std::string& path, int& error) {
  struct stat st;
  if (stat(path.c_str(), &st) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
    return false;
  }
  if (S_ISREG(st.st_mode) && faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0) return true;
  error = EACCES;
  return false;
}

/// With such programs the dynamic linker trusts no environment. What changes nothing, like a
/// set-user-ID program of root that root runs, is not among them.
bool gains_rights(int fd, const struct stat& st) {
  struct statvfs fs;
  if (fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_NOSUID)) return false;
  if ((st.st_mode & S_ISUID) && st.st_uid != geteuid()) return true;
  if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getegid()) return true;
  return geteuid() != 0 && fgetxattr(fd, "security.capability", nullptr, 0) > 0;
}

template <typename T>
bool read_at(int fd, size_t offset, T& value) {
  return pread(fd, &value, sizeof value, static_cast<off_t>(offset)) == sizeof value;
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// The dynamic linker that an ELF file asks for; "" for a static one.
std::string dynamic_linker(int fd, const Elf64_Ehdr& header) {
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part;
    if (!read_at(fd, header.e_phoff + i * sizeof part, part)) break;
    if (part.p_type != PT_INTERP) continue;
    char name[4096] = {};
    const ssize_t size = pread(fd, name, std::min(part.p_filesz, sizeof name - 1),
                               static_cast<off_t>(part.p_offset));
    return size > 0 ? name : "";
  }
  return "";
}

std::optional<std::string> why_not_elf(int fd, const std::string& path) {
  Elf64_Ehdr header;
  if (!read_at(fd, 0, header) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_machine != machine)
    return path + " is a program for another architecture";
  const std::string linker = dynamic_linker(fd, header);
  if (linker.empty())
    return path +
           " is statically linked, so nothing can be loaded before it; use a dynamically "
           "linked build, or libmorsel";
  if (!file_name(linker).starts_with("ld-linux"))
    return path + " uses another C library (" + linker + ") than libmorsel-preload.so";
  return {};
}

/// "#! INTERPRETER ARGUMENT"
std::string interpreter_of(const char* line) {
  line += 2;
  line += std::strspn(line, " \t");
  return {line, std::strcspn(line, " \t\n")};
}

std::optional<std::string> why_not(const std::string& path, int depth) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st;
  // What may be run but not read is not ours to judge.
  if (!file || fstat(file.get(), &st) != 0) return {};
  char head[256] = {};
  if (pread(file.get(), head, sizeof head - 1, 0) < 0) return {};
  if (std::memcmp(head, "#!", 2) == 0) {
    if (depth == deepest_script) return path + " is a script of a script of a script ...";
    const std::string interpreter = interpreter_of(head);
    auto reason = why_not(interpreter, depth + 1);
    if (reason) return path + " is a script, and " + *reason;
    return {};
  }
  if (std::memcmp(head, ELFMAG, SELFMAG) != 0)
    return path + " is neither an ELF program nor a script with #!";
  if (gains_rights(file.get(), st))
    return path +
           " is set-user-ID, set-group-ID or has capabilities, so nothing can be loaded "
           "before it";
  return why_not_elf(file.get(), path);
}

}  // namespace

Result<std::string> find_program(const std::string& name) {
  int error = ENOENT;
  if (name.find('/') != std::string::npos) {
    if (is_runnable(name, error)) return name;
    return Error{-error, name + ": " + std::strerror(error)};
  }
  const char* path = std::getenv("PATH");
  std::string rest = path ? path : "/bin:/usr/bin";
  for (bool more = !name.empty(); more;) {
    const size_t end = rest.find(':');
    const std::string directory = rest.substr(0, end);
    const std::string file = (directory.empty() ? "." : directory) + "/" + name;
    if (is_runnable(file, error)) return file;
    more = end != std::string::npos;
    if (more) rest.erase(0, end + 1);
  }
  if (error == ENOENT) return Error{-ENOENT, name + ": there is no such program in PATH"};
  return Error{-error, name + ": " + std::strerror(error)};
}

std::optional<std::string> why_not_preloadable(const std::string& path) { return why_not(path, 0); }

}  // namespace morsel::tool
