// SPDX-License-Identifier: MIT
//
// A model of one arena of address space and of the files mapped into it: what
// every page must show, or which signal it must raise. The random test does each
// operation twice, once on the kernel and once here.
#ifndef MORSELS_TESTS_MODEL_H
#define MORSELS_TESTS_MODEL_H

#include <map>

#include "memory.h"

struct Random {
  uint64_t state;
  uint64_t next() {
    state += 0x9e3779b97f4a7c15;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t n) { return n ? next() % n : 0; }
  bool one_in(unsigned n) { return below(n) == 0; }
};

// A file: its size in pages, and the stamp of each page that is no hole. A page
// with stamp s holds the contents `fill(page, s, 0, 4096)`, a hole zeros.
struct File {
  int fd, read_only_fd;
  size_t pages;
  std::map<size_t, uint32_t> stamps;

  uint32_t stamp(size_t index) const {
    auto found = stamps.find(index);
    return found == stamps.end() ? 0 : found->second;
  }
  void forget(size_t from, size_t to) {
    stamps.erase(stamps.lower_bound(from), stamps.lower_bound(to));
  }
};

// Pages [start, end) of the arena, the key in the map being the start.
struct Segment {
  size_t end;
  File* file;
  size_t index;  // of the file's page that `start` shows
  int prot;
  bool shared, read_only_fd;
  bool locked = false;  // by mlock: some advice is refused then
};

class Model {
 public:
  Model(char* at, size_t arena_pages) : base(at), pages(arena_pages) {}

  char* const base;
  const size_t pages;
  std::map<size_t, Segment> segments;
  std::map<size_t, uint32_t> copies;  // private copies, by page of the arena
  size_t hole_reads = SIZE_MAX;       // how many holes may still be read: that fills them

  char* at(size_t p) const { return base + p * page; }

  void cut(size_t p) {
    auto s = find(p);
    if (s == segments.end() || s->first == p) return;
    Segment right = s->second;
    right.index += p - s->first;
    s->second.end = p;
    segments.emplace(p, right);
  }

  // The segment that holds page p, or end().
  std::map<size_t, Segment>::iterator find(size_t p) {
    auto s = segments.upper_bound(p);
    if (s == segments.begin()) return segments.end();
    --s;
    return p < s->second.end ? s : segments.end();
  }

  void unmap(size_t from, size_t to) {
    cut(from);
    cut(to);
    segments.erase(segments.lower_bound(from), segments.lower_bound(to));
    drop_copies(from, to);
  }

  void drop_copies(size_t from, size_t to) {
    copies.erase(copies.lower_bound(from), copies.lower_bound(to));
  }

  void map(size_t from, Segment s) {
    unmap(from, s.end);
    segments.emplace(from, s);
  }

  // Applies f to each segment within [from, to), cut to fit.
  template <class F>
  void each(size_t from, size_t to, F&& f) {
    cut(from);
    cut(to);
    for (auto s = segments.lower_bound(from); s != segments.end() && s->first < to; ++s)
      f(s->first, s->second);
  }

  // The end of the run of mapped pages that begins at `from`, at most `to`, over
  // segments for which `good` holds.
  template <class F>
  size_t run(size_t from, size_t to, F&& good) {
    size_t p = from;
    while (p < to) {
      auto s = find(p);
      if (s == segments.end() || !good(s->second)) break;
      p = s->second.end;
    }
    return p < to ? p : to;
  }

  void moved(size_t from, size_t to, size_t count) {
    Segment s = find(from)->second;
    size_t index = s.index + (from - find(from)->first);
    std::map<size_t, uint32_t> carried;
    for (auto c = copies.lower_bound(from); c != copies.end() && c->first < from + count; ++c)
      carried[c->first - from + to] = c->second;
    unmap(from, from + count);
    s.index = index;
    s.end = to + count;
    map(to, s);
    copies.merge(carried);
  }

  void truncated(File& file, size_t size) {
    for (auto& [start, s] : segments)
      if (s.file == &file && !s.shared && s.index + (s.end - start) > size)
        drop_copies(s.index >= size ? start : start + (size - s.index), s.end);
    file.forget(size, SIZE_MAX);
    file.pages = size;
  }

  // 0 and the stamp that the page shows, or the signal it raises.
  int expected(size_t p, bool store, uint32_t* stamp) {
    auto found = find(p);
    if (found == segments.end()) return SIGSEGV;
    const Segment& s = found->second;
    if (s.prot == PROT_NONE || (store && !(s.prot & PROT_WRITE))) return SIGSEGV;
    size_t index = s.index + (p - found->first);
    auto copy = copies.find(p);
    *stamp = copy != copies.end() ? copy->second : s.file->stamp(index);
    return index < s.file->pages ? 0 : SIGBUS;
  }

  void stored(size_t p, uint32_t stamp) {
    auto found = find(p);
    const Segment& s = found->second;
    if (s.shared)
      s.file->stamps[s.index + (p - found->first)] = stamp;
    else
      copies[p] = stamp;
  }

  std::string describe(size_t p) {
    auto s = find(p);
    if (s == segments.end()) return "not mapped";
    char text[160];
    snprintf(text, sizeof text,
             "%s segment 0x%zx-0x%zx of file page 0x%zx, file of 0x%zx pages, prot %d",
             s->second.shared ? "shared" : "private", s->first, s->second.end, s->second.index,
             s->second.file->pages, s->second.prot);
    return text;
  }

  // Compares a page with the kernel's: its first word, or all of them.
  void check(size_t p, bool whole) {
    uint32_t stamp = 0;
    uint64_t seen = 0;
    int want = expected(p, false, &stamp);
    if (want == 0 && stamp == 0 && (hole_reads == 0 || hole_reads-- == 0)) return;
    int got = probe_read(at(p), &seen);
    if (got != want)
      FAIL("page 0x%zx of the arena: expected signal %d, seen %d (%s)", p, want, got,
           describe(p).c_str());
    if (got) return;
    if (seen != (stamp ? word_at(stamp, 0) : 0))
      FAIL("page 0x%zx of the arena: expected contents %u, seen word 0x%llx", p, stamp,
           (unsigned long long)seen);
    if (whole && (stamp ? differs(at(p), stamp, 0, page) : nonzero(at(p), page)) != page)
      FAIL("page 0x%zx of the arena: expected contents %u throughout", p, stamp);
  }

  // Ends and middles of all segments, and what lies just outside of them.
  void check_edges(Random& random) {
    for (auto& [start, s] : segments) {
      check(start, true);
      check(s.end - 1, false);
      check(start + random.below(s.end - start), false);
      if (start) check(start - 1, false);
      if (s.end < pages) check(s.end, false);
    }
  }

  // Every page that has contents, in whole; every `stride`-th of the others.
  void check_all(size_t stride) {
    for (auto& [start, s] : segments) {
      for (size_t p = start; p < s.end; p += stride) check(p, false);
      for (auto f = s.file->stamps.lower_bound(s.index);
           f != s.file->stamps.end() && f->first < s.index + (s.end - start); ++f)
        check(start + (f->first - s.index), true);
    }
    for (auto& [p, stamp] : copies) check(p, true);
  }
};

#endif
