#include "controller/pool_loop.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "codec/journal_records.h"
#include "codec/pool_snapshot_json.h"
#include "codec/scale_plan_json.h"
#include "controller/pool_sentence.h"

namespace flexpert::controller {
namespace {

/// Every cycle has its line in the log; those in which nothing changes at most one in so long.
constexpr Duration kHeartbeat = Seconds(5);
/// Two cycles are at least so far apart, whatever asks for one.
constexpr Duration kLeastGap = Milliseconds(200);

Result<std::unique_ptr<platform::WebhookOrchestrator>> make_webhook(net::EventLoop& loop, const Clock& clock, const config::PoolsConfig& config) {
  const bool used = std::any_of(config.entries.begin(), config.entries.end(), [](const auto& entry) { return entry.launch.backend == "webhook"; });
  if (!used) return std::unique_ptr<platform::WebhookOrchestrator>();
  std::ifstream file(config.webhook.secret_file, std::ios::binary);
  std::string secret{std::istreambuf_iterator<char>(file), {}};
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  if (secret.empty())
    return fail(ErrorCode::kInvalidArgument, "planner.webhook.secret_file: cannot be read, or is empty: {}", config.webhook.secret_file);
  return platform::WebhookOrchestrator::create(loop, clock, {.url = config.webhook.url, .secret = secret, .timeout = from_seconds(config.webhook.timeout_s)});
}

}  // namespace

PoolLoop::PoolLoop(net::EventLoop& loop, const Clock& clock, telemetry::Registry& registry, const config::PoolsConfig& config, PoolLoopOptions options)
    : loop_(loop), clock_(clock), config_(config), options_(std::move(options)), limits_(config.planner), metrics_(registry),
      config_hash_(codec::config_hash(options_.config_text)) {}

PoolLoop::~PoolLoop() { loop_.cancel(timer_); }

Result<std::unique_ptr<PoolLoop>> PoolLoop::create(net::EventLoop& loop, const Clock& clock, telemetry::Registry& registry,
                                                   const config::PoolsConfig& config, PoolLoopOptions options,
                                                   platform::Orchestrator& orchestrator, JsonCaller& caller, std::function<void()> on_change) {
  std::unique_ptr<PoolLoop> pools(new PoolLoop(loop, clock, registry, config, std::move(options)));
  FLEXPERT_TRY(pools->start(orchestrator, caller, std::move(on_change)));
  return pools;
}

Result<void> PoolLoop::start(platform::Orchestrator& orchestrator, JsonCaller& caller, std::function<void()> on_change) {
  if (config_.entries.size() != config_.planner.pools.size())
    return fail(ErrorCode::kInternal, "pools: {} entries for {} pools", config_.entries.size(), config_.planner.pools.size());
  FLEXPERT_ASSIGN(planner_, options_.make_planner(config_.planner));
  if (!config_.shadows.empty()) {
    std::vector<scaling::ShadowOptions> shadows;
    for (const config::ShadowConfig& shadow : config_.shadows) shadows.push_back({shadow.name, shadow.policies});
    FLEXPERT_ASSIGN(shadows_, scaling::ShadowPlanner::create(config_.planner, shadows));
  }
  FLEXPERT_ASSIGN(journal_, store::PlanJournal::open(options_.journal));
  FLEXPERT_ASSIGN(sensors_, PoolSensors::create(loop_, clock_, config_));
  FLEXPERT_ASSIGN(webhook_, make_webhook(loop_, clock_, config_));
  fleet_ = std::make_unique<PoolFleet>(loop_, clock_, config_, options_.fleet, orchestrator, webhook_.get(), caller, [this, changed = std::move(on_change)] {
    if (fleet_ != nullptr)
      for (std::size_t i = 0; i < config_.planner.pools.size(); ++i) sensors_->set_instances(config_.planner.pools[i].id, fleet_->sensed_instances(i));
    changed();
  });
  if (webhook_) webhook_->set_on_progress([this](const codec::WebhookProgress& progress) { fleet_->take(progress); });
  FLEXPERT_TRY(restore());
  fleet_->adopt(orchestrator.recover());
  sensors_->on_demand([this](const PoolId&) { cycle_soon(); });
  timer_ = loop_.call_after(Duration::zero(), [this] { cycle(); });
  return {};
}

Result<void> PoolLoop::restore() {
  FLEXPERT_ASSIGN(const std::string planner_state, journal_->state("planner"));
  FLEXPERT_ASSIGN(const std::string own, journal_->state("pools"));
  if (!planner_state.empty())
    if (const auto restored = planner_->restore(planner_state); !restored)
      log::warn("controller: the planner starts afresh: {}", restored.error().message);
  if (shadows_) {
    FLEXPERT_ASSIGN(const std::string shadow_state, journal_->state("shadows"));
    if (!shadow_state.empty())
      if (const auto restored = shadows_->restore(shadow_state); !restored) log::warn("controller: the shadows start afresh: {}", restored.error().message);
  }
  // Whatever a predecessor got done shows in the instances that are taken over; what it did not get done is not on its way.
  planner_->note_not_acted();
  if (!own.empty()) {
    StateReader reader(own);
    reader.tag("pool-loop/1");
    cycle_ = static_cast<std::uint64_t>(reader.integer());
    last_unix_ms_ = reader.integer();
    const auto revision = static_cast<std::uint64_t>(reader.integer());
    for (const std::string& name : limits_.restore(reader))
      log::warn("controller: limits changed by an admin do not fit the configuration any more and are dropped: {}", name);
    fleet_->restore(reader);
    if (!reader.ok()) log::warn("controller: what was remembered of the pools is dropped: {}", reader.result().error().message);
    if (webhook_ && reader.ok()) webhook_->resume_after(revision);
  }
  save_state({start_row("start", planner_->save())});
  return {};
}

store::PlanRow PoolLoop::start_row(const std::string& kind, const std::string& planner_state) const {
  return {0, clock_.unix_ms(), kind, false, config_hash_,
          encode(codec::JournalStart{options_.version, options_.config_source, options_.config_text, planner_state}), ""};
}

store::PlanJournal::State PoolLoop::state() const {
  StateWriter writer;
  writer.tag("pool-loop/1");
  writer.integer(static_cast<std::int64_t>(cycle_));
  writer.integer(last_unix_ms_);
  writer.integer(webhook_ ? static_cast<std::int64_t>(webhook_->delivery().wanted_revision) : 0);
  limits_.save(writer);
  fleet_->save(writer);
  store::PlanJournal::State state{{"planner", planner_->save()}, {"pools", writer.take()}};
  if (shadows_) state.emplace_back("shadows", shadows_->save());
  return state;
}

void PoolLoop::save_state(std::vector<store::PlanRow> rows) {
  const auto written = journal_->commit(rows, state());
  if (written) {
    journal_error_.clear();
    if (!rows.empty()) cycles_missing_ = false;
    return;
  }
  if (!rows.empty()) cycles_missing_ = true;
  metrics_.journal_failed();
  if (journal_error_ != written.error().message) log::error("controller: {}", written.error().message);
  journal_error_ = written.error().message;
}

void PoolLoop::cycle_soon() {
  if (stopped_) return;
  const Duration since = loop_.now() - cycle_at_;
  loop_.cancel(timer_);
  metrics_.early_cycle();
  timer_ = loop_.call_after(std::max<Duration>(Duration::zero(), kLeastGap - since), [this] { cycle(); });
}

PoolsSnapshot PoolLoop::look() {
  PoolsSnapshot out;
  out.cycle = cycle_;
  out.unix_ms = last_unix_ms_;
  out.gpu_budget = limits_.gpu_budget();
  unseen_.assign(config_.planner.pools.size(), {});
  for (std::size_t i = 0; i < config_.planner.pools.size(); ++i) {
    PoolObservation& pool = out.pools.emplace_back();
    fleet_->observe(i, pool);
    pool.limits = limits_.of(i);
    unseen_[i] = sensors_->fill(pool);
    fleet_->sensed(i, pool);
  }
  return out;
}

void PoolLoop::cycle() {
  timer_ = 0;
  if (stopped_) return;
  cycle_at_ = loop_.now();
  timer_ = loop_.call_after(from_seconds(config_.planner.interval_s), [this] { cycle(); });
  const TimePoint began = clock_.now();
  ++cycle_;
  last_unix_ms_ = std::max(last_unix_ms_ + 1, clock_.unix_ms());
  snapshot_ = look();
  const std::string state_before = cycles_missing_ ? planner_->save() : "";
  plan_ = planner_->plan(snapshot_);
  if (options_.dry_run) planner_->note_not_acted();
  if (shadows_) shadows_->observe(snapshot_, *plan_);
  note(snapshot_, *plan_, state_before);
  metrics_.take(snapshot_, *plan_, shadows_ ? shadows_->standings() : std::vector<scaling::ShadowStanding>{}, to_seconds(clock_.now() - began));
  if (options_.dry_run) return;
  fleet_->carry_out(*plan_);
  if (acts(*plan_)) save_state({});  // who was told to go is known to a successor, too
}

void PoolLoop::note(const PoolsSnapshot& snapshot, const ScalePlan& plan, const std::string& state_before) {
  const std::string standing = standing_of(plan);
  const bool news = acts(plan) || standing != standing_;
  standing_ = standing;
  std::vector<store::PlanRow> rows;
  if (!state_before.empty()) rows.push_back(start_row("start", state_before));
  rows.push_back({0, snapshot.unix_ms, options_.dry_run ? "dry_cycle" : "cycle", news, config_hash_, codec::encode(snapshot), codec::encode(plan)});
  const bool checkpoint = ++since_checkpoint_ >= options_.checkpoint_cycles;
  if (checkpoint) {
    since_checkpoint_ = 0;
    rows.push_back(start_row("checkpoint", planner_->save()));
  }
  save_state(std::move(rows));
  if (checkpoint)
    if (const auto pruned = journal_->prune(options_.kept_cycles); !pruned) log::error("controller: {}", pruned.error().message);
  const bool due = loop_.now() - told_at_ >= kHeartbeat || told_at_ == TimePoint{};
  if (!news && !due) return;
  told_at_ = loop_.now();
  log::info("controller: {}{}", options_.dry_run ? "(dry-run) " : "", news ? sentence_of(plan) : heartbeat_of(plan));
}

bool PoolLoop::ready() const {
  if (!plan_) return false;
  for (std::size_t i = 0; i < config_.planner.pools.size(); ++i)
    if (fleet_->count(i, InstanceState::kReady) < limits_.of(i).min && !options_.dry_run) return false;
  return true;
}

void PoolLoop::stop_all() {
  stopped_ = true;
  loop_.cancel(std::exchange(timer_, 0));
  fleet_->stop_all();
}

}  // namespace flexpert::controller
