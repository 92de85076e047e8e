#include "forecast/holt_winters_descent.h"

#include <algorithm>
#include <cmath>

#include <Eigen/Core>

#include "forecast/holt_winters_step.h"

namespace flexpert::forecast {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kDifference = 0x1.0p-26;
constexpr double kAccuracy = 1e-6;
constexpr int kIterations = 100;
constexpr int kResets = 5;
constexpr int kLineSteps = 10;
constexpr double kLeastStep = 0.1;

struct Descent {
  const BoxProblem& problem;

  [[nodiscard]] double value(const VectorXd& x) const {
    std::vector<double> inside(x.begin(), x.end());
    for (std::size_t i = 0; i < inside.size(); ++i) inside[i] = std::clamp(inside[i], problem.lower[i], problem.upper[i]);
    const double found = problem.value(inside);
    return std::isnan(found) ? HUGE_VAL : found;
  }

  [[nodiscard]] VectorXd gradient(const VectorXd& x, double at) const {
    VectorXd out(x.size());
    for (Eigen::Index i = 0; i < x.size(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      double h = kDifference;
      if (x(i) + h == x(i)) h *= (x(i) >= 0 ? 1 : -1) * std::max(1.0, std::abs(x(i)));
      if (x(i) + h > problem.upper[k] || x(i) + h < problem.lower[k]) h = -h;
      VectorXd moved = x;
      moved(i) += h;
      out(i) = (value(moved) - at) / (moved(i) - x(i));
      if (!std::isfinite(out(i))) out(i) = 0;
    }
    return out;
  }
};

}  // namespace

std::vector<double> descend_in_box(const BoxProblem& problem, std::vector<double> start) {
  const Descent descent{problem};
  const auto n = static_cast<Eigen::Index>(start.size());
  const Eigen::Map<const VectorXd> low(problem.lower.data(), n);
  const Eigen::Map<const VectorXd> high(problem.upper.data(), n);
  VectorXd x = Eigen::Map<const VectorXd>(start.data(), n).cwiseMax(low).cwiseMin(high);
  double f = descent.value(x);
  VectorXd g = descent.gradient(x, f);
  MatrixXd curvature = MatrixXd::Identity(n, n);
  int resets = 1;
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    const auto found = least_distance_step(curvature, g, low - x, high - x);
    if (!found) break;
    VectorXd s = found->step;
    double slope = g.dot(s);
    if (!std::isfinite(slope)) break;
    if (std::abs(slope) < kAccuracy && !found->relaxed) break;
    if (slope >= 0) {
      if (++resets > kResets) break;
      curvature.setIdentity();
      continue;
    }
    const VectorXd from = x;
    const double before = f;
    double alpha = 1;
    for (int line = 1;; ++line) {
      slope *= alpha;
      s *= alpha;
      x = (from + s).cwiseMax(low).cwiseMin(high);
      f = descent.value(x);
      const double change = f - before;
      if (change <= slope / 10 || line > kLineSteps) break;
      alpha = std::max(slope / (2 * (slope - change)), kLeastStep);
    }
    if (!found->relaxed && (std::abs(f - before) < kAccuracy || s.norm() < kAccuracy)) break;
    const VectorXd old = g;
    g = descent.gradient(x, f);
    VectorXd change = g - old;
    const VectorXd bent = curvature * s;
    double along = s.dot(change);
    const double curved = s.dot(bent);
    if (along < 0.2 * curved) {
      const double part = (curved - 0.2 * curved) / (curved - along);
      along = 0.2 * curved;
      change = part * change + (1 - part) * bent;
    }
    if (!(along > 0) || !(curved > 0)) break;
    curvature += change * change.transpose() / along - bent * bent.transpose() / curved;
    if (!curvature.allFinite()) break;
  }
  return {x.begin(), x.end()};
}

}  // namespace flexpert::forecast
