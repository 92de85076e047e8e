#include "placement/cut_family.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace flexpert::placement {
namespace {

constexpr std::uint32_t kBlock = 8;
/// Up to so many living devices all sets are kept.
constexpr std::uint32_t kExactDevices = 8;
constexpr std::size_t kMostSets = 1024;

// Loops over whole blocks of a known length, without aliasing: g++ makes vector code of them at -O2 too.

/// peak = max(peak, (row + a_times * a + b_times * b) * scale).
void raise_by(float* __restrict peak, const float* __restrict row, const float* __restrict a, float a_times, const float* __restrict b,
              float b_times, float scale, std::uint32_t stride) {
  for (std::uint32_t at = 0; at < stride; at += kBlock, peak += kBlock, row += kBlock, a += kBlock, b += kBlock) {
    for (std::uint32_t i = 0; i < kBlock; ++i) {
      const float value = (row[i] + a_times * a[i] + b_times * b[i]) * scale;
      peak[i] = peak[i] < value ? value : peak[i];
    }
  }
}

void raise_by(float* __restrict peak, const float* __restrict row, float scale, std::uint32_t stride) {
  for (std::uint32_t at = 0; at < stride; at += kBlock, peak += kBlock, row += kBlock) {
    for (std::uint32_t i = 0; i < kBlock; ++i) {
      const float value = row[i] * scale;
      peak[i] = peak[i] < value ? value : peak[i];
    }
  }
}

void add_times(float* __restrict row, const float* __restrict load, float times, std::uint32_t stride) {
  for (std::uint32_t at = 0; at < stride; at += kBlock, row += kBlock, load += kBlock)
    for (std::uint32_t i = 0; i < kBlock; ++i) row[i] += times * load[i];
}

}  // namespace

CutFamily::CutFamily(const ExpertCluster& cluster, std::uint32_t experts, std::vector<std::uint16_t> holders, std::span<const double> loads)
    : devices_(static_cast<std::uint32_t>(cluster.devices.size())),
      experts_(experts),
      windows_(experts == 0 ? 0 : static_cast<std::uint32_t>(loads.size() / experts)),
      stride_((windows_ + kBlock - 1) / kBlock * kBlock),
      holders_(std::move(holders)),
      load_(static_cast<std::size_t>(experts) * stride_),
      peak_(stride_),
      trial_(stride_),
      zeros_(stride_) {
  std::vector<std::uint32_t> living;
  for (std::uint32_t d = 0; d < devices_; ++d) {
    speed_.push_back(cluster.devices[d].alive ? cluster.devices[d].speed : 0);
    if (cluster.devices[d].alive) living.push_back(d);
  }
  for (std::uint32_t e = 0; e < experts_; ++e) {
    const auto held = std::span(holders_).subspan(static_cast<std::size_t>(e) * devices_, devices_);
    if (std::ranges::all_of(held, [](std::uint16_t count) { return count == 0; })) continue;
    for (std::uint32_t w = 0; w < windows_; ++w) load_[e * stride_ + w] = static_cast<float>(loads[w * experts_ + e]);
  }
  exact_ = living.size() <= kExactDevices;
  std::vector<std::uint8_t> set(devices_);
  const std::uint32_t subsets = exact_ ? 1U << living.size() : 1;
  for (std::uint32_t bits = 1; bits < subsets; ++bits) {
    for (std::size_t i = 0; i < living.size(); ++i) set[living[i]] = bits >> i & 1;
    add(set);
  }
  if (!exact_) {
    for (const std::uint32_t d : living) {
      set.assign(devices_, 0);
      set[d] = 1;
      add(set);
    }
    for (const std::uint32_t d : living) set[d] = 1;
    add(set);
  }
  refresh();
}

bool CutFamily::add(std::span<const std::uint8_t> set) {
  const std::size_t sets = slowness_.size();
  if (sets >= kMostSets) return false;
  for (std::size_t s = 0; !exact_ && s < sets; ++s)
    if (std::ranges::equal(set, std::span(member_).subspan(s * devices_, devices_))) return false;
  double speed = 0;
  for (std::uint32_t d = 0; d < devices_; ++d)
    if (set[d] != 0) speed += speed_[d];
  if (speed <= 0) return false;
  member_.insert(member_.end(), set.begin(), set.end());
  slowness_.push_back(static_cast<float>(1 / speed));
  order_.push_back(static_cast<std::uint32_t>(sets));
  for (std::uint32_t e = 0; e < experts_; ++e) {
    std::uint16_t outside = 0;
    for (std::uint32_t d = 0; d < devices_; ++d) outside += set[d] == 0 && holders_[e * devices_ + d] > 0 ? 1 : 0;
    outside_.push_back(outside);
  }
  row_.resize(row_.size() + stride_);
  fill_row(sets);
  return true;
}

void CutFamily::fill_row(std::size_t set) {
  float* row = &row_[set * stride_];
  std::fill(row, row + stride_, 0.0F);
  for (std::uint32_t e = 0; e < experts_; ++e)
    if (outside_[set * experts_ + e] == 0) add_times(row, &load_[e * stride_], 1, stride_);
}

void CutFamily::refresh() {
  std::fill(trial_.begin(), trial_.end(), 0.0F);
  for (std::size_t s = 0; s < slowness_.size(); ++s) raise(s, {});
  std::swap(peak_, trial_);
  std::vector<std::uint32_t> times(slowness_.size(), 0);
  std::vector<std::uint32_t> tightest(windows_, 0);
  for (std::uint32_t w = 0; w < windows_; ++w) {
    for (std::size_t s = 0; s < slowness_.size(); ++s) {
      if (row_[s * stride_ + w] * slowness_[s] < peak_[w]) continue;
      ++times[s];
      tightest[w] = static_cast<std::uint32_t>(s);
      break;
    }
  }
  std::iota(order_.begin(), order_.end(), 0U);
  std::stable_sort(order_.begin(), order_.end(), [&](std::uint32_t a, std::uint32_t b) { return times[a] > times[b]; });
  cost_ = std::accumulate(peak_.begin(), peak_.begin() + windows_, 0.0);

  tight_ = static_cast<std::size_t>(std::ranges::count_if(times, [](std::uint32_t count) { return count > 0; }));
  std::vector<std::uint32_t> place(slowness_.size(), 0);
  for (std::size_t i = 0; i < tight_; ++i) place[order_[i]] = static_cast<std::uint32_t>(i);
  weight_.assign(static_cast<std::size_t>(experts_) * tight_, 0.0F);
  for (std::uint32_t e = 0; e < experts_; ++e)
    for (std::uint32_t w = 0; w < windows_; ++w)
      weight_[e * tight_ + place[tightest[w]]] += load_[static_cast<std::size_t>(e) * stride_ + w] * slowness_[tightest[w]];
}

/// Returns what cost_after() is at least: in every window the set that is the tightest now says what it would say.
double CutFamily::least_after(std::span<const ReplicaChange> changes) const {
  double cost = cost_;
  for (const ReplicaChange& change : changes)
    for (std::size_t i = 0; i < tight_; ++i) cost += delta_of(change, order_[i]) * weight_[change.expert * tight_ + i];
  return cost;
}

/// Returns 1 if the set becomes the only one to take the expert's load, -1 if it stops to be, else 0.
int CutFamily::delta_of(const ReplicaChange& change, std::size_t set) const {
  const std::uint8_t* member = &member_[set * devices_];
  const std::uint16_t* held = &holders_[static_cast<std::size_t>(change.expert) * devices_];
  const int before = outside_[set * experts_ + change.expert];
  int after = before;
  if (change.from != ReplicaChange::kNoDevice && member[change.from] == 0 && held[change.from] == 1) --after;
  if (change.to != ReplicaChange::kNoDevice && member[change.to] == 0 && held[change.to] == 0) ++after;
  return (after == 0 ? 1 : 0) - (before == 0 ? 1 : 0);
}

/// Raises trial_ to what the set says after the changes.
void CutFamily::raise(std::size_t set, std::span<const ReplicaChange> changes) {
  const float* row = &row_[set * stride_];
  const float* load[2] = {zeros_.data(), zeros_.data()};
  float times[2] = {0, 0};
  std::size_t changed = 0;
  for (const ReplicaChange& change : changes) {
    const int delta = delta_of(change, set);
    if (delta == 0) continue;
    load[changed] = &load_[static_cast<std::size_t>(change.expert) * stride_];
    times[changed++] = static_cast<float>(delta);
  }
  if (changed == 0) {
    raise_by(trial_.data(), row, slowness_[set], stride_);
  } else {
    raise_by(trial_.data(), row, load[0], times[0], load[1], times[1], slowness_[set], stride_);
  }
}

double CutFamily::cost_after(std::span<const ReplicaChange> changes, double limit) {
  // Rounding of floats, over all windows.
  const double least = least_after(changes) - 1e-6 * cost_;
  if (least >= limit) return least;
  std::fill(trial_.begin(), trial_.end(), 0.0F);
  const auto sum = [&] {
    double out = 0;
    for (std::uint32_t at = 0; at < stride_; at += 4)
      out += double{trial_[at] + trial_[at + 1]} + double{trial_[at + 2] + trial_[at + 3]};
    return out;
  };
  // The sets that are tight now nearly always tell; the others are looked at only for what passes them.
  double cost = 0;
  for (std::size_t i = 0, stop = 4; i < order_.size() && cost < limit; stop *= 2) {
    const std::size_t end = std::min(stop, order_.size());
    for (; i < end; ++i) raise(order_[i], changes);
    cost = sum();
  }
  return cost;
}

void CutFamily::apply(std::span<const ReplicaChange> changes) {
  for (const ReplicaChange& change : changes) {
    const float* load = &load_[static_cast<std::size_t>(change.expert) * stride_];
    for (std::size_t s = 0; s < slowness_.size(); ++s) {
      const int delta = delta_of(change, s);
      if (delta != 0) add_times(&row_[s * stride_], load, static_cast<float>(delta), stride_);
    }
    for (const bool gets : {false, true}) {
      const std::uint32_t device = gets ? change.to : change.from;
      if (device == ReplicaChange::kNoDevice) continue;
      std::uint16_t& held = holders_[static_cast<std::size_t>(change.expert) * devices_ + device];
      const int step = gets ? 1 : -1;
      for (std::size_t s = 0; held == (gets ? 0 : 1) && s < slowness_.size(); ++s) {
        std::uint16_t& outside = outside_[s * experts_ + change.expert];
        if (member_[s * devices_ + device] == 0) outside = static_cast<std::uint16_t>(outside + step);
      }
      held = static_cast<std::uint16_t>(held + step);
    }
  }
  refresh();
}

}  // namespace flexpert::placement
