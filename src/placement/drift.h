#pragma once

#include <cstdint>
#include <vector>

#include "fleet/expert_counts.h"

namespace flexpert::placement {

/// How far one load is from another.
struct LoadDistance {
  double distance = 0;  ///< total variation of the experts' shares of a layer, mean over the layers with load: 0 to 1
  double chance = 0;    ///< what two samples of one load of these sizes would show
  /// Returns how many times chance; near 1 for one and the same load, and 1 if nothing can be told.
  [[nodiscard]] double ratio() const { return chance > 0 ? distance / chance : 1; }
};

/// Compares two loads of one geometry. `chance` takes counts for independent draws: the expected size of a difference of
/// shares is sqrt(2/pi * p * (1/n_a + 1/n_b)), half of their sum over experts the expected total variation. Tokens of one
/// text are not independent, so loads of one kind of text lie somewhat above it.
LoadDistance distance_between(const ExpertCounts& a, const ExpertCounts& b);

/// What a window tells beside the load that the layout in force was made for.
struct Drift {
  LoadDistance distance;
  double usual = 0;      ///< ratio() of windows without drift: their median
  bool drifted = false;  ///< ratio() is at least the factor times the usual
};

/// Tells windows of another kind of text from noise, with a scale that it learns from the windows themselves.
class DriftDetector {
 public:
  /// `factor`: of the usual ratio from which a window counts as another load; 0: never.
  explicit DriftDetector(double factor) : factor_(factor) {}
  /// Compares a window with the load that the layout in force was made for.
  Drift observe(const ExpertCounts& window, const ExpertCounts& reference);
  [[nodiscard]] double usual() const;

 private:
  double factor_;
  std::vector<double> ratios_;  // newest last, of windows without drift
};

}  // namespace flexpert::placement
