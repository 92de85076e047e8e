#include "placement/explain.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "fleet/expert_layout.h"
#include "placement/balance.h"

namespace flexpert::placement {
namespace {

constexpr std::uint32_t kNone = UINT32_MAX;
/// A layer this near its lower bound has nothing to gain from more replicas.
constexpr double kAtBound = 0.01;

/// One layer as it is, and what it would be with one slot changed.
class LayerView {
 public:
  LayerView(const PlacementPlan& plan, const ExpertCluster& cluster, const ExpertCounts& counts, ExpertSlot which)
      : cluster_(cluster),
        loads_(counts.layer(which.layer)),
        row_(plan.layout.layer(which.layer).begin(), plan.layout.layer(which.layer).end()),
        device_of_(device_of_slots(plan.layout.slots_of_device)),
        holders_(loads_.size()),
        load_(cluster.devices.size()),
        changed_(cluster.devices.size()),
        busiest_first_(cluster.devices.size()) {
    for (std::uint32_t slot = 0; slot < row_.size(); ++slot) {
      if (!alive(slot)) row_[slot] = kEmptySlot;
      if (row_[slot] != kEmptySlot) holders_[static_cast<std::size_t>(row_[slot])].push_back(slot);
    }
    for (std::uint32_t slot = 0; slot < row_.size(); ++slot)
      if (row_[slot] != kEmptySlot)
        load_[device_of_[slot]] +=
            loads_[static_cast<std::size_t>(row_[slot])] / replicas(row_[slot]) / cluster.devices[device_of_[slot]].speed;
    std::iota(busiest_first_.begin(), busiest_first_.end(), 0U);
    std::stable_sort(busiest_first_.begin(), busiest_first_.end(), [&](std::uint32_t a, std::uint32_t b) { return load_[a] > load_[b]; });
  }

  /// The largest device load if `slot` held `expert` (kEmptySlot: nothing) instead.
  [[nodiscard]] double largest_with(std::uint32_t slot, std::int32_t expert) {
    const std::int32_t old = row_[slot];
    touched_.clear();
    const auto add = [&](std::uint32_t device, double load) {
      if (changed_[device] == 0) touched_.push_back(device);
      changed_[device] += load / cluster_.devices[device].speed;
    };
    const auto shift = [&](std::int32_t of, double replicas, double then) {
      const double load = loads_[static_cast<std::size_t>(of)];
      for (const std::uint32_t s : holders_[static_cast<std::size_t>(of)])
        if (s != slot) add(device_of_[s], load / then - load / replicas);
    };
    if (old != kEmptySlot) {
      const double count = replicas(old);
      if (count > 1) shift(old, count, count - 1);
      add(device_of_[slot], -loads_[static_cast<std::size_t>(old)] / count);
    }
    if (expert != kEmptySlot) {
      const double count = replicas(expert);
      if (count > 0) shift(expert, count, count + 1);
      add(device_of_[slot], loads_[static_cast<std::size_t>(expert)] / (count + 1));
    }
    double out = 0;
    for (const std::uint32_t device : touched_) out = std::max(out, load_[device] + changed_[device]);
    for (const std::uint32_t device : busiest_first_) {
      if (changed_[device] != 0) continue;
      out = std::max(out, load_[device]);
      break;
    }
    for (const std::uint32_t device : touched_) changed_[device] = 0;
    return out;
  }

  [[nodiscard]] double largest() const { return load_[busiest_first_.front()]; }
  [[nodiscard]] std::uint32_t replicas(std::int32_t expert) const {
    return static_cast<std::uint32_t>(holders_[static_cast<std::size_t>(expert)].size());
  }
  [[nodiscard]] std::span<const std::int32_t> row() const { return row_; }
  [[nodiscard]] std::uint32_t device_of(std::uint32_t slot) const { return device_of_[slot]; }
  [[nodiscard]] bool alive(std::uint32_t slot) const { return cluster_.devices[device_of_[slot]].alive; }
  [[nodiscard]] bool on_device(std::int32_t expert, std::uint32_t device) const {
    const auto& slots = holders_[static_cast<std::size_t>(expert)];
    return std::any_of(slots.begin(), slots.end(), [&](std::uint32_t slot) { return device_of_[slot] == device; });
  }

 private:
  const ExpertCluster& cluster_;
  std::span<const double> loads_;
  std::vector<std::int32_t> row_;  ///< those of dead devices empty
  std::vector<std::uint32_t> device_of_;
  std::vector<std::vector<std::uint32_t>> holders_;  ///< [experts], slots
  std::vector<double> load_;                         ///< [devices], by speed
  std::vector<double> changed_;                      ///< [devices], of largest_with()
  std::vector<std::uint32_t> touched_;               ///< devices, of largest_with()
  std::vector<std::uint32_t> busiest_first_;
};

std::string list(const std::vector<std::uint32_t>& numbers) {
  std::string out;
  for (std::size_t i = 0; i < numbers.size(); ++i)
    out += (i == 0 ? "" : i + 1 == numbers.size() ? " and " : ", ") + std::to_string(numbers[i]);
  return out;
}

std::string plural(std::size_t count, const std::string& one, const std::string& many) { return count == 1 ? one : many; }

Reason load_reason(const ExpertCounts& counts, ExpertSlot which, std::uint32_t& rank) {
  const auto loads = counts.layer(which.layer);
  const double load = loads[which.expert];
  const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  rank = 1;
  for (std::uint32_t e = 0; e < loads.size(); ++e)
    if (loads[e] > load || (loads[e] == load && e < which.expert)) ++rank;
  const double share = total >= kLeastLoad ? load / total : 0;
  const double mean = total / static_cast<double>(loads.size());
  if (total < kLeastLoad)
    return {"no_load",
            fmt::format("layer {} has no load in these counts: replicas are spread without regard to it", which.layer),
            {{"load", 0}}};
  return {"load",
          fmt::format(
              "expert {} of layer {} got {:.0f} tokens: number {} of {} in its layer, {:.2f} % of the load, {:.2f} times the mean expert",
              which.expert, which.layer, load, rank, loads.size(), 100 * share, load / mean),
          {{"load", load},
           {"rank", static_cast<double>(rank)},
           {"experts", static_cast<double>(loads.size())},
           {"share", share},
           {"times_mean", load / mean}}};
}

Reason replicas_reason(const LayerView& view, const ExpertCounts& counts, ExpertSlot which) {
  const auto loads = counts.layer(which.layer);
  const std::uint32_t replicas = view.replicas(static_cast<std::int32_t>(which.expert));
  const double part = loads[which.expert] / replicas;
  double largest = 0;
  std::uint32_t largest_expert = which.expert;
  for (std::uint32_t e = 0; e < loads.size(); ++e) {
    const std::uint32_t count = view.replicas(static_cast<std::int32_t>(e));
    if (count > 0 && loads[e] / count > largest) largest = loads[e] / count, largest_expert = e;
  }
  std::string text = replicas == 1 ? fmt::format("1 replica, which takes all {:.0f} tokens", part)
                                   : fmt::format("{} replicas of {:.0f} tokens each", replicas, part);
  text += largest_expert == which.expert
              ? ": the largest share of a slot in the layer"
              : fmt::format("; the largest share of a slot in the layer is {:.0f} (expert {})", largest, largest_expert);
  return {
      "replicas", text, {{"replicas", static_cast<double>(replicas)}, {"load_per_replica", part}, {"largest_load_per_replica", largest}}};
}

std::string compared(double with, double now) {
  const double change = now > 0 ? with / now - 1 : 0;
  if (std::abs(change) < 0.0005) return fmt::format("the busiest device would stay at {:.0f}", now);
  return fmt::format("the busiest device would go from {:.0f} to {:.0f} ({:+.1f} %)", now, with, 100 * change);
}

Reason one_fewer(LayerView& view, ExpertSlot which) {
  const auto expert = static_cast<std::int32_t>(which.expert);
  if (view.replicas(expert) < 2)
    return {"one_fewer", "with one fewer it would have none: every expert needs a slot", {{"possible", 0}}};
  const double now = view.largest();
  double least = 0;
  std::uint32_t best = kNone;
  for (std::uint32_t s = 0; s < view.row().size(); ++s) {
    if (view.row()[s] != expert) continue;
    const double with = view.largest_with(s, kEmptySlot);
    if (best == kNone || with < least) best = s, least = with;
  }
  return {"one_fewer",
          fmt::format("with one replica fewer {}", compared(least, now)),
          {{"possible", 1}, {"max_load", now}, {"max_load_then", least}}};
}

Reason one_more(LayerView& view, const ExpertCounts& counts, ExpertSlot which, double& gain) {
  const auto expert = static_cast<std::int32_t>(which.expert);
  const double now = view.largest();
  double least = 0;
  std::uint32_t best = kNone;
  bool only_beside = false;  // spare slots there are, but on devices that have it
  // Slots of a device that hold the same expert are alike.
  std::vector<std::uint32_t> tried_on(counts.geometry.experts + 1, kNone);
  for (std::uint32_t s = 0; s < view.row().size(); ++s) {
    const std::int32_t old = view.row()[s];
    if (!view.alive(s) || old == expert || (old != kEmptySlot && view.replicas(old) < 2)) continue;
    if (std::exchange(tried_on[static_cast<std::size_t>(old + 1)], view.device_of(s)) == view.device_of(s)) continue;
    if (view.on_device(expert, view.device_of(s))) {
      only_beside = true;
      continue;
    }
    const double with = view.largest_with(s, expert);
    if (best == kNone || with < least) best = s, least = with;
  }
  gain = 0;
  if (best == kNone)
    return {"one_more",
            only_beside ? "one more would sit beside a replica of its own: every device with a spare slot has the expert already"
                        : "one more has no slot: every other expert has a single replica, and every expert needs one",
            {{"possible", 0}}};
  gain = now > 0 ? 1 - least / now : 0;
  const std::int32_t old = view.row()[best];
  const std::string place = old == kEmptySlot
                                ? fmt::format("in an empty slot of device {}", view.device_of(best))
                                : fmt::format("on device {}, where a replica of expert {} would give way", view.device_of(best), old);
  return {"one_more",
          fmt::format("with one more, best {}, {}", place, compared(least, now)),
          {{"possible", 1},
           {"max_load", now},
           {"max_load_then", least},
           {"device", static_cast<double>(view.device_of(best))},
           {"gives_way", static_cast<double>(old)}}};
}

Reason devices_reason(const LayerView& view, const ExpertCluster& cluster, ExpertSlot which) {
  std::vector<std::uint32_t> devices;
  std::vector<std::uint32_t> hosts;
  std::uint32_t duplicates = 0;
  for (std::uint32_t s = 0; s < view.row().size(); ++s) {
    if (view.row()[s] != static_cast<std::int32_t>(which.expert)) continue;
    const std::uint32_t device = view.device_of(s);
    if (!devices.empty() && devices.back() == device) ++duplicates;
    else devices.push_back(device);
    const std::uint32_t host = cluster.devices[device].host;
    if (std::find(hosts.begin(), hosts.end(), host) == hosts.end()) hosts.push_back(host);
  }
  std::sort(hosts.begin(), hosts.end());
  std::string text = fmt::format("on {} {}, {} {}", plural(devices.size(), "device", "devices"), list(devices),
                                 plural(hosts.size(), "host", "hosts"), list(hosts));
  if (cluster.hosts() > 1) text += hosts.size() > 1 ? ": it outlives the loss of any one host" : ": lost with that host";
  if (duplicates > 0)
    text += fmt::format("; {} {} a device with another, which balances nothing", duplicates,
                        plural(duplicates, "replica shares", "replicas share"));
  return {"devices",
          text,
          {{"devices", static_cast<double>(devices.size())},
           {"hosts", static_cast<double>(hosts.size())},
           {"duplicates", static_cast<double>(duplicates)}}};
}

Reason limit_reason(const LayerView& view, const ExpertCluster& cluster, const ExpertCounts& counts, ExpertSlot which, double gain) {
  const double now = view.largest();
  const std::uint32_t replicas = view.replicas(static_cast<std::int32_t>(which.expert));
  const auto loads = counts.layer(which.layer);
  std::vector<double> served;
  for (std::uint32_t e = 0; e < loads.size(); ++e)
    if (view.replicas(static_cast<std::int32_t>(e)) > 0) served.push_back(loads[e]);
  const double bound = max_load_bound(served, cluster);
  const double over = bound > 0 ? now / bound - 1 : 0;
  const std::vector<std::pair<std::string, double>> numbers = {{"max_load", now}, {"lower_bound", bound}, {"over_bound", over}};
  if (now <= 0) return {"no_limit", "without load nothing limits the layer", numbers};
  if (bound > 0 && over <= kAtBound)
    return {"at_bound",
            fmt::format("the layer's busiest device, {:.0f}, is {:.1f} % above the proven lower bound {:.0f}: no number of replicas here "
                        "would help more",
                        now, 100 * over, bound),
            numbers};
  std::uint64_t spare = 0;
  for (std::uint32_t s = 0; s < view.row().size(); ++s)
    if (view.alive(s) && (view.row()[s] == kEmptySlot || view.replicas(view.row()[s]) > 1)) ++spare;
  const std::string distance =
      bound > 0 ? fmt::format("{:.1f} % above the lower bound {:.0f}", 100 * over, bound) : std::string("of unknown distance to the bound");
  if (spare == 0)
    return {"slots_limit",
            fmt::format("slots are the limit: no expert has a second replica that could give way; the busiest device, {:.0f}, is {}", now,
                        distance),
            numbers};
  if (gain > 0.0005 && loads[which.expert] / replicas > 0)
    return {"could_gain",
            fmt::format("one more would help by {:.1f} %; the plan kept the slot for another expert or saved the move; the busiest device, "
                        "{:.0f}, is {}",
                        100 * gain, now, distance),
            numbers};
  return {
      "others_limit",
      fmt::format(
          "other experts' slots are the limit: the busiest device, {:.0f}, is {}, and one more replica of this expert does not lower it",
          now, distance),
      numbers};
}

}  // namespace

std::vector<Reason> explain_expert(const PlacementPlan& plan, const ExpertCluster& cluster, const ExpertCounts& counts, ExpertSlot expert) {
  const ExpertGeometry geometry = plan.layout.geometry;
  if (!geometry.contains(expert) || counts.geometry != geometry || plan.layout.devices() != cluster.devices.size())
    return {
        {"unknown_expert",
         fmt::format("no layer {} expert {} here: the plan has layers 0 to {} and experts 0 to {}, and needs counts and devices of its own",
                     expert.layer, expert.expert, static_cast<std::int64_t>(geometry.layers) - 1,
                     static_cast<std::int64_t>(geometry.experts) - 1),
         {}}};
  LayerView view(plan, cluster, counts, expert);
  std::uint32_t rank = 0;
  std::vector<Reason> out = {load_reason(counts, expert, rank)};
  if (view.replicas(static_cast<std::int32_t>(expert.expert)) == 0) {
    out.push_back({"not_placed", "no device holds it: the model server computes it itself or does without", {{"replicas", 0}}});
    return out;
  }
  out.push_back(replicas_reason(view, counts, expert));
  out.push_back(devices_reason(view, cluster, expert));
  out.push_back(one_fewer(view, expert));
  double gain = 0;
  out.push_back(one_more(view, counts, expert, gain));
  out.push_back(limit_reason(view, cluster, counts, expert, gain));
  return out;
}

}  // namespace flexpert::placement
