#include "forecast/arima_monitor.h"

#include <algorithm>
#include <cmath>

namespace flexpert::forecast {
namespace {

constexpr double kMemory = 30;         // errors
constexpr double kStartingWeight = 4;  // errors that the estimate of a first model stands for
constexpr double kLargestError = 4;    // deviations that one error can add to a sum
constexpr double kSlack = 0.5;         // a bias of one deviation is found soonest (Page's reference value)
constexpr double kAlarm = 5;
constexpr double kSquareSlack = 2;     // squares twice the expected are none of the model's business
constexpr double kSquareAlarm = 24;
constexpr double kCountedSquare = 25;

}  // namespace

void ArimaMonitor::new_order(double noise) {
  above_ = below_ = squares_ = 0;
  drifted_ = false;
  new_estimate(noise);
}

void ArimaMonitor::new_estimate(double noise) {
  noise_ = noise;
  if (weight_ > 0) return;
  realised_ = noise;
  weight_ = kStartingWeight;
}

void ArimaMonitor::take(double error, double relative_variance) {
  const double square = std::min(error * error / relative_variance, 1e300);
  const double counted = realised_ > 0 ? std::min(square, kCountedSquare * realised_) : square;
  weight_ = std::min(weight_ + 1, kMemory);
  realised_ += (counted - realised_) / weight_;

  const double deviation = std::sqrt(noise_ * relative_variance);
  double z = error == 0 ? 0.0 : std::copysign(kLargestError, error);
  if (deviation > 0) z = std::clamp(error / deviation, -kLargestError, kLargestError);
  above_ = std::max(0.0, above_ + z - kSlack);
  below_ = std::max(0.0, below_ - z - kSlack);
  squares_ = std::max(0.0, squares_ + z * z - kSquareSlack);
  drifted_ = drifted_ || above_ > kAlarm || below_ > kAlarm || squares_ > kSquareAlarm;
}

void ArimaMonitor::save(StateWriter& writer) const {
  writer.tag("arima_monitor/1");
  for (const double value : {noise_, realised_, weight_, above_, below_, squares_}) writer.number(value);
  writer.integer(drifted_ ? 1 : 0);
}

void ArimaMonitor::restore(StateReader& reader) {
  reader.tag("arima_monitor/1");
  for (double* value : {&noise_, &realised_, &weight_, &above_, &below_, &squares_}) {
    *value = reader.number();
    if (!(*value >= 0) || !std::isfinite(*value)) reader.reject("a finite number of at least 0");
  }
  drifted_ = reader.integer() != 0;
}

}  // namespace flexpert::forecast
