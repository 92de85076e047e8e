#include "workload/samples.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace flexpert::workload {

void Samples::merge(const Samples& other) {
  values_.insert(values_.end(), other.values_.begin(), other.values_.end());
  sorted_ = values_.empty();
}

double Samples::percentile(double percent) const {
  if (values_.empty()) return 0;
  if (!sorted_) {
    std::sort(values_.begin(), values_.end());
    sorted_ = true;
  }
  const double rank = std::ceil(std::clamp(percent, 0.0, 100.0) / 100.0 * static_cast<double>(values_.size()));
  const auto index = rank < 1 ? 0 : static_cast<std::size_t>(rank) - 1;
  return values_[std::min(index, values_.size() - 1)];
}

double Samples::mean() const {
  return values_.empty() ? 0 : std::accumulate(values_.begin(), values_.end(), 0.0) / static_cast<double>(values_.size());
}

double Samples::max() const { return values_.empty() ? 0 : *std::max_element(values_.begin(), values_.end()); }

}  // namespace flexpert::workload
