// SPDX-License-Identifier: MIT
#include "progress.h"

#include <algorithm>
#include <cstdio>

#include "text.h"

namespace morsel::tool {

namespace {

constexpr int width = 24;

}  // namespace

Progress::Progress(std::string title) : title_(std::move(title)) {}

Progress::~Progress() { clear(); }

void Progress::show(uint64_t done, uint64_t total) {
  using namespace std::chrono;
  const auto now = Clock::now();
  if (total == 0 || (visible_ && now - shown_ < milliseconds(100))) return;
  shown_ = now;
  visible_ = true;
  const double part = std::min(1.0, double(done) / double(total));
  const double seconds = std::max(1e-3, duration<double>(now - start_).count());
  const double rate = double(done) / seconds;
  std::string bar(size_t(part * width), '#');
  bar.resize(width, '.');
  const std::string left =
      rate > 0 ? duration_text(uint64_t(double(total - std::min(done, total)) / rate)) : "?";
  std::fprintf(stderr, "\r\x1b[K%s [%s] %3.0f%%  %s/s  %s left", title_.c_str(), bar.c_str(),
               part * 100, size_text(uint64_t(rate)).c_str(), left.c_str());
  std::fflush(stderr);
}

void Progress::clear() {
  if (visible_) std::fputs("\r\x1b[K", stderr);
  visible_ = false;
}

}  // namespace morsel::tool
