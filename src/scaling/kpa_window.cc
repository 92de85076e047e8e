#include "scaling/kpa_window.h"

#include <algorithm>

namespace flexpert::scaling {
namespace {

constexpr std::size_t kMostSamples = 512;

}  // namespace

void KpaWindow::add(std::int64_t unix_ms, double value, double longest_s) {
  auto length = static_cast<std::int64_t>(longest_s * 1000);
  if (!samples_.empty()) {
    if (unix_ms <= samples_.back().unix_ms) return;
    length = std::min(length, unix_ms - samples_.back().unix_ms);
  }
  samples_.push_back({unix_ms, std::max<std::int64_t>(length, 1), value});
  if (samples_.size() <= kMostSamples) return;
  Sample& oldest = samples_[0];
  Sample& next = samples_[1];
  const std::int64_t length_of_both = oldest.length_ms + next.length_ms;
  next.value = (oldest.value * static_cast<double>(oldest.length_ms) + next.value * static_cast<double>(next.length_ms)) / static_cast<double>(length_of_both);
  next.length_ms = length_of_both;
  samples_.pop_front();
}

void KpaWindow::expire(std::int64_t unix_ms, double window_s) {
  const std::int64_t begin = unix_ms - static_cast<std::int64_t>(window_s * 1000);
  while (!samples_.empty() && samples_.front().unix_ms <= begin) samples_.pop_front();
}

std::optional<double> KpaWindow::mean(std::int64_t unix_ms, double window_s) const {
  const std::int64_t begin = unix_ms - static_cast<std::int64_t>(window_s * 1000);
  double sum = 0;
  double weight = 0;
  for (const Sample& sample : samples_) {
    const std::int64_t overlap = std::min(sample.unix_ms, unix_ms) - std::max(sample.unix_ms - sample.length_ms, begin);
    if (overlap <= 0) continue;
    sum += sample.value * static_cast<double>(overlap);
    weight += static_cast<double>(overlap);
  }
  if (weight <= 0) return std::nullopt;
  return sum / weight;
}

void KpaWindow::save(StateWriter& writer) const {
  writer.integer(static_cast<std::int64_t>(samples_.size()));
  for (const Sample& sample : samples_) {
    writer.integer(sample.unix_ms);
    writer.integer(sample.length_ms);
    writer.number(sample.value);
  }
}

void KpaWindow::restore(StateReader& reader) {
  samples_.clear();
  const std::int64_t count = reader.integer();
  if (count < 0 || count > static_cast<std::int64_t>(kMostSamples)) return reader.reject("a window has too many samples");
  for (std::int64_t i = 0; i < count && reader.ok(); ++i) {
    Sample sample;
    sample.unix_ms = reader.integer();
    sample.length_ms = reader.integer();
    sample.value = reader.number();
    samples_.push_back(sample);
  }
}

}  // namespace flexpert::scaling
