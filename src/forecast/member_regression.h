#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/state_text.h"

namespace flexpert::forecast {

/// Recursive least squares with forgetting and a ridge towards zero: without evidence every coefficient is 0. Residuals
/// are clipped, so that one outlier moves little. Inputs in units of their usual size. Single-threaded.
class MemberRegression {
 public:
  /// `ridge`: how many unit observations the coefficients' zero counts as. `memory`: observations until one counts 1/e.
  MemberRegression(std::size_t size, double ridge, double memory);

  [[nodiscard]] double predict(std::span<const double> features) const;
  void learn(std::span<const double> features, double target);

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  std::size_t size_;
  double ridge_;
  double forget_;
  std::vector<double> coefficients_;
  std::vector<double> covariance_;  ///< size * size, symmetric
};

}  // namespace flexpert::forecast
