#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/placement_plan.h"

/// Our own file of a placement: the plan, the devices it is for, and where it comes from. An object with "format":
/// "flexpert-placement" and "version": 1; unknown keys are errors.
namespace flexpert::codec {

inline constexpr std::string_view kPlacementFormat = "flexpert-placement";

/// What a plan was made of.
struct PlacementProvenance {
  std::string tool = "flexpert";
  std::string tool_version;
  std::string created;        ///< when, as the caller says: 2026-01-31T12:00:00Z
  std::string counts_source;  ///< file or address of the counts
  std::string counts_digest;  ///< digest_of() them
  std::vector<std::pair<std::string, std::string>> options;

  bool operator==(const PlacementProvenance&) const = default;
};

struct PlacementFile {
  PlacementPlan plan;
  ExpertCluster cluster;
  PlacementProvenance provenance;
};

/// Returns "xxh3-128:" and 32 hexadecimal digits of geometry and counts: the same on every machine.
std::string digest_of(const ExpertCounts& counts);

/// Tells whether a text is an object that says it has this format, without checking more.
bool is_placement_json(std::string_view text);

/// Writes a file of some lines; `plan.moves` are written one by one.
std::string write_placement_json(const PlacementFile& file);

/// Reads a file and checks layout, cluster and that they belong together. Errors: a field that is missing, unknown or of
/// another type, with its path; layer and slot of what is wrong in the map; more than 128 MiB.
Result<PlacementFile> parse_placement_json(std::string_view text);

}  // namespace flexpert::codec
