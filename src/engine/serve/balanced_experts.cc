#include "engine/serve/balanced_experts.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace flexpert::engine {
namespace {

/// Windows of an interval: so early a drift can be seen.
constexpr std::uint64_t kWindowsOfAnInterval = 16;
/// Parts of a window: the shorter, the nearer to what a dispatch sees at once.
constexpr std::uint64_t kPartsOfAWindow = 8;
/// While the planner is busy, parts beyond these are put together.
constexpr std::size_t kMostParts = 64;

ExpertCounts no_counts(const ExpertGeometry& geometry) { return {geometry, std::vector<double>(geometry.size(), 0.0), 0}; }

void add_to(ExpertCounts& sum, const ExpertCounts& counts) {
  for (std::size_t i = 0; i < sum.count.size(); ++i) sum.count[i] += counts.count[i];
  sum.tokens += counts.tokens;
}

}  // namespace

BalancedExperts::Metrics::Metrics(telemetry::Registry& its_registry)
    : registry(its_registry),
      moved_slots(registry.counter("flexpert_placement_moved_slots_total", "Slots that a new placement gave another expert, by cause.", {{"cause", "balance"}})),
      moved_bytes(registry.counter("flexpert_placement_moved_bytes_total", "Bytes of the weights that servers got, by cause.", {{"cause", "balance"}})),
      age(registry.gauge("flexpert_placement_plan_age_seconds", "Since the placement in force took effect, as of the newest window.")),
      expected(registry.gauge("flexpert_placement_expected_balancedness", "Balancedness that the newest plan expects.")),
      measured(registry.gauge("flexpert_placement_measured_balancedness", "Balancedness of the placement in force under the newest window.")),
      bound(registry.gauge("flexpert_placement_bound_balancedness", "The most balancedness that any placement could have had under the newest plan's loads.")),
      plan_s(registry.histogram("flexpert_placement_plan_seconds", "Time to look at a window and to plan, off the engine thread.",
                                {1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1})) {}

BalancedExperts::BalancedExperts(ExpertExecutor& inner, LayoutPlanner planner, const EplbOptions& options, const ModelConfig& model,
                                 const RoutingTable& table, TableSwap swap, telemetry::Registry& metrics, const Clock& clock)
    : inner_(inner),
      options_(options),
      model_(model),
      swap_(std::move(swap)),
      clock_(clock),
      metrics_(metrics),
      window_{{no_counts(table.geometry), {}}, 0},
      part_(no_counts(table.geometry)),
      part_steps_(std::max<std::uint64_t>(1, options.interval_steps / kWindowsOfAnInterval / kPartsOfAWindow)),
      in_force_at_(clock.now()),
      planner_(std::move(planner)),
      table_(table) {
  while (first_layer_ + 1 < model.num_layers && !model.is_moe_layer(first_layer_)) ++first_layer_;
  thread_ = std::thread([this] { plan_windows(); });
}

BalancedExperts::~BalancedExperts() {
  {
    MutexLock lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BalancedExperts::begin_step(std::uint64_t step) {
  if (planned_any_.load(std::memory_order_acquire)) take_plan();
  inner_.begin_step(step);
  if (in_part_ >= part_steps_) end_part();
  if (window_.recorded.parts.size() >= kPartsOfAWindow && idle_.load(std::memory_order_acquire)) hand_over();
  ++in_part_;
}

void BalancedExperts::compute(const ExpertBatch& batch) {
  double* counts = part_.count.data() + part_.geometry.index({batch.layer, 0});
  for (const ExpertGroup& group : batch.groups) counts[group.expert] += static_cast<double>(group.rows.size());
  if (batch.layer == first_layer_) part_.tokens += batch.row_count;
  inner_.compute(batch);
}

/// Puts a finished plan in force: between two steps.
void BalancedExperts::take_plan() {
  std::optional<Planned> planned;
  {
    MutexLock lock(mutex_);
    planned = std::exchange(planned_, std::nullopt);
    planned_any_.store(false, std::memory_order_relaxed);
  }
  if (!planned) return;
  const Result<void> set = swap_.set(planned->table);
  if (set) {
    in_force_at_ = clock_.now();
    metrics_.moved_slots.add(static_cast<double>(planned->plan.moves.changed()));
    metrics_.moved_bytes.add(static_cast<double>(planned->plan.moves.bytes));
    metrics_.expected.set(planned->plan.balance.balancedness);
    metrics_.bound.set(planned->plan.balance.bound);
    swap_.on_set(planned->table);
  } else {
    log::error("eplb: a table was not taken: {}", set.error().message);
  }
  {
    MutexLock lock(mutex_);
    taken_ = true;
    refused_ = !set;
  }
  changed_.notify_all();
}

void BalancedExperts::end_part() {
  add_to(window_.recorded.counts, part_);
  window_.steps += std::exchange(in_part_, 0);
  ExpertCounts ended = std::exchange(part_, no_counts(part_.geometry));
  if (window_.recorded.parts.size() < kMostParts) return window_.recorded.parts.push_back(std::move(ended));
  add_to(window_.recorded.parts.back(), ended);
}

void BalancedExperts::hand_over() {
  metrics_.age.set(to_seconds(clock_.now() - in_force_at_));
  Window given{{no_counts(part_.geometry), {}}, 0};
  std::swap(given, window_);
  idle_.store(false, std::memory_order_relaxed);
  {
    MutexLock lock(mutex_);
    given_ = std::move(given);
  }
  changed_.notify_all();
}

/// The planning thread: windows in, at most one plan at a time out.
void BalancedExperts::plan_windows() {
  while (true) {
    std::optional<Window> window;
    {
      MutexLock lock(mutex_);
      while (!given_ && !closing_) changed_.wait(mutex_);
      if (closing_) return;
      window = std::exchange(given_, std::nullopt);
    }
    if (auto planned = plan(*window)) {
      const ExpertLayout layout = planned->plan.layout;
      RoutingTable table = *planned->table;
      bool refused = false;
      {
        MutexLock lock(mutex_);
        taken_ = false;
        planned_ = std::move(*planned);
        planned_any_.store(true, std::memory_order_release);
        while (!taken_ && !closing_) changed_.wait(mutex_);
        if (closing_) return;
        refused = refused_;
      }
      if (!refused) {
        table_ = std::move(table);
        if (const auto adopted = planner_.adopt(layout); !adopted) log::error("eplb: {}", adopted.error().message);
      }
    }
    idle_.store(true, std::memory_order_release);
  }
}

std::optional<BalancedExperts::Planned> BalancedExperts::plan(const Window& window) {
  const TimePoint began = clock_.now();
  auto decision = planner_.observe(window.recorded, window.steps);
  metrics_.plan_s.observe(to_seconds(clock_.now() - began));
  const std::string outcome = !decision ? "failed" : decision->plan ? "moved" : decision->reason.code;
  metrics_.registry.counter("flexpert_placement_rebalances_total", "Windows looked at, by what came of them.", {{"outcome", outcome}}).add();
  if (!decision) {
    log::error("eplb: no plan: {}", decision.error().message);
    return std::nullopt;
  }
  metrics_.measured.set(decision->utilisation);
  if (!decision->plan) return std::nullopt;
  PlacementPlan& plan = *decision->plan;
  auto table = std::make_shared<const RoutingTable>(table_of(plan.layout, options_, model_, table_.epoch + 1));
  log::info("eplb: {}: {}; {} slots change, balancedness {:.3f} -> {:.3f}", decision->reason.code, decision->reason.text, plan.moves.changed(),
            plan.before.balancedness, plan.balance.balancedness);
  return Planned{std::move(table), std::move(plan)};
}

}  // namespace flexpert::engine
