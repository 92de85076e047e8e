#include "placement/incremental_worth.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace flexpert::placement {
namespace {

/// A saving under this share of a step is within what the cost table can tell.
constexpr double kFreeShare = 0.01;

}  // namespace

Result<void> validate(const Worth& worth) {
  if (worth.cost == nullptr) return fail(ErrorCode::kInvalidArgument, "worth: needs a step cost");
  for (const auto& [name, value] :
       {std::pair{"tokens_per_device", worth.tokens_per_device}, std::pair{"steps", worth.steps},
        std::pair{"bytes_per_ms_same_node", worth.bytes_per_ms_same_node},
        std::pair{"bytes_per_ms_cross_node", worth.bytes_per_ms_cross_node}, std::pair{"least_gain", worth.least_gain}})
    if (!std::isfinite(value) || value < 0)
      return fail(ErrorCode::kInvalidArgument, "worth: {} must be a number of at least 0: {}", name, value);
  return {};
}

double step_ms(const Worth& worth, const Balance& balance, std::uint32_t devices) {
  double sum = 0;
  for (const LayerBalance& layer : balance.layers)
    if (layer.max_load > 0) sum += worth.cost->layer_ms(devices, worth.tokens_per_device, layer.balancedness());
  return sum;
}

double even_step_ms(const Worth& worth, const Balance& balance, std::uint32_t devices) {
  double sum = 0;
  for (const LayerBalance& layer : balance.layers)
    if (layer.max_load > 0) sum += worth.cost->layer_ms(devices, worth.tokens_per_device, 1);
  return sum;
}

bool imbalance_is_free(const Worth& worth, const Balance& balance, std::uint32_t devices) {
  const double now = step_ms(worth, balance, devices);
  return !(now - even_step_ms(worth, balance, devices) >= kFreeShare * now && worth.steps > 0);
}

double moves_ms(const Worth& worth, const MoveList& moves, const ExpertLayout& layout, std::uint64_t bytes_per_expert) {
  struct Traffic {
    double in = 0;
    double out = 0;
  };
  const std::vector<std::uint32_t> device_of = device_of_slots(layout.slots_of_device);
  std::vector<Traffic> node(layout.devices());
  std::vector<Traffic> cross(layout.devices());
  for (const SlotMove& move : moves.moves) {
    if (move.kind == MoveKind::kUnchanged || move.kind == MoveKind::kSameDevice) continue;
    auto& links = move.kind == MoveKind::kSameNode ? node : cross;
    ++links[device_of[move.slot]].in;
    if (move.kind != MoveKind::kLoad) ++links[device_of[move.source_slot]].out;
  }
  const auto ms = [bytes_per_expert](const Traffic& traffic, double bytes_per_ms) {
    return bytes_per_ms > 0 ? std::max(traffic.in, traffic.out) * static_cast<double>(bytes_per_expert) / bytes_per_ms : 0;
  };
  double longest = 0;
  for (std::size_t d = 0; d < node.size(); ++d)
    longest = std::max(longest, ms(node[d], worth.bytes_per_ms_same_node) + ms(cross[d], worth.bytes_per_ms_cross_node));
  return longest;
}

}  // namespace flexpert::placement
