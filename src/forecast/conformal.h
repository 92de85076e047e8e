#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "base/state_text.h"

namespace flexpert::forecast {

/// Calibrated quantiles of the errors of one forecast at one horizon, without assumptions on the series: split-conformal
/// quantiles of recent scores (errors in units of their usual size) at levels that are steered by the count of misses, as
/// in adaptive conformal inference (Gibbs and Candes 2021) and conformal PID control (Angelopoulos et al. 2023). A bound's
/// long-run share of values below it is its level, whatever the series does, as far as the values allow it at all (a constant
/// series lies below every bound). Single-threaded.
class Conformal {
 public:
  /// Levels whose misses are counted; others lie between them.
  static constexpr std::array<double, 6> kLevels = {0.05, 0.1, 0.5, 0.9, 0.95, 0.99};
  /// A bound for each of kLevels, in the scores' unit.
  using Bounds = std::array<double, kLevels.size()>;

  /// A step has passed: bounds issued from now on are for a later one.
  void advance() { issued_now_ = false; }
  /// Returns the bounds in force for kLevels, after issued() still those that were issued in this step. Not yet known outcomes of bounds in
  /// force (`outstanding`) count as they are expected.
  [[nodiscard]] Bounds bounds() const;
  /// Returns the bounds at any ascending levels in (0, 1): never decreasing.
  [[nodiscard]] std::vector<double> bounds(std::span<const double> levels) const;
  /// Notes that bounds() were issued, and how likely a miss of each is thought.
  void issued();
  /// Takes the outcome of the oldest bounds issued: the score, and for each level whether the value was above its bound. The
  /// score is remembered when `keep` is set: neighbouring errors at long horizons tell little news.
  void resolve(double score, const std::array<bool, kLevels.size()>& above, bool keep);
  /// The outcome of the oldest bounds will never be known.
  void drop();

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  [[nodiscard]] double steering(std::size_t level) const;
  /// The log-odds of the level that is aimed at so that `level` is met.
  [[nodiscard]] double steered(double level) const;
  [[nodiscard]] double score_at(double odds, const std::vector<double>& sorted) const;
  [[nodiscard]] std::vector<double> sorted_scores() const;

  std::vector<double> scores_;   ///< a ring
  std::size_t next_ = 0;
  Bounds excess_{};              ///< values above the bound, less those that there should have been
  std::vector<Bounds> expected_; ///< of bounds issued and not resolved, the oldest first: probability of a miss less its target
  bool issued_now_ = false;
};

}  // namespace flexpert::forecast
