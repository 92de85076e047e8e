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
  std::size_t first = std::string::npos;
  std::size_t hold = 0;
  for (const std::string& stop : stops_) {
    first = std::min(first, held_.find(stop));
    hold = std::max(hold, overlap(held_, stop));
  }
  if (first != std::string::npos) {
    held_.resize(first);
    return {std::exchange(held_, {}), true};
  }
  News news{held_.substr(0, held_.size() - hold), false};
  held_.erase(0, held_.size() - hold);
  return news;
}

std::string StopText::flush() { return std::exchange(held_, {}); }

}  // namespace flexpert::engine
