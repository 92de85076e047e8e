#include "controller/plan.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "placement/expert_placement.h"
#include "placement/fleet_size.h"

namespace flexpert::controller {
namespace {

/// Carries the plan through its steps.
class Planner {
 public:
  explicit Planner(const PlanInput& input) : in_(input), options_(input.scaling) {
    options_.max_replicas = std::max(options_.min_replicas, std::min(options_.max_replicas, in_.limits.max));
    if (!in_.loads->rows_per_s.empty()) rows_per_s_ = in_.loads->rows_per_s;
  }

  Result<Plan> run() {
    want_replicas();
    choose_servers();
    FLEXPERT_TRY(place());
    keep_warm_pool();
    // Activation comes before the table that needs it; what leaves the table drains after it.
    for (Action& action : late_) plan_.actions.push_back(std::move(action));
    return std::move(plan_);
  }

 private:
  bool fresh() const { return in_.table.epoch == 0; }
  std::uint32_t in_force(std::size_t slot) const {
    return fresh() || slot >= in_.table.replicas.size() ? 0 : static_cast<std::uint32_t>(in_.table.replicas[slot].size());
  }

  void want_replicas() {
    std::vector<std::uint32_t> current(in_.geometry.size());
    for (std::size_t i = 0; i < current.size(); ++i) current[i] = std::max(in_force(i), options_.min_replicas);
    wanted_ = current;
    if (!in_.window) return;
    scaling::UtilisationDecision decision =
        scaling::decide_replicas(*in_.loads, options_, in_.geometry, *in_.window, current, in_.now, in_.prediction ? &*in_.prediction : nullptr);
    wanted_ = std::move(decision.replicas);
    expert_actions_ = std::move(decision.actions);
    plan_.holds = std::move(decision.holds);
  }

  void choose_servers() {
    std::vector<const UsableServer*> active;
    std::vector<const UsableServer*> warm;
    for (const UsableServer& server : in_.servers) (server.active ? active : warm).push_back(&server);
    const auto before = static_cast<std::uint32_t>(in_.table.endpoints.size());

    placement::FleetSizeInput size;
    size.replicas = wanted_;
    size.rows_per_s = std::accumulate(rows_per_s_.begin(), rows_per_s_.end(), 0.0);
    size.slots_per_server = in_.limits.slots_per_server;
    size.server_rows_per_s = in_.limits.server_rows_per_s;
    size.min_servers = in_.limits.min;
    size.max_servers = in_.limits.max;
    size.current = before;
    const placement::FleetSize needed = placement::servers_needed(size);
    // Without a measurement nothing shrinks: a crash must not look like a quiet fleet.
    if (in_.window) plan_.servers_wanted = needed.servers;
    const std::uint32_t kept = in_.window || fresh() ? in_.floor_servers : std::max(before, in_.floor_servers);
    needed_ = std::max(needed.servers, std::min(kept, in_.limits.max));

    while (active.size() > needed_) {
      const auto victim = least_busy(active);
      plan_.drain.push_back((*victim)->id);
      late_.push_back({ActionKind::kServerDrain, {}, (*victim)->id, before, needed_, {needed.reason}});
      active.erase(victim);
    }
    for (std::size_t i = 0; i < warm.size(); ++i) {
      if (active.size() >= needed_) {
        spare_.push_back(warm[i]);
        continue;
      }
      plan_.activate.push_back(warm[i]->id);
      plan_.actions.push_back({ActionKind::kServerActivate, {}, warm[i]->id, before, needed_, {needed.reason}});
      active.push_back(warm[i]);
    }
    chosen_ = std::move(active);
  }

  std::vector<const UsableServer*>::iterator least_busy(std::vector<const UsableServer*>& active) {
    std::map<InstanceId, double> load;
    for (std::size_t i = 0; i < in_.table.replicas.size(); ++i)
      for (const std::uint16_t e : in_.table.replicas[i])
        load[in_.table.endpoints[e].id] +=
            1e-9 + (i < rows_per_s_.size() ? rows_per_s_[i] : 0.0) / static_cast<double>(in_.table.replicas[i].size());
    // The last of equals goes, so that low numbers stay.
    return std::min_element(active.rbegin(), active.rend(), [&](const auto* a, const auto* b) { return load[a->id] < load[b->id]; }).base() - 1;
  }

  Result<void> place() {
    placement::ExpertPlacementInput input;
    input.geometry = in_.geometry;
    input.replicas = wanted_;
    input.rows_per_s = rows_per_s_;
    input.servers = static_cast<std::uint32_t>(chosen_.size());
    input.slots_per_server = in_.limits.slots_per_server;
    const bool servers_changed = !plan_.activate.empty() || !plan_.drain.empty() || chosen_.size() != in_.table.endpoints.size();
    const auto slots = static_cast<std::uint32_t>(in_.geometry.size());
    if (servers_changed) {
      input.max_moves = std::max<std::uint32_t>(64, slots / 4);
    } else if (in_.window && !expert_actions_.empty()) {
      input.max_moves = std::max<std::uint32_t>(16, slots / 16);
    } else {
      input.max_moves = 0;
    }
    std::map<InstanceId, std::uint16_t> index;
    for (std::size_t s = 0; s < chosen_.size(); ++s) index[chosen_[s]->id] = static_cast<std::uint16_t>(s);
    if (!fresh()) {
      input.current.resize(in_.geometry.size());
      for (std::size_t i = 0; i < input.current.size() && i < in_.table.replicas.size(); ++i)
        for (const std::uint16_t e : in_.table.replicas[i])
          if (const auto it = index.find(in_.table.endpoints[e].id); it != index.end()) input.current[i].push_back(it->second);
    }
    FLEXPERT_ASSIGN(placement::ExpertPlacement placed, placement::place_experts(input));
    settle_expert_actions(placed);
    note_table(std::move(placed), servers_changed);
    return {};
  }

  /// Brings what the policy wants in line with what could be placed.
  void settle_expert_actions(const placement::ExpertPlacement& placed) {
    std::map<ExpertSlot, const placement::Trim*> trims;
    for (const placement::Trim& trim : placed.trimmed) trims[trim.slot] = &trim;
    for (Action& action : expert_actions_) {
      const auto trim = trims.find(action.slot);
      if (trim != trims.end()) {
        action.to = trim->second->placed;
        action.reasons.push_back(trim->second->reason);
        if (action.to == action.from) {
          plan_.holds.push_back({action.slot, trim->second->reason});
          trims.erase(trim);
          continue;
        }
        action.kind = action.to > action.from ? ActionKind::kExpertScaleUp : ActionKind::kExpertScaleDown;
        trims.erase(trim);
      }
      plan_.changed_slots.push_back(in_.geometry.index(action.slot));
      plan_.actions.push_back(std::move(action));
    }
    for (const auto& [slot, trim] : trims) {
      const std::uint32_t before = in_force(in_.geometry.index(slot));
      if (trim->placed < before) plan_.actions.push_back({ActionKind::kExpertScaleDown, slot, {}, before, trim->placed, {trim->reason}});
    }
  }

  void note_table(placement::ExpertPlacement placed, bool servers_changed) {
    RoutingTable table;
    table.epoch = in_.table.epoch + 1;
    table.geometry = in_.geometry;
    for (const UsableServer* server : chosen_) table.endpoints.push_back({server->id, server->address});
    table.replicas = std::move(placed.positions);
    if (!fresh() && table.endpoints == in_.table.endpoints && table.replicas == in_.table.replicas) return;
    if (fresh() && chosen_.empty()) return;
    const char* code = fresh() ? "initial" : servers_changed ? "servers_changed" : "replicas_changed";
    const auto total = [](const RoutingTable& t) {
      std::size_t sum = 0;
      for (const auto& list : t.replicas) sum += list.size();
      return static_cast<std::uint32_t>(sum);
    };
    Action action{ActionKind::kPlacement, {}, {}, total(in_.table), total(table), {}};
    action.reasons.push_back({code,
                              fmt::format("{} replicas on {} servers: {} added, {} removed, {} moved; busiest server of a layer {:.2f} of the mean",
                                          action.to, chosen_.size(), placed.added, placed.removed, placed.moved, placed.imbalance),
                              {{"servers", static_cast<double>(chosen_.size())},
                               {"added", placed.added},
                               {"removed", placed.removed},
                               {"moved", placed.moved},
                               {"imbalance", placed.imbalance}}});
    plan_.actions.push_back(std::move(action));
    plan_.cause = code;
    plan_.table = std::move(table);
  }

  void keep_warm_pool() {
    const auto have = static_cast<std::uint32_t>(in_.servers.size()) + in_.coming;
    const std::uint32_t want = std::min(in_.limits.max, needed_ + in_.limits.warm);
    const Reason reason{want > have ? "warm_pool_short" : "warm_pool_full",
                        fmt::format("{} expert servers are there or coming; {} active and {} warm are wanted, {} at most", have, needed_,
                                    in_.limits.warm, in_.limits.max),
                        {{"have", have}, {"active", needed_}, {"warm", in_.limits.warm}, {"max", in_.limits.max}}};
    if (want > have) {
      plan_.start = want - have;
      for (std::uint32_t i = 0; i < plan_.start; ++i) late_.push_back({ActionKind::kServerStart, {}, {}, have + i, have + i + 1, {reason}});
      return;
    }
    // Drained ones come back to the pool first; whether they are too many shows in the next plan.
    std::uint32_t surplus = have - want;
    while (surplus > 0 && !spare_.empty()) {
      plan_.stop.push_back(spare_.back()->id);
      late_.push_back({ActionKind::kServerStop, {}, spare_.back()->id, have, have - 1, {reason}});
      spare_.pop_back();
      --surplus;
    }
  }

  const PlanInput& in_;
  scaling::ExpertUtilisationOptions options_;
  Plan plan_;
  std::vector<Action> late_;
  std::vector<Action> expert_actions_;
  std::vector<double> rows_per_s_;
  std::vector<std::uint32_t> wanted_;
  std::uint32_t needed_ = 0;
  std::vector<const UsableServer*> chosen_;
  std::vector<const UsableServer*> spare_;
};

}  // namespace

Result<Plan> make_plan(const PlanInput& input) {
  if (input.geometry.size() == 0) return fail(ErrorCode::kInvalidArgument, "plan: the model has no experts");
  FLEXPERT_TRY(scaling::validate(input.scaling));
  return Planner(input).run();
}

}  // namespace flexpert::controller
