#include "placement/max_load_bound.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "fleet/expert_counts.h"
#include "placement/balance.h"

namespace flexpert::placement {
namespace {

constexpr double kRounding = 1e-9;
constexpr int kHalvings = 24;

/// Replicas without which no share of `load` is at most `share`; at least 1.
std::uint64_t least_replicas(double load, double share) {
  return static_cast<std::uint64_t>(std::max(1.0, std::ceil(load / share * (1 - kRounding) - kRounding)));
}

}  // namespace

MaxLoadBound::MaxLoadBound(const ExpertCluster& cluster) : speed_sum_{0}, slot_sum_{0}, pigeon_holes_{0} {
  std::vector<double> speeds;
  std::vector<std::uint64_t> slots;
  for (const ExpertDevice& device : cluster.devices) {
    if (!device.alive || device.slots == 0) continue;
    speeds.push_back(device.speed);
    slots.push_back(device.slots);
  }
  std::sort(speeds.begin(), speeds.end(), std::greater<>());
  std::sort(slots.begin(), slots.end());
  for (const double speed : speeds) speed_sum_.push_back(speeds_ += speed);
  for (const std::uint64_t count : slots) slot_sum_.push_back(slots_ += count);
  if (slots.empty()) return;
  fastest_ = speeds.front();
  most_slots_ = slots.back();
  // With k more slots than k - 1, the devices that have as many as k count once more.
  for (std::uint64_t k = 1; k <= std::min<std::uint64_t>(most_slots_, 64); ++k)
    pigeon_holes_.push_back(pigeon_holes_.back() +
                            static_cast<std::uint64_t>(slots.end() - std::lower_bound(slots.begin(), slots.end(), k)));
}

MaxLoadBound::Need MaxLoadBound::need(double limit) const {
  Need out{.slots = loads_.size()};
  const double share = limit * fastest_;
  for (; out.heavy < loads_.size(); ++out.heavy) {
    const std::uint64_t replicas = least_replicas(loads_[out.heavy], share);
    if (replicas == 1) break;
    out.of_heavy += replicas;
    out.slots += replicas - 1;
  }
  return out;
}

bool MaxLoadBound::pigeons_fit(double limit, const Need& need) {
  const std::uint64_t free_replicas = slots_ - need.slots;
  for (std::size_t k = 1; k < pigeon_holes_.size(); ++k) {
    const double small = limit * fastest_ / static_cast<double>(k + 1) * (1 + kRounding);
    const auto end = std::partition_point(loads_.begin(), loads_.end(), [&](double load) { return load > small; });
    const auto big_experts = static_cast<std::size_t>(end - loads_.begin());
    const std::uint64_t pigeons = need.of_heavy + (big_experts - std::min(big_experts, need.heavy));
    if (pigeons <= pigeon_holes_[k]) continue;
    escapes_.clear();
    for (std::size_t e = 0; e < big_experts; ++e) {
      const std::uint64_t least = least_replicas(loads_[e], limit * fastest_);
      const std::uint64_t escaped = std::max(least, least_replicas(loads_[e], small));
      escapes_.push_back({static_cast<double>(escaped - least), static_cast<double>(least)});
    }
    std::sort(escapes_.begin(), escapes_.end(), [](const Escape& a, const Escape& b) { return a.cost * b.replicas < b.cost * a.replicas; });
    double left = static_cast<double>(free_replicas);
    double gone = 0;
    for (const Escape& escape : escapes_) {
      const double part = escape.cost <= left ? 1.0 : left / escape.cost;
      gone += escape.replicas * part;
      left -= escape.cost * part;
      if (part < 1) break;
    }
    if (static_cast<double>(pigeons) - gone > static_cast<double>(pigeon_holes_[k]) + kRounding) return false;
  }
  return true;
}

/// `load`: of the experts of H; `others`: replicas of the others at least; `singles`: of these, experts with one replica of
/// half the limit at most, which are the lightest ones of all. Every other replica weighs more than half the limit.
bool MaxLoadBound::company_fits(double limit, double load, std::uint64_t others, std::uint64_t singles) const {
  const double half = limit * fastest_ / 2;
  const auto fits = [&](std::uint64_t a) {
    const std::uint64_t company = slot_sum_[a] + others > slots_ ? slot_sum_[a] + others - slots_ : 0;
    const std::uint64_t counted = std::min(company, singles);
    return load + light_sum_[counted] + static_cast<double>(company - counted) * half <= limit * speed_sum_[a] * (1 + kRounding);
  };
  const std::uint64_t most_devices = std::min<std::uint64_t>(speed_sum_.size() - 1, slots_ - others);
  for (std::uint64_t a = most_devices; a > 0; --a)
    if (fits(a)) return true;
  return false;
}

bool MaxLoadBound::company_fits(double limit, const Need& need) {
  const double share = limit * fastest_;
  const auto light = static_cast<std::size_t>(
      loads_.end() - std::partition_point(loads_.begin(), loads_.end(), [&](double load) { return load > share / 2; }));
  const std::size_t all_singles = loads_.size() - need.heavy;
  split_.clear();
  for (std::size_t e = 0; e < need.heavy; ++e) {
    const std::uint64_t replicas = least_replicas(loads_[e], share);
    split_.push_back({loads_[e] / static_cast<double>(replicas), loads_[e], replicas});
    if (!company_fits(limit, loads_[e], need.slots - replicas, std::min(light, all_singles))) return false;
  }
  std::sort(split_.begin(), split_.end(), [](const Split& a, const Split& b) { return a.share > b.share; });
  double load = 0;
  std::uint64_t others = need.slots;
  std::size_t singles = 0;  // taken into H
  for (auto next = split_.begin(); next != split_.end() || singles < all_singles;) {
    if (next != split_.end() && (singles == all_singles || next->share >= loads_[need.heavy + singles])) {
      load += next->load;
      others -= next->replicas;
      ++next;
    } else {
      load += loads_[need.heavy + singles++];
      --others;
    }
    if (!company_fits(limit, load, others, std::min(light, all_singles - singles))) return false;
  }
  return true;
}

bool MaxLoadBound::possible(double limit) {
  const Need needed = need(limit);
  return needed.slots <= slots_ && pigeons_fit(limit, needed) && company_fits(limit, needed);
}

double MaxLoadBound::of(std::span<const double> loads, double enough) {
  loads_.assign(loads.begin(), loads.end());
  std::sort(loads_.begin(), loads_.end(), std::greater<>());
  light_sum_.assign(1, 0.0);
  for (std::size_t i = loads_.size(); i-- > 0;) light_sum_.push_back(light_sum_.back() + loads_[i]);
  const double total = light_sum_.back();
  if (total < kLeastLoad || slots_ < loads_.size()) return 0;
  double low = total / speeds_;
  if (low >= enough || possible(low)) return low;
  double high = std::min(enough, 2 * low);
  while (high < enough && !possible(high)) {
    low = high;
    high = std::min(enough, 2 * high);
  }
  for (int i = 0; i < kHalvings && high > low * (1 + kRounding); ++i) {
    const double middle = low + (high - low) / 2;
    (possible(middle) ? high : low) = middle;
  }
  return low;
}

double max_load_bound(std::span<const double> loads, const ExpertCluster& cluster) { return MaxLoadBound(cluster).of(loads); }

}  // namespace flexpert::placement
