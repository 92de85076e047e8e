#include "placement/incremental.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "placement/balance.h"
#include "placement/incremental_budget.h"
#include "placement/incremental_layer.h"
#include "placement/incremental_worth.h"
#include "placement/moves.h"

namespace flexpert::placement {
namespace {

/// What the search's tables are made for.
constexpr std::size_t kMostSlots = 65536;
constexpr std::size_t kMostPairs = 1 << 26;
/// What the search of a layer takes for too much, in units of the mean load.
constexpr double kThreshold = 1;

Result<void> check(const ExpertCounts& counts, const ExpertCluster& cluster, const ExpertLayout& current,
                   const std::optional<Worth>& worth) {
  FLEXPERT_TRY(validate(counts));
  FLEXPERT_TRY(validate(cluster));
  if (current.geometry != counts.geometry)
    return fail(ErrorCode::kInvalidArgument, "the layout has {} layers x {} experts, the counts {} x {}", current.geometry.layers,
                current.geometry.experts, counts.geometry.layers, counts.geometry.experts);
  if (current.devices() != cluster.devices.size())
    return fail(ErrorCode::kInvalidArgument, "the layout has {} devices, the cluster {}", current.devices(), cluster.devices.size());
  for (std::size_t d = 0; d < cluster.devices.size(); ++d)
    if (current.slots_of_device[d] != cluster.devices[d].slots)
      return fail(ErrorCode::kInvalidArgument, "device {} has {} slots in the layout, {} in the cluster", d, current.slots_of_device[d],
                  cluster.devices[d].slots);
  const std::size_t slots = current.slots();
  if (slots > kMostSlots || cluster.devices.size() * current.geometry.experts > kMostPairs)
    return fail(ErrorCode::kInvalidArgument, "incremental plans are for at most {} slots a layer and {} devices x experts: {} and {}",
                kMostSlots, kMostPairs, slots, cluster.devices.size() * current.geometry.experts);
  if (current.expert_of_slot.size() != slots * current.geometry.layers)
    return fail(ErrorCode::kInvalidArgument, "expert layout: needs {} layers x {} slots = {} entries: {} given", current.geometry.layers,
                slots, slots * current.geometry.layers, current.expert_of_slot.size());
  for (std::size_t i = 0; i < current.expert_of_slot.size(); ++i) {
    const std::int32_t expert = current.expert_of_slot[i];
    if (expert != kEmptySlot && (expert < 0 || static_cast<std::uint32_t>(expert) >= current.geometry.experts))
      return fail(ErrorCode::kInvalidArgument, "expert layout: layer {} slot {}: no expert {}: the model has 0 to {}", i / slots, i % slots,
                  expert, current.geometry.experts - 1);
  }
  if (worth) FLEXPERT_TRY(validate(*worth));
  return {};
}

/// Carries one plan through its steps.
class IncrementalPlanner {
 public:
  IncrementalPlanner(const ExpertCounts& counts, const ExpertCluster& cluster, const ExpertLayout& current, const MoveBudget& budget,
                     const std::optional<Worth>& worth)
      : counts_(counts), cluster_(cluster), current_(current), budget_(budget), worth_(worth), devices_(cluster), start_(current) {
    allowed_ = budget.slots;
    if (budget.bytes_per_expert > 0) allowed_ = std::min(allowed_, budget.bytes / budget.bytes_per_expert);
    for (const ExpertDevice& device : cluster.devices) living_ += device.alive ? 1 : 0;
  }

  Result<PlacementPlan> run() {
    empty_dead_slots();
    plan_.mode = "incremental";
    plan_.before = balance_of(start_, cluster_, counts_);
    FLEXPERT_TRY(restore_missing());
    if (imbalance_is_free()) return finish(start_);
    if (allowed_ == must_) {
      if (must_ == 0) reason("budget_spent", "the budget allows no moves", {{"budget", static_cast<double>(allowed_)}});
      return finish(start_);
    }
    search();
    std::uint64_t left = allowed_;
    Candidate best = candidate(left);
    if (worth_) {
      // Moves beyond the first ones save less and less: as many of them as pay best.
      for (left = best.moves.changed() / 2; left > must_; left /= 2)
        if (Candidate fewer = candidate(left); fewer.net_ms > best.net_ms) best = std::move(fewer);
    }
    return decide(std::move(best));
  }

 private:
  struct Candidate {
    ExpertLayout layout;
    Balance balance;
    MoveList moves;
    double saving_ms = 0;
    double cost_ms = 0;
    double net_ms = 0;
  };
  struct Curve {
    std::vector<BudgetChoice> choices;
    std::vector<SlotWrite> writes;
    std::vector<std::uint32_t> length;  ///< writes of each choice
  };

  void reason(std::string code, std::string text, std::vector<std::pair<std::string, double>> numbers) {
    plan_.reasons.push_back({std::move(code), std::move(text), std::move(numbers)});
  }

  void empty_dead_slots() {
    for (std::uint32_t layer = 0; layer < start_.geometry.layers; ++layer) {
      const auto row = start_.layer(layer);
      for (std::uint32_t slot = 0; slot < row.size(); ++slot)
        if (!devices_.alive[devices_.device_of[slot]]) row[slot] = kEmptySlot;
    }
  }

  /// Gives every expert a living slot, or says which cannot have one.
  Result<void> restore_missing() {
    IncrementalLayer search(devices_, counts_.geometry.experts);
    std::string named;
    std::vector<bool> held(counts_.geometry.experts);
    for (std::uint32_t layer = 0; layer < counts_.geometry.layers; ++layer) {
      held.assign(held.size(), false);
      std::uint32_t count = 0;
      for (const std::int32_t expert : start_.layer(layer))
        if (expert != kEmptySlot && !held[static_cast<std::uint32_t>(expert)]) held[static_cast<std::uint32_t>(expert)] = true, ++count;
      if (count == counts_.geometry.experts) continue;
      search.start(counts_.layer(layer), start_.layer(layer));
      for (const std::uint32_t expert : search.missing())
        if (++must_ <= 8) named += fmt::format("{}layer {} expert {}", named.empty() ? "" : ", ", layer, expert);
      if (!search.place_missing())
        return fail(ErrorCode::kFailedPrecondition, "layer {}: fewer living slots than the {} experts: add devices or slots", layer,
                    counts_.geometry.experts);
      std::copy(search.row().begin(), search.row().end(), start_.layer(layer).begin());
    }
    if (must_ > allowed_)
      return fail(ErrorCode::kFailedPrecondition, "the budget of {} moves is too small for {} experts without a living slot: {}{}",
                  allowed_, must_, named, must_ > 8 ? ", ..." : "");
    if (must_ > 0)
      reason("experts_restored", fmt::format("{} experts had no living slot: {}{}", must_, named, must_ > 8 ? ", ..." : ""),
             {{"experts", static_cast<double>(must_)}});
    return {};
  }

  bool imbalance_is_free() {
    if (!worth_) return false;
    const double now = step_ms(*worth_, plan_.before, living_);
    const double even = even_step_ms(*worth_, plan_.before, living_);
    if (!placement::imbalance_is_free(*worth_, plan_.before, living_)) return false;
    reason(
        "imbalance_is_free",
        fmt::format("even layers would save {:.4f} of {:.4f} ms a step at {} tokens a device", now - even, now, worth_->tokens_per_device),
        {{"step_ms", now},
         {"even_step_ms", even},
         {"tokens_per_device", worth_->tokens_per_device},
         {"steps", worth_->steps},
         {"balancedness", plan_.before.balancedness}});
    return true;
  }

  void search() {
    IncrementalLayer search(devices_, counts_.geometry.experts);
    curves_.resize(counts_.geometry.layers);
    // First no more than twice its part: few layers get more. Where others leave some of theirs, those that could use it go on.
    const std::uint64_t left = allowed_ - must_;
    std::uint64_t most = std::max<std::uint64_t>(2 * (left / counts_.geometry.layers + 1), 8);
    std::vector<bool> stopped(counts_.geometry.layers, true);
    for (bool again = true; again; most *= 4) {
      const std::uint64_t limit = std::min<std::uint64_t>({most, left, devices_.slots()});
      std::uint64_t used = 0;
      again = false;
      for (std::uint32_t layer = 0; layer < counts_.geometry.layers; ++layer) {
        if (stopped[layer]) {
          search.start(counts_.layer(layer), start_.layer(layer));
          search_layer(search, static_cast<std::uint32_t>(limit), curves_[layer]);
          stopped[layer] = curves_[layer].choices.back().changed >= static_cast<std::int64_t>(limit) &&
                           limit < std::min<std::uint64_t>(left, devices_.slots());
        }
        again = again || stopped[layer];
        used += static_cast<std::uint64_t>(curves_[layer].choices.back().changed);
      }
      again = again && used < left;
    }
  }

  void search_layer(IncrementalLayer& search, std::uint32_t most_changed, Curve& curve) {
    search.improve(kThreshold, most_changed);
    curve = {};
    curve.writes.assign(search.writes().begin(), search.writes().end());
    for (const LayerPoint& point : search.points()) {
      curve.choices.push_back({point.changed, value_of(point.max_load)});
      curve.length.push_back(point.writes);
    }
  }

  [[nodiscard]] double value_of(double max_load) const {
    if (!(max_load > 0)) return 0;
    return worth_ ? -worth_->cost->layer_ms(living_, worth_->tokens_per_device, std::min(1.0, 1 / max_load)) : 1 / max_load;
  }

  Candidate candidate(std::uint64_t budget) {
    std::vector<std::vector<BudgetChoice>> choices;
    for (const Curve& curve : curves_) choices.push_back(curve.choices);
    const std::vector<std::uint32_t> chosen =
        spend_budget(choices, static_cast<std::int64_t>(std::min<std::uint64_t>(budget - must_, INT64_MAX)));
    Candidate out{.layout = start_, .balance = {}, .moves = {}};
    for (std::uint32_t layer = 0; layer < curves_.size(); ++layer) {
      const auto row = out.layout.layer(layer);
      for (std::uint32_t i = 0; i < curves_[layer].length[chosen[layer]]; ++i)
        row[curves_[layer].writes[i].slot] = curves_[layer].writes[i].expert;
    }
    align_slots(current_, out.layout);
    out.balance = balance_of(out.layout, cluster_, counts_);
    out.moves = moves_between(current_, out.layout, cluster_, budget_.bytes_per_expert);
    if (!worth_) return out;
    out.saving_ms = (step_ms(*worth_, plan_.before, living_) - step_ms(*worth_, out.balance, living_)) * worth_->steps;
    out.cost_ms = moves_ms(*worth_, out.moves, out.layout, budget_.bytes_per_expert);
    out.net_ms = out.saving_ms - out.cost_ms;
    return out;
  }

  Result<PlacementPlan> decide(Candidate best) {
    const double gain = best.balance.balancedness - plan_.before.balancedness;
    const auto moves = static_cast<double>(best.moves.changed());
    if (best.moves.changed() <= must_) {
      reason("no_better", "no step makes the busiest device of a layer less busy", {{"balancedness", plan_.before.balancedness}});
      return finish(start_);
    }
    if (worth_ && gain < worth_->least_gain) {
      reason("within_tolerance",
             fmt::format("{} moves would gain {:.4f} of balancedness, under {:.4f}", best.moves.changed(), gain, worth_->least_gain),
             {{"gain", gain}, {"least_gain", worth_->least_gain}, {"moves", moves}});
      return finish(start_);
    }
    if (worth_ && best.net_ms <= 0) {
      reason("saving_below_move_cost",
             fmt::format("{} moves would save {:.1f} ms in {} steps and cost {:.1f} ms", best.moves.changed(), best.saving_ms,
                         worth_->steps, best.cost_ms),
             {{"saving_ms", best.saving_ms}, {"cost_ms", best.cost_ms}, {"moves", moves}, {"gain", gain}});
      return finish(start_);
    }
    std::vector<std::pair<std::string, double>> numbers = {{"before", plan_.before.balancedness},
                                                           {"after", best.balance.balancedness},
                                                           {"moves", moves},
                                                           {"budget", static_cast<double>(allowed_)}};
    if (worth_) numbers.insert(numbers.end(), {{"saving_ms", best.saving_ms}, {"cost_ms", best.cost_ms}});
    plan_.reasons.insert(plan_.reasons.begin(), {"improved",
                                                 fmt::format("{} moves take balancedness from {:.4f} to {:.4f}", best.moves.changed(),
                                                             plan_.before.balancedness, best.balance.balancedness),
                                                 std::move(numbers)});
    std::uint64_t wanted = 0;
    for (const Curve& curve : curves_) wanted += static_cast<std::uint64_t>(curve.choices.back().changed);
    if (must_ + wanted > allowed_)
      reason("budget_spent",
             fmt::format("{} of {} moves that would each help were within the budget", best.moves.changed(), must_ + wanted),
             {{"moves", moves}, {"helpful", static_cast<double>(must_ + wanted)}, {"budget", static_cast<double>(allowed_)}});
    plan_.layout = std::move(best.layout);
    plan_.balance = std::move(best.balance);
    plan_.moves = std::move(best.moves);
    return std::move(plan_);
  }

  /// Ends with `layout`: the one in force, or that with the experts it lacked.
  Result<PlacementPlan> finish(const ExpertLayout& layout) {
    plan_.layout = layout;
    plan_.balance = balance_of(layout, cluster_, counts_);
    plan_.moves = moves_between(current_, layout, cluster_, budget_.bytes_per_expert);
    plan_.worthwhile = must_ > 0;
    return std::move(plan_);
  }

  const ExpertCounts& counts_;
  const ExpertCluster& cluster_;
  const ExpertLayout& current_;
  const MoveBudget& budget_;
  const std::optional<Worth>& worth_;
  DeviceTable devices_;
  ExpertLayout start_;  // in force, without what is dead, with what it must have
  std::uint64_t allowed_ = 0;
  std::uint64_t must_ = 0;
  std::uint32_t living_ = 0;
  std::vector<Curve> curves_;
  PlacementPlan plan_;
};

}  // namespace

Result<PlacementPlan> plan_incremental(const ExpertCounts& counts, const ExpertCluster& cluster, const ExpertLayout& current,
                                       const MoveBudget& budget, const std::optional<Worth>& worth) {
  FLEXPERT_TRY(check(counts, cluster, current, worth));
  return IncrementalPlanner(counts, cluster, current, budget, worth).run();
}

}  // namespace flexpert::placement
