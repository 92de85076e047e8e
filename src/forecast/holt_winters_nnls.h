#pragma once

#include <optional>

#include <Eigen/Core>

namespace flexpert::forecast {

struct NonNegativeSolution {
  Eigen::VectorXd x;
  double residual = 0;  ///< |a x - b|
};

/// Minimises |a x - b| over x >= 0 (Lawson and Hanson, "Solving least squares problems", 1974, chapter 23): columns enter
/// one by one by their gain and leave where x would fall below 0. Nothing if that takes more than three times the columns.
std::optional<NonNegativeSolution> solve_non_negative(Eigen::MatrixXd a, Eigen::VectorXd b);

}  // namespace flexpert::forecast
