#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace flexpert::forecast {

/// The posterior of Prophet's curve over its features: weights 0 and 1 have a normal(5) prior, the next ones (changes of
/// growth) Laplace(0.05), those after them normal(10); the noise has a half-normal(0.5) prior.
class ProphetPosterior {
 public:
  ProphetPosterior(std::size_t rows, std::size_t features) : features_(features), matrix_(rows * features) {}

  /// The features of one value, to be filled in.
  [[nodiscard]] double* row(std::size_t i) { return matrix_.data() + i * features_; }

  struct Mode {
    std::vector<double> weights;
    double sigma = 0;
  };
  /// Returns where the posterior is largest; `changes` weights from number 2 on are Laplace.
  [[nodiscard]] Mode maximise(std::span<const double> values, std::size_t changes) const;
  /// Returns where Stan's L-BFGS stops, started at a line through the first and the last value with noise 1.
  [[nodiscard]] Mode descend(std::span<const double> values, std::size_t changes) const;

 private:
  std::size_t features_;
  std::vector<double> matrix_;
};

}  // namespace flexpert::forecast
