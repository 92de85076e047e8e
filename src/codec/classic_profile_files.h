#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fleet/classic_samples.h"

/// Profiles that NVIDIA Dynamo's profiler writes: a pair of npz files, one for prefill and one for decode.
namespace flexpert::codec {

/// How the profiled engine was parallelised. Absent parts match anything.
struct ProfileConfiguration {
  std::optional<std::uint32_t> tp;
  std::optional<std::uint32_t> dp;
  std::optional<std::uint32_t> pp;
};

/// Reads a pair. Arrays have one axis (one configuration) or two, the first of which tells configurations apart; then `wanted`
/// must match exactly one in each file. Nothing is checked about the values but that they are finite: perf::ClassicProfile
/// checks what they mean. Errors: kInvalidArgument and kDataLoss naming file part, key and index; kNotFound listing the
/// configurations when none or several match.
Result<ClassicSamples> parse_dynamo_profile(std::string_view prefill_npz, std::string_view decode_npz,
                                            const ProfileConfiguration& prefill = {},
                                            const ProfileConfiguration& decode = {});

}  // namespace flexpert::codec
