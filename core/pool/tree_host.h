/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// A host for trees that lie in a pool, where nobody else walks them: tools, tests, the simulator.
// The kernel has its own, with the kernel's locks and grace periods.
#pragma once

#include "../tree.h"
#include "media.h"

namespace morsel::core::pool {

template <Media M, Frames A>
class TreeHost {
 public:
  using Table = core::Table;

  TreeHost(M& media, A& frames, Phys base) : media_(&media), frames_(&frames), base_(base) {}

  const Format& format() const { return media_format_; }
  Table* table_at(Phys phys) const {
    return in_frame<Table>(*media_, (phys - base_) / frame_bytes);
  }
  Phys address_of(Table* table) const {
    return base_ + static_cast<u64>(reinterpret_cast<u8*>(table) - static_cast<u8*>(media_->at(0)));
  }
  Table* allocate_table(Level) {
    const Result<Frame> got = frames_->get();
    if (!got.ok()) return nullptr;
    Table* table = in_frame<Table>(*media_, got.value());
    media_->zero(table, sizeof(*table));
    media_->flush(Site::table_zeroed, table, sizeof(*table));
    return table;
  }
  void free_table(Table* table, Level) { frames_->put((address_of(table) - base_) / frame_bytes); }
  void lock(Table*) {}
  void unlock(Table*) {}
  void wait(Table*) {}
  void hold_frame(Pfn, u64) {}
  void changed(Site site, const void* from, u64 bytes) { media_->flush(site, from, bytes); }
  void order(Site site) { media_->fence(site); }

 private:
  static constexpr Format media_format_ = media_format();
  M* media_;
  A* frames_;
  Phys base_;
};

}  // namespace morsel::core::pool
