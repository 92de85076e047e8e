#include <algorithm>
#include <numeric>

#include "base/log.h"
#include "codec/fleet_json.h"
#include "controller/capacity_grant.h"
#include "controller/controller_impl.h"
#include "placement/expert_placement.h"

namespace flexpert::controller {
namespace {

/// After it dry-run tells the same plan again.
constexpr Duration kDryRunRepeats = Seconds(60);

/// One line for people: what is done and why, the first few of many.
std::string sentence_of(const Decision& decision) {
  constexpr std::size_t kShown = 6;
  std::string line = fmt::format("decision {}{}:", decision.cycle, decision.acted ? "" : " (not carried out)");
  for (std::size_t i = 0; i < std::min(kShown, decision.actions.size()); ++i) {
    const Action& action = decision.actions[i];
    const bool expert = action.kind == ActionKind::kExpertScaleUp || action.kind == ActionKind::kExpertScaleDown;
    const std::string subject = expert ? fmt::format(" layer {} expert {}", action.slot.layer, action.slot.expert)
                                : action.instance.value.empty() ? "" : " " + action.instance.value;
    line += fmt::format("{} {}{} {}->{}", i > 0 ? ";" : "", name_of(action.kind), subject, action.from, action.to);
    if (!action.reasons.empty()) line += fmt::format(" ({}: {})", action.reasons[0].code, action.reasons[0].text);
  }
  if (decision.actions.size() > kShown) line += fmt::format("; and {} more", decision.actions.size() - kShown);
  return line;
}

/// What two plans must share to be the same news.
std::string fingerprint_of(const std::vector<Action>& actions) {
  std::string out;
  for (const Action& a : actions)
    out += fmt::format("{} {} {} {} {} {};", name_of(a.kind), a.slot.layer, a.slot.expert, a.instance, a.from, a.to);
  return out;
}

}  // namespace

double Controller::Impl::capacity() const {
  return scaling_options.replica_capacity_rows_per_s > 0 ? scaling_options.replica_capacity_rows_per_s : measured_capacity;
}

void Controller::Impl::on_readings(std::vector<Reading> readings) {
  if (draining) return;
  bool complete = !readings.empty();
  for (const Reading& reading : readings) complete = take(reading) && complete;
  if (geometry.size() > 0) {
    metric.cycles.add();
    measure_capacity();
    std::optional<scaling::LoadWindow> window;
    // A window closes only on whole news, and while no change is still on its way to a model server.
    if (complete && actuator.table().epoch > 0 && actuator.settled() && capacity() > 0)
      window = scaling::observe_loads(loads, scaling_options, accumulator->total());
    if (window) metric.windows.add();
    if (window && expert_forecast) expert_forecast->observe(loads.rows_per_s, window->seconds);
    if (window && options.config.controller.dry_run) decide(std::nullopt);  // repairs are made in dry-run, too
    decide(window);
    if (complete) balance(keeper.observe(accumulator->total(), steps));
  }
  changed();
}

bool Controller::Impl::take(const Reading& reading) {
  Member* member = book.find(reading.id);
  if (member == nullptr || member->status.state != InstanceState::kReady) return false;
  if (!reading.status || !reading.loads) {
    metric.poll_failures.add();
    log::warn("controller: {} cannot be measured: {}", reading.id, reading.status ? reading.loads.error().message : reading.status.error().message);
    return false;
  }
  member->status.running = reading.status->running;
  member->status.queued = reading.status->queued;
  if (!reading.status->model.empty()) member->status.model = reading.status->model;
  model_paced = model_paced || reading.status->paced;
  if (!member->put_in_flight && reading.status->epoch > member->acked_epoch) member->acked_epoch = reading.status->epoch;
  if (geometry.size() == 0) {
    geometry = reading.loads->geometry;
    if (geometry.size() == 0) return false;
    accumulator.emplace(geometry.size());
    log::info("controller: {} has {} layers of {} experts", reading.id, geometry.layers, geometry.experts);
  }
  std::uint64_t& seen = last_steps[reading.id];
  steps += reading.loads->steps >= seen ? reading.loads->steps - seen : reading.loads->steps;
  seen = reading.loads->steps;
  if (accumulator->add(reading.id.value, clock.now(), reading.loads->tokens, reading.loads->rows)) return true;
  metric.poll_failures.add();
  log::warn("controller: {} has another number of experts than the first model server: {} x {}", reading.id, reading.loads->geometry.layers,
            reading.loads->geometry.experts);
  return false;
}

void Controller::Impl::measure_capacity() {
  if (capacity() > 0 || actuator.table().endpoints.empty() || !actuator.settled()) return;
  const auto servers = book.of(InstanceRole::kModelServer);
  const auto one = std::find_if(servers.begin(), servers.end(), [](const Member* m) { return m->status.state == InstanceState::kReady; });
  if (one == servers.end()) return;
  const auto grant = CapacityGrant::make(options.config.access.internal_secret_file, options.config.model->name);
  if (!grant) return log::warn("controller: nothing is scaled yet, capacity cannot be measured: {}", grant.error().message);
  const auto sign = [grant = *grant, this](std::string_view body) { return grant.value(body, clock.unix_ms()); };
  capacity_probe.measure((*one)->address, actuator.table(), sign, [this](Result<double> server_rows_per_s) {
    if (!server_rows_per_s) return log::warn("controller: nothing is scaled yet: {}", server_rows_per_s.error().message);
    // A replica's fair share of its server, as the experts lie when each has one.
    const std::size_t servers_at_start = std::max<std::size_t>(1, actuator.table().endpoints.size());
    const double slots = std::max(1.0, static_cast<double>(geometry.size()) / static_cast<double>(servers_at_start));
    measured_capacity = *server_rows_per_s / slots;
    scaling_options.replica_capacity_rows_per_s = measured_capacity;
    capacity_source = "measured at start";
    log::info("controller: an expert server does {:.0f} rows/s; a replica's share is {:.1f} rows/s with {:.0f} slots a server", *server_rows_per_s,
              measured_capacity, slots);
    changed();
  });
}

void Controller::Impl::repair_soon() {
  if (repair_timer != 0 || draining) return;
  repair_timer = loop.call_after(Duration::zero(), [this] {
    repair_timer = 0;
    repair();
  });
}

void Controller::Impl::repair() {
  if (draining) return;
  if (geometry.size() > 0) return decide(std::nullopt);
  if (!pending_failures.empty()) record({}, true, 0);
}

PlanInput Controller::Impl::plan_input(std::optional<scaling::LoadWindow> window) {
  const config::ExpertServersConfig& servers = model()->expert_servers;
  PlanInput input;
  input.geometry = geometry;
  input.limits = {servers.min, servers.max, servers.warm, servers.slots_per_server, servers.pace_rows_per_s};
  input.scaling = scaling_options;
  if (input.scaling.replica_capacity_rows_per_s <= 0) input.scaling.replica_capacity_rows_per_s = 1;  // not used without a window
  input.loads = &loads;
  input.window = window;
  if (window && expert_forecast) input.prediction = scaling::prediction_of(*expert_forecast);
  input.table = actuator.table();
  input.now = clock.now();
  const Duration held = std::max<Duration>(2 * scaling_options.cooldown, Seconds(5));
  while (!servers_wanted.empty() && input.now - servers_wanted.front().first > held) servers_wanted.pop_front();
  for (const auto& [at, count] : servers_wanted) input.floor_servers = std::max(input.floor_servers, count);
  for (const bool active : {true, false}) {
    for (const Member* member : book.of(InstanceRole::kExpertServer)) {
      const bool wanted = member->status.state == (active ? InstanceState::kReady : InstanceState::kWarm);
      if (wanted && !member->stopping) input.servers.push_back({member->status.id, member->status.address, active});
    }
  }
  for (const Member* member : book.of(InstanceRole::kExpertServer)) {
    const InstanceState state = member->status.state;
    const bool coming = state == InstanceState::kStarting || state == InstanceState::kFailed || member->leaving_table;
    if (coming && !member->stopping) ++input.coming;
  }
  return input;
}

void Controller::Impl::decide(std::optional<scaling::LoadWindow> window) {
  const PlanInput input = plan_input(window);
  const bool first = input.table.epoch == 0;
  const std::uint32_t min = input.limits.min;
  const bool waited = model_ready_at && loop.now() - *model_ready_at >= options.first_table_wait;
  if (first && (input.servers.size() < min && !(waited && !input.servers.empty()))) return;
  auto plan = make_plan(input);
  if (!plan) return log::error("controller: {}", plan.error().message);
  for (const scaling::Hold& hold : plan->holds)
    log::debug("controller: layer {} expert {} held: {}: {}", hold.slot.layer, hold.slot.expert, hold.reason.code, hold.reason.text);
  if (window && !options.config.controller.dry_run) servers_wanted.emplace_back(input.now, plan->servers_wanted);
  carry_out(std::move(*plan), window.has_value());
}

void Controller::Impl::carry_out(Plan plan, bool scaled) {
  const bool acted = !(scaled && options.config.controller.dry_run);
  for (const std::size_t slot : plan.changed_slots) scaling::note_change(loads, slot, clock.now());
  if (!acted) {
    if (plan.actions.empty()) return;
    const std::string fingerprint = fingerprint_of(plan.actions);
    std::erase_if(dry_plans, [&](const auto& told) { return clock.now() - told.second >= kDryRunRepeats; });
    if (!dry_plans.emplace(fingerprint, clock.now()).second) return;
    return record(std::move(plan.actions), false, 0);
  }
  const std::uint64_t epoch = plan.table ? plan.table->epoch : 0;
  act(plan);
  record(std::move(plan.actions), true, epoch);
  if (epoch > 0 && actuator.settled()) settle_drains();  // no model server is there to wait for
}

void Controller::Impl::act(Plan& plan) {
  for (const InstanceId& id : plan.activate)
    if (Member* member = book.find(id)) member->status.state = InstanceState::kReady;
  auto action = plan.actions.begin();
  for (std::uint32_t i = 0; i < plan.start; ++i) {
    const auto started = actuator.launch_expert_server();
    action = std::find_if(action, plan.actions.end(), [](const Action& a) { return a.kind == ActionKind::kServerStart; });
    if (started) {
      if (action != plan.actions.end()) (action++)->instance = *started;
      continue;
    }
    log::error("controller: an expert server could not be started: {}", started.error().message);
    if (action == plan.actions.end()) continue;
    action->kind = ActionKind::kServerFailed;
    action->reasons.push_back({"launch_failed", started.error().message, {}});
    ++action;
  }
  for (const InstanceId& id : plan.drain) {
    Member* member = book.find(id);
    if (member == nullptr) continue;
    member->status.state = InstanceState::kDraining;
    member->leaving_table = true;
  }
  if (plan.table) publish(std::move(*plan.table), plan.cause);
  for (const InstanceId& id : plan.stop)
    if (Member* member = book.find(id)) actuator.stop(*member);
}

void Controller::Impl::publish(RoutingTable table, const std::string& cause) {
  published_at = clock.now();
  count_moves(moves_between(actuator.table(), table), cause);
  keeper.planned(table);
  actuator.publish(std::move(table));
}

void Controller::Impl::record(std::vector<Action> actions, bool acted, std::uint64_t epoch) {
  actions.insert(actions.begin(), std::make_move_iterator(pending_failures.begin()), std::make_move_iterator(pending_failures.end()));
  pending_failures.clear();
  if (actions.empty()) return;
  Decision decision{++cycle, clock.unix_ms(), epoch, acted, std::move(actions)};
  log::info("controller: {}", sentence_of(decision));
  metric.decisions.add();
  for (const Action& action : decision.actions)
    registry.counter("flexpert_controller_actions_total", "Actions decided, by kind", {{"kind", name_of(action.kind)}}).add();
  if (const auto written = journal->append(decision.unix_ms, codec::encode(decision)); !written)
    log::error("controller: {}", written.error().message);
  last_decision = std::move(decision);
  changed();
}

void Controller::Impl::settle_drains() {
  if (published_at) metric.settle_s.observe(to_seconds(clock.now() - *published_at));
  published_at.reset();
  if (rebalance_began) metric.rebalance_s.observe(to_seconds(clock.now() - *rebalance_began));
  rebalance_began.reset();
  keeper.in_force(clock.now());
  bool any = false;
  for (Member* member : book.of(InstanceRole::kExpertServer)) {
    if (!std::exchange(member->leaving_table, false)) continue;
    any = true;
    if (!member->stopping) member->status.state = InstanceState::kWarm;
  }
  if (any) repair_soon();  // the warm pool may be too large now
  changed();
}

void Controller::Impl::update_metrics() {
  const RoutingTable& table = actuator.table();
  metric.epoch.set(static_cast<double>(table.epoch));
  metric.replicas.set(std::accumulate(table.replicas.begin(), table.replicas.end(), 0.0,
                                      [](double sum, const auto& list) { return sum + static_cast<double>(list.size()); }));
  metric.capacity.set(capacity());
  if (table.epoch > 0)
    metric.imbalance.set(placement::imbalance_of(table.geometry, table.replicas, loads.rows_per_s, static_cast<std::uint32_t>(table.endpoints.size())));
  std::map<std::string, double> servers;
  for (const Member* member : book.of(InstanceRole::kExpertServer)) ++servers[name_of(member->status.state)];
  for (auto& [state, gauge] : metric.servers) gauge.set(servers[state]);
}

}  // namespace flexpert::controller
