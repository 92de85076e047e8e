#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/placement_plan.h"
#include "flexpert/place_options.h"
#include "flexpert/place_source.h"

namespace flexpert::app {

/// A layout, and what else its source knew.
struct PlaceLayout {
  std::string name;                      ///< of the source, for people
  ExpertLayout layout;
  std::optional<ExpertCluster> cluster;  ///< of a plan of ours
  std::string counts_source;             ///< of a plan of ours: where the counts came from that it was made for
  std::string counts_digest;             ///< of them
  std::string mode;                      ///< of a plan of ours
};

/// Reads a layout in any form from any source. `geometry`, where it is known, is that of the counts; the cluster options
/// say what a form does not: --devices above all. Errors name the source, layer and slot.
Result<PlaceLayout> read_layout(const std::string& source, const PlaceOptions& options, std::optional<ExpertGeometry> geometry);

/// The same from bytes that have been read.
Result<PlaceLayout> parse_layout(const PlaceBytes& input, const PlaceOptions& options, std::optional<ExpertGeometry> geometry);

/// Reads the counts that a plan of ours was made for, from the file that it names. Errors: it names none, the file is gone
/// or has other counts by now; then --counts is needed.
Result<ExpertCounts> counts_behind(const PlaceLayout& layout, const PlaceOptions& options);

/// Returns the layout with the slots of dead devices empty.
ExpertLayout living_part(ExpertLayout layout, const ExpertCluster& cluster);

}  // namespace flexpert::app
