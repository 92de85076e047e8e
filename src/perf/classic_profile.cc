#include "perf/classic_profile.h"

#include <utility>

#include "perf/classic_samples.h"
#include "perf/cubic_spline.h"
#include "perf/decode_grid.h"

namespace flexpert::perf {
namespace {

std::vector<double> seconds_of(std::vector<double> milliseconds) {
  for (double& value : milliseconds) value /= 1000;
  return milliseconds;
}

class TableProfile final : public ClassicProfile {
 public:
  TableProfile(ClassicSamples samples, DecodeGrid grid)
      : samples_(std::move(samples)),
        ttft_s_(samples_.prefill_isl, seconds_of(samples_.prefill_ttft_ms)),
        prefill_throughput_(samples_.prefill_isl, samples_.prefill_throughput_per_gpu),
        grid_(std::move(grid)) {}

  double ttft_s(double isl) const override { return ttft_s_(isl); }
  double prefill_throughput_per_gpu(double isl) const override { return prefill_throughput_(isl); }
  double itl_s(double concurrency, double context_length) const override {
    return grid_.itl_s(grid_.row_of(context_length), column_of(concurrency, context_length));
  }
  double decode_throughput_per_gpu(double concurrency, double context_length) const override {
    return grid_.throughput(grid_.row_of(context_length), column_of(concurrency, context_length));
  }
  DecodeOperatingPoint best_decode(double itl_target_s, double context_length) const override {
    const std::size_t row = grid_.row_of(context_length);
    for (std::size_t column = DecodeGrid::kCells; column-- > 0;) {
      if (grid_.itl_s(row, column) <= itl_target_s) return point(row, column, true);
    }
    return point(row, 0, false);
  }
  const ClassicSamples& samples() const override { return samples_; }

 private:
  std::size_t column_of(double concurrency, double context_length) const {
    return grid_.column_of(concurrency * context_length / samples_.max_kv_tokens);
  }
  DecodeOperatingPoint point(std::size_t row, std::size_t column, bool holds_target) const {
    return {grid_.throughput(row, column), grid_.itl_s(row, column), grid_.kv_usage_of(column), holds_target};
  }

  ClassicSamples samples_;
  CubicSpline ttft_s_;
  CubicSpline prefill_throughput_;
  DecodeGrid grid_;
};

}  // namespace

Result<std::shared_ptr<const ClassicProfile>> ClassicProfile::create(ClassicSamples samples) {
  FLEXPERT_TRY(validate(samples));
  auto grid = DecodeGrid::create(samples);
  if (!grid) return fail(grid.error().with_context("x_kv_usage, y_context_length"));
  return std::make_shared<const TableProfile>(std::move(samples), std::move(*grid));
}

}  // namespace flexpert::perf
