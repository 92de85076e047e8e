#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/state_text.h"

namespace flexpert::forecast {

/// The shape of a day or a week: the mean value of each bucket of time, blended over the periods seen. What was seen less
/// than a period ago is kept back until it can no longer be taken for the period before. Single-threaded.
class MemberSeason {
 public:
  /// Buckets are `bucket_s` wide, or a step where that is more. `blend`: the newest period's share (1: only the newest).
  MemberSeason(double step_s, double period_s, double bucket_s, double blend);

  /// Takes the value of step `index`; indexes ascend.
  void observe(std::int64_t index, double value);
  /// Returns what the shape says about step `index`; nothing before a period was seen.
  [[nodiscard]] std::optional<double> at(std::int64_t index) const;

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  [[nodiscard]] std::int64_t bucket_of(std::int64_t index) const;
  void close();
  [[nodiscard]] std::size_t slot(std::int64_t bucket) const;

  double steps_per_bucket_;
  std::int64_t buckets_ = 0;  ///< of a period; below 4 there is no season
  double blend_;
  std::vector<double> shape_;  ///< NaN: not seen yet
  std::int64_t open_ = -1;     ///< bucket that `sum_` and `count_` belong to
  double sum_ = 0;
  double count_ = 0;
  std::int64_t held_ = -1;     ///< the bucket before, not in `shape_` yet
  double held_mean_ = 0;
};

}  // namespace flexpert::forecast
