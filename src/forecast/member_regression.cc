#include "forecast/member_regression.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "forecast/member_rounding.h"

namespace flexpert::forecast {

namespace {
constexpr double kClip = 3;  // in units of the target's usual size
}

MemberRegression::MemberRegression(std::size_t size, double ridge, double memory)
    : size_(size), ridge_(ridge), forget_(1 - 1 / memory), coefficients_(size, 0.0), covariance_(size * size, 0.0) {
  for (std::size_t i = 0; i < size; ++i) covariance_[i * size + i] = 1 / ridge;
}

double MemberRegression::predict(std::span<const double> features) const {
  return std::inner_product(features.begin(), features.end(), coefficients_.begin(), 0.0);
}

void MemberRegression::learn(std::span<const double> features, double target) {
  std::vector<double> gain(size_, 0.0);
  double energy = 0;
  for (std::size_t i = 0; i < size_; ++i) {
    for (std::size_t j = 0; j < size_; ++j) gain[i] += covariance_[i * size_ + j] * features[j];
    energy += features[i] * gain[i];
  }
  if (!(energy > 1e-9) || !std::isfinite(energy)) return;
  const double error = std::clamp(target - predict(features), -kClip, kClip);
  double trace = 0;
  for (std::size_t i = 0; i < size_; ++i) trace += covariance_[i * size_ + i];
  // Forgetting stops where nothing new came in for so long that the covariance would grow without bound.
  const double forget = trace > static_cast<double>(size_) / ridge_ ? 1 : forget_;
  for (std::size_t i = 0; i < size_; ++i) coefficients_[i] = rounded_digits(coefficients_[i] + gain[i] * error / (forget + energy));
  for (std::size_t i = 0; i < size_; ++i)
    for (std::size_t j = i; j < size_; ++j) {
      const double value = (covariance_[i * size_ + j] - gain[i] * gain[j] / (forget + energy)) / forget;
      covariance_[i * size_ + j] = covariance_[j * size_ + i] = rounded_digits(value);
    }
}

void MemberRegression::save(StateWriter& writer) const {
  for (const double value : coefficients_) writer.number(value);
  for (std::size_t i = 0; i < size_; ++i)
    for (std::size_t j = i; j < size_; ++j) writer.number(covariance_[i * size_ + j]);
}

void MemberRegression::restore(StateReader& reader) {
  for (double& value : coefficients_) {
    value = reader.number();
    if (!std::isfinite(value)) reader.reject("a finite coefficient");
  }
  for (std::size_t i = 0; i < size_; ++i)
    for (std::size_t j = i; j < size_; ++j) {
      const double value = reader.number();
      if (!std::isfinite(value)) reader.reject("a finite covariance");
      covariance_[i * size_ + j] = covariance_[j * size_ + i] = value;
    }
}

}  // namespace flexpert::forecast
