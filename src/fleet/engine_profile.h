#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fleet/classic_samples.h"

/// What was measured of an engine, as profile files hold it.
namespace flexpert {

/// One measured engine step (or the mean of several alike).
struct StepSample {
  double new_tokens = 0;       ///< of prompts, computed in the step
  double decode_batch = 0;     ///< sequences that get one token
  double kv_tokens_read = 0;   ///< context lengths of everything in the step, summed
  double seconds = 0;

  bool operator==(const StepSample&) const = default;
};

struct EngineLimits {
  double max_batch = 256;            ///< sequences that decode together
  double chunk_tokens = 2048;        ///< prompt tokens of one step at most (chunked prefill)
  double kv_tokens = 1'000'000;      ///< that the instance's KV cache holds

  bool operator==(const EngineLimits&) const = default;
};

struct EngineProfile {
  std::string model;
  std::string engine;                        ///< "vllm 0.10.1", for people
  std::uint32_t gpus_per_instance = 1;
  std::optional<ClassicSamples> samples;     ///< latencies by length and by KV use
  std::optional<EngineLimits> limits;
  std::vector<StepSample> steps;

  bool operator==(const EngineProfile&) const = default;
};

}  // namespace flexpert
