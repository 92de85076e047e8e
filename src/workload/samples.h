#pragma once

#include <cstddef>
#include <vector>

namespace flexpert::workload {

/// Keeps every value, so that percentiles are exact. About 8 bytes a value.
class Samples {
 public:
  void add(double value) {
    values_.push_back(value);
    sorted_ = false;
  }
  /// Takes in all values of `other`.
  void merge(const Samples& other);
  [[nodiscard]] std::size_t count() const { return values_.size(); }
  [[nodiscard]] bool empty() const { return values_.empty(); }
  /// Returns the nearest-rank percentile: the least value that at least `percent` % of the values do not exceed;
  /// 0 when there are none. `percent` in [0, 100].
  [[nodiscard]] double percentile(double percent) const;
  [[nodiscard]] double mean() const;
  [[nodiscard]] double max() const;

 private:
  mutable std::vector<double> values_;  // sorted when sorted_
  mutable bool sorted_ = true;
};

}  // namespace flexpert::workload
