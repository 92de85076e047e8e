#include "scaling/load_accumulator.h"

#include <algorithm>

namespace flexpert::scaling {

bool LoadAccumulator::add(const std::string& source, TimePoint at, std::uint64_t tokens, const std::vector<std::uint64_t>& rows) {
  if (rows.size() != total_.rows.size()) return false;
  total_.at = std::max(total_.at, at);
  const auto [entry, first] = last_.try_emplace(source, Last{tokens, rows});
  if (first) return true;
  Last& last = entry->second;
  bool restarted = tokens < last.tokens;
  for (std::size_t i = 0; i < rows.size() && !restarted; ++i) restarted = rows[i] < last.rows[i];
  if (restarted) last = {0, std::vector<std::uint64_t>(rows.size(), 0)};
  total_.tokens += tokens - last.tokens;
  for (std::size_t i = 0; i < rows.size(); ++i) total_.rows[i] += rows[i] - last.rows[i];
  last = {tokens, rows};
  return true;
}

}  // namespace flexpert::scaling
