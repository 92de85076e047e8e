#include "perf/cubic_spline.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/check.h"

namespace flexpert::perf {

CubicSpline::CubicSpline(std::vector<double> x, std::vector<double> y) : x_(std::move(x)), y_(std::move(y)), second_(x_.size(), 0) {
  const std::size_t n = x_.size();
  FLEXPERT_CHECK(n >= 4 && y_.size() == n, "a spline needs four points and a value for each");
  const auto width = [&](std::size_t i) { return x_[i + 1] - x_[i]; };
  const auto slope = [&](std::size_t i) { return (y_[i + 1] - y_[i]) / width(i); };
  // Continuity of the first derivative at the inner points gives a tridiagonal system for the second derivatives; the outer
  // two are eliminated with "the third derivative is continuous at the second and the last but one point".
  std::vector<double> diagonal(n, 0), upper(n, 0), right(n, 0);
  const double first = width(0), next = width(1), last = width(n - 2), before = width(n - 3);
  for (std::size_t i = 1; i + 1 < n; ++i) {
    double below = width(i - 1);
    diagonal[i] = 2 * (width(i - 1) + width(i));
    upper[i] = width(i);
    right[i] = 6 * (slope(i) - slope(i - 1));
    if (i == 1) {
      diagonal[i] += first * (1 + first / next);
      upper[i] -= first * first / next;
    }
    if (i + 2 == n) {
      diagonal[i] += last * (1 + last / before);
      below -= last * last / before;
    }
    if (i > 1) {
      const double factor = below / diagonal[i - 1];
      diagonal[i] -= factor * upper[i - 1];
      right[i] -= factor * right[i - 1];
    }
  }
  second_[n - 2] = right[n - 2] / diagonal[n - 2];
  for (std::size_t i = n - 2; i-- > 1;) second_[i] = (right[i] - upper[i] * second_[i + 1]) / diagonal[i];
  second_[0] = second_[1] - (second_[2] - second_[1]) * first / next;
  second_[n - 1] = second_[n - 2] + (second_[n - 2] - second_[n - 3]) * last / before;
}

double CubicSpline::operator()(double at) const {
  at = std::clamp(at, x_.front(), x_.back());
  const auto above = std::upper_bound(x_.begin() + 1, x_.end() - 1, at);
  const std::size_t i = static_cast<std::size_t>(above - x_.begin()) - 1;
  const double width = x_[i + 1] - x_[i];
  const double b = (at - x_[i]) / width, a = 1 - b;
  return a * y_[i] + b * y_[i + 1] + ((a * a * a - a) * second_[i] + (b * b * b - b) * second_[i + 1]) * width * width / 6;
}

}  // namespace flexpert::perf
