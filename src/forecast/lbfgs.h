#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace flexpert::forecast {

/// When the search ends; the figures are those of SciPy's fmin_l_bfgs_b, with a finite-difference step of 1e-5.
struct LbfgsOptions {
  std::size_t memory = 10;
  int max_iterations = 50;
  int max_line_steps = 20;
  double gradient_tolerance = 1e-5;           ///< on the largest component
  double relative_reduction = 1e7 * 2.22e-16;  ///< of the value in one iteration
  double difference_step = 1e-5;
};

struct LbfgsResult {
  std::vector<double> point;
  double value = 0;
  int iterations = 0;
};

/// Minimises a function of several unbounded variables: limited-memory BFGS (Byrd, Lu, Nocedal, Zhu 1995) with the line
/// search of Moré and Thuente (1994) and forward differences for the gradient. Deterministic.
LbfgsResult minimise_lbfgs(const std::function<double(const std::vector<double>&)>& function, std::vector<double> start,
                           const LbfgsOptions& options = {});

}  // namespace flexpert::forecast
