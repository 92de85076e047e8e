#pragma once

#include <vector>

namespace flexpert {

/// Measured points of one engine configuration, as in Dynamo's npz files. Lengths in tokens, times in milliseconds,
/// throughput in tokens/s of one GPU.
struct ClassicSamples {
  std::vector<double> prefill_isl;
  std::vector<double> prefill_ttft_ms;
  std::vector<double> prefill_throughput_per_gpu;
  std::vector<double> decode_kv_usage;              ///< 0..1
  std::vector<double> decode_context_length;
  std::vector<double> decode_itl_ms;
  std::vector<double> decode_throughput_per_gpu;
  double max_kv_tokens = 0;                         ///< of one decode instance

  bool operator==(const ClassicSamples&) const = default;
};

}  // namespace flexpert
