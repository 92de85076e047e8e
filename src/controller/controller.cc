#include "controller/controller.h"

#include <algorithm>

#include "base/log.h"
#include "controller/controller_impl.h"

namespace flexpert::controller {
namespace {

scaling::ExpertUtilisationOptions scaling_options_of(const ControllerOptions& options) {
  scaling::ExpertUtilisationOptions out;
  if (!options.config.model) return out;
  const config::ExpertScalingConfig& from = options.config.model->scaling;
  out.replica_capacity_rows_per_s = from.replica_capacity_rows_per_s;
  out.high = from.high;
  out.low = from.low;
  out.min_replicas = from.min_replicas;
  out.max_replicas = from.max_replicas;
  out.window_tokens = from.window_tokens;
  out.longest_window = options.longest_window;
  out.smoothing = from.smoothing;
  out.cooldown = from_seconds(from.cooldown_s);
  return out;
}

std::optional<scaling::ExpertForecast> expert_forecast_of(const ControllerOptions& options) {
  if (!options.config.model || options.config.model->scaling.forecast_horizon_s <= 0) return std::nullopt;
  const config::ExpertScalingConfig& from = options.config.model->scaling;
  scaling::ExpertForecastOptions out;
  out.horizon_s = from.forecast_horizon_s;
  out.high = from.forecast_high;
  out.low = from.forecast_low;
  return scaling::ExpertForecast(out);
}

RebalancePolicy rebalance_policy_of(const ControllerOptions& options) {
  RebalancePolicy out;
  if (!options.config.model) return out;
  const config::PlacementConfig& from = options.config.model->placement;
  out.interval = from_seconds(from.rebalance_interval_s);
  out.threshold = from.threshold;
  out.drift = from.drift;
  out.least_gain = from.least_gain;
  out.max_moves = from.max_moves;
  out.window_tokens = from.window_tokens;
  out.smoothing = from.smoothing;
  if (from.cost == "deepseek_v3_decode") out.cost = &placement::StepCost::deepseek_v3_decode();
  if (from.cost == "deepseek_v3_prefill") out.cost = &placement::StepCost::deepseek_v3_prefill();
  out.link_bytes_per_s = from.link_bytes_per_s;
  return out;
}

}  // namespace

Controller::Impl::Impl(net::EventLoop& event_loop, ControllerOptions given, platform::Orchestrator& port, const Clock& time,
                       telemetry::Registry& metrics)
    : loop(event_loop),
      options(std::move(given)),
      orchestrator(port),
      clock(time),
      registry(metrics),
      caller(event_loop),
      sensors(caller),
      capacity_probe(caller),
      actuator(
          options, port, book, caller, [this] { settle_drains(); },
          [this](const Error& error) {
            metric.publish_failures.add();
            log::warn("controller: {}", error.message);
          }),
      scaling_options(scaling_options_of(options)),
      expert_forecast(expert_forecast_of(options)),
      keeper(rebalance_policy_of(options)) {
  if (options.hello) server_rows.emplace(loop, *options.hello);
  metric = make_metrics(registry);
  metric.dry_run.set(options.config.controller.dry_run ? 1 : 0);
}

Controller::Impl::~Impl() {
  orchestrator.set_on_change(nullptr);
  loop.cancel(tick_timer);
  loop.cancel(repair_timer);
  loop.cancel(drain_timer);
}

Result<void> Controller::Impl::start() {
  const std::string& file = options.config.controller.journal;
  const bool absolute = file.starts_with('/');
  FLEXPERT_ASSIGN(journal, store::Journal::open(absolute ? file : fmt::format("{}/{}", options.runtime_dir, file)));
  if (model() != nullptr) {
    if (options.pack_file.empty()) options.pack_file = model()->pack;
    scaling::ExpertUtilisationOptions checked = scaling_options;
    if (checked.replica_capacity_rows_per_s <= 0) checked.replica_capacity_rows_per_s = 1;  // not measured yet
    FLEXPERT_TRY(scaling::validate(checked));
    const config::ExpertServersConfig& servers = model()->expert_servers;
    if (servers.max < 1 || servers.min > servers.max || servers.slots_per_server < 1)
      return fail(ErrorCode::kInvalidArgument, "expert_servers: min must be at most max, and max and slots_per_server at least 1: {} to {}, {} slots",
                  servers.min, servers.max, servers.slots_per_server);
    if (scaling_options.replica_capacity_rows_per_s > 0) capacity_source = "configured";
  }
  api = std::make_unique<Api>(loop, Api::Sources{[this] { return snapshot(); }, [this] { return extras(); }, journal.get(), &registry,
                                                  [this](bool dry_run) { return asked_rebalance(dry_run); }, [this] { return placement_view(); },
                                                  [this] { update_placement_metrics(); },
                                                  [this] { return pools.get(); }});
  FLEXPERT_ASSIGN(const net::Address listen, net::Address::parse(options.config.controller.listen));
  FLEXPERT_TRY(api->listen(listen));

  orchestrator.set_on_change([this](const platform::Observed& observed) { on_change(observed); });
  if (model() != nullptr) {
    for (std::uint32_t i = 0; i < model()->servers; ++i) FLEXPERT_TRY(actuator.launch_model_server());
    const config::ExpertServersConfig& servers = model()->expert_servers;
    const std::uint32_t first = std::min(servers.max, servers.min + servers.warm);
    for (std::uint32_t i = 0; i < first; ++i) FLEXPERT_TRY(actuator.launch_expert_server());
    log::info("controller: {} model servers and {} expert servers of {} are starting; API at {}{}", model()->servers, first, model()->name,
              api->address().to_string(), options.config.controller.dry_run ? "; dry-run" : "");
  }
  if (options.config.pools) FLEXPERT_TRY(start_pools());
  tick_timer = loop.call_after(Duration::zero(), [this] { tick(); });
  return {};
}

Result<void> Controller::Impl::start_pools() {
  if (!options.make_planner) return fail(ErrorCode::kInternal, "pools are configured, and there is no planner for them");
  const std::string& file = options.config.controller.journal;
  PoolLoopOptions given;
  std::string followed = api->address().to_string();
  if (followed.starts_with("*:")) followed.replace(0, 1, "127.0.0.1");
  given.fleet.launcher = {.program = options.program,
                          .runtime_dir = options.runtime_dir,
                          .packs = options.packs,
                          .instances_survive = options.instances_survive,
                          .config_file = options.config_source,
                          .gateway_listen = options.config.gateway.listen,
                          .controller = followed,
                          .internal_secret_file = options.config.access.internal_secret_file};
  given.fleet.drain_grace = options.drain_grace;
  given.journal = file.starts_with('/') ? file : fmt::format("{}/{}", options.runtime_dir, file);
  given.config_text = options.config_text;
  given.config_source = options.config_source;
  given.version = options.version;
  given.dry_run = options.config.controller.dry_run;
  given.kept_cycles = options.kept_cycles;
  given.checkpoint_cycles = options.checkpoint_cycles;
  given.make_planner = options.make_planner;
  FLEXPERT_ASSIGN(pools, PoolLoop::create(loop, clock, registry, *options.config.pools, std::move(given), orchestrator, caller, [this] {
                    changed();
                    if (draining) drain_step();
                  }));
  log::info("controller: {} pools are planned every {} s; API at {}{}", options.config.pools->planner.pools.size(),
            options.config.pools->planner.interval_s, api->address().to_string(), options.config.controller.dry_run ? "; dry-run" : "");
  return {};
}

void Controller::Impl::tick() {
  const double interval_s = model() != nullptr ? model()->scaling.interval_s : 1.0;
  tick_timer = loop.call_after(std::max<Duration>(from_seconds(interval_s), Milliseconds(10)), [this] { tick(); });
  if (draining || model() == nullptr) return;
  actuator.push();
  std::vector<Sensors::Target> targets;
  for (const Member* member : book.of(InstanceRole::kModelServer))
    if (member->status.state == InstanceState::kReady) targets.push_back({member->status.id, member->address});
  measure_servers();
  sensors.poll(targets, [this](std::vector<Reading> readings) { on_readings(std::move(readings)); });
}

void Controller::Impl::on_change(const platform::Observed& observed) {
  Member* member = book.find(observed.id);
  if (member == nullptr) {
    if (pools) pools->fleet().take(observed);
    return;
  }
  InstanceStatus& status = member->status;
  const bool was_in_table = status.role == InstanceRole::kExpertServer && (status.state == InstanceState::kReady || member->leaving_table);
  status.pid = observed.pid;
  status.restarts = observed.restarts;
  if (!observed.last_error.empty()) status.last_error = observed.last_error;
  switch (observed.state) {
    case InstanceState::kReady: instance_ready(*member); break;
    case InstanceState::kFailed: instance_failed(*member, was_in_table); break;
    case InstanceState::kStopped: instance_gone(observed.id); break;
    case InstanceState::kStarting:
      status.state = InstanceState::kStarting;
      member->acked_epoch = 0;
      member->put_in_flight = false;
      break;
    default: break;
  }
  changed();
}

void Controller::Impl::instance_ready(Member& member) {
  InstanceStatus& status = member.status;
  if (member.stopping) return;
  log::info("controller: {} is ready: pid {}", status.id, status.pid);
  if (status.role == InstanceRole::kExpertServer) {
    status.state = InstanceState::kWarm;
    repair_soon();
    return;
  }
  status.state = InstanceState::kReady;
  member.acked_epoch = 0;
  member.put_in_flight = false;
  if (!model_ready_at) model_ready_at = loop.now();
  actuator.push();
  loop.cancel(tick_timer);  // geometry and loads are wanted now
  tick_timer = loop.call_after(Duration::zero(), [this] { tick(); });
}

void Controller::Impl::instance_failed(Member& member, bool was_in_table) {
  InstanceStatus& status = member.status;
  status.state = InstanceState::kFailed;
  status.running = status.queued = 0;
  member.leaving_table = false;
  member.acked_epoch = 0;
  member.put_in_flight = false;
  if (draining) return;
  log::warn("controller: {} failed: {}", status.id, status.last_error);
  Action action{ActionKind::kServerFailed, {}, status.id, 1, 0, {}};
  action.reasons.push_back({was_in_table ? "crashed_in_use" : "crashed",
                            status.last_error,
                            {{"restarts", static_cast<double>(status.restarts)}, {"in_table", was_in_table ? 1.0 : 0.0}}});
  pending_failures.push_back(std::move(action));
  repair_soon();
}

void Controller::Impl::instance_gone(const InstanceId& id) {
  log::info("controller: {} has stopped", id);
  book.remove(id);
  if (draining) {
    drain_step();
  } else {
    repair_soon();
  }
}

void Controller::Impl::drain(Duration deadline, std::move_only_function<void()> done) {
  drained = std::move(done);
  if (std::exchange(draining, true)) return;
  loop.cancel(std::exchange(repair_timer, 0));
  drain_timer = loop.call_after(deadline, [this, deadline] {
    drain_timer = 0;
    log::warn("controller: drain deadline of {:.1f} s passed; processes that are left will be killed: {}", to_seconds(deadline),
              snapshot().instances.size());
    if (drained) std::exchange(drained, nullptr)();
  });
  for (Member* member : book.of(InstanceRole::kModelServer))
    if (!member->stopping) actuator.stop(*member);
  if (pools) pools->stop_all();
  drain_step();
}

void Controller::Impl::drain_step() {
  if (book.count(InstanceRole::kModelServer) > 0) return;
  for (Member* member : book.of(InstanceRole::kExpertServer))
    if (!member->stopping) actuator.stop(*member);
  if (book.count(InstanceRole::kExpertServer) > 0 || (pools && !pools->fleet().empty()) || api_draining) return changed();
  api_draining = true;
  // Through the loop: `done` may destroy the controller, and with it the server whose callback this is.
  api->drain(Seconds(1), [this] {
    loop.cancel(std::exchange(drain_timer, 0));
    if (drained) loop.post(std::exchange(drained, nullptr));
  });
}

bool Controller::Impl::ready() {
  if (draining || (pools && !pools->ready())) return false;
  if (model() == nullptr) return true;
  if (actuator.table().epoch == 0 || !actuator.settled()) return false;
  const auto servers = book.of(InstanceRole::kModelServer);
  return std::any_of(servers.begin(), servers.end(), [](const Member* m) { return m->status.state == InstanceState::kReady; });
}

StatusExtras Controller::Impl::extras() {
  StatusExtras out;
  out.dry_run = options.config.controller.dry_run;
  out.paced = model_paced || (model() != nullptr && model()->expert_servers.pace_rows_per_s > 0);
  out.ready = ready();
  out.last_decision = last_decision;
  return out;
}

void Controller::Impl::changed() {
  ++revision;
  update_metrics();
  api->changed();
}

FleetSnapshot Controller::Impl::snapshot() {
  FleetSnapshot out;
  out.revision = revision;
  out.unix_ms = clock.unix_ms();
  if (model() != nullptr) out.model = model()->name;
  const RoutingTable& table = actuator.table();
  std::map<InstanceId, std::pair<std::uint32_t, double>> held;  // slots, rows/s
  for (std::size_t i = 0; i < table.replicas.size(); ++i) {
    const std::vector<std::uint16_t>& list = table.replicas[i];
    const double rate = i < loads.rows_per_s.size() && !list.empty() ? loads.rows_per_s[i] / static_cast<double>(list.size()) : 0;
    for (const std::uint16_t e : list) {
      auto& [slots, rows] = held[table.endpoints[e].id];
      ++slots;
      rows += rate;
    }
  }
  for (const Member* member : book.all()) {
    InstanceStatus status = member->status;
    if (const auto it = held.find(status.id); it != held.end()) std::tie(status.slots, status.rows_per_s) = it->second;
    out.instances.push_back(std::move(status));
  }
  for (std::size_t i = 0; i < loads.rows_per_s.size() && i < table.replicas.size(); ++i) {
    const auto replicas = static_cast<std::uint32_t>(table.replicas[i].size());
    out.experts.push_back(
        {geometry.slot(i), loads.rows_per_s[i], scaling::utilisation_of(loads.rows_per_s[i], replicas, capacity()), replicas});
  }
  if (pools) pools->fleet().append_to(out);
  if (table.epoch > 0) out.routing = table;
  out.replica_capacity_rows_per_s = capacity();
  out.capacity_source = capacity_source;
  return out;
}

Result<std::unique_ptr<Controller>> Controller::create(net::EventLoop& loop, ControllerOptions options, platform::Orchestrator& orchestrator,
                                                       const Clock& clock, telemetry::Registry& registry) {
  auto impl = std::make_unique<Impl>(loop, std::move(options), orchestrator, clock, registry);
  FLEXPERT_TRY(impl->start());
  return std::unique_ptr<Controller>(new Controller(std::move(impl)));
}

Controller::Controller(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Controller::~Controller() = default;
const net::Address& Controller::address() const { return impl_->api->address(); }
FleetSnapshot Controller::snapshot() const { return impl_->snapshot(); }
bool Controller::ready() const { return impl_->ready(); }
void Controller::drain(Duration deadline, std::move_only_function<void()> done) { impl_->drain(deadline, std::move(done)); }

}  // namespace flexpert::controller
