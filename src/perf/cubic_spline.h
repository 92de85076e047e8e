#pragma once

#include <vector>

namespace flexpert::perf {

/// The cubic spline through points with the not-a-knot condition at both ends (what scipy's interp1d(kind='cubic') and
/// CubicSpline draw). Source: de Boor, A Practical Guide to Splines, chapter IV.
class CubicSpline {
 public:
  /// `x` ascends strictly and has at least 4 points, `y` as many; the caller has checked.
  CubicSpline(std::vector<double> x, std::vector<double> y);
  /// Returns the value at `at`, clamped to the range of x.
  [[nodiscard]] double operator()(double at) const;

 private:
  std::vector<double> x_;
  std::vector<double> y_;
  std::vector<double> second_;  ///< second derivatives at the points
};

}  // namespace flexpert::perf
