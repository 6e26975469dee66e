// SPDX-License-Identifier: MIT
// Questions to the holder (docs/library.md, "The holder").
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "descriptor.h"
#include "result.h"

namespace morsel {

constexpr int holder_version = 1;

/// A connection to the holder of `directory`. -ENOENT: there is none.
Result<Descriptor> connect_to_holder(const std::string& directory);

/// Starts the holder of `directory`, which is this user's, in the background, and waits until it
/// listens. Success too if another one was quicker.
Status start_holder(const std::string& directory);

struct Answer {
  nlohmann::json body;
  Descriptor fd;
};

/// One question on a connection. An answer that is an error becomes one.
Result<Answer> ask(int connection, const nlohmann::json& question, int fd = -1);

struct Conversation {
  Answer answer;
  Descriptor connection;
};

/// Connects and asks. If `start`, there is a holder afterwards, also if one died meanwhile: all
/// that it had been told is gone then, so to ask again does no harm.
Result<Conversation> ask_holder(const std::string& directory, bool start,
                                const nlohmann::json& question, int fd = -1);

}  // namespace morsel
