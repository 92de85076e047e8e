#pragma once

#include <cstddef>
#include <vector>

#include "base/state_text.h"

namespace flexpert::forecast {

/// The past of a series in bounded memory: means over bins of equally many steps. When it is full, neighbouring bins are
/// merged while it spans less than asked for, later the oldest eighth is dropped. NaN: a bin in which all steps are gaps.
class History {
 public:
  /// Keeps at most `most_bins` (>= 8, even), and `span_steps` once that many were seen.
  History(std::size_t most_bins, std::size_t span_steps) : most_bins_(most_bins), span_steps_(span_steps) {}

  /// Takes a value; NaN is a gap.
  void add(double value);
  /// Means of the whole bins, the oldest first.
  [[nodiscard]] const std::vector<double>& bins() const { return bins_; }
  [[nodiscard]] std::size_t steps_a_bin() const { return steps_a_bin_; }
  /// Returns how many steps were seen in all.
  [[nodiscard]] std::size_t steps() const { return steps_; }
  /// Returns the number, from 0, of the step that the oldest bin starts with.
  [[nodiscard]] std::size_t first_step() const { return steps_ - in_bin_ - bins_.size() * steps_a_bin_; }

  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  void make_room();

  std::size_t most_bins_;
  std::size_t span_steps_;
  std::size_t steps_a_bin_ = 1;
  std::size_t steps_ = 0;
  std::size_t in_bin_ = 0;  ///< steps of the bin that is being filled
  std::size_t known_ = 0;   ///< those of them that are no gaps
  double mean_ = 0;
  std::vector<double> bins_;
};

}  // namespace flexpert::forecast
