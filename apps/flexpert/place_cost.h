#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "placement/step_cost.h"

namespace flexpert::app {

/// Reads what --cost names: "deepseek-v3-decode", "deepseek-v3-prefill", or a CSV file. That has columns `ep_size`,
/// `tokens_per_device`, `ms`; or it is AIConfigurator's wide-EP form (`moe_ep_size`, `num_tokens` of all devices,
/// `distribution`, `latency`), of which the rows `uniform` are read. "none": nothing. Errors name the file's line.
Result<std::optional<placement::StepCost>> read_step_cost(const std::string& name);

/// The same from the text of such a file.
Result<placement::StepCost> parse_step_cost(const std::string& text, const std::string& name);

}  // namespace flexpert::app
