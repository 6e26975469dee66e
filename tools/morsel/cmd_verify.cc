// SPDX-License-Identifier: MIT
// morsel verify: compares what is in memory with its source, byte by byte.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>

#include "command.h"
#include "find.h"
#include "mapping.h"
#include "pieces.h"
#include "progress.h"
#include "text.h"

namespace morsel::tool {

namespace {

constexpr uint64_t piece = 4 << 20;

Status compare_piece(const Source& source, const std::byte* copy, uint64_t at, uint64_t length) {
  std::vector<std::byte> buffer(length);
  for (uint64_t have = 0; have < length;) {
    const ssize_t got = pread(source.fd(), &buffer[have], length - have, off_t(at + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(source.path());
    if (got == 0) return Error{-ESTALE, source.path() + " is shorter now"};
    have += uint64_t(got);
  }
  if (memcmp(buffer.data(), copy + at, length) == 0) return Done{};
  uint64_t first = 0;
  while (buffer[first] == copy[at + first]) ++first;
  return Error{-EILSEQ, source.path() + " and its copy in memory differ from byte " +
                            std::to_string(at + first) + " on; `morsel rm` removes the copy"};
}

Status compare(const CachedFile& file, const Context& context) {
  auto source = Source::open(file.attributes.source);
  if (!source) return source.error();
  if (source->entry() != file.entry.name)
    return Error{-ESTALE, source->path() + " was changed since it was loaded"};
  auto object = find_copy(source->state());
  if (!object) return Error{-ESTALE, source->path() + ": " + object.error().text};
  auto mapping = map_object(**object, MORSEL_READ);
  if (!mapping) return mapping.error();
  std::optional<Progress> progress;
  if (context.progress())
    progress.emplace(printable(std::filesystem::path(source->path()).filename()));
  Status same = in_pieces(
      0, source->bytes(), piece,
      [&](uint64_t at, uint64_t length) {
        return compare_piece(*source, (*mapping)->region.at(), at, length);
      },
      [&](uint64_t done) {
        if (progress) progress->show(done, source->bytes());
        return true;
      });
  // What differs because somebody is writing is no mistake of the copy.
  if (Status status = source->unchanged(); !status) return status;
  return same;
}

void verify(const CachedFile& file, Context& context) {
  const std::string& path = file.attributes.source;
  std::string result = word_for(file.freshness);
  if (file.freshness == Freshness::fresh) {
    Status same = compare(file, context);
    result = same                           ? "ok"
             : same.error().code == -ESTALE ? "stale"
             : same.error().code == -EILSEQ ? "differs"
                                            : "failed";
    if (!same) context.fail(same.error());
  } else if (file.freshness == Freshness::unknown) {
    context.fail(Exit::not_permitted, path + ": this user may not look at the source");
  } else {
    context.fail(
        Exit::stale,
        path +
            (file.freshness == Freshness::gone ? " is gone" : " was changed since it was loaded") +
            "; `morsel prune` removes such copies");
  }
  nlohmann::json shown = to_json(file);
  shown["result"] = result;
  context.document["files"].push_back(std::move(shown));
  context.print(result + ": " + printable(path));
}

void run(const std::vector<std::string>& paths, Context& context) {
  context.document["files"] = nlohmann::json::array();
  if (paths.empty()) {
    auto files = list_files();
    if (!files) return context.fail(files.error());
    for (const CachedFile& file : *files) verify(file, context);
  }
  for (const std::string& path : paths) {
    auto found = find(path);
    if (!found)
      context.fail(found.error());
    else if (found->files.empty())
      context.fail(Exit::not_cached, path + " is not in the cache");
    else
      for (const CachedFile& file : found->files) verify(file, context);
  }
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  auto paths = std::make_shared<std::vector<std::string>>();
  CLI::App* command = app.add_subcommand("verify", "compares copies in memory with their sources");
  command->add_option("FILE", *paths, "all files, if none is named");
  command->callback([paths, &context] { run(*paths, context); });
}

}  // namespace morsel::tool
