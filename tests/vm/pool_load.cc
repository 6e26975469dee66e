// SPDX-License-Identifier: MIT
//
// Work on a pool that may be cut short at any moment, and the check afterwards:
//
//   pool-load run DIR SEED WORKERS      works until it is killed; after each step that is done a
//                                       line "WORKER STEP" goes out, one write(2) each
//   pool-load check DIR SEED WORKER STEP  what lies in DIR must be what that step or a later one
//                                       has left: every step changes one thing, all at once
//
// What a step does follows from seed, worker, step and what is there, so the check does the steps
// again in memory, and compares.
#include <dirent.h>
#include <sys/xattr.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "memory.h"

namespace {

constexpr int names = 24;               // in each of two directories
constexpr size_t most_pages = 40;       // of a file
constexpr unsigned long ahead = 20000;  // steps whose lines may have got lost

[[noreturn]] void stop(const char* what, const std::string& which) {
  fprintf(stderr, "pool-load: %s: %s: %s\n", what, which.c_str(), strerror(errno));
  _exit(1);
}
void must(bool good, const char* what, const std::string& which) {
  if (!good) stop(what, which);
}

struct Page {
  uint64_t tag, store;
  bool operator==(const Page&) const = default;
};

void fill_page(uint64_t* words, Page contents) {
  fill(words, contents.tag & 0xfffff, 0, page);
  words[0] = contents.tag;
  words[1] = contents.store;
}

bool read_page(const uint64_t* words, Page& contents) {
  contents = {words[0], words[1]};
  uint64_t expected[page_words];
  fill_page(expected, contents);
  return memcmp(expected, words, page) == 0;
}

struct File {
  std::vector<Page> pages;
  unsigned mode = 0600;
  uint64_t attribute = 0;
};

using Names = std::map<std::string, std::shared_ptr<File>>;

std::string text_of(const Names& all) {
  std::map<const File*, std::string> first;
  std::string text;
  for (auto& [name, file] : all) {
    text += name + "=" + first.try_emplace(file.get(), name).first->second + " " +
            std::to_string(file->mode) + " " + std::to_string(file->attribute);
    for (const Page& p : file->pages)
      text += " " + std::to_string(p.tag) + "." + std::to_string(p.store);
    text += "\n";
  }
  return text;
}

// One step, on the model and, if there is a directory, on its files.
class Worker {
 public:
  Worker(std::string dir, uint64_t seed, unsigned worker)
      : dir_(std::move(dir)), seed_(seed * 100 + worker) {}

  void step(unsigned long number, bool really) {
    std::mt19937_64 random(seed_ * 1000003 + number);
    really_ = really;
    const std::string a = pick(random), b = pick(random);
    const bool has_a = all_.count(a) != 0, has_b = all_.count(b) != 0;
    const uint64_t what = random() % 100, value = number;
    if (!has_a)
      what % 3 != 0 ? create(a) : create_unnamed(a, value);
    else if (what < 40)
      append(a, value);
    else if (what < 48)
      change(a, random(), value);
    else if (what < 56 && a != b)
      has_b ? exchange(a, b) : move(a, b);
    else if (what < 68 && a != b)
      move(a, b);
    else if (what < 76 && !has_b)
      link(a, b);
    else if (what < 84)
      remove(a);
    else if (what < 90)
      shorten(a, random());
    else if (what < 95)
      set_attribute(a, value);
    else
      set_mode(a, value % 0777 | 0600);
  }

  const Names& all() const { return all_; }

 private:
  static std::string pick(std::mt19937_64& random) {
    return std::string(random() % 2 ? "a/" : "b/") + std::to_string(random() % names);
  }
  std::string path(const std::string& name) const { return dir_ + "/" + name; }

  int open_it(const std::string& name, int flags) const {
    int fd = open(path(name).c_str(), flags | O_CLOEXEC, 0600);
    must(fd >= 0, "open", name);
    return fd;
  }

  void create(const std::string& name) {
    all_[name] = std::make_shared<File>();
    if (really_) close(open_it(name, O_RDWR | O_CREAT | O_EXCL));
  }
  void create_unnamed(const std::string& name, uint64_t value) {
    all_[name] = std::make_shared<File>();
    all_[name]->pages.push_back({value, 0});
    if (!really_) return;
    int fd = open_it("a", O_TMPFILE | O_RDWR);
    uint64_t words[page_words];
    fill_page(words, {value, 0});
    must(write(fd, words, page) == page, "write", name);
    const std::string self = "/proc/self/fd/" + std::to_string(fd);
    must(linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path(name).c_str(), AT_SYMLINK_FOLLOW) == 0,
         "linkat", name);
    close(fd);
  }
  void append(const std::string& name, uint64_t value) {
    File& file = *all_[name];
    if (file.pages.size() == most_pages) return;
    const off_t at = off_t(file.pages.size() * page);
    file.pages.push_back({value, 0});
    if (!really_) return;
    int fd = open_it(name, O_RDWR);
    uint64_t words[page_words];
    fill_page(words, {value, 0});
    must(pwrite(fd, words, page, at) == page, "write", name);
    close(fd);
  }
  // A store through a mapping, and msync.
  void change(const std::string& name, uint64_t which, uint64_t value) {
    File& file = *all_[name];
    if (file.pages.empty()) return;
    const size_t bytes = file.pages.size() * page, index = which % file.pages.size();
    file.pages[index].store = value;
    if (!really_) return;
    int fd = open_it(name, O_RDWR);
    void* m = mmap(nullptr, bytes, rw, MAP_SHARED, fd, 0);
    must(m != MAP_FAILED, "mmap", name);
    static_cast<volatile uint64_t*>(m)[index * page_words + 1] = value;
    must(msync(m, bytes, MS_SYNC) == 0, "msync", name);
    munmap(m, bytes);
    close(fd);
  }
  void exchange(const std::string& a, const std::string& b) {
    std::swap(all_[a], all_[b]);
    if (really_)
      must(renameat2(AT_FDCWD, path(a).c_str(), AT_FDCWD, path(b).c_str(), RENAME_EXCHANGE) == 0,
           "exchange", a);
  }
  void move(const std::string& a, const std::string& b) {
    // Two names of one file: rename does nothing.
    if (all_.count(b) == 0 || all_[a] != all_[b]) {
      all_[b] = all_[a];
      all_.erase(a);
    }
    if (really_) must(rename(path(a).c_str(), path(b).c_str()) == 0, "rename", a);
  }
  void link(const std::string& a, const std::string& b) {
    if (a == b) return;
    all_[b] = all_[a];
    if (really_) must(::link(path(a).c_str(), path(b).c_str()) == 0, "link", a);
  }
  void remove(const std::string& a) {
    all_.erase(a);
    if (really_) must(unlink(path(a).c_str()) == 0, "unlink", a);
  }
  void shorten(const std::string& a, uint64_t which) {
    File& file = *all_[a];
    file.pages.resize(which % (file.pages.size() + 1));
    if (really_)
      must(truncate(path(a).c_str(), off_t(file.pages.size() * page)) == 0, "truncate", a);
  }
  void set_attribute(const std::string& a, uint64_t value) {
    all_[a]->attribute = value;
    if (really_)
      must(setxattr(path(a).c_str(), "user.step", &value, sizeof value, 0) == 0, "setxattr", a);
  }
  void set_mode(const std::string& a, unsigned mode) {
    all_[a]->mode = mode;
    if (really_) must(chmod(path(a).c_str(), mode) == 0, "chmod", a);
  }

  std::string dir_;
  uint64_t seed_;
  Names all_;
  bool really_ = false;
};

// What lies in a worker's directory.
Names look(const std::string& dir) {
  std::map<ino_t, std::shared_ptr<File>> files;
  std::map<ino_t, nlink_t> links;
  Names all;
  for (const char* part : {"a", "b"}) {
    DIR* entries = opendir((dir + "/" + part).c_str());
    must(entries != nullptr, "opendir", dir);
    while (const dirent* entry = readdir(entries)) {
      if (entry->d_name[0] == '.') continue;
      const std::string name = std::string(part) + "/" + entry->d_name, path = dir + "/" + name;
      int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
      struct stat st;
      must(fd >= 0 && fstat(fd, &st) == 0, "open", path);
      auto& file = files[st.st_ino];
      if (!file) {
        file = std::make_shared<File>();
        file->mode = st.st_mode & 07777;
        links[st.st_ino] = st.st_nlink;
        if (getxattr(path.c_str(), "user.step", &file->attribute, 8) != 8) file->attribute = 0;
        must(st.st_size % page == 0, "size", path);
        uint64_t words[page_words];
        for (off_t at = 0; at < st.st_size; at += page) {
          Page contents{};
          must(pread(fd, words, page, at) == page, "read", path);
          errno = EUCLEAN;
          must(read_page(words, contents), "contents", path + " at " + std::to_string(at));
          file->pages.push_back(contents);
        }
      }
      links[st.st_ino]--;
      all[name] = file;
      close(fd);
    }
    closedir(entries);
  }
  errno = EUCLEAN;
  for (auto& [inode, left] : links) must(left == 0, "number of links", std::to_string(inode));
  return all;
}

std::string own_dir(const std::string& dir, unsigned worker) {
  return dir + "/" + std::to_string(worker);
}

[[noreturn]] void work(const std::string& dir, uint64_t seed, unsigned worker) {
  Worker it(own_dir(dir, worker), seed, worker);
  for (unsigned long number = 1;; number++) {
    it.step(number, true);
    char line[64];
    const int length = snprintf(line, sizeof line, "%u %lu\n", worker, number);
    must(write(1, line, size_t(length)) == length, "write", "standard output");
  }
}

int run(const std::string& dir, uint64_t seed, unsigned workers) {
  must(mkdir(dir.c_str(), 0755) == 0, "mkdir", dir);
  for (unsigned worker = 0; worker < workers; worker++) {
    const std::string own = own_dir(dir, worker);
    must(mkdir(own.c_str(), 0755) == 0, "mkdir", own);
    must(mkdir((own + "/a").c_str(), 0755) == 0, "mkdir", own);
    must(mkdir((own + "/b").c_str(), 0755) == 0, "mkdir", own);
  }
  for (unsigned worker = 0; worker < workers; worker++)
    if (fork() == 0) work(dir, seed, worker);
  pause();
  return 1;
}

int check(const std::string& dir, uint64_t seed, unsigned worker, unsigned long step) {
  const std::string seen = text_of(look(own_dir(dir, worker)));
  Worker it(dir, seed, worker);
  std::string expected;
  for (unsigned long number = 0; number <= step + ahead; number++) {
    if (number != 0) it.step(number, false);
    if (number < step) continue;
    const std::string now = text_of(it.all());
    if (number == step) expected = now;
    if (now == seen) {
      printf("ok worker %u: step %lu was told, found %lu\n", worker, step, number);
      return 0;
    }
  }
  printf("not ok worker %u: neither step %lu nor a later one\nexpected\n%sseen\n%s", worker, step,
         expected.c_str(), seen.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "run" && argc == 5)
    return run(argv[2], strtoul(argv[3], nullptr, 10), unsigned(atoi(argv[4])));
  if (what == "check" && argc == 6)
    return check(argv[2], strtoul(argv[3], nullptr, 10), unsigned(atoi(argv[4])),
                 strtoul(argv[5], nullptr, 10));
  fprintf(stderr, "usage: pool-load run DIR SEED WORKERS | check DIR SEED WORKER STEP\n");
  return 2;
}
