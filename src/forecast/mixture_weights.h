#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/state_text.h"

namespace flexpert::forecast {

/// Weights of experts that predict one thing: Bernstein online aggregation (Wintenberger 2017) on the gradient of the absolute
/// error, so that the mixture competes with the best fixed blend. The first expert is the anchor: it has most of the prior
/// weight. Past evidence fades, so that another expert can take over. Single-threaded.
class MixtureWeights {
 public:
  explicit MixtureWeights(std::size_t experts);

  [[nodiscard]] double blend(std::span<const double> predictions) const;
  /// Learns from what the experts and the mixture said and what came, all in units of the error usual at that time.
  /// `importance`: that unit over the one of all times, so that evidence adds up as errors do.
  void learn(std::span<const double> predictions, double blended, double outcome, double importance);
  [[nodiscard]] const std::vector<double>& weights() const { return weights_; }

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  void weigh();
  [[nodiscard]] double prior(std::size_t expert) const;
  [[nodiscard]] double rate(std::size_t expert) const;

  std::vector<double> evidence_;  ///< regret minus its second-order penalty, of each expert
  std::vector<double> energy_;    ///< sum of squared regrets
  std::vector<double> weights_;
};

}  // namespace flexpert::forecast
