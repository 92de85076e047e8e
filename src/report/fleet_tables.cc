#include "report/fleet_tables.h"

#include <algorithm>

#include <fmt/format.h>

#include "report/sparkline.h"

namespace flexpert::report {

namespace {

std::string speed_of(const InstanceStatus& instance) {
  if (instance.role != InstanceRole::kExpertServer) return {};
  return instance.pace_rows_per_s > 0 ? fmt::format("paced {:.0f} rows/s", instance.pace_rows_per_s) : "raw speed";
}

std::string load_of(const InstanceStatus& instance) {
  if (instance.role == InstanceRole::kExpertServer) return fmt::format("{:.0f} rows/s", instance.rows_per_s);
  return fmt::format("{} running, {} queued", instance.running, instance.queued);
}

/// What a reader wants to hear of first: the least value.
int rank_of(ActionKind kind) {
  switch (kind) {
    case ActionKind::kServerFailed: return 0;
    case ActionKind::kExpertScaleUp: return 1;
    case ActionKind::kExpertScaleDown: return 2;
    case ActionKind::kServerActivate: return 3;
    case ActionKind::kServerDrain: return 4;
    case ActionKind::kServerStart: return 5;
    case ActionKind::kServerStop: return 6;
    case ActionKind::kPlacement: return 7;
  }
  return 8;
}

/// How far an action's measured utilisation is from where none would be needed: the most telling of several has the most.
double urgency_of(const Action& action) {
  for (const Reason& reason : action.reasons)
    for (const auto& [name, value] : reason.numbers)
      if (name == "utilisation") return action.kind == ActionKind::kExpertScaleDown ? -value : value;
  return -1e9;
}

bool tells_more(const Action& a, const Action& b) {
  if (rank_of(a.kind) != rank_of(b.kind)) return rank_of(a.kind) < rank_of(b.kind);
  return urgency_of(a) > urgency_of(b);
}

}  // namespace

Table instance_table(const FleetSnapshot& fleet) {
  Table table({{"instance", Align::kLeft}, {"role", Align::kLeft}, {"state", Align::kLeft}, {"pid", Align::kRight}, {"restarts", Align::kRight},
               {"slots", Align::kRight}, {"load", Align::kRight}, {"speed", Align::kLeft}, {"address", Align::kLeft}});
  for (const InstanceStatus& instance : fleet.instances) {
    const bool holds_slots = instance.role == InstanceRole::kExpertServer;
    table.add_row({instance.id.value, name_of(instance.role), name_of(instance.state), instance.pid > 0 ? std::to_string(instance.pid) : "",
                   std::to_string(instance.restarts), holds_slots ? std::to_string(instance.slots) : "", load_of(instance), speed_of(instance),
                   instance.address});
  }
  return table;
}

std::vector<ExpertStatus> hottest_experts(const FleetSnapshot& fleet, std::size_t count) {
  std::vector<ExpertStatus> experts;
  for (const ExpertStatus& expert : fleet.experts)
    if (expert.rows_per_s > 0) experts.push_back(expert);
  std::stable_sort(experts.begin(), experts.end(), [](const ExpertStatus& a, const ExpertStatus& b) { return a.rows_per_s > b.rows_per_s; });
  if (experts.size() > count) experts.resize(count);
  return experts;
}

Table expert_table(const std::vector<ExpertStatus>& experts) {
  Table table({{"layer", Align::kRight}, {"expert", Align::kRight}, {"rows/s", Align::kRight}, {"replicas", Align::kRight},
               {"utilisation of each", Align::kLeft}});
  for (const ExpertStatus& expert : experts)
    table.add_row({std::to_string(expert.slot.layer), std::to_string(expert.slot.expert), fmt::format("{:.0f}", expert.rows_per_s),
                   std::to_string(expert.replicas), fmt::format("{} {:.2f}", bar(expert.utilisation, 20), expert.utilisation)});
  return table;
}

bool is_paced(const FleetSnapshot& fleet) {
  return std::any_of(fleet.instances.begin(), fleet.instances.end(), [](const InstanceStatus& instance) { return instance.pace_rows_per_s > 0; });
}

std::size_t count_instances(const FleetSnapshot& fleet, InstanceRole role, InstanceState state) {
  return static_cast<std::size_t>(std::count_if(fleet.instances.begin(), fleet.instances.end(), [&](const InstanceStatus& instance) {
    return instance.role == role && instance.state == state;
  }));
}

std::string describe(const Action& action) {
  const std::string server = action.instance.value.empty() ? std::string("a server") : action.instance.value;
  switch (action.kind) {
    case ActionKind::kExpertScaleUp:
    case ActionKind::kExpertScaleDown:
      return fmt::format("expert {} of layer {}: {} -> {} replicas", action.slot.expert, action.slot.layer, action.from, action.to);
    case ActionKind::kServerActivate: return server + " takes work from the warm pool";
    case ActionKind::kServerStart: return server + " is started";
    case ActionKind::kServerDrain: return server + " is drained";
    case ActionKind::kServerStop: return server + " is stopped";
    case ActionKind::kServerFailed: return server + " failed";
    case ActionKind::kPlacement: return "replicas are placed anew";
  }
  return name_of(action.kind);
}

std::string why(const Action& action) { return action.reasons.empty() ? std::string() : action.reasons.front().text; }

std::string summary(const Decision& decision) {
  if (decision.actions.empty()) return "nothing to change";
  const Action& first = *std::min_element(decision.actions.begin(), decision.actions.end(), tells_more);
  std::string line = describe(first);
  if (const std::string reason = why(first); !reason.empty()) line += " (" + reason + ")";
  if (decision.actions.size() > 1) line += fmt::format(", and {} more", decision.actions.size() - 1);
  if (!decision.acted) line += " [dry-run]";
  return line;
}

}  // namespace flexpert::report
