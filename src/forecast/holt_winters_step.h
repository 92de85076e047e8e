#pragma once

#include <optional>

#include <Eigen/Core>

namespace flexpert::forecast {

/// Minimises gradient'd + d'curvature d / 2 over lower <= d <= upper by way of a least distance problem and non-negative
/// least squares (Lawson and Hanson, "Solving least squares problems", 1974, chapter 23), as sequential quadratic
/// programming of Kraft does, with its loss of digits where the gradient is steep. Infinite bounds are none. Nothing where
/// rounding leaves no solution.
std::optional<Eigen::VectorXd> least_distance_step(const Eigen::MatrixXd& curvature, const Eigen::VectorXd& gradient, const Eigen::VectorXd& lower,
                                                   const Eigen::VectorXd& upper);

}  // namespace flexpert::forecast
