#include "placement/quality.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "placement/balance.h"
#include "placement/eplb_layer.h"
#include "placement/layer_packing.h"

namespace flexpert::placement {
namespace {

constexpr std::uint32_t kMostExperts = 4096;

/// EPLB's layout as a second start, where it can plan at all: devices alive, with the same number of slots.
class EplbStart {
 public:
  EplbStart(const ExpertCluster& cluster, std::uint32_t experts) : cluster_(cluster), slots_(cluster.slots()), copies_(experts) {
    const std::uint32_t room = cluster.devices.front().slots;
    if (room > experts ||
        std::any_of(cluster.devices.begin(), cluster.devices.end(), [&](const ExpertDevice& d) { return !d.alive || d.slots != room; }))
      return;
    eplb_.emplace(experts, EplbShape{cluster.slots(), 1, 1, static_cast<std::uint32_t>(cluster.devices.size())});
  }

  /// Refines EPLB's layout if it beats `load` as it is; writes it to `slots` if it still does then. No expert is twice on
  /// a device afterwards.
  void beat(double load, std::span<const double> loads, LayerPacking& packing, std::span<std::int32_t> slots) {
    if (!eplb_ || load <= packing.bound()) return;
    eplb_->plan(loads, slots_);
    if (max_load(loads) < load && packing.improve(loads, slots_) < load) std::copy(slots_.begin(), slots_.end(), slots.begin());
  }

 private:
  double max_load(std::span<const double> loads) {
    std::fill(copies_.begin(), copies_.end(), 0U);
    for (const std::int32_t e : slots_) ++copies_[static_cast<std::size_t>(e)];
    double most = 0;
    std::size_t slot = 0;
    for (const ExpertDevice& device : cluster_.devices) {
      double load = 0;
      for (std::uint32_t i = 0; i < device.slots; ++i, ++slot) {
        const auto e = static_cast<std::size_t>(slots_[slot]);
        load += loads[e] / copies_[e];
      }
      most = std::max(most, load / device.speed);
    }
    return most;
  }

  const ExpertCluster& cluster_;
  std::vector<std::int32_t> slots_;
  std::vector<std::uint32_t> copies_;
  std::optional<EplbLayer> eplb_;
};

std::vector<Reason> reasons_of(const ExpertCluster& cluster, std::uint32_t room, std::uint32_t experts, const Balance& balance) {
  std::vector<Reason> out;
  out.push_back({"from_scratch",
                 fmt::format("{} replicas of {} experts a layer; balancedness {:.4f}, at most {:.4f} is possible; busiest devices {:.2f} % "
                             "over the lower bound",
                             room, experts, balance.balancedness, balance.bound, 100 * balance.gap),
                 {{"replicas", room}, {"balancedness", balance.balancedness}, {"bound", balance.bound}, {"gap", balance.gap}}});
  const auto dead = std::count_if(cluster.devices.begin(), cluster.devices.end(), [](const ExpertDevice& d) { return !d.alive; });
  if (dead > 0)
    out.push_back(
        {"dead_devices", fmt::format("{} devices are dead: their slots stay empty", dead), {{"devices", static_cast<double>(dead)}}});
  std::uint32_t surplus = 0;
  for (const ExpertDevice& device : cluster.devices)
    if (device.alive && device.slots > experts) surplus += device.slots - experts;
  if (surplus > 0)
    out.push_back({"surplus_slots",
                   fmt::format("{} slots a layer stay empty: their devices have every expert already", surplus),
                   {{"slots", surplus}}});
  return out;
}

}  // namespace

Result<PlacementPlan> plan_quality(const ExpertCounts& counts, const ExpertCluster& cluster) {
  FLEXPERT_TRY(validate(counts));
  FLEXPERT_TRY(validate(cluster));
  const std::uint32_t experts = counts.geometry.experts;
  if (experts > kMostExperts)
    return fail(ErrorCode::kInvalidArgument, "quality plan: at most {} experts a layer: {}", kMostExperts, experts);
  LayerPacking packing(cluster, experts);
  if (packing.room() < experts)
    return fail(ErrorCode::kInvalidArgument, "quality plan: {} experts need as many slots on living devices: there are {}; add slots",
                experts, packing.room());
  EplbStart eplb(cluster, experts);
  PlacementPlan out;
  out.mode = "quality";
  out.layout.geometry = counts.geometry;
  for (const ExpertDevice& device : cluster.devices) out.layout.slots_of_device.push_back(device.slots);
  out.layout.expert_of_slot.resize(std::size_t{counts.geometry.layers} * cluster.slots());
  for (std::uint32_t l = 0; l < counts.geometry.layers; ++l) {
    const double load = packing.plan(counts.layer(l), packing.room(), out.layout.layer(l));
    eplb.beat(load, counts.layer(l), packing, out.layout.layer(l));
  }
  out.balance = balance_of(out.layout, cluster, counts);
  out.reasons = reasons_of(cluster, packing.room(), experts, out.balance);
  return out;
}

}  // namespace flexpert::placement
