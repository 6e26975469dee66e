/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// What can go wrong in core, and a value-or-error that cannot be dropped by accident.
#pragma once

namespace morsel::core {

enum class Error : unsigned char {
  none,
  no_memory,    ///< the host had no frame for a table
  too_large,    ///< the page number is beyond what a tree can hold
  occupied,     ///< something is there already
  no_space,     ///< the pool has no free frame
  not_a_pool,   ///< neither copy of the superblock is one
  unsupported,  ///< a pool of a version or with a feature that this code does not know
  damaged,      ///< what lies on the medium contradicts itself
};

/// A value or the reason why there is none. Small and trivially copyable.
template <class T>
class [[nodiscard]] Result {
 public:
  constexpr Result(T value) : value_(value), error_(Error::none) {}
  constexpr Result(Error error) : value_{}, error_(error) {}
  constexpr bool ok() const { return error_ == Error::none; }
  constexpr Error error() const { return error_; }
  constexpr const T& value() const { return value_; }

 private:
  T value_;
  Error error_;
};

/// Success or the reason of the failure.
class [[nodiscard]] Status {
 public:
  constexpr Status() = default;
  constexpr Status(Error error) : error_(error) {}
  constexpr bool ok() const { return error_ == Error::none; }
  constexpr Error error() const { return error_; }

 private:
  Error error_ = Error::none;
};

}  // namespace morsel::core
