#include "placement/robust_search.h"

#include <algorithm>
#include <vector>

namespace flexpert::placement {
namespace {

/// Devices with a smaller share of all pressure than this have no say in the largest load.
constexpr double kLeastPressure = 1e-4;

/// A step that could be taken, and what it changes.
struct Step {
  RobustState::Change change;
  std::uint32_t slot = 0;
  std::uint32_t other = UINT32_MAX;  // swap with it, or
  std::int32_t expert = kEmptySlot;  // becomes this one

  [[nodiscard]] bool beats(const Step& than) const {
    if (change.faults != than.change.faults) return change.faults < than.change.faults;
    return change.value < than.change.value;
  }
};

class LayerSearch {
 public:
  LayerSearch(RobustState& state, const RobustEffort& effort) : state_(state), effort_(effort) {}

  void run() {
    const std::uint32_t limit = effort_.steps > 0 ? effort_.steps : 4 * state_.slots() + 64;
    repair(limit);
    for (int log2 = effort_.first_log2; log2 <= effort_.last_log2; log2 += 2) {
      state_.exponent(log2);
      std::uint32_t steps_left = limit;
      looked_at_ = 0;
      while (pass(steps_left)) {
      }
    }
  }

 private:
  void consider_swap(Step& best, std::uint32_t slot, std::uint32_t other) const {
    const Step step{state_.swapped(slot, other), slot, other, kEmptySlot};
    if (step.beats(best)) best = step;
  }

  void consider_replacement(Step& best, std::uint32_t slot, std::int32_t expert) {
    const std::int32_t old = state_.row()[slot];
    if (old == expert || (old != kEmptySlot && state_.replicas(old) < 2)) return;
    const Step step{state_.replaced(slot, expert), slot, UINT32_MAX, expert};
    if (step.beats(best)) best = step;
  }

  void take(const Step& step) {
    if (step.other != UINT32_MAX) state_.swap(step.slot, step.other);
    else state_.replace(step.slot, step.expert);
  }

  /// Replicas that share a device or host move to where they do not, as long as there is such a place.
  void repair(std::uint32_t limit) {
    state_.exponent(effort_.first_log2);
    looked_at_ = 0;
    std::uint32_t steps = 0;
    for (std::uint32_t e = 0; e < state_.experts() && state_.faults() > 0; ++e) {
      while (state_.faults_of(e) > 0 && ++steps <= limit) {
        Step best;
        const std::vector<std::uint32_t> holders = state_.holders(e);
        looked_at_ += holders.size() * (state_.slots() + state_.experts());
        if (looked_at_ > effort_.candidates) return;
        for (const std::uint32_t slot : holders) {
          for (std::uint32_t other = 0; other < state_.slots(); ++other)
            if (state_.living_slot(other) && state_.device_of(other) != state_.device_of(slot)) consider_swap(best, slot, other);
          for (std::uint32_t by = 0; by < state_.experts(); ++by) consider_replacement(best, slot, static_cast<std::int32_t>(by));
          consider_replacement(best, slot, kEmptySlot);
        }
        if (best.change.faults >= 0) break;
        take(best);
      }
    }
  }

  /// Goes once over the devices, those under the most load first; false when none offered a step.
  bool pass(std::uint32_t& steps_left) {
    order_.clear();
    double all = 0;
    for (std::uint32_t d = 0; d < state_.devices(); ++d) {
      if (!state_.alive(d)) continue;
      order_.push_back({state_.pressure(d), d});
      all += order_.back().first;
    }
    std::stable_sort(order_.begin(), order_.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    bool stepped = false;
    for (const auto& [pressure, device] : order_) {
      if (pressure < kLeastPressure * all && !state_.holds_away(device)) continue;
      while (steps_left > 0 && looked_at_ < effort_.candidates && step_from(device)) {
        --steps_left;
        stepped = true;
      }
    }
    return stepped && steps_left > 0 && looked_at_ < effort_.candidates;
  }

  bool step_from(std::uint32_t device) {
    Step best{{0, -effort_.least_gain}};
    scan(best, device);
    if (best.change.faults >= 0 && best.change.value >= -effort_.least_gain) return false;
    take(best);
    return true;
  }

  void scan(Step& best, std::uint32_t device) {
    const auto row = state_.row();
    spare_.clear();
    for (std::uint32_t slot = 0; slot < state_.slots(); ++slot)
      if (state_.living_slot(slot) && spare(slot)) spare_.push_back(slot);
    for (std::uint32_t slot = state_.first_slot(device); slot < state_.first_slot(device + 1); ++slot) {
      looked_at_ += state_.slots() + spare_.size();
      for (std::uint32_t at = 0; at < state_.devices(); ++at) {
        if (at == device || !state_.alive(at)) continue;
        for (std::uint32_t other = state_.first_slot(at); other < state_.first_slot(at + 1); ++other)
          if (state_.least_swapped(slot, other) < best.change.value) consider_swap(best, slot, other);
      }
      if (row[slot] != kEmptySlot)
        for (const std::uint32_t other : spare_)
          if (state_.least_replaced(other, static_cast<std::uint32_t>(row[slot])) < best.change.value)
            consider_replacement(best, other, row[slot]);
      if (!spare(slot)) continue;
      if (state_.goal().may_leave_empty && state_.least_dropped(slot) < best.change.value) consider_replacement(best, slot, kEmptySlot);
      for (std::uint32_t by = 0; by < state_.experts(); ++by)
        if (state_.least_replaced(slot, by) < best.change.value) consider_replacement(best, slot, static_cast<std::int32_t>(by));
    }
  }

  [[nodiscard]] bool spare(std::uint32_t slot) const { return state_.row()[slot] == kEmptySlot || state_.replicas(state_.row()[slot]) > 1; }

  RobustState& state_;
  const RobustEffort& effort_;
  std::vector<std::pair<double, std::uint32_t>> order_;
  std::vector<std::uint32_t> spare_;
  std::uint64_t looked_at_ = 0;
};

}  // namespace

void improve(RobustState& state, const RobustEffort& effort) { LayerSearch(state, effort).run(); }

}  // namespace flexpert::placement
