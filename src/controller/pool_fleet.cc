#include "controller/pool_fleet.h"

#include <algorithm>

#include "base/log.h"
#include "codec/engine_resources_json.h"
#include "controller/sensors.h"

namespace flexpert::controller {
namespace {

constexpr std::size_t kKeptStartups = 20;
constexpr unsigned kIdleLooks = 2;

}  // namespace

PoolFleet::PoolFleet(net::EventLoop& loop, const Clock& clock, const config::PoolsConfig& config, PoolFleetOptions options,
                     platform::Orchestrator& orchestrator, platform::WebhookOrchestrator* webhook, JsonCaller& caller,
                     std::function<void()> on_change)
    : loop_(loop),
      clock_(clock),
      config_(config),
      options_(std::move(options)),
      orchestrator_(orchestrator),
      webhook_(webhook),
      caller_(caller),
      on_change_(std::move(on_change)),
      launcher_(options_.launcher),
      pools_(config.planner.pools.size()) {}

PoolFleet::~PoolFleet() {
  loop_.cancel(drain_timer_);
  loop_.cancel(launch_timer_);
}

PoolMember* PoolFleet::find(const InstanceId& id) {
  const auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

void PoolFleet::set_state(PoolMember& member, InstanceState state) {
  // A start is one start, however often it fails before it is ready.
  const bool still_starting = !member.ever_ready && (state == InstanceState::kStarting || state == InstanceState::kFailed);
  if (member.status.state != state && !still_starting) member.since_unix_ms = clock_.unix_ms();
  member.status.state = state;
}

void PoolFleet::adopt(const std::vector<platform::Recovered>& recovered) {
  for (const platform::Recovered& one : recovered) {
    std::size_t pool = 0;
    std::uint32_t number = 0;
    while (pool < pools_.size() && !is_instance_of(one.spec.id, pool_config(pool).id, number)) ++pool;
    auto address = net::Address::parse(one.spec.readiness.address);
    if (pool == pools_.size() || is_webhook(pool) || !address) {
      log::warn("controller: {} is of no pool any more and is stopped", one.spec.id);
      if (const auto stopped = orchestrator_.stop(one.spec.id); !stopped) log::error("controller: {}", stopped.error().message);
      continue;
    }
    pools_[pool].next_number = std::max(pools_[pool].next_number, number + 1);
    PoolMember member;
    member.pool = pool;
    member.status.id = one.spec.id;
    member.status.role = role_of(pool_config(pool));
    member.status.model = model_name_of(config_.entries[pool].launch, pool_config(pool).id);
    member.status.address = one.spec.readiness.address;
    member.status.pid = one.seen.pid;
    member.status.restarts = one.seen.restarts;
    member.status.state = one.seen.state;
    member.address = std::move(*address);
    member.since_unix_ms = clock_.unix_ms();
    member.ever_ready = one.seen.state == InstanceState::kReady;
    const auto known = remembered_.find(one.spec.id);
    const char was = known == remembered_.end() ? ' ' : known->second;
    member.warm = was == 'w';
    if (member.warm && member.ever_ready) member.status.state = InstanceState::kWarm;
    member.stopping = one.seen.state == InstanceState::kDraining;
    PoolMember& added = members_[one.spec.id] = std::move(member);
    log::info("controller: {} is taken over: pid {}, {}", added.status.id, added.status.pid, name_of(added.status.state));
    if (was == 'd' && !added.stopping) drain(added);
  }
  remembered_.clear();
  on_change_();
}

bool PoolFleet::take(const platform::Observed& observed) {
  PoolMember* member = find(observed.id);
  if (member == nullptr) return false;
  member->status.pid = observed.pid;
  member->status.restarts = observed.restarts;
  if (!observed.last_error.empty()) member->status.last_error = observed.last_error;
  switch (observed.state) {
    case InstanceState::kReady: ready(*member); break;
    case InstanceState::kStopped: gone(observed.id); break;
    case InstanceState::kFailed:
      if (member->leaving()) {
        stop(*member);  // there is nothing left to finish
        break;
      }
      log::warn("controller: {} failed: {}", member->status.id, member->status.last_error);
      member->status.running = member->status.queued = 0;
      set_state(*member, InstanceState::kFailed);
      break;
    case InstanceState::kStarting:
      if (!member->leaving()) set_state(*member, InstanceState::kStarting);
      break;
    default: break;
  }
  on_change_();
  return true;
}

void PoolFleet::ready(PoolMember& member) {
  if (member.leaving()) return;
  if (member.launched_at) {
    std::deque<double>& startups = pools_[member.pool].startups_s;
    startups.push_back(to_seconds(clock_.now() - *member.launched_at));
    if (startups.size() > kKeptStartups) startups.pop_front();
    log::info("controller: {} is ready after {:.1f} s: pid {}", member.status.id, startups.back(), member.status.pid);
  }
  member.launched_at.reset();
  member.ever_ready = true;
  set_state(member, member.warm ? InstanceState::kWarm : InstanceState::kReady);
}

void PoolFleet::gone(const InstanceId& id) {
  log::info("controller: {} has stopped", id);
  members_.erase(id);
}

void PoolFleet::carry_out(const ScalePlan& plan) {
  for (std::size_t pool = 0; pool < pools_.size(); ++pool) {
    const auto found = std::find_if(plan.pools.begin(), plan.pools.end(), [&](const PoolPlan& one) { return one.pool == pool_config(pool).id; });
    if (found == plan.pools.end()) continue;
    pools_[pool].target = found->target;
    for (const PoolAction& action : found->actions) act(pool, action);
  }
  tell_webhook(plan);
  on_change_();
}

void PoolFleet::act(std::size_t pool, const PoolAction& action) {
  if (action.kind == PoolActionKind::kStart) {
    for (std::uint32_t i = 0; i < action.count && !is_webhook(pool); ++i) start(pool, action.warm);
    return;
  }
  PoolMember* member = find(action.instance);
  if (member == nullptr || member->pool != pool) return;  // it went while the plan was made
  switch (action.kind) {
    case PoolActionKind::kActivate:
      member->warm = false;
      if (member->status.state == InstanceState::kWarm) set_state(*member, InstanceState::kReady);
      break;
    case PoolActionKind::kDrain: drain(*member); break;
    case PoolActionKind::kCancel: stop(*member); break;
    case PoolActionKind::kResize: resize(*member, action); break;
    case PoolActionKind::kStart: break;
  }
}

void PoolFleet::start(std::size_t index, bool warm) {
  Pool& pool = pools_[index];
  const InstanceId id = instance_id(pool_config(index).id, pool.next_number++);
  PoolMember& member = members_[id];
  member.pool = index;
  member.warm = warm;
  member.unlaunched = true;
  member.since_unix_ms = clock_.unix_ms();
  member.status.id = id;
  member.status.role = role_of(pool_config(index));
  member.status.model = model_name_of(config_.entries[index].launch, pool_config(index).id);
  member.status.state = InstanceState::kStarting;
  launch(member);
}

/// What cannot be launched now stays a start of the planner's, and is tried again after a pause.
void PoolFleet::launch(PoolMember& member) {
  Pool& pool = pools_[member.pool];
  const config::PoolEntry& entry = config_.entries[member.pool];
  if (pool.launch_failures == 0 || loop_.now() >= pool.launch_again_at) {
    const auto launched = [&]() -> Result<void> {
      FLEXPERT_ASSIGN(platform::LaunchSpec spec, launcher_.spec_of(entry, pool_config(member.pool), member.status.id));
      FLEXPERT_ASSIGN(member.address, net::Address::parse(spec.readiness.address));
      member.status.address = spec.readiness.address;
      return orchestrator_.launch(std::move(spec));
    }();
    if (launched) {
      pool.launch_failures = 0;
      pool.launch_error.clear();
      member.unlaunched = false;
      member.launched_at = clock_.now();
      member.status.last_error.clear();
      set_state(member, InstanceState::kStarting);
      for (const platform::Observed& observed : orchestrator_.observe())
        if (observed.id == member.status.id) member.status.pid = observed.pid;
      return;
    }
    const Duration pause = options_.launch_pause * (1U << std::min(pool.launch_failures, 10U));
    ++pool.launch_failures;
    pool.launch_again_at = loop_.now() + std::min(pause, options_.longest_launch_pause);
    pool.launch_error = launched.error().message;
    log::error("controller: an instance of {} could not be started: {}", pool_config(member.pool).id, pool.launch_error);
  }
  member.status.last_error = pool.launch_error;
  set_state(member, InstanceState::kFailed);
  if (launch_timer_ == 0) launch_timer_ = loop_.call_after(pool.launch_again_at - loop_.now(), [this] { launch_again(); });
}

void PoolFleet::launch_again() {
  launch_timer_ = 0;
  std::optional<TimePoint> next;
  for (auto& [id, member] : members_) {
    if (!member.unlaunched || member.leaving()) continue;
    if (loop_.now() >= pools_[member.pool].launch_again_at) launch(member);
    if (!member.unlaunched) continue;
    const TimePoint again = pools_[member.pool].launch_again_at;
    next = next ? std::min(*next, again) : again;
  }
  loop_.cancel(std::exchange(launch_timer_, 0));
  if (next) launch_timer_ = loop_.call_after(*next - loop_.now(), [this] { launch_again(); });
  on_change_();
}

void PoolFleet::drain(PoolMember& member) {
  if (member.leaving()) return;
  // Nobody routes to a gateway, it drains by itself; what has no process has nothing to finish.
  if (member.status.role == InstanceRole::kGateway || member.unlaunched) return stop(member);
  member.draining = true;
  member.draining_at = loop_.now();
  member.sensed_load.reset();
  set_state(member, InstanceState::kDraining);
  if (drain_timer_ == 0) drain_timer_ = loop_.call_after(options_.drain_look, [this] { look_at_draining(); });
}

void PoolFleet::look_at_draining() {
  drain_timer_ = 0;
  bool any = false;
  for (auto& [id, member] : members_) {
    if (!member.draining || member.stopping || is_webhook(member.pool)) continue;
    any = true;
    const Duration so_far = loop_.now() - member.draining_at;
    if (so_far >= from_seconds(config_.entries[member.pool].launch.drain_deadline_s)) {
      log::warn("controller: {} is stopped at its drain deadline with {} requests in it", id, member.status.running + member.status.queued);
      stop(member);
      continue;
    }
    if (so_far < options_.drain_grace || std::exchange(member.asked, true)) continue;
    caller_.call(member.address, "GET", "/internal/status", "", [this, weak = std::weak_ptr(alive_), which = id](const Result<std::string>& status) {
      if (!weak.expired()) looked(which, status);
    });
  }
  if (any) drain_timer_ = loop_.call_after(options_.drain_look, [this] { look_at_draining(); });
}

void PoolFleet::looked(const InstanceId& id, const Result<std::string>& body) {
  PoolMember* member = find(id);
  if (member == nullptr || !member->draining || member->stopping) return;
  member->asked = false;
  const Result<ModelServerStatus> status = body ? decode_model_server_status(*body) : Result<ModelServerStatus>(fail(body.error()));
  if (status) {
    member->status.running = status->running;
    member->status.queued = status->queued;
    member->idle_looks = status->running + status->queued == 0 ? member->idle_looks + 1 : 0;
  } else {
    // Another engine: what a cycle has seen in it since.
    member->idle_looks = member->sensed_load == 0U ? kIdleLooks : 0;
  }
  if (member->idle_looks >= kIdleLooks) stop(*member);
}

void PoolFleet::stop(PoolMember& member) {
  if (std::exchange(member.stopping, true)) return;
  set_state(member, InstanceState::kDraining);
  if (is_webhook(member.pool)) return;
  if (member.unlaunched) {
    loop_.post([this, weak = std::weak_ptr(alive_), id = member.status.id] {
      if (weak.expired()) return;
      members_.erase(id);
      on_change_();
    });
    return;
  }
  if (const auto stopped = orchestrator_.stop(member.status.id); !stopped) log::warn("controller: {}", stopped.error().message);
}

void PoolFleet::stop_all() {
  for (auto& [id, member] : members_) stop(member);
  std::erase_if(members_, [this](const auto& item) { return is_webhook(item.second.pool) || item.second.unlaunched; });
}

void PoolFleet::resize(const PoolMember& member, const PoolAction& action) {
  const std::string body = codec::encode(codec::EngineResourcesWish{.threads = action.threads, .kv_blocks = action.kv_blocks});
  caller_.call(member.address, "PUT", "/internal/resources", body, [id = member.status.id](const Result<std::string>& answer) {
    if (!answer && answer.error().code != ErrorCode::kNotFound) log::warn("controller: {} was not resized: {}", id, answer.error().message);
  });
}

}  // namespace flexpert::controller
