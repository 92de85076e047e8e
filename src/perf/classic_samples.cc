#include "perf/classic_samples.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

namespace flexpert::perf {
namespace {

constexpr std::size_t kMostPoints = 20'000;
constexpr double kLargest = 1e12;

struct Column {
  std::string_view name;
  const std::vector<double>& values;
  double most = kLargest;
  bool may_be_zero = false;
};

Result<void> check_column(const Column& column, std::size_t length, std::size_t least) {
  const auto& [name, values, most, may_be_zero] = column;
  if (values.size() != length) {
    return fail(ErrorCode::kInvalidArgument, "{}: all arrays of a part are equally long; it has {} values, the first one {}", name,
                values.size(), length);
  }
  if (values.size() < least) return fail(ErrorCode::kInvalidArgument, "{}: at least {} points are needed, there are {}", name, least,
                                         values.size());
  if (values.size() > kMostPoints) return fail(ErrorCode::kInvalidArgument, "{}: at most {} points, there are {}", name, kMostPoints,
                                               values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) return fail(ErrorCode::kInvalidArgument, "{}[{}]: must be a finite number, not {}", name, i, values[i]);
    if (values[i] < 0 || (values[i] == 0 && !may_be_zero)) {
      return fail(ErrorCode::kInvalidArgument, "{}[{}]: must be {}, not {}", name, i, may_be_zero ? "at least 0" : "positive", values[i]);
    }
    if (values[i] > most) return fail(ErrorCode::kInvalidArgument, "{}[{}]: must be at most {}, not {}", name, i, most, values[i]);
  }
  return {};
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// `shares`: the throughput of one GPU over what latency and work give for one instance, which is 1 / GPUs of it, times the
/// prompts that were computed together. A mistaken unit is a factor of 1,000.
Result<void> check_time_unit(std::string_view name, std::string_view work, std::vector<double> shares) {
  constexpr double kLeast = 1.0 / 300, kMost = 30;
  const double share = median(std::move(shares));
  if (share < kLeast) {
    return fail(ErrorCode::kInvalidArgument,
                "{}: must be in milliseconds; {} gives {:.3g} times the throughput of a GPU that is stated: are these seconds?",
                name, work, 1 / share);
  }
  if (share > kMost) {
    return fail(ErrorCode::kInvalidArgument,
                "{}: must be in milliseconds; {} gives {:.3g} of the throughput of a GPU that is stated: are these microseconds?",
                name, work, 1 / share);
  }
  return {};
}

Result<void> check_units(const ClassicSamples& s) {
  std::vector<double> prefill, decode;
  for (std::size_t i = 0; i < s.prefill_isl.size(); ++i) {
    prefill.push_back(s.prefill_throughput_per_gpu[i] * s.prefill_ttft_ms[i] / 1000 / s.prefill_isl[i]);
  }
  for (std::size_t i = 0; i < s.decode_kv_usage.size(); ++i) {
    const double batch = std::max(1.0, s.decode_kv_usage[i] * s.max_kv_tokens / s.decode_context_length[i]);
    decode.push_back(s.decode_throughput_per_gpu[i] * s.decode_itl_ms[i] / 1000 / batch);
  }
  FLEXPERT_TRY(check_time_unit("prefill_ttft", "a prompt's tokens over its TTFT", std::move(prefill)));
  return check_time_unit("z_itl", "the sequences in the KV cache over the ITL", std::move(decode));
}

}  // namespace

Result<void> validate(const ClassicSamples& samples) {
  const std::size_t prefill = samples.prefill_isl.size(), decode = samples.decode_kv_usage.size();
  FLEXPERT_TRY(check_column({"prefill_isl", samples.prefill_isl}, prefill, 4));
  FLEXPERT_TRY(check_column({"prefill_ttft", samples.prefill_ttft_ms}, prefill, 4));
  FLEXPERT_TRY(check_column({"prefill_thpt_per_gpu", samples.prefill_throughput_per_gpu}, prefill, 4));
  for (std::size_t i = 1; i < prefill; ++i) {
    if (!(samples.prefill_isl[i] > samples.prefill_isl[i - 1])) {
      return fail(ErrorCode::kInvalidArgument, "prefill_isl[{}]: lengths must ascend; {} follows {}", i, samples.prefill_isl[i],
                  samples.prefill_isl[i - 1]);
    }
  }
  const bool percent = decode > 0 && std::ranges::max(samples.decode_kv_usage) > 1.5;
  if (percent) {
    return fail(ErrorCode::kInvalidArgument, "x_kv_usage: must be a share from 0 to 1; its largest value is {}: are these percent?",
                std::ranges::max(samples.decode_kv_usage));
  }
  FLEXPERT_TRY(check_column({"x_kv_usage", samples.decode_kv_usage, 1.5, true}, decode, 3));
  FLEXPERT_TRY(check_column({"y_context_length", samples.decode_context_length}, decode, 3));
  FLEXPERT_TRY(check_column({"z_itl", samples.decode_itl_ms}, decode, 3));
  FLEXPERT_TRY(check_column({"z_thpt_per_gpu", samples.decode_throughput_per_gpu}, decode, 3));
  if (!(samples.max_kv_tokens > 0) || !(samples.max_kv_tokens <= kLargest)) {
    return fail(ErrorCode::kInvalidArgument, "max_kv_tokens: must be the tokens that an instance's KV cache holds, more than 0, not {}",
                samples.max_kv_tokens);
  }
  return check_units(samples);
}

}  // namespace flexpert::perf
