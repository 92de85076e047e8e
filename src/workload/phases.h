#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flexpert::workload {

/// How much of a phase's traffic one prompt set makes up, relative to the others.
struct MixPart {
  std::string set;
  double weight = 1;
};

/// A stretch of traffic of one kind.
struct Phase {
  std::string name;
  double seconds = 0;
  double requests_per_s = 0;  ///< mean of a Poisson process; 0 = silence
  std::vector<MixPart> mix;
  std::uint32_t max_tokens = 64;
};

/// Reads `{"phases": [{"name", "seconds", "requests_per_s", "mix": {"code": 1, "math": 0.5}, "max_tokens"}]}`, in order.
/// Unknown fields are errors; `source` stands for the file's name in messages.
Result<std::vector<Phase>> parse_phases(std::string_view json, std::string_view source);

/// Checks ranges; messages name the phase and the field.
Result<void> validate(const Phase& phase);

}  // namespace flexpert::workload
