#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "base/result.h"
#include "perf/classic_profile.h"

namespace flexpert::perf {

/// ITL and throughput of decoding on a grid of 100 x 100 cells: KV use 0..1 across, context length 0..longest measured
/// down. Source: Dynamo v0.5.1, planner/utils/perf_interpolation (scipy.griddata: cubic, holes filled with nearest).
class DecodeGrid {
 public:
  static constexpr std::size_t kCells = 100;

  /// The samples have been checked. Errors: kInvalidArgument when the points cannot be triangulated.
  static Result<DecodeGrid> create(const ClassicSamples& samples);

  [[nodiscard]] std::size_t column_of(double kv_usage) const;
  [[nodiscard]] std::size_t row_of(double context_length) const;
  [[nodiscard]] double kv_usage_of(std::size_t column) const { return kv_usage_[column]; }
  [[nodiscard]] double itl_s(std::size_t row, std::size_t column) const { return itl_s_[row * kCells + column]; }
  [[nodiscard]] double throughput(std::size_t row, std::size_t column) const { return throughput_[row * kCells + column]; }

 private:
  std::array<double, kCells> kv_usage_{};
  std::array<double, kCells> context_{};
  std::vector<double> itl_s_;
  std::vector<double> throughput_;
};

}  // namespace flexpert::perf
