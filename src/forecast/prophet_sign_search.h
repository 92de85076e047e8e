#pragma once

#include <Eigen/Core>

namespace flexpert::forecast {

/// The weight of the absolute values of x_first to x_(last - 1).
struct Penalty {
  double weight = 0;
  Eigen::Index first = 0;
  Eigen::Index last = 0;
};

/// Minimises x'quadratic x / 2 - linear'x + the penalty, exactly, by feature-sign search (Lee, Battle, Raina, Ng, "Efficient
/// sparse coding algorithms", 2006). Starts from `x`, where most signs are right already.
void search_feature_signs(const Eigen::MatrixXd& quadratic, const Eigen::VectorXd& linear, const Penalty& penalty, Eigen::VectorXd& x);

}  // namespace flexpert::forecast
