#include "forecast/bfgs.h"

#include <algorithm>
#include <cmath>

namespace flexpert::forecast {
namespace {

constexpr double kWidth = 1e-3;
constexpr double kNarrow = 1e-6;      // width of differences to one side
constexpr double kShrink = 0.2;
constexpr double kAccepted = 1e-4;
constexpr double kTolerance = 1e-8;
constexpr double kVisible = 10;       // a move that leaves this plus the variable as it was is none
constexpr double kGainsAway = 20;   // from a useful value: a search this far away does not get there
constexpr std::size_t kTogether = 4;  // step lengths that are tried at once after the whole step failed

struct Trial {
  double length = 0;  ///< of the step, in parts of the whole
  double value = 0;
  bool accepted = false;
};

/// The function of variables divided by their scales.
class Scaled {
 public:
  Scaled(const BfgsFunction& function, std::span<const double> scales)
      : function_(function),
        scales_(scales),
        points_(std::max(2 * scales.size(), kTogether) * scales.size()),
        values_(std::max(2 * scales.size(), kTogether)) {}
  [[nodiscard]] std::size_t evaluations() const { return evaluations_; }
  double value(std::span<const double> point) {
    const std::size_t n = scales_.size();
    for (std::size_t i = 0; i < n; ++i) points_[i] = point[i] * scales_[i];
    evaluate(1);
    return values_[0];
  }
  bool gradient(std::span<const double> point, std::vector<double>& out) {
    const std::size_t n = scales_.size();
    for (std::size_t i = 0; i < n; ++i) {
      double* above = &points_[2 * i * n];
      double* below = above + n;
      for (std::size_t k = 0; k < n; ++k) above[k] = below[k] = point[k] * scales_[k];
      above[i] = (point[i] + kWidth) * scales_[i];
      below[i] = (point[i] - kWidth) * scales_[i];
    }
    evaluate(2 * n);
    for (std::size_t i = 0; i < n; ++i) {
      out[i] = (values_[2 * i] - values_[2 * i + 1]) / (2 * kWidth);
      if (!std::isfinite(out[i])) return false;
    }
    return true;
  }

  /// From the value at the point and one other for each variable: half the work of gradient().
  bool rough_gradient(std::span<const double> point, double value, std::vector<double>& out) {
    const std::size_t n = scales_.size();
    for (std::size_t i = 0; i < n; ++i) {
      double* above = &points_[i * n];
      for (std::size_t k = 0; k < n; ++k) above[k] = point[k] * scales_[k];
      above[i] = (point[i] + kNarrow) * scales_[i];
    }
    evaluate(n);
    for (std::size_t i = 0; i < n; ++i) {
      out[i] = (values_[i] - value) / kNarrow;
      if (!std::isfinite(out[i])) return false;
    }
    return true;
  }

  /// Shortens the step until the value falls enough or no variable moves: the whole step first, then four lengths at once.
  Trial backtrack(std::span<const double> from, std::span<const double> step, double lowest, double slope) {
    const std::size_t n = scales_.size();
    Trial trial{.length = 1, .value = lowest, .accepted = false};
    for (std::size_t together = 1;; together = kTogether) {
      std::size_t asked = 0;
      double length = trial.length;
      for (; asked < together && moves(from, step, length); ++asked, length *= kShrink) {
        for (std::size_t i = 0; i < n; ++i) points_[asked * n + i] = (from[i] + length * step[i]) * scales_[i];
      }
      if (asked == 0) return trial;
      evaluate(asked);
      for (std::size_t k = 0; k < asked; ++k) {
        trial.value = values_[k];
        trial.accepted = std::isfinite(trial.value) && trial.value <= lowest + slope * trial.length * kAccepted;
        if (trial.accepted) return trial;
        trial.length *= kShrink;
      }
    }
  }

 private:
  void evaluate(std::size_t count) {
    function_(std::span(points_).first(count * scales_.size()), std::span(values_).first(count));
    evaluations_ += count;
  }
  static bool moves(std::span<const double> from, std::span<const double> step, double length) {
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (kVisible + from[i] != kVisible + (from[i] + length * step[i])) return true;
    }
    return false;
  }

  const BfgsFunction& function_;
  std::span<const double> scales_;
  std::vector<double> points_;
  std::vector<double> values_;
  std::size_t evaluations_ = 0;
};

/// The approximate inverse Hessian.
class Metric {
 public:
  explicit Metric(std::size_t n) : n_(n), at_(n * n), product_(n) {}
  void reset() {
    std::fill(at_.begin(), at_.end(), 0.0);
    for (std::size_t i = 0; i < n_; ++i) at_[i * n_ + i] = 1;
  }
  const std::vector<double>& times(std::span<const double> vector) {
    for (std::size_t i = 0; i < n_; ++i) {
      product_[i] = 0;
      for (std::size_t j = 0; j < n_; ++j) product_[i] += at_[i * n_ + j] * vector[j];
    }
    return product_;
  }
  /// Learns from a step and the change of the gradient along it; false where the curvature was not positive.
  bool update(std::span<const double> step, std::span<const double> change) {
    double along = 0;
    for (std::size_t i = 0; i < n_; ++i) along += step[i] * change[i];
    if (!(along > 0)) return false;
    times(change);
    double across = 0;
    for (std::size_t i = 0; i < n_; ++i) across += product_[i] * change[i];
    const double weight = 1 + across / along;
    for (std::size_t i = 0; i < n_; ++i) {
      for (std::size_t j = 0; j < n_; ++j) {
        at_[i * n_ + j] += (weight * step[i] * step[j] - step[i] * product_[j] - product_[i] * step[j]) / along;
      }
    }
    return true;
  }

 private:
  std::size_t n_;
  std::vector<double> at_;
  std::vector<double> product_;
};

}  // namespace

BfgsResult minimise_bfgs(const BfgsFunction& function, std::vector<double> start, std::span<const double> scales,
                         const BfgsLimits& limits) {
  const std::size_t n = start.size();
  BfgsResult result{.point = std::move(start), .value = 0, .ok = false};
  Scaled scaled(function, scales);
  std::vector<double>& x = result.point;
  for (std::size_t i = 0; i < n; ++i) x[i] /= scales[i];
  auto finish = [&](bool ok) {
    result.ok = ok;
    result.evaluations = scaled.evaluations();
    for (std::size_t i = 0; i < n; ++i) x[i] *= scales[i];
  };
  double& lowest = result.value;
  lowest = scaled.value(x);
  std::vector<double> gradient(n);
  std::vector<double> before(n);
  std::vector<double> step(n);
  std::vector<double> change(n);
  auto find_gradient = [&] {
    return scaled.evaluations() < limits.patience ? scaled.gradient(x, gradient) : scaled.rough_gradient(x, lowest, gradient);
  };
  if (!std::isfinite(lowest) || !find_gradient()) {
    finish(false);
    return result;
  }
  Metric metric(n);
  metric.reset();
  int gradients = 1;
  int reset_at = 1;
  for (int iteration = 1; iteration < limits.iterations;) {
    const std::vector<double>& towards = metric.times(gradient);
    double slope = 0;
    for (std::size_t i = 0; i < n; ++i) {
      step[i] = -towards[i];
      slope += step[i] * gradient[i];
    }
    const bool fresh = reset_at == gradients;
    bool moved = false;
    if (slope < 0) {
      before = x;
      const Trial trial = scaled.backtrack(before, step, lowest, slope);
      const double length = trial.length;
      const double value = trial.value;
      const bool accepted = trial.accepted;
      for (std::size_t i = 0; i < n; ++i) x[i] = before[i] + length * step[i];
      const bool enough = accepted && std::abs(value - lowest) > kTolerance * (std::abs(lowest) + kTolerance);
      const double gain = accepted ? lowest - value : 0.0;
      if (accepted) lowest = value;
      const bool patient = scaled.evaluations() < limits.patience || iteration <= static_cast<int>(n);
      if (!patient && lowest - kGainsAway * std::max(gain, -slope) > limits.useful_below) break;
      if (enough) {
        moved = true;
        change = gradient;
        if (!find_gradient()) {
          finish(false);
          return result;
        }
        ++gradients;
        ++iteration;
        for (std::size_t i = 0; i < n; ++i) {
          step[i] *= length;
          change[i] = gradient[i] - change[i];
        }
        if (!metric.update(step, change)) {
          metric.reset();
          reset_at = gradients;
        }
      }
    }
    if (!moved) {
      if (fresh) break;  // steepest descent itself finds nothing lower
      metric.reset();
      reset_at = gradients;
    } else if (gradients - reset_at > 2 * static_cast<int>(n)) {
      metric.reset();
      reset_at = gradients;
    }
  }
  finish(true);
  return result;
}

std::vector<double> hessian_at(const BfgsFunction& function, std::span<const double> point, std::span<const double> scales) {
  const std::size_t n = point.size();
  Scaled scaled(function, scales);
  std::vector<double> at(n);
  for (std::size_t i = 0; i < n; ++i) at[i] = point[i] / scales[i];
  std::vector<double> out(n * n);
  std::vector<double> above(n);
  std::vector<double> below(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double here = at[i];
    at[i] = here + kWidth;
    scaled.gradient(at, above);
    at[i] = here - kWidth;
    scaled.gradient(at, below);
    at[i] = here;
    for (std::size_t j = 0; j < n; ++j) out[i * n + j] = (above[j] - below[j]) / (2 * kWidth * scales[i] * scales[j]);
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < i; ++j) out[i * n + j] = out[j * n + i] = 0.5 * (out[i * n + j] + out[j * n + i]);
  }
  return out;
}

}  // namespace flexpert::forecast
