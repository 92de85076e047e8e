#include "report/placement_data.h"

#include <iterator>

#include <fmt/format.h>

namespace flexpert::report {

namespace {

template <typename Values>
std::string array(const Values& values) {
  std::string text = "[";
  auto out = std::back_inserter(text);
  for (const auto& value : values) fmt::format_to(out, "{}{}", text.size() == 1 ? "" : ",", value);
  return text + "]";
}

std::string layout_json(const ExpertLayout& layout) {
  return fmt::format("{{\"slots\":{},\"map\":{}}}", array(layout.slots_of_device), array(layout.expert_of_slot));
}

/// As the script numbers them.
int kind_number(const SlotMove& move) {
  if (move.to_expert == kEmptySlot) return 4;
  switch (move.kind) {
    case MoveKind::kUnchanged:
    case MoveKind::kSameDevice: return 0;
    case MoveKind::kSameNode: return 1;
    case MoveKind::kCrossNode: return 2;
    case MoveKind::kLoad: return 3;
  }
  return 3;
}

}  // namespace

std::string placement_data(const PlacementPlan& plan, const ExpertCluster& cluster, const ExpertCounts& counts, const PlacementPage& page) {
  std::vector<double> speed;
  std::vector<int> alive;
  for (const ExpertDevice& device : cluster.devices) {
    speed.push_back(device.speed);
    alive.push_back(device.alive ? 1 : 0);
  }
  std::string text =
      fmt::format("{{\"layers\":{},\"experts\":{},\"speed\":{},\"alive\":{},\"loads\":{},\"after\":{},\"before\":{},\"moves\":[",
                  counts.geometry.layers, counts.geometry.experts, array(speed), array(alive), array(counts.count),
                  layout_json(plan.layout), page.before ? layout_json(page.before->layout) : "null");
  auto out = std::back_inserter(text);
  bool first = true;
  for (const SlotMove& move : plan.moves.moves) {
    fmt::format_to(out, "{}[{},{},{},{},{},{}]", first ? "" : ",", move.layer, move.slot, move.from_expert, move.to_expert,
                   kind_number(move), move.source_slot);
    first = false;
  }
  return text + "]}";
}

}  // namespace flexpert::report
