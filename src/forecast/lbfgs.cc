#include "forecast/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <numeric>

#include "forecast/line_search.h"

namespace flexpert::forecast {
namespace {

using Point = std::vector<double>;

double dot(const Point& a, const Point& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

/// What the last steps taught about the curvature.
class Memory {
 public:
  explicit Memory(std::size_t most) : most_(most) {}
  [[nodiscard]] bool empty() const { return pairs_.empty(); }
  void clear() { pairs_.clear(); }
  void add(Point step, Point change, double product) {
    if (pairs_.size() == most_) pairs_.pop_front();
    scale_ = product / dot(change, change);
    pairs_.push_back({std::move(step), std::move(change), product});
  }
  /// Returns minus the approximate inverse Hessian times the gradient.
  [[nodiscard]] Point direction(const Point& gradient) const {
    Point out = gradient;
    std::vector<double> weights(pairs_.size());
    for (std::size_t i = pairs_.size(); i-- > 0;) {
      weights[i] = dot(pairs_[i].step, out) / pairs_[i].product;
      for (std::size_t k = 0; k < out.size(); ++k) out[k] -= weights[i] * pairs_[i].change[k];
    }
    for (double& value : out) value *= pairs_.empty() ? 1.0 : scale_;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      const double weight = weights[i] - dot(pairs_[i].change, out) / pairs_[i].product;
      for (std::size_t k = 0; k < out.size(); ++k) out[k] += weight * pairs_[i].step[k];
    }
    for (double& value : out) value = -value;
    return out;
  }

 private:
  struct Pair {
    Point step;
    Point change;
    double product;
  };
  std::size_t most_;
  double scale_ = 1;
  std::deque<Pair> pairs_;
};

}  // namespace

LbfgsResult minimise_lbfgs(const std::function<double(const std::vector<double>&)>& function, std::vector<double> start,
                           const LbfgsOptions& options) {
  const std::size_t n = start.size();
  auto gradient_at = [&](const Point& at, double value) {
    Point gradient(n);
    Point moved = at;
    for (std::size_t i = 0; i < n; ++i) {
      double width = options.difference_step;
      if (at[i] + width == at[i]) width = 1.5e-8 * std::max(1.0, std::abs(at[i]));
      moved[i] = at[i] + width;
      gradient[i] = (function(moved) - value) / (moved[i] - at[i]);
      moved[i] = at[i];
    }
    return gradient;
  };
  auto largest = [](const Point& values) {
    double out = 0;
    for (const double value : values) out = std::max(out, std::abs(value));
    return out;
  };

  LbfgsResult result{.point = std::move(start), .value = 0, .iterations = 0};
  Point& x = result.point;
  double& value = result.value;
  value = function(x);
  Point gradient = gradient_at(x, value);
  Memory memory(options.memory);
  bool first = true;
  if (!std::isfinite(value)) return result;
  while (largest(gradient) > options.gradient_tolerance && result.iterations < options.max_iterations) {
    const Point direction = memory.direction(gradient);
    const double slope = dot(direction, gradient);
    const Point x_before = x;
    const Point gradient_before = gradient;
    const double value_before = value;
    double step = 0;
    double slope_now = slope;
    bool found = false;
    if (slope < 0) {
      LineSearch search(value, slope, first ? std::min(1 / std::sqrt(dot(direction, direction)), 1e10) : 1.0, 1e10);
      for (int tried = 0; tried < options.max_line_steps && !search.done(); ++tried) {
        step = search.step();
        for (std::size_t i = 0; i < n; ++i) x[i] = x_before[i] + step * direction[i];
        value = function(x);
        gradient = gradient_at(x, value);
        slope_now = dot(direction, gradient);
        if (!std::isfinite(value) || !std::isfinite(slope_now)) break;
        search.tell(value, slope_now);
      }
      found = search.done();
    }
    if (!found) {
      x = x_before;
      value = value_before;
      gradient = gradient_before;
      if (memory.empty()) break;
      memory.clear();
      continue;
    }
    first = false;
    ++result.iterations;
    if (largest(gradient) <= options.gradient_tolerance) break;
    if (value_before - value <= options.relative_reduction * std::max({std::abs(value_before), std::abs(value), 1.0})) break;
    const double product = (slope_now - slope) * step;
    if (product <= std::numeric_limits<double>::epsilon() * -slope * step) continue;
    Point taken(n);
    Point change(n);
    for (std::size_t i = 0; i < n; ++i) {
      taken[i] = step * direction[i];
      change[i] = gradient[i] - gradient_before[i];
    }
    memory.add(std::move(taken), std::move(change), product);
  }
  return result;
}

}  // namespace flexpert::forecast
