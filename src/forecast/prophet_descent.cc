#include "forecast/prophet_descent.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <vector>

namespace flexpert::forecast {
namespace {

using Eigen::VectorXd;

constexpr double kFirstStep = 1e-3;
constexpr double kLeastStep = 1e-12;
constexpr double kDecrease = 1e-4;
constexpr double kFlatter = 0.9;
constexpr double kLeastRange = 1e-16;
constexpr int kLineSteps = 20;
constexpr int kZooms = 100;
constexpr std::size_t kRemembered = 5;
constexpr int kIterations = 2000;
constexpr double kAbsolute = 1e-12;
constexpr double kSmall = 1e-8;
constexpr double kRelativeValue = 1e4 * std::numeric_limits<double>::epsilon();
constexpr double kRelativeSlope = 1e7 * std::numeric_limits<double>::epsilon();

struct Point {
  VectorXd x;
  VectorXd gradient;
  double value = 0;
};

/// A step along the line: how far, the value there and its derivative along the line.
struct Step {
  double length = 0;
  double value = 0;
  double slope = 0;
};

class Line {
 public:
  Line(const Slope& function, const Point& from, const VectorXd& direction)
      : function_(function), from_(from), direction_(direction), slope_(from.gradient.dot(direction)) {}

  /// Finds a step that decreases the value enough and flattens the slope enough; false: none was found.
  bool search(double& length, Point& to) const {
    Step before{kLeastStep, from_.value, slope_};
    double next = length;
    int steps = 0;
    for (int tries = 0; tries < 3 * kLineSteps && steps < kLineSteps; ++tries) {
      const Step here = look(next, to);
      if (!std::isfinite(here.value)) {
        next = 0.5 * (before.length + next);
        continue;
      }
      const bool too_far = here.value > from_.value + next * kDecrease * slope_ || (here.value >= before.value && steps > 0);
      if (too_far) return zoom(before, here, length, to);
      if (std::abs(here.slope) <= -kFlatter * slope_) {
        length = next;
        return true;
      }
      if (here.slope >= 0) return zoom(here, before, length, to);
      before = here;
      next *= 10;
      ++steps;
    }
    return false;
  }

 private:
  Step look(double length, Point& to) const {
    to.x = from_.x + length * direction_;
    to.value = function_(to.x, to.gradient);
    return {length, to.value, to.gradient.dot(direction_)};
  }

  bool zoom(Step low, Step high, double& length, Point& to) const {
    for (int round = 1; round <= kZooms; ++round) {
      if (std::abs(low.length - high.length) < kLeastRange) return false;
      length = round % 5 == 0 ? 0.5 * (low.length + high.length) : between(low, high);
      const Step here = look(length, to);
      if (!(here.value <= from_.value + length * kDecrease * slope_) || here.value >= low.value) {
        high = here;
        continue;
      }
      if (std::abs(here.slope) <= -kFlatter * slope_) return true;
      if (here.slope * (high.length - low.length) >= 0) high = low;
      low = here;
    }
    return false;
  }

  /// The minimum of the cubic through both ends, or the middle where it is too close to one of them.
  static double between(const Step& low, const Step& high) {
    const double d1 = low.slope + high.slope - 3 * (low.value - high.value) / (low.length - high.length);
    double d2 = std::sqrt(d1 * d1 - low.slope * high.slope);
    if (high.length < low.length) d2 = -d2;
    const double at = high.length - (high.length - low.length) * (high.slope + d2 - d1) / (high.slope - low.slope + 2 * d2);
    const auto [least, most] = std::minmax(low.length, high.length);
    const double margin = 0.01 * (most - least);
    return std::isfinite(at) && at >= least + margin && at <= most - margin ? at : 0.5 * (low.length + high.length);
  }

  const Slope& function_;
  const Point& from_;
  const VectorXd& direction_;
  double slope_;
};

/// Where in [lower, upper] the cubic is least that has `slope` at 0 and passes `step`.
double least_of_cubic(double slope, const Step& step, double lower, double upper) {
  const double x = step.length;
  const double third = (-12 * step.value + 6 * x * (slope + step.slope)) / (x * x * x);
  const double second = -(4 * slope + 2 * step.slope) / x + 6 * step.value / (x * x);
  const auto cubic = [&](double at) { return at * (at * (at * third / 3 + second) / 2 + slope); };
  const double root = std::sqrt(second * second - 2 * slope * third);
  double best = lower;
  if (cubic(upper) < cubic(best)) best = upper;
  for (const double at : {-(second + root) / third, -(second - root) / third}) {
    if (lower < at && at < upper && cubic(at) < cubic(best)) best = at;
  }
  return best;
}

/// The steps remembered and what they say about the curvature.
class Memory {
 public:
  void clear() { pairs_.clear(); }
  void add(const VectorXd& moved, const VectorXd& bent) {
    const double along = bent.dot(moved);
    scale_ = along / bent.squaredNorm();
    pairs_.push_back({1 / along, moved, bent});
    if (pairs_.size() > kRemembered) pairs_.pop_front();
  }
  [[nodiscard]] VectorXd direction(const VectorXd& gradient) const {
    VectorXd out = -gradient;
    std::vector<double> shares(pairs_.size());
    for (std::size_t i = pairs_.size(); i-- > 0;) {
      shares[i] = pairs_[i].inverse * pairs_[i].moved.dot(out);
      out -= shares[i] * pairs_[i].bent;
    }
    out *= scale_;
    for (std::size_t i = 0; i < pairs_.size(); ++i) out += (shares[i] - pairs_[i].inverse * pairs_[i].bent.dot(out)) * pairs_[i].moved;
    return out;
  }

 private:
  struct Pair {
    double inverse;
    VectorXd moved;
    VectorXd bent;
  };
  std::deque<Pair> pairs_;
  double scale_ = 1;
};

}  // namespace

VectorXd descend_like_stan(const Slope& slope, VectorXd start) {
  Point here{std::move(start), {}, 0};
  here.value = slope(here.x, here.gradient);
  VectorXd direction = -here.gradient;
  Memory memory;
  double last_slope = 0;    // along the last step, at its start
  double last_length = 0;   // of it
  double last_value = 0;    // before it
  for (int iteration = 1; iteration <= kIterations; ++iteration) {
    bool steepest = iteration == 1;
    double length = kFirstStep;
    if (!steepest) {
      const Step step{last_length, here.value - last_value, here.gradient.dot(direction)};
      length = std::min(1.0, 1.01 * least_of_cubic(last_slope, step, kLeastStep, 1));
    }
    Point next;
    bool found = Line(slope, here, direction).search(length, next);
    if (!found && !steepest) {
      steepest = true;
      direction = -here.gradient;
      length = kFirstStep;
      found = Line(slope, here, direction).search(length, next);
    }
    if (!found) break;
    const VectorXd moved = next.x - here.x;
    const VectorXd bent = next.gradient - here.gradient;
    last_slope = here.gradient.dot(direction);
    last_length = length;
    if (steepest) {
      const double curvature = bent.squaredNorm() / bent.dot(moved);
      memory.clear();
      last_slope /= curvature;
      last_length *= curvature;
    }
    memory.add(moved, bent);
    last_value = here.value;
    here = std::move(next);
    direction = memory.direction(here.gradient);
    if (!direction.allFinite()) break;
    const double gained = std::abs(last_value - here.value);
    if (gained < kAbsolute || here.gradient.norm() < kSmall || moved.norm() < kSmall) break;
    if (gained / std::max({std::abs(last_value), std::abs(here.value), 1.0}) < kRelativeValue) break;
    if (-direction.dot(here.gradient) / std::max(std::abs(here.value), 1.0) < kRelativeSlope) break;
  }
  return here.x;
}

}  // namespace flexpert::forecast
