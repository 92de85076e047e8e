#pragma once

#include <functional>

#include <Eigen/Core>

namespace flexpert::forecast {

/// Writes the gradient and returns the value.
using Slope = std::function<double(const Eigen::VectorXd& x, Eigen::VectorXd& gradient)>;

/// Minimises by L-BFGS with five remembered steps (Nocedal and Wright, "Numerical optimization", 2006, chapter 7) and a
/// line search for the strong Wolfe conditions (chapter 3), with the constants and stopping rules that Stan optimises with:
/// where absolute values bend the function it stops short of the minimum, as Prophet does. Returns the last point.
Eigen::VectorXd descend_like_stan(const Slope& slope, Eigen::VectorXd start);

}  // namespace flexpert::forecast
