#pragma once

#include <functional>
#include <vector>

namespace flexpert::forecast {

/// A smooth function within a box, to be minimised.
struct BoxProblem {
  std::function<double(const std::vector<double>&)> value;
  std::vector<double> lower;  ///< -infinity: none
  std::vector<double> upper;  ///< infinity: none
};

/// Sequential quadratic programming within a box (D. Kraft, "A software package for sequential quadratic programming",
/// DFVLR-FB 88-28, 1988) with the settings that statsmodels fits smoothing models with: forward differences of 2^-26,
/// an absolute accuracy of 1e-6 in the value, 100 iterations, five restarts of the curvature. It follows that program step
/// for step, stops that are not a minimum included, so that fits agree with statsmodels'. Returns the last point.
std::vector<double> descend_in_box(const BoxProblem& problem, std::vector<double> start);

}  // namespace flexpert::forecast
