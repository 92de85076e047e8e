#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <vector>

namespace flexpert::forecast {

struct BfgsResult {
  std::vector<double> point;
  double value = 0;
  std::size_t evaluations = 0;  ///< of the function
  bool ok = false;  ///< false where the function or its gradient was not finite at a point that was accepted
};

/// When a search ends early.
struct BfgsLimits {
  int iterations = 100;
  double useful_below = std::numeric_limits<double>::infinity();   ///< of a minimum
  std::size_t patience = std::numeric_limits<std::size_t>::max();  ///< evaluations before it is given up or made rough
};

/// Computes the values at several points at once: the points follow one another, as many numbers each as there are variables.
using BfgsFunction = std::function<void(std::span<const double> points, std::span<double> values)>;

/// Minimises by the variable-metric method (Fletcher 1970; Nash 1990, algorithm 21) with backtracking and central
/// differences of width 1e-3: what R's optim(method = "BFGS") does, with its tolerance of 1e-8 and at most 100 iterations.
/// `scales` are the sizes of the variables. A search that is out of patience takes differences to one side, and is given up
/// where twenty times what its last step gained would not make its value useful. Deterministic.
BfgsResult minimise_bfgs(const BfgsFunction& function, std::vector<double> start, std::span<const double> scales,
                         const BfgsLimits& limits = {});

/// Returns the matrix of second derivatives, row by row, by central differences of width 1e-3 scales.
std::vector<double> hessian_at(const BfgsFunction& function, std::span<const double> point, std::span<const double> scales);

}  // namespace flexpert::forecast
