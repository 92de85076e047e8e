#include "report/forecast_chart.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

namespace flexpert::report {

namespace {

constexpr double kWidth = 1120;
constexpr double kHeight = 420;
constexpr double kLeft = 64;
constexpr double kRight = 16;
constexpr double kTop = 14;
constexpr double kBottom = 34;
constexpr std::size_t kLeastPast = 48;
constexpr std::size_t kPastOfFuture = 8;
constexpr double kTicks = 5;

/// The part of the series that is drawn, and where its points lie.
struct Frame {
  std::size_t first = 0;   ///< value drawn first
  std::size_t steps = 1;   ///< from there to the last step of the forecast
  double least = 0;
  double most = 1;
  double tick = 1;

  [[nodiscard]] double x(double step) const {
    return kLeft + (step - static_cast<double>(first)) / static_cast<double>(steps) * (kWidth - kLeft - kRight);
  }
  [[nodiscard]] double y(double value) const { return kTop + (most - value) / (most - least) * (kHeight - kTop - kBottom); }
};

double round_tick(double range, double ticks) {
  const double rough = range / ticks;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double step : {1.0, 2.0, 2.5, 5.0, 10.0})
    if (step * power >= rough * 0.999) return step * power;
  return 10 * power;
}

Frame frame_of(const ForecastChart& chart) {
  Frame frame;
  const std::size_t shown = std::min(chart.values.size(), std::max(kLeastPast, kPastOfFuture * chart.mean.size()));
  frame.first = chart.values.size() - shown;
  frame.steps = std::max<std::size_t>(1, shown - (shown > 0 ? 1 : 0) + chart.mean.size());
  double least = 0;
  double most = 0;
  const auto take = [&](double value) {
    if (!std::isfinite(value)) return;
    least = std::min(least, value);
    most = std::max(most, value);
  };
  for (std::size_t i = frame.first; i < chart.values.size(); ++i) take(chart.values[i]);
  for (const double value : chart.mean) take(value);
  for (const auto& bound : chart.bounds)
    for (const double value : bound) take(value);
  if (!(most > least)) most = least + 1;
  frame.tick = round_tick(most - least, kTicks);
  frame.least = std::floor(least / frame.tick) * frame.tick;
  frame.most = std::ceil(most / frame.tick) * frame.tick;
  if (!(frame.most > frame.least) || !std::isfinite(frame.most - frame.least))
    frame = {frame.first, frame.steps, least, most, most - least};
  return frame;
}

std::string number_text(double value, double tick) {
  if (std::abs(value) >= 1e6 || (tick < 1e-3 && value != 0)) return fmt::format("{:.3g}", value);
  return fmt::format("{:.{}f}", value == 0 ? 0.0 : value, tick >= 1 ? 0 : tick >= 0.1 ? 1 : tick >= 0.01 ? 2 : 3);
}

void axes(const ForecastChart& chart, const Frame& frame, std::back_insert_iterator<std::string> out) {
  for (double value = frame.least; value <= frame.most + frame.tick / 2; value += frame.tick)
    fmt::format_to(out,
                   "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text class=\"tick end\" "
                   "x=\"{3:.1f}\" y=\"{4:.1f}\">{5}</text>\n",
                   kLeft, kWidth - kRight, frame.y(value), kLeft - 8, frame.y(value) + 4, number_text(value, frame.tick));
  const double span_s = static_cast<double>(frame.steps) * chart.step_s;
  double every_s = span_s / 8;
  for (const double unit :
       {1.0, 5.0, 15.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 10800.0, 21600.0, 43200.0, 86400.0, 172800.0, 604800.0})
    if (span_s / unit <= 10) {
      every_s = unit;
      break;
    }
  const double now = static_cast<double>(chart.values.size()) - 1;
  const double first = std::ceil((static_cast<double>(frame.first) - now) * chart.step_s / every_s);
  for (double i = first; i * every_s <= static_cast<double>(chart.mean.size()) * chart.step_s * 1.0001; ++i)
    fmt::format_to(out, "<text class=\"tick middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", frame.x(now + i * every_s / chart.step_s),
                   kHeight - 10, i == 0 ? "now" : fmt::format("{}{}", i < 0 ? "\xe2\x88\x92" : "+", span_text(std::abs(i * every_s))));
  fmt::format_to(out, "<line class=\"now\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>\n", frame.x(now), kTop,
                 kHeight - kBottom);
}

/// A line through the points that are known; it is broken at gaps.
std::string path(const Frame& frame, const std::vector<double>& values, std::size_t first, double offset) {
  std::string out;
  bool drawing = false;
  for (std::size_t i = first; i < values.size(); ++i) {
    const bool known = std::isfinite(values[i]);
    if (known)
      fmt::format_to(std::back_inserter(out), "{}{:.1f} {:.1f}", drawing ? "L" : "M", frame.x(static_cast<double>(i) + offset),
                     frame.y(values[i]));
    drawing = known;
  }
  return out;
}

std::string band(const Frame& frame, const std::vector<double>& low, const std::vector<double>& high, double offset) {
  std::string out = path(frame, high, 0, offset);
  for (std::size_t i = low.size(); i-- > 0;)
    fmt::format_to(std::back_inserter(out), "L{:.1f} {:.1f}", frame.x(static_cast<double>(i) + offset), frame.y(low[i]));
  return out + "Z";
}

/// Puts the last value in front, so that what is expected starts where the past ends.
std::vector<double> from_now(const ForecastChart& chart, const std::vector<double>& expected) {
  std::vector<double> out = {chart.values.empty() ? expected.front() : chart.values.back()};
  if (!std::isfinite(out.front())) out.front() = expected.front();
  out.insert(out.end(), expected.begin(), expected.end());
  return out;
}

void expected(const ForecastChart& chart, const Frame& frame, std::back_insert_iterator<std::string> out) {
  if (chart.mean.empty()) return;
  const double offset = static_cast<double>(chart.values.size()) - 1;
  std::vector<bool> drawn(chart.levels.size(), false);
  for (std::size_t low = 0; low < chart.levels.size() && chart.levels[low] < 0.5; ++low)
    for (std::size_t high = low + 1; high < chart.levels.size(); ++high) {
      if (std::abs(chart.levels[low] + chart.levels[high] - 1) > 1e-9) continue;
      fmt::format_to(out, "<path class=\"band\" d=\"{}\"><title>{} to {}</title></path>\n",
                     band(frame, from_now(chart, chart.bounds[low]), from_now(chart, chart.bounds[high]), offset),
                     level_name(chart.levels[low]), level_name(chart.levels[high]));
      drawn[low] = drawn[high] = true;
    }
  for (std::size_t i = 0; i < chart.levels.size(); ++i)
    if (!drawn[i])
      fmt::format_to(out, "<path class=\"level\" d=\"{}\"><title>{}</title></path>\n",
                     path(frame, from_now(chart, chart.bounds[i]), 0, offset), level_name(chart.levels[i]));
  fmt::format_to(out, "<path class=\"mean\" d=\"{}\"/>\n", path(frame, from_now(chart, chart.mean), 0, offset));
  if (chart.mean.size() > 60) return;
  for (std::size_t i = 0; i < chart.mean.size(); ++i)
    fmt::format_to(out, "<circle class=\"dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"><title>in {}: {:.4g}</title></circle>\n",
                   frame.x(offset + 1 + static_cast<double>(i)), frame.y(chart.mean[i]),
                   span_text(static_cast<double>(i + 1) * chart.step_s), chart.mean[i]);
}

}  // namespace

std::string level_name(double level) { return fmt::format("p{:.6g}", level * 100); }

std::string span_text(double seconds) {
  if (!(seconds < 1e12)) return "?";
  if (seconds < 60) return fmt::format("{:.3g} s", seconds);
  if (seconds < 3600) return fmt::format("{:.4g} min", seconds / 60);
  if (seconds < 86400) {
    const double hours = std::floor(seconds / 3600);
    const double minutes = std::nearbyint((seconds - hours * 3600) / 60);
    return minutes > 0 ? fmt::format("{:.0f} h {:.0f} min", hours, minutes) : fmt::format("{:.0f} h", hours);
  }
  const double days = std::floor(seconds / 86400);
  const double hours = std::nearbyint((seconds - days * 86400) / 3600);
  return hours > 0 ? fmt::format("{:.0f} d {:.0f} h", days, hours) : fmt::format("{:.0f} d", days);
}

std::string forecast_chart(const ForecastChart& chart) {
  if (chart.values.empty() && chart.mean.empty()) return {};
  const Frame frame = frame_of(chart);
  std::string svg = fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"The series, and what is expected\">\n", kWidth, kHeight);
  auto out = std::back_inserter(svg);
  axes(chart, frame, out);
  expected(chart, frame, out);
  fmt::format_to(out, "<path class=\"past\" d=\"{}\"/>\n", path(frame, chart.values, frame.first, 0));
  return svg + "</svg>\n";
}

}  // namespace flexpert::report
