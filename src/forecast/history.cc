#include "forecast/history.h"

#include <cmath>

namespace flexpert::forecast {

void History::add(double value) {
  ++steps_;
  ++in_bin_;
  if (!std::isnan(value)) {
    ++known_;
    mean_ += value / static_cast<double>(known_) - mean_ / static_cast<double>(known_);
  }
  if (in_bin_ < steps_a_bin_) return;
  if (bins_.size() == most_bins_) make_room();
  if (in_bin_ < steps_a_bin_) return;
  bins_.push_back(known_ > 0 ? mean_ : std::nan(""));
  in_bin_ = 0;
  known_ = 0;
  mean_ = 0;
}

void History::make_room() {
  if (most_bins_ * steps_a_bin_ >= span_steps_) {
    bins_.erase(bins_.begin(), bins_.begin() + static_cast<std::ptrdiff_t>(most_bins_ / 8));
    return;
  }
  for (std::size_t i = 0; i < bins_.size() / 2; ++i) {
    const double a = bins_[2 * i];
    const double b = bins_[2 * i + 1];
    bins_[i] = std::isnan(a) ? b : std::isnan(b) ? a : a / 2 + b / 2;
  }
  bins_.resize(bins_.size() / 2);
  steps_a_bin_ *= 2;
}

void History::save(StateWriter& writer) const {
  for (const std::size_t count : {steps_a_bin_, steps_, in_bin_, known_}) writer.integer(static_cast<std::int64_t>(count));
  writer.number(mean_);
  writer.numbers(bins_);
}

void History::restore(StateReader& reader) {
  for (std::size_t* count : {&steps_a_bin_, &steps_, &in_bin_, &known_}) {
    const std::int64_t saved = reader.integer();
    if (saved < 0) reader.reject("a count of 0 at least");
    *count = static_cast<std::size_t>(saved);
  }
  mean_ = reader.number();
  bins_ = reader.numbers();
  if (!reader.ok()) return;
  const bool width_fits = steps_a_bin_ > 0 && steps_a_bin_ <= span_steps_ * 2 + 1;
  if (!width_fits || in_bin_ >= steps_a_bin_ || known_ > in_bin_) reader.reject("counts that agree");
  if (bins_.size() > most_bins_ || bins_.size() * steps_a_bin_ > steps_ - in_bin_ || in_bin_ > steps_) reader.reject("bins that were seen");
}

}  // namespace flexpert::forecast
