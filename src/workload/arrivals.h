#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "workload/phases.h"
#include "workload/prompt_set.h"

namespace flexpert::workload {

/// One request to send: when, and with which prompt.
struct Arrival {
  Duration at{};              ///< after the start of the first phase
  std::uint32_t phase = 0;    ///< index into the phases
  std::uint32_t set = 0;      ///< index into the prompt sets
  std::uint32_t prompt = 0;   ///< index into the set's prompts
  std::uint64_t seed = 0;     ///< for the sampling of this request
};

/// Draws the requests of all phases, ascending in time: arrivals of a Poisson process in each phase, prompt sets by the
/// phase's mix, prompts evenly. The same arguments give the same requests on every machine.
/// Errors: kNotFound when a mix names a set that is not in `sets`.
Result<std::vector<Arrival>> plan_arrivals(const std::vector<Phase>& phases, const std::vector<PromptSet>& sets, std::uint64_t seed);

/// Returns the length of all phases together.
Duration total_duration(const std::vector<Phase>& phases);

}  // namespace flexpert::workload
