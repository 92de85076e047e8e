#include "forecast/kalman.h"

#include <cmath>

namespace flexpert::forecast {
namespace {

constexpr double kFirstVariance = 1000;
constexpr double kMostVariance = 1e12;  // after long gaps; keeps products of variances exact enough

}  // namespace

void TrendFilter::observe(double value) {
  if (!started_) {
    if (std::isnan(value)) return;
    started_ = true;
    level_ = value;
    trend_ = 0;
    level_variance_ = trend_variance_ = kFirstVariance;
    covariance_ = 0;
    return;
  }
  level_ += trend_;
  level_variance_ += 2 * covariance_ + trend_variance_ + noise_.level;
  covariance_ += trend_variance_;
  trend_variance_ += noise_.trend;
  if (level_variance_ > kMostVariance) {
    const double shrink = kMostVariance / level_variance_;
    level_variance_ *= shrink;
    covariance_ *= shrink;
    trend_variance_ *= shrink;
  }
  if (std::isnan(value)) return;
  const double variance = level_variance_ + noise_.value;
  const double level_gain = level_variance_ / variance;
  const double trend_gain = covariance_ / variance;
  const double error = value - level_;
  level_ += level_gain * error;
  trend_ += trend_gain * error;
  trend_variance_ -= trend_gain * covariance_;
  level_variance_ *= 1 - level_gain;
  covariance_ *= 1 - level_gain;
}

double TrendFilter::forecast(std::size_t horizon, double damping) const {
  const auto steps = static_cast<double>(horizon);
  if (damping >= 1) return level_ + steps * trend_;
  return level_ + trend_ * damping * (1 - std::pow(damping, steps)) / (1 - damping);
}

double TrendFilter::next_variance() const {
  return level_variance_ + 2 * covariance_ + trend_variance_ + noise_.level + noise_.value;
}

void TrendFilter::save(StateWriter& writer) const {
  writer.integer(started_ ? 1 : 0);
  for (const double number : {level_, trend_, level_variance_, covariance_, trend_variance_}) writer.number(number);
}

void TrendFilter::restore(StateReader& reader) {
  started_ = reader.integer() != 0;
  for (double* number : {&level_, &trend_, &level_variance_, &covariance_, &trend_variance_}) {
    *number = reader.number();
    if (!std::isfinite(*number)) reader.reject("a finite filter state");
  }
  if (level_variance_ < 0 || trend_variance_ < 0) reader.reject("variances of 0 at least");
}

}  // namespace flexpert::forecast
