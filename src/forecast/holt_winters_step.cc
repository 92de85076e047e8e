#include "forecast/holt_winters_step.h"

#include <cmath>
#include <utility>
#include <vector>

#include <Eigen/Cholesky>

#include "forecast/holt_winters_nnls.h"

namespace flexpert::forecast {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

/// Minimises |root d - aim| over lower <= d <= upper, root upper triangular.
std::optional<VectorXd> bounded_least_squares(const MatrixXd& root, const VectorXd& aim, const VectorXd& lower, const VectorXd& upper) {
  const Index n = aim.size();

  // Bounds as rows of G d >= h, then with d = root^-1 (z + aim) as rows of G' z >= h'.
  std::vector<std::pair<Index, double>> rows;
  std::vector<double> bounds;
  for (Index i = 0; i < n; ++i) {
    if (!std::isfinite(lower(i))) continue;
    rows.emplace_back(i, 1);
    bounds.push_back(lower(i));
  }
  for (Index i = 0; i < n; ++i) {
    if (!std::isfinite(upper(i))) continue;
    rows.emplace_back(i, -1);
    bounds.push_back(-upper(i));
  }
  const auto count = static_cast<Index>(rows.size());
  MatrixXd dual(n + 1, count);
  for (Index r = 0; r < count; ++r) {
    VectorXd row = VectorXd::Zero(n);
    row(rows[static_cast<std::size_t>(r)].first) = rows[static_cast<std::size_t>(r)].second;
    for (Index j = 0; j < n; ++j) row(j) = (row(j) - row.head(j).dot(root.col(j).head(j))) / root(j, j);
    dual.col(r).head(n) = row;
    dual(n, r) = bounds[static_cast<std::size_t>(r)] - row.dot(aim);
  }
  VectorXd step = aim;
  if (count > 0) {
    VectorXd right = VectorXd::Zero(n + 1);
    right(n) = 1;
    const auto weights = solve_non_negative(dual, right);
    if (!weights || weights->residual <= 0) return std::nullopt;
    const double left = 1 - dual.row(n).dot(weights->x);
    if (!((1 + left) - 1 > 0)) return std::nullopt;
    step += dual.topRows(n) * weights->x / left;
  }
  for (Index i = n; i-- > 0;) step(i) = (step(i) - root.row(i).tail(n - 1 - i).dot(step.tail(n - 1 - i))) / root(i, i);
  if (!step.allFinite()) return std::nullopt;
  return step.cwiseMax(lower).cwiseMin(upper);
}

}  // namespace

std::optional<LeastDistanceStep> least_distance_step(const MatrixXd& curvature, const VectorXd& gradient, const VectorXd& lower,
                                                     const VectorXd& upper) {
  const Index n = gradient.size();
  const Eigen::LLT<MatrixXd> factor(curvature);
  if (factor.info() != Eigen::Success) return std::nullopt;
  const MatrixXd root = factor.matrixU();
  const VectorXd aim = -factor.matrixL().solve(gradient);
  if (const auto step = bounded_least_squares(root, aim, lower, upper)) return LeastDistanceStep{*step, false};

  MatrixXd wide_root = MatrixXd::Zero(n + 1, n + 1);
  wide_root.topLeftCorner(n, n) = root;
  VectorXd wide_aim(n + 1);
  wide_aim << aim, 0;
  VectorXd wide_lower(n + 1);
  wide_lower << lower, 0;
  VectorXd wide_upper(n + 1);
  wide_upper << upper, 1;
  for (double weight = 100; weight <= 1e7; weight *= 10) {
    wide_root(n, n) = weight;
    if (const auto step = bounded_least_squares(wide_root, wide_aim, wide_lower, wide_upper)) return LeastDistanceStep{step->head(n), true};
  }
  return std::nullopt;
}

}  // namespace flexpert::forecast
