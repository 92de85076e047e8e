#include "placement/dispatch_search.h"

#include <algorithm>
#include <utility>

#include "fleet/expert_layout.h"
#include "placement/ideal_split.h"

namespace flexpert::placement {
namespace {

/// A gain below this share of the cost is rounding.
constexpr double kLeastGain = 1e-5;
/// How often the family is completed by what a found layout violates.
constexpr int kRounds = 12;

std::vector<std::uint32_t> devices_of(const ExpertCluster& cluster) {
  std::vector<std::uint32_t> slots;
  for (const ExpertDevice& device : cluster.devices) slots.push_back(device.slots);
  return device_of_slots(slots);
}

std::vector<std::uint16_t> holders_of(std::span<const std::int32_t> row, const ExpertCluster& cluster, std::uint32_t experts) {
  const auto device_of = devices_of(cluster);
  std::vector<std::uint16_t> out(static_cast<std::size_t>(experts) * cluster.devices.size(), 0);
  for (std::size_t s = 0; s < row.size(); ++s)
    if (row[s] != kEmptySlot && cluster.devices[device_of[s]].alive)
      ++out[static_cast<std::size_t>(row[s]) * cluster.devices.size() + device_of[s]];
  return out;
}

}  // namespace

DispatchSearch::DispatchSearch(std::vector<std::int32_t> row, const ExpertCluster& cluster, std::uint32_t experts,
                               std::vector<double> loads)
    : cluster_(cluster),
      experts_(experts),
      loads_(std::move(loads)),
      row_(std::move(row)),
      first_row_(row_),
      device_of_(devices_of(cluster)),
      replicas_(experts, 0),
      family_(cluster, experts, holders_of(row_, cluster, experts), loads_) {
  for (std::uint32_t s = 0; s < row_.size(); ++s) {
    if (!cluster.devices[device_of_[s]].alive) continue;
    living_.push_back(s);
    if (row_[s] != kEmptySlot) ++replicas_[static_cast<std::uint32_t>(row_[s])];
  }
  std::vector<bool> loaded(experts, false);
  for (std::size_t i = 0; i < loads_.size(); ++i)
    if (loads_[i] > 0) loaded[i % experts] = true;
  for (std::uint32_t e = 0; e < experts; ++e)
    if (loaded[e] && replicas_[e] > 0) loaded_.push_back(e);
  cost_ = look_closely();
}

/// Calls visit(exchange) for all that are allowed on the row at that moment; visit may write the row.
template <typename Visit>
void DispatchSearch::each_exchange(Visit&& visit) {
  const auto holds = [&](std::int32_t expert, std::uint32_t device) {
    return expert != kEmptySlot && family_.replicas_on(static_cast<std::uint32_t>(expert), device) > 0;
  };
  for (std::size_t i = 0; i < living_.size(); ++i) {
    for (std::size_t j = i + 1; j < living_.size(); ++j) {
      const std::uint32_t s = living_[i];
      const std::uint32_t q = living_[j];
      if (device_of_[s] == device_of_[q] || row_[s] == row_[q]) continue;
      if (holds(row_[s], device_of_[q]) || holds(row_[q], device_of_[s])) continue;
      visit(SlotExchange{s, q, 0, 0, 0});
    }
  }
  for (const std::uint32_t s : living_) {
    for (const std::uint32_t e : loaded_) {
      if (row_[s] != kEmptySlot && replicas_[static_cast<std::uint32_t>(row_[s])] < 2) break;
      if (family_.replicas_on(e, device_of_[s]) == 0) visit(SlotExchange{s, std::nullopt, static_cast<std::int32_t>(e), 0, 0});
    }
  }
}

std::size_t DispatchSearch::changes_of(const SlotExchange& exchange, ReplicaChange (&out)[2]) const {
  std::size_t count = 0;
  const std::uint32_t here = device_of_[exchange.slot];
  const std::int32_t old = row_[exchange.slot];
  if (exchange.with) {
    const std::uint32_t there = device_of_[*exchange.with];
    if (old != kEmptySlot) out[count++] = {static_cast<std::uint32_t>(old), here, there};
    if (row_[*exchange.with] != kEmptySlot) out[count++] = {static_cast<std::uint32_t>(row_[*exchange.with]), there, here};
    return count;
  }
  if (old != kEmptySlot) out[count++] = {static_cast<std::uint32_t>(old), here, ReplicaChange::kNoDevice};
  out[count++] = {static_cast<std::uint32_t>(exchange.expert), ReplicaChange::kNoDevice, here};
  return count;
}

std::int64_t DispatchSearch::slots_of(const SlotExchange& exchange) const {
  const auto step = [&](std::uint32_t slot, std::int32_t expert) {
    return (expert != first_row_[slot] ? 1 : 0) - (row_[slot] != first_row_[slot] ? 1 : 0);
  };
  if (!exchange.with) return step(exchange.slot, exchange.expert);
  return step(exchange.slot, row_[*exchange.with]) + step(*exchange.with, row_[exchange.slot]);
}

void DispatchSearch::write(const SlotExchange& exchange) {
  if (exchange.with) {
    std::swap(row_[exchange.slot], row_[*exchange.with]);
    return;
  }
  if (row_[exchange.slot] != kEmptySlot) --replicas_[static_cast<std::uint32_t>(row_[exchange.slot])];
  ++replicas_[static_cast<std::uint32_t>(exchange.expert)];
  row_[exchange.slot] = exchange.expert;
}

bool DispatchSearch::descend_family(std::uint32_t passes) {
  bool gained = false;
  for (std::uint32_t pass = 0; pass < passes; ++pass) {
    bool any = false;
    each_exchange([&](const SlotExchange& exchange) {
      ReplicaChange changes[2];
      const std::span<const ReplicaChange> list(changes, changes_of(exchange, changes));
      const double limit = family_.cost() * (1 - kLeastGain);
      if (family_.cost_after(list, limit) >= limit) return;
      family_.apply(list);
      write(exchange);
      any = true;
    });
    if (!any) break;
    gained = true;
  }
  return gained;
}

void DispatchSearch::descend(std::uint32_t passes) {
  if (family_.exact()) {
    descend_family(passes);
    cost_ = family_.cost();
    return;
  }
  std::vector<std::int32_t> best = row_;
  double least = cost_;
  for (int round = 0; round < kRounds && descend_family(passes); ++round) {
    const double bound = family_.cost();
    const double cost = look_closely();
    if (cost < least) {
      least = cost;
      best = row_;
    }
    if (cost <= bound * (1 + kLeastGain)) break;
  }
  DispatchSearch at_best(std::move(best), cluster_, experts_, std::move(loads_));
  at_best.first_row_ = std::move(first_row_);
  *this = std::move(at_best);
}

/// Returns the exact cost of the row. Adds to the family what it did not know.
double DispatchSearch::look_closely() {
  if (family_.exact()) return family_.cost();
  IdealSplit split(row_, experts_, cluster_);
  double sum = 0;
  for (std::size_t w = 0; w < family_.peaks().size(); ++w) {
    const double peak = split.max_load(std::span(loads_).subspan(w * experts_, experts_));
    sum += peak;
    if (peak > family_.peaks()[w] * (1 + kLeastGain)) family_.add(split.tight());
  }
  family_.refresh();
  return sum;
}

std::optional<SlotExchange> DispatchSearch::best(std::int64_t most_slots, double least_gain) {
  for (int round = 0; round < kRounds; ++round) {
    std::optional<SlotExchange> out;
    const double now = family_.cost();
    // Gains are compared by changed slot; an exchange that changes none (or fewer) counts as half of one.
    double most = std::max(least_gain, kLeastGain) * now;
    each_exchange([&](SlotExchange exchange) {
      exchange.slots = slots_of(exchange);
      if (exchange.slots > most_slots) return;
      const double price = std::max(0.5, static_cast<double>(exchange.slots));
      ReplicaChange changes[2];
      const std::span<const ReplicaChange> list(changes, changes_of(exchange, changes));
      const double limit = now - most * price;
      const double cost = family_.cost_after(list, limit);
      if (cost >= limit) return;
      exchange.gain = now - cost;
      most = exchange.gain / price;
      out = exchange;
    });
    if (!out || family_.exact()) return out;
    DispatchSearch after = *this;
    after.apply(*out);
    out->gain = cost_ - after.cost_;
    if (out->gain > std::max(least_gain, kLeastGain) * cost_ * std::max(0.5, static_cast<double>(out->slots))) return out;
    // The family promised more than there is: it learns the sets that were in the way.
    bool learnt = false;
    IdealSplit split(after.row_, experts_, cluster_);
    for (std::size_t w = 0; w < family_.peaks().size(); ++w) {
      split.max_load(std::span(loads_).subspan(w * experts_, experts_));
      learnt |= family_.add(split.tight());
    }
    family_.refresh();
    if (!learnt) return std::nullopt;
  }
  return std::nullopt;
}

void DispatchSearch::apply(const SlotExchange& exchange) {
  ReplicaChange changes[2];
  const std::span<const ReplicaChange> list(changes, changes_of(exchange, changes));
  family_.apply(list);
  write(exchange);
  cost_ = look_closely();
}

}  // namespace flexpert::placement
