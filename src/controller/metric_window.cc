#include "controller/metric_window.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace flexpert::controller {
namespace {

/// Far more than a window of any sensible interval holds.
constexpr std::size_t kMostSteps = 4096;

}  // namespace

void MetricWindow::take(TimePoint at, const std::vector<std::optional<double>>& counters, std::optional<TimePoint> from_zero) {
  if (last_ && at <= *last_) return;
  const bool began = !last_;
  const std::optional<TimePoint> from = last_ ? last_ : from_zero;
  if (from && *from < at) {
    Step step{*from, at, std::vector<double>(width_, std::numeric_limits<double>::quiet_NaN())};
    for (std::size_t i = 0; i < width_ && i < counters.size(); ++i) {
      if (!counters[i]) continue;
      // A labelled series appears with its first event: a process that was read before had zero of it.
      const double before = began ? 0 : values_[i].value_or(0);
      step.growth[i] = *counters[i] >= before ? *counters[i] - before : *counters[i];
    }
    steps_.push_back(std::move(step));
  }
  last_ = at;
  values_.resize(width_);
  for (std::size_t i = 0; i < width_ && i < counters.size(); ++i)
    if (counters[i]) values_[i] = counters[i];
  while (!steps_.empty() && (steps_.front().to <= at - window_ || steps_.size() > kMostSteps)) steps_.pop_front();
}

std::optional<double> MetricWindow::increase(std::size_t counter, TimePoint now) const {
  std::optional<double> sum;
  for (const Step& step : steps_) {
    const double growth = step.growth[counter];
    if (std::isnan(growth) || step.to <= now - window_) continue;
    const Duration inside = step.to - std::max(step.from, now - window_);
    sum = sum.value_or(0) + growth * std::min(1.0, to_seconds(inside) / to_seconds(step.to - step.from));
  }
  return sum;
}

std::optional<TimePoint> MetricWindow::covered_from(TimePoint now) const {
  for (const Step& step : steps_)
    if (step.to > now - window_) return std::max(step.from, now - window_);
  return std::nullopt;
}

void LevelWindow::take(TimePoint at, double value) {
  if (!readings_.empty() && at <= readings_.back().first) {
    readings_.back().second = value;
    return;
  }
  readings_.emplace_back(at, value);
  // One reading from before the window stays: it holds at the window's beginning.
  while (readings_.size() > 2 && (readings_[1].first <= at - window_ || readings_.size() > kMostSteps)) readings_.pop_front();
}

std::optional<double> LevelWindow::mean(TimePoint now) const {
  if (readings_.empty()) return std::nullopt;
  const TimePoint begin = now - window_;
  double sum = 0;
  double seconds = 0;
  for (std::size_t i = 0; i < readings_.size(); ++i) {
    const TimePoint from = std::max(readings_[i].first, begin);
    const TimePoint to = i + 1 < readings_.size() ? readings_[i + 1].first : now;
    if (to <= from) continue;
    sum += readings_[i].second * to_seconds(to - from);
    seconds += to_seconds(to - from);
  }
  return seconds > 0 ? sum / seconds : readings_.back().second;
}

std::optional<TimePoint> LevelWindow::last() const {
  return readings_.empty() ? std::nullopt : std::optional(readings_.back().first);
}

std::optional<double> LevelWindow::newest() const {
  return readings_.empty() ? std::nullopt : std::optional(readings_.back().second);
}

}  // namespace flexpert::controller
