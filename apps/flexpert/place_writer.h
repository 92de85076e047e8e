#pragma once

#include <string>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/placement_plan.h"
#include "flexpert/place_options.h"

namespace flexpert::app {

/// Writes a plan to a file or stdout: "ours" (or ""), "sglang" (JSON, or .pt by the file's name), "vllm", "ascend".
Result<void> write_plan(const std::string& target, const std::string& format, const PlacementPlan& plan, const ExpertCluster& cluster,
                        const ExpertCounts& counts, const PlaceOptions& options);

/// Returns a layout in an engine's form: "sglang", "vllm", "ascend". Errors: empty slots, uneven devices.
Result<std::string> engine_form(const ExpertLayout& layout, const std::string& format, const std::string& target);

/// Returns counts as "logical_count", "csv", "npy" or "pt".
Result<std::string> counts_form(const ExpertCounts& counts, const std::string& format);

}  // namespace flexpert::app
