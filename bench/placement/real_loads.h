#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/result.h"
#include "codec/expert_counts_json.h"
#include "codec/gzip.h"
#include "fleet/expert_counts.h"

namespace flexpert::bench {

/// Counts of a real model, over a task or a topic.
struct RealLoad {
  std::string name;
  ExpertCounts counts;
};

/// Appends all counts of a file to `out`, each named after `model` and its place in the file.
inline Result<void> read_real_loads(const std::string& file, const std::string& model, std::vector<RealLoad>& out) {
  constexpr std::size_t kMaxBytes = std::size_t{64} << 20;
  std::ifstream in(file, std::ios::binary);
  std::stringstream bytes;
  if (!in || !(bytes << in.rdbuf())) return fail(ErrorCode::kNotFound, "cannot read: {}", file);
  std::string text = bytes.str();
  if (codec::is_gzip(text)) {
    FLEXPERT_ASSIGN(text, codec::gunzip(text, kMaxBytes));
  }
  FLEXPERT_ASSIGN(const std::vector<std::string> paths, codec::count_paths(text));
  for (const std::string& path : paths) {
    FLEXPERT_ASSIGN(ExpertCounts counts, codec::counts_at(text, path));
    out.push_back({fmt::format("{}.{}", model, path), std::move(counts)});
  }
  return {};
}

}  // namespace flexpert::bench
