#include "report/sparkline.h"

#include <algorithm>

namespace flexpert::report {

std::string sparkline(std::span<const double> values, std::size_t width, double top) {
  static constexpr const char* kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  if (values.size() > width) values = values.subspan(values.size() - width);
  if (!(top > 0)) {
    top = 0;
    for (const double value : values) top = std::max(top, value);
  }
  std::string result;
  for (const double value : values) {
    const double level = top > 0 && value > 0 ? value / top * 8 : 0;
    result += kBlocks[std::min<std::size_t>(7, static_cast<std::size_t>(std::min(level, 7.99)))];
  }
  return result;
}

std::string bar(double fraction, std::size_t width) {
  const double clamped = fraction > 0 ? std::min(fraction, 1.0) : 0.0;
  const auto filled = static_cast<std::size_t>(clamped * static_cast<double>(width) + 0.5);
  std::string result;
  for (std::size_t i = 0; i < width; ++i) result += i < filled ? "█" : "░";
  return result;
}

}  // namespace flexpert::report
