#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "codec/slot_map.h"
#include "fleet/expert_counts.h"
#include "fleet/expert_layout.h"

/// What SGLang takes for `--init-expert-location`: the word `trivial`; JSON, inline or in a file; or a .pt file.
namespace flexpert::codec {

/// Slot s holds expert s % experts.
struct TrivialLocation {
  bool operator==(const TrivialLocation&) const = default;
};

/// An explicit map, or counts to plan from.
using ExpertLocation = std::variant<TrivialLocation, SlotMap, ExpertCounts>;

/// Reads the word, or the contents of JSON text or of a .pt file (told apart by their first bytes):
/// - {"physical_to_logical_map": [layers][slots]}, and no other key;
/// - {"logical_count": [layers][experts] or [steps][layers][experts]}, steps added up, other keys ignored;
/// - .pt only: a recorder's dump of passes or tokens (see recorder_dump.h), steps added up.
/// Errors name the key, layer and slot or expert.
Result<ExpertLocation> parse_expert_location(std::string_view text);

/// Writes {"physical_to_logical_map": [layers][slots]}. Errors: empty slots, devices with different numbers of slots.
Result<std::string> write_expert_location_json(const ExpertLayout& layout);

/// Writes the same as a .pt file (int64, as SGLang's own).
Result<std::string> write_expert_location_pt(const ExpertLayout& layout);

}  // namespace flexpert::codec
