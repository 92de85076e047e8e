#include "placement/robust_state.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace flexpert::placement {
namespace {

constexpr std::uint32_t kNone = UINT32_MAX;

std::uint32_t even_share(std::uint32_t replicas, std::uint32_t places) { return (replicas + places - 1) / places; }

}  // namespace

RobustState::RobustState(const RobustGoal& goal, std::uint32_t experts)
    : goal_(goal), experts_(experts), cases_(static_cast<std::uint32_t>(goal.case_weight.size())) {
  const auto& devices = goal.cluster->devices;
  std::vector<bool> host_lives(goal.cluster->hosts(), false);
  first_slot_.push_back(0);
  for (std::uint32_t d = 0; d < devices.size(); ++d) {
    device_of_.insert(device_of_.end(), devices[d].slots, d);
    first_slot_.push_back(first_slot_.back() + devices[d].slots);
    node_of_.push_back(devices[d].node);
    if (!devices[d].alive || devices[d].slots == 0) continue;
    speeds_ += devices[d].speed;
    if (!host_lives[devices[d].host]) ++living_hosts_;
    host_lives[devices[d].host] = true;
  }
  load_of_expert_.resize(static_cast<std::size_t>(experts) * cases_);
  share_.resize(experts);
  has_load_.resize(cases_);
  row_.assign(device_of_.size(), kEmptySlot);
  holders_.resize(experts);
  load_.resize(devices.size() * cases_);
  powered_.resize(load_.size());
  reference_.resize(cases_);
  slope_.resize(cases_);
  fault_.resize(experts);
  pull_.resize(load_.size());
  top_.resize(load_.size());
  top_pull_.resize(load_.size());
  part_.resize(row_.size() * cases_);
  part_cost_.resize(row_.size());
  slot_home_.resize(row_.size());
  drop_.resize(row_.size());
  relief_.resize(experts);
  joined_.resize(load_of_expert_.size());
  delta_.resize(load_.size());
  is_touched_.resize(devices.size());
  on_device_.resize(devices.size());
  on_host_.resize(goal.cluster->hosts());
}

void RobustState::begin(std::span<const std::span<const double>> loads, std::span<const std::uint32_t> home) {
  std::fill(share_.begin(), share_.end(), 0.0);
  loaded_weight_ = 0;
  for (std::uint32_t c = 0; c < cases_; ++c) {
    double total = 0;
    for (const double load : loads[c]) total += load;
    has_load_[c] = total >= kLeastLoad;
    if (has_load_[c]) loaded_weight_ += goal_.case_weight[c];
    for (std::uint32_t e = 0; e < experts_; ++e) {
      const double part = has_load_[c] ? loads[c][e] / total : 0;
      load_of_expert_[static_cast<std::size_t>(e) * cases_ + c] = part * speeds_;
      share_[e] += goal_.case_weight[c] * part;
    }
  }
  if (loaded_weight_ > 0)
    for (double& share : share_) share /= loaded_weight_;
  home_.assign(home.begin(), home.end());
}

void RobustState::hold(std::uint32_t expert, std::uint32_t slot) { holders_[expert].push_back(slot); }

void RobustState::release(std::uint32_t expert, std::uint32_t slot) {
  auto& list = holders_[expert];
  list.erase(std::find(list.begin(), list.end(), slot));
}

double RobustState::outside(std::uint32_t expert) const {
  if (home_.empty() || home_[expert] == kNoHome) return 0;
  std::uint32_t out = 0;
  for (const std::uint32_t slot : holders_[expert])
    if (goal_.cluster->devices[device_of_[slot]].node != home_[expert]) ++out;
  return static_cast<double>(out);
}

int RobustState::faults_with(std::uint32_t expert, std::uint32_t without, std::uint32_t with) const {
  const auto& list = holders_[expert];
  const std::size_t count = list.size() - (without != kNone ? 1 : 0) + (with != kNone ? 1 : 0);
  if (count < 2) return 0;
  const auto replicas = static_cast<std::uint32_t>(count);
  // One too many for the devices is a fault, too: its slot does better empty.
  constexpr std::uint32_t device_room = 1;
  const std::uint32_t host_room = goal_.spread_hosts ? even_share(replicas, living_hosts_) : kNone;
  int faults = 0;
  const auto visit = [&](std::uint32_t device) {
    if (++on_device_[device] > device_room) faults += 4;  // both fail together, and the split of the load is lost
    if (++on_host_[goal_.cluster->devices[device].host] > host_room) ++faults;
  };
  const auto leave = [&](std::uint32_t device) {
    on_device_[device] = 0;
    on_host_[goal_.cluster->devices[device].host] = 0;
  };
  for (const std::uint32_t slot : list)
    if (slot != without) visit(device_of_[slot]);
  if (with != kNone) visit(with);
  for (const std::uint32_t slot : list) leave(device_of_[slot]);
  if (with != kNone) leave(with);
  return faults;
}

void RobustState::place(std::span<const std::int32_t> row) {
  row_.assign(row.begin(), row.end());
  for (auto& list : holders_) list.clear();
  for (std::uint32_t slot = 0; slot < row_.size(); ++slot)
    if (row_[slot] != kEmptySlot) hold(static_cast<std::uint32_t>(row_[slot]), slot);
  faults_ = 0;
  for (std::uint32_t e = 0; e < experts_; ++e) faults_ += fault_[e] = faults_with(e, kNone, kNone);
  refresh();
}

void RobustState::exponent(int log2) {
  log2_ = log2;
  refresh();
}

void RobustState::refresh() {
  std::fill(load_.begin(), load_.end(), 0.0);
  cross_ = 0;
  for (std::uint32_t e = 0; e < experts_; ++e) {
    if (holders_[e].empty()) continue;
    const double part = 1.0 / static_cast<double>(holders_[e].size());
    for (const std::uint32_t slot : holders_[e]) {
      const std::uint32_t d = device_of_[slot];
      for (std::uint32_t c = 0; c < cases_; ++c)
        load_[d * cases_ + c] += load_of_expert_[static_cast<std::size_t>(e) * cases_ + c] * part / goal_.cluster->devices[d].speed;
    }
    cross_ += share_[e] * outside(e) * part;
  }
  std::fill(reference_.begin(), reference_.end(), 0.0);
  for (std::size_t i = 0; i < load_.size(); ++i) reference_[i % cases_] = std::max(reference_[i % cases_], load_[i]);
  const bool worst = goal_.objective == CaseObjective::kWorst;
  if (worst) std::fill(reference_.begin(), reference_.end(), *std::max_element(reference_.begin(), reference_.end()));
  std::vector<double> sum(cases_, 0.0);
  for (std::size_t i = 0; i < load_.size(); ++i) {
    const double at = reference_[i % cases_];
    sum[i % cases_] += powered_[i] = at > 0 ? power(load_[i] / at) : 0;
  }
  double all = 0;
  for (const double s : sum) all += s;
  const double p = std::ldexp(1.0, log2_);
  for (std::uint32_t c = 0; c < cases_; ++c) {
    const double s = worst ? all : sum[c];
    const double norm = s > 0 ? reference_[c] * std::pow(s, 1 / p) : 0;
    // d(-weight / norm) / d(sum of powers). -1/norm is concave in the sum, so a step along the slope gains what it promises.
    slope_[c] = has_load_[c] && norm > 0 ? (worst ? 1.0 : goal_.case_weight[c] / loaded_weight_) / (norm * p * s) : 0;
  }
  refresh_tangents();
}

void RobustState::refresh_tangents() {
  const double p = std::ldexp(1.0, log2_);
  const auto& devices = goal_.cluster->devices;
  for (std::uint32_t d = 0; d < devices.size(); ++d)
    for (std::uint32_t c = 0; c < cases_; ++c) {
      const std::size_t i = d * cases_ + c;
      pull_[i] = load_[i] > 0 ? slope_[c] * p * powered_[i] / (load_[i] * devices[d].speed) : 0;
      top_pull_[i] = slope_[c] > 0 ? slope_[c] * p / (reference_[c] * devices[d].speed) : 0;
      top_[i] = slope_[c] > 0 ? slope_[c] * (1 + p * (load_[i] / reference_[c] - 1) - powered_[i]) : 0;
    }
  std::fill(part_.begin(), part_.end(), 0.0);
  std::fill(part_cost_.begin(), part_cost_.end(), 0.0);
  std::fill(slot_home_.begin(), slot_home_.end(), kNoHome);
  std::fill(drop_.begin(), drop_.end(), 0.0);
  for (std::uint32_t e = 0; e < experts_; ++e) {
    relief_[e] = 0;
    if (holders_[e].empty()) continue;
    const auto count = static_cast<double>(holders_[e].size());
    const double cost = goal_.affinity_weight * share_[e];
    const double out = outside(e);
    const std::uint32_t home = home_.empty() ? kNoHome : home_[e];
    relief_[e] = cost * out / (count * (count + 1));
    const double* load = &load_of_expert_[static_cast<std::size_t>(e) * cases_];
    const double unless_last = count > 1 ? 1 / (count * (count - 1)) : std::numeric_limits<double>::infinity();
    for (const std::uint32_t slot : holders_[e]) {
      part_cost_[slot] = home == kNoHome ? 0 : cost / count;
      slot_home_[slot] = home;
      const bool away = home != kNoHome && node_of_[device_of_[slot]] != home;
      drop_[slot] = count > 1 ? cost * ((out - (away ? 1 : 0)) / (count - 1) - out / count) : unless_last;
    }
    for (std::uint32_t c = 0; c < cases_; ++c) {
      const double handed_on = count > 1 ? load[c] * unless_last : 0;  // to each that stays, when one goes
      double pulls = 0;
      double rise = 0;
      for (const std::uint32_t slot : holders_[e]) {
        const std::size_t i = device_of_[slot] * cases_ + c;
        pulls += pull_[i];
        rise += least_added(i, handed_on);
      }
      relief_[e] += load[c] * pulls / (count * (count + 1));
      joined_[e * cases_ + c] = load[c] / (count + 1);
      for (const std::uint32_t slot : holders_[e]) {
        const std::size_t i = device_of_[slot] * cases_ + c;
        part_[slot * cases_ + c] = load[c] / count;
        if (count > 1) drop_[slot] += rise - least_added(i, handed_on) - pull_[i] * load[c] / count;
      }
    }
  }
}

RobustState::Change RobustState::swapped(std::uint32_t slot, std::uint32_t other) const {
  const std::int32_t a = row_[slot];
  const std::int32_t b = row_[other];
  if (a == b) return {};
  const std::uint32_t from = device_of_[slot];
  const std::uint32_t to = device_of_[other];
  const auto& devices = goal_.cluster->devices;
  Change out;
  for (std::uint32_t c = 0; c < cases_; ++c) {
    if (slope_[c] <= 0) continue;
    const double moved = part_[slot * cases_ + c] - part_[other * cases_ + c];
    const std::size_t i = from * cases_ + c;
    const std::size_t j = to * cases_ + c;
    const double now = power(std::max(0.0, load_[i] - moved / devices[from].speed) / reference_[c]) +
                       power(std::max(0.0, load_[j] + moved / devices[to].speed) / reference_[c]);
    out.value += slope_[c] * (now - powered_[i] - powered_[j]);
  }
  if (!home_.empty()) {
    const auto crossing = [&](std::uint32_t of, std::uint32_t leaves, std::uint32_t enters) {
      if (slot_home_[of] == kNoHome) return 0.0;
      return part_cost_[of] * ((node_of_[enters] != slot_home_[of] ? 1 : 0) - (node_of_[leaves] != slot_home_[of] ? 1 : 0));
    };
    out.value += crossing(slot, from, to) + crossing(other, to, from);
  }
  if (a != kEmptySlot && replicas(a) > 1)
    out.faults += faults_with(static_cast<std::uint32_t>(a), slot, to) - fault_[static_cast<std::size_t>(a)];
  if (b != kEmptySlot && replicas(b) > 1)
    out.faults += faults_with(static_cast<std::uint32_t>(b), other, from) - fault_[static_cast<std::size_t>(b)];
  return out;
}

RobustState::Change RobustState::replaced(std::uint32_t slot, std::int32_t expert) {
  const std::int32_t old = row_[slot];
  if (old == expert) return {};
  touched_.clear();
  const auto add = [&](std::uint32_t device, std::int32_t of, double part) {
    if (!is_touched_[device]) {
      is_touched_[device] = true;
      touched_.push_back(device);
      for (std::uint32_t c = 0; c < cases_; ++c) delta_[device * cases_ + c] = 0;
    }
    const double scale = part / goal_.cluster->devices[device].speed;
    for (std::uint32_t c = 0; c < cases_; ++c)
      delta_[device * cases_ + c] += scale * load_of_expert_[static_cast<std::size_t>(of) * cases_ + c];
  };
  const std::uint32_t device = device_of_[slot];
  double crossing = 0;
  const auto crosses = [&](std::int32_t of, std::uint32_t at) {
    return !home_.empty() && home_[static_cast<std::size_t>(of)] != kNoHome && node_of_[at] != home_[static_cast<std::size_t>(of)];
  };
  const auto visit = [&](std::uint32_t at, std::int32_t of, double part) {
    add(at, of, part);
    if (crosses(of, at)) crossing += share_[static_cast<std::size_t>(of)] * part;
  };
  if (expert != kEmptySlot) {
    const double had = replicas(expert);
    for (const std::uint32_t holder : holders_[static_cast<std::size_t>(expert)])
      visit(device_of_[holder], expert, 1 / (had + 1) - 1 / had);
    visit(device, expert, 1 / (had + 1));
  }
  if (old != kEmptySlot) {
    const double before = replicas(old);
    for (const std::uint32_t holder : holders_[static_cast<std::size_t>(old)])
      if (holder != slot) visit(device_of_[holder], old, 1 / (before - 1) - 1 / before);
    visit(device, old, -1 / before);
  }
  Change out;
  out.value = goal_.affinity_weight * crossing;
  for (const std::uint32_t d : touched_) {
    is_touched_[d] = false;
    for (std::uint32_t c = 0; c < cases_; ++c) {
      if (slope_[c] <= 0) continue;
      const std::size_t i = d * cases_ + c;
      out.value += slope_[c] * (power(std::max(0.0, load_[i] + delta_[i]) / reference_[c]) - powered_[i]);
    }
  }
  if (expert != kEmptySlot)
    out.faults = faults_with(static_cast<std::uint32_t>(expert), kNone, device) - fault_[static_cast<std::size_t>(expert)];
  if (old != kEmptySlot) out.faults += faults_with(static_cast<std::uint32_t>(old), slot, kNone) - fault_[static_cast<std::size_t>(old)];
  return out;
}

void RobustState::swap(std::uint32_t slot, std::uint32_t other) {
  const std::int32_t a = row_[slot];
  const std::int32_t b = row_[other];
  if (a != kEmptySlot) release(static_cast<std::uint32_t>(a), slot);
  if (b != kEmptySlot) release(static_cast<std::uint32_t>(b), other);
  row_[slot] = b;
  row_[other] = a;
  for (const std::uint32_t at : {slot, other}) {
    if (row_[at] == kEmptySlot) continue;
    hold(static_cast<std::uint32_t>(row_[at]), at);
  }
  for (const std::int32_t e : {a, b}) {
    if (e == kEmptySlot) continue;
    const auto expert = static_cast<std::uint32_t>(e);
    faults_ -= fault_[expert];
    faults_ += fault_[expert] = faults_with(expert, kNone, kNone);
  }
  refresh();
}

void RobustState::replace(std::uint32_t slot, std::int32_t expert) {
  const std::int32_t old = row_[slot];
  if (old == expert) return;
  if (old != kEmptySlot) release(static_cast<std::uint32_t>(old), slot);
  row_[slot] = expert;
  if (expert != kEmptySlot) hold(static_cast<std::uint32_t>(expert), slot);
  for (const std::int32_t e : {old, expert}) {
    if (e == kEmptySlot) continue;
    const auto changed = static_cast<std::uint32_t>(e);
    faults_ -= fault_[changed];
    faults_ += fault_[changed] = faults_with(changed, kNone, kNone);
  }
  refresh();
}

double RobustState::pressure(std::uint32_t device) const {
  double out = 0;
  for (std::uint32_t c = 0; c < cases_; ++c) out += slope_[c] * powered_[device * cases_ + c];
  return out;
}

bool RobustState::holds_away(std::uint32_t device) const {
  if (goal_.affinity_weight <= 0 || home_.empty()) return false;
  for (std::uint32_t slot = first_slot_[device]; slot < first_slot_[device + 1]; ++slot)
    if (slot_home_[slot] != kNoHome && slot_home_[slot] != node_of_[device] && part_cost_[slot] > 0) return true;
  return false;
}

double RobustState::value() const {
  double mean = 0;
  double weights = 0;
  double worst = 1;
  for (std::uint32_t c = 0; c < cases_; ++c) {
    if (!has_load_[c]) continue;
    double largest = 0;
    for (std::size_t i = c; i < load_.size(); i += cases_) largest = std::max(largest, load_[i]);
    if (largest <= 0) continue;
    mean += goal_.case_weight[c] / largest;
    weights += goal_.case_weight[c];
    worst = std::min(worst, 1 / largest);
  }
  if (weights > 0) mean /= weights;
  else mean = 1;
  return (goal_.objective == CaseObjective::kWorst ? worst : mean) - goal_.affinity_weight * cross_;
}

}  // namespace flexpert::placement
