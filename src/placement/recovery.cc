#include "placement/recovery.h"

#include <algorithm>
#include <numeric>

#include "placement/layout_check.h"
#include "placement/recovery_layer.h"

namespace flexpert::placement {
namespace {

constexpr std::uint32_t kMostExperts = 4096;

/// A mean over the layers that have load.
class LayerMean {
 public:
  void add(double value) {
    if (value < 0) return;
    sum_ += value;
    ++count_;
  }
  [[nodiscard]] double value() const { return count_ > 0 ? sum_ / count_ : 1; }

 private:
  double sum_ = 0;
  int count_ = 0;
};

/// The cluster as it was: a device that holds something has been alive.
ExpertCluster cluster_before(const ExpertLayout& current, ExpertCluster cluster) {
  const std::vector<std::uint32_t> device_of = device_of_slots(current.slots_of_device);
  for (std::size_t i = 0; i < current.expert_of_slot.size(); ++i)
    if (current.expert_of_slot[i] != kEmptySlot) cluster.devices[device_of[i % device_of.size()]].alive = true;
  return cluster;
}

void add_reasons(Recovery& out, std::uint64_t dead, std::uint64_t living_slots) {
  out.reasons.push_back(
      {"loss",
       fmt::format("{} devices are dead: {} experts had no living replica; balancedness was {:.3f} before and {:.3f} without a new plan",
                   dead, out.orphans.size(), out.balancedness_before, out.balancedness_after_loss),
       {{"dead", static_cast<double>(dead)},
        {"orphans", static_cast<double>(out.orphans.size())},
        {"before", out.balancedness_before},
        {"after_loss", out.balancedness_after_loss}}});
  out.reasons.push_back({"recovered",
                         fmt::format("{} slots change, {} of them for balance alone; balancedness {:.3f}", out.changed,
                                     out.changed_for_balance, out.balancedness),
                         {{"changed", static_cast<double>(out.changed)},
                          {"for_balance", static_cast<double>(out.changed_for_balance)},
                          {"balancedness", out.balancedness}}});
  if (out.unserved.empty()) return;
  out.reasons.push_back(
      {"few_slots",
       fmt::format(
           "{} living slots a layer for {} experts: {} experts with {:.2f} % of the load are served by no device, the least loaded of "
           "each layer; add devices or slots to serve them",
           living_slots, out.layout.geometry.experts, out.unserved.size(), 100 * out.unserved_share),
       {{"unserved", static_cast<double>(out.unserved.size())},
        {"share", out.unserved_share},
        {"living_slots", static_cast<double>(living_slots)}}});
}

}  // namespace

Result<Recovery> replan_after_loss(const ExpertLayout& current, const ExpertCluster& cluster, const ExpertCounts& counts,
                                   const RecoveryBudget& budget) {
  FLEXPERT_TRY(validate(cluster));
  FLEXPERT_TRY(validate(counts));
  FLEXPERT_TRY(check_in_force(current, cluster, counts.geometry));
  if (counts.geometry.experts > kMostExperts)
    return fail(ErrorCode::kInvalidArgument, "plan after a loss: at most {} experts a layer: {}", kMostExperts, counts.geometry.experts);
  std::uint64_t living_slots = 0;
  std::uint64_t dead = 0;
  for (const ExpertDevice& device : cluster.devices) {
    if (device.alive) living_slots += device.slots;
    else ++dead;
  }
  if (living_slots == 0)
    return fail(ErrorCode::kFailedPrecondition, "no living slot: all {} devices are dead or without slots", cluster.devices.size());
  Recovery out;
  out.layout = {current.geometry, current.slots_of_device, {}};
  out.layout.expert_of_slot.reserve(current.expert_of_slot.size());
  const ExpertCluster was = cluster_before(current, cluster);
  const std::uint32_t experts = current.geometry.experts;
  RecoveryLayer before(was, experts);
  RecoveryLayer layer(cluster, experts);
  LayerMean mean_before;
  LayerMean mean_after_loss;
  LayerMean mean;
  double unserved_load = 0;
  for (std::uint32_t l = 0; l < current.geometry.layers; ++l) {
    const auto row = current.layer(l);
    const auto loads = counts.layer(l);
    before.begin(row, loads);
    mean_before.add(before.balancedness());
    layer.begin(row, loads);
    mean_after_loss.add(layer.balancedness());
    std::uint64_t served = 0;
    layer.serve_orphans();
    for (const std::uint32_t e : layer.orphans()) {
      out.orphans.push_back({l, e});
      if (layer.served(e)) ++served;
    }
    layer.balance(budget.balance_slots);
    mean.add(layer.balancedness());
    for (std::uint32_t e = 0; e < experts; ++e) {
      if (layer.served(e)) continue;
      out.unserved.push_back({l, e});
      unserved_load += loads[e];
    }
    const auto now = layer.row();
    std::uint64_t changed = 0;
    for (std::size_t slot = 0; slot < now.size(); ++slot)
      if (now[slot] != kEmptySlot && now[slot] != row[slot]) ++changed;
    out.changed += changed;
    out.changed_for_balance += changed > served ? changed - served : 0;
    out.layout.expert_of_slot.insert(out.layout.expert_of_slot.end(), now.begin(), now.end());
  }
  const double total = std::accumulate(counts.count.begin(), counts.count.end(), 0.0);
  out.unserved_share = total > 0 ? unserved_load / total : 0;
  out.balancedness_before = mean_before.value();
  out.balancedness_after_loss = mean_after_loss.value();
  out.balancedness = mean.value();
  add_reasons(out, dead, living_slots);
  return out;
}

}  // namespace flexpert::placement
