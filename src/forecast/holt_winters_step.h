#pragma once

#include <optional>

#include <Eigen/Core>

namespace flexpert::forecast {

struct LeastDistanceStep {
  Eigen::VectorXd step;
  bool relaxed = false;  ///< found only with an additional variable that relaxes the problem
};

/// Minimises gradient'd + d'curvature d / 2 over lower <= d <= upper by way of a least distance problem and non-negative
/// least squares (Lawson and Hanson, "Solving least squares problems", 1974, chapter 23), as sequential quadratic
/// programming of Kraft does, with its loss of digits where the gradient is steep and its relaxed problem where rounding
/// leaves no solution. Infinite bounds are none. Nothing where the relaxed one has none either.
std::optional<LeastDistanceStep> least_distance_step(const Eigen::MatrixXd& curvature, const Eigen::VectorXd& gradient,
                                                     const Eigen::VectorXd& lower, const Eigen::VectorXd& upper);

}  // namespace flexpert::forecast
