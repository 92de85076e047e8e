#include "engine/model/stop_text.h"

#include <algorithm>
#include <utility>

namespace flexpert::engine {
namespace {

/// Length of the longest end of `text` that `stop` begins with.
std::size_t overlap(std::string_view text, std::string_view stop) {
  for (std::size_t length = std::min(text.size(), stop.size() - 1); length > 0; --length)
    if (text.ends_with(stop.substr(0, length))) return length;
  return 0;
}

}  // namespace

StopText::News StopText::push(std::string_view text) {
  held_ += text;
  // The stop that is complete first ends the text, so that the cuts between pieces do not matter; of several that end at
  // one place, the longest.
  std::size_t begin = std::string::npos;
  std::size_t end = std::string::npos;
  std::size_t hold = 0;
  for (const std::string& stop : stops_) {
    hold = std::max(hold, overlap(held_, stop));
    const std::size_t at = held_.find(stop);
    if (at == std::string::npos) continue;
    if (at + stop.size() > end || (at + stop.size() == end && at > begin)) continue;
    begin = at;
    end = at + stop.size();
  }
  if (end != std::string::npos) {
    held_.resize(begin);
    return {std::exchange(held_, {}), true};
  }
  News news{held_.substr(0, held_.size() - hold), false};
  held_.erase(0, held_.size() - hold);
  return news;
}

std::string StopText::flush() { return std::exchange(held_, {}); }

}  // namespace flexpert::engine
