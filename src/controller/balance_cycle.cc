#include <algorithm>
#include <numeric>

#include "base/log.h"
#include "controller/controller_impl.h"

namespace flexpert::controller {

void Controller::Impl::measure_servers() {
  if (!server_rows) return;
  std::vector<ServerRows::Target> targets;
  for (const Member* member : book.of(InstanceRole::kExpertServer))
    if (member->status.state == InstanceState::kReady) targets.push_back({member->status.id, member->address});
  server_rows->poll(targets, [this](const InstanceId& id, const std::vector<expert_protocol::SlotRows>& rows) {
    if (geometry.size() > 0) keeper.observe_server(id, geometry, rows);
  });
}

/// Looks at the balance when it is due: at the end of a window, on drift or after the interval.
void Controller::Impl::balance(bool window_closed) {
  if (!window_closed || !may_rebalance()) return;
  if (auto why = keeper.due(actuator.table(), clock.now())) rebalance(keeper.wish(std::move(*why)), options.config.controller.dry_run);
}

/// Tells whether one table is in force everywhere and its servers are all there.
bool Controller::Impl::may_rebalance() {
  const RoutingTable& table = actuator.table();
  if (draining || model() == nullptr || geometry.size() == 0 || table.epoch == 0 || table.endpoints.empty()) return false;
  if (published_at || !actuator.settled() || repair_timer != 0) return false;
  return std::all_of(table.endpoints.begin(), table.endpoints.end(), [this](const ExpertEndpoint& endpoint) {
    const Member* member = book.find(endpoint.id);
    return member != nullptr && member->status.state == InstanceState::kReady && !member->stopping;
  });
}

RebalanceReport Controller::Impl::rebalance(RebalanceInput wish, bool dry_run) {
  RebalancePlan plan;
  if (may_rebalance()) {
    const TimePoint began = clock.now();
    plan = plan_rebalance(actuator.table(), model()->expert_servers.slots_per_server, wish, options.bytes_per_replica);
    metric.plan_s.observe(to_seconds(clock.now() - began));
    if (!dry_run || options.config.controller.dry_run) keeper.looked(began, plan.report.after.balancedness);
    if (plan.table && !dry_run) rebalance_began = began;
  } else {
    plan.report.reasons = {{"busy", "an earlier table is not in force everywhere yet, or servers come and go", {}}, std::move(wish.trigger)};
  }
  RebalanceReport report = std::move(plan.report);
  report.dry_run = dry_run;
  if (report.outcome == RebalanceOutcome::kFailed) log::error("controller: rebalance: {}", report.reasons.back().text);
  if (!dry_run) metric.outcomes[name_of(report.outcome)].add();
  if (!plan.table) return report;
  const auto& lists = plan.table->replicas;
  const auto total = static_cast<std::uint32_t>(
      std::accumulate(lists.begin(), lists.end(), std::size_t{0}, [](std::size_t sum, const auto& list) { return sum + list.size(); }));
  const Action action{ActionKind::kPlacement, {}, {}, total, total, report.reasons};
  if (dry_run) {
    report.epoch = 0;
    if (options.config.controller.dry_run) record({action}, false, 0);
    return report;
  }
  publish(std::move(*plan.table), "balance");
  last_rebalance = report;
  record({action}, true, report.epoch);
  if (actuator.settled()) settle_drains();  // no model server is there to wait for
  return report;
}

http::Response Controller::Impl::asked_rebalance(bool dry_run) {
  if (model() == nullptr) return http::openai_error(409, "there is no model to place experts of", "invalid_request_error", {}, "no_model");
  // What came since the newest window counts, but a dry run leaves no trace.
  PlacementKeeper now = keeper;
  now.close_window();
  dry_run = dry_run || options.config.controller.dry_run;
  if (!dry_run) keeper = now;
  const RebalanceReport report = rebalance(now.wish({"asked", "asked for by POST /api/v1/placement/rebalance", {}}), dry_run);
  if (report.outcome == RebalanceOutcome::kBusy)
    return http::openai_error(409, report.reasons.front().text + "; try again", "invalid_request_error", {}, "busy");
  return http::json_response(200, encode(report));
}

http::Response Controller::Impl::placement_view() {
  PlacementView view;
  view.table = &actuator.table();
  view.figures = keeper.figures(actuator.table(), clock.now());
  view.policy = keeper.policy();
  view.moved_slots = static_cast<std::uint64_t>(metric.moved_slots["balance"].value());
  view.moved_bytes = static_cast<std::uint64_t>(metric.moved_bytes["balance"].value());
  for (const auto& [outcome, counter] : metric.outcomes) view.outcomes[outcome] = static_cast<std::uint64_t>(counter.value());
  view.last = last_rebalance ? &*last_rebalance : nullptr;
  return http::json_response(200, encode(view));
}

void Controller::Impl::count_moves(const std::vector<ReplicaMove>& moves, const std::string& cause) {
  const auto count = static_cast<double>(arrivals(moves));
  metric.moved_slots[cause].add(count);
  metric.moved_bytes[cause].add(count * static_cast<double>(options.bytes_per_replica));
}

void Controller::Impl::update_placement_metrics() {
  const PlacementFigures figures = keeper.figures(actuator.table(), clock.now());
  metric.placement_age.set(figures.age_s.value_or(0));
  metric.expected.set(figures.expected ? figures.expected->balancedness : 0);
  metric.bound.set(figures.expected ? figures.expected->bound : 0);
  metric.measured.set(figures.measured ? figures.measured->balancedness : 0);
  metric.even_split.set(figures.even_split ? figures.even_split->balancedness : 0);
}

}  // namespace flexpert::controller
