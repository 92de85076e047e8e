#include "placement/token_dispatch.h"

#include <algorithm>

#include "base/check.h"

namespace flexpert::placement {
namespace {

constexpr std::uint32_t kNowhere = UINT32_MAX;
constexpr std::uint32_t kPending = UINT32_MAX - 1;

std::uint32_t source_of(std::span<const std::uint16_t> source, std::size_t token) { return source.empty() ? 0 : source[token]; }

}  // namespace

TokenDispatch::TokenDispatch(const ExpertLayout& layout, std::uint32_t layer, const ExpertCluster& cluster, DispatchPolicy policy,
                             std::uint64_t seed)
    : policy_(policy), split_(layout.layer(layer), layout.geometry.experts, cluster), rng_(seed) {
  for (const ExpertDevice& device : cluster.devices) node_.push_back(device.node);
  device_tokens_.resize(node_.size());
  rows_.resize(split_.experts());
  turn_.resize(split_.experts());
  chosen_.resize(split_.experts());
  active_.resize(node_.size());
  if (policy == DispatchPolicy::kStatic) {
    for (std::uint32_t d = 0; d < node_.size(); ++d)
      for (std::uint32_t e = 0; e < split_.experts(); ++e) fixed_.push_back(fixed_replica(d, e));
  }
}

/// Returns the index, among its replicas, of the one that a source always uses.
std::uint32_t TokenDispatch::fixed_replica(std::uint32_t source, std::uint32_t expert) const {
  const auto replicas = split_.replicas(expert);
  if (replicas.empty()) return kNowhere;
  std::uint32_t near = 0;
  for (std::uint32_t i = 0; i < replicas.size(); ++i) {
    if (replicas[i].device == source) return i;
    if (node_[replicas[i].device] == node_[source]) ++near;
  }
  if (near == 0) return source % static_cast<std::uint32_t>(replicas.size());
  std::uint32_t skip = source % near;
  for (std::uint32_t i = 0;; ++i)
    if (node_[replicas[i].device] == node_[source] && skip-- == 0) return i;
}

void TokenDispatch::assign(std::span<const std::uint8_t> experts, std::uint32_t top_k, std::span<const std::uint16_t> source,
                           std::span<std::uint32_t> slots) {
  assign_as(experts, top_k, source, slots);
}

void TokenDispatch::assign(std::span<const std::uint16_t> experts, std::uint32_t top_k, std::span<const std::uint16_t> source,
                           std::span<std::uint32_t> slots) {
  assign_as(experts, top_k, source, slots);
}

template <typename Expert>
void TokenDispatch::assign_as(std::span<const Expert> experts, std::uint32_t top_k, std::span<const std::uint16_t> source,
                              std::span<std::uint32_t> slots) {
  FLEXPERT_CHECK(slots.size() == experts.size(), "a slot for every routed token");
  FLEXPERT_CHECK(source.empty() || source.size() * top_k == experts.size(), "a source for every token");
  std::fill(device_tokens_.begin(), device_tokens_.end(), 0U);
  const auto each = [&](auto choose) {
    for (std::size_t i = 0; i < experts.size(); ++i) {
      const std::uint32_t e = experts[i];
      slots[i] = kNowhere;
      if (e >= split_.experts() || split_.replicas(e).empty()) continue;
      give(split_.replicas(e)[choose(i, e, static_cast<std::uint32_t>(split_.replicas(e).size()))], slots[i]);
    }
  };
  switch (policy_) {
    case DispatchPolicy::kStatic:
      each([&](std::size_t i, std::uint32_t e, std::uint32_t) { return fixed_[source_of(source, i / top_k) * split_.experts() + e]; });
      break;
    case DispatchPolicy::kRandom:
      each([&](std::size_t, std::uint32_t, std::uint32_t n) { return n == 1 ? 0 : static_cast<std::uint32_t>(rng_.below(n)); });
      break;
    case DispatchPolicy::kRoundRobin:
      each([&](std::size_t, std::uint32_t e, std::uint32_t n) {
        const std::uint32_t turn = turn_[e];
        turn_[e] = turn + 1 == n ? 0 : turn + 1;
        return turn;
      });
      break;
    case DispatchPolicy::kLeastLoaded:
      count(experts);
      split_.split(rows_);
      hand_out(experts, top_k, source, slots);
      break;
    case DispatchPolicy::kLeastActivatedExperts:
      count(experts);
      activate_few();
      each([&](std::size_t, std::uint32_t e, std::uint32_t) { return chosen_[e]; });
      break;
    case DispatchPolicy::kLocalityFirst: place_near(experts, top_k, source, slots); break;
  }
}

template <typename Expert>
void TokenDispatch::count(std::span<const Expert> experts) {
  std::fill(rows_.begin(), rows_.end(), 0U);
  for (const Expert e : experts)
    if (e < rows_.size()) ++rows_[e];
}

/// Gives the split's shares to the rows: those on a device that has a share first, the others in order.
template <typename Expert>
void TokenDispatch::hand_out(std::span<const Expert> experts, std::uint32_t top_k, std::span<const std::uint16_t> source,
                             std::span<std::uint32_t> slots) {
  const auto shares = split_.shares();
  std::copy(split_.device_rows().begin(), split_.device_rows().end(), device_tokens_.begin());
  std::fill(turn_.begin(), turn_.end(), 0U);
  bool pending = false;
  std::size_t i = 0;
  for (std::size_t token = 0; i < experts.size(); ++token) {
    const std::uint32_t from = source_of(source, token);
    for (std::uint32_t k = 0; k < top_k && i < experts.size(); ++k, ++i) {
      const std::uint32_t e = experts[i];
      slots[i] = kNowhere;
      if (e >= split_.experts()) continue;
      const auto replicas = split_.replicas(e);
      if (replicas.size() == 1) slots[i] = replicas[0].slot;
      if (replicas.size() <= 1) continue;
      slots[i] = kPending;
      pending = true;
      for (std::uint32_t r = 0; r < replicas.size(); ++r) {
        if (replicas[r].device != from || shares[split_.first(e) + r] == 0) continue;
        --shares[split_.first(e) + r];
        slots[i] = replicas[r].slot;
        break;
      }
    }
  }
  if (!pending) return;
  for (i = 0; i < experts.size(); ++i) {
    if (slots[i] != kPending) continue;
    const std::uint32_t e = experts[i];
    while (shares[split_.first(e) + turn_[e]] == 0) ++turn_[e];
    --shares[split_.first(e) + turn_[e]];
    slots[i] = split_.replicas(e)[turn_[e]].slot;
  }
}

/// Three rounds: rows without a choice or with a replica on their device, those with one on their node, the rest.
template <typename Expert>
void TokenDispatch::place_near(std::span<const Expert> experts, std::uint32_t top_k, std::span<const std::uint16_t> source,
                               std::span<std::uint32_t> slots) {
  for (std::size_t i = 0; i < experts.size(); ++i) {
    const std::uint32_t e = experts[i];
    const std::uint32_t from = source_of(source, i / top_k);
    slots[i] = kNowhere;
    if (e >= split_.experts() || split_.replicas(e).empty()) continue;
    slots[i] = kPending;
    const auto replicas = split_.replicas(e);
    for (const Replica& replica : replicas) {
      if (replicas.size() > 1 && replica.device != from) continue;
      give(replica, slots[i]);
      break;
    }
  }
  for (const bool near : {true, false}) {
    for (std::size_t i = 0; i < experts.size(); ++i) {
      if (slots[i] != kPending) continue;
      const std::uint32_t node = node_[source_of(source, i / top_k)];
      const Replica* best = nullptr;
      for (const Replica& replica : split_.replicas(experts[i])) {
        if (near && node_[replica.device] != node) continue;
        if (best == nullptr || load_with_one_more(replica.device) < load_with_one_more(best->device)) best = &replica;
      }
      if (best != nullptr) give(*best, slots[i]);
    }
  }
}

/// One replica for each expert of the batch: their number on a device is levelled by the same split (a row an expert), then
/// experts move where that makes the busiest device's rows fewer and no device's activated experts more than the most.
void TokenDispatch::activate_few() {
  // A batch's rows are kept in turn_ while the split counts experts.
  for (std::uint32_t e = 0; e < rows_.size(); ++e) {
    turn_[e] = rows_[e];
    rows_[e] = rows_[e] > 0 ? 1 : 0;
  }
  split_.split(rows_);
  std::swap(rows_, turn_);
  std::copy(split_.device_rows().begin(), split_.device_rows().end(), active_.begin());
  for (std::uint32_t e = 0; e < rows_.size(); ++e) {
    const auto replicas = split_.replicas(e);
    if (rows_[e] == 0 || replicas.empty()) continue;
    chosen_[e] = 0;
    while (split_.shares()[split_.first(e) + chosen_[e]] == 0) ++chosen_[e];
    device_tokens_[replicas[chosen_[e]].device] += rows_[e];
  }
  while (move_experts_off_busiest()) {
  }
  std::fill(device_tokens_.begin(), device_tokens_.end(), 0U);
}

bool TokenDispatch::move_experts_off_busiest() {
  const auto load = [&](std::uint32_t device, std::uint32_t tokens) { return tokens * split_.slowness(device); };
  std::uint32_t busiest = 0;
  double most_active = 0;
  for (std::uint32_t d = 0; d < device_tokens_.size(); ++d) {
    if (load(d, device_tokens_[d]) > load(busiest, device_tokens_[busiest])) busiest = d;
    most_active = std::max(most_active, load(d, active_[d]));
  }
  struct Exchange {
    std::uint32_t away = kNowhere;  // expert, from the busiest device
    std::uint32_t to = 0;           // its replica
    std::uint32_t back = kNowhere;  // expert that comes in exchange, if any
    std::uint32_t back_to = 0;
  } best;
  double least = load(busiest, device_tokens_[busiest]);
  for (const std::uint32_t e : split_.shared()) {
    const auto replicas = split_.replicas(e);
    if (rows_[e] == 0 || replicas[chosen_[e]].device != busiest) continue;
    for (std::uint32_t r = 0; r < replicas.size(); ++r) {
      const std::uint32_t d = replicas[r].device;
      if (d == busiest) continue;
      const auto after = [&](std::uint32_t back) {
        return std::max(load(busiest, device_tokens_[busiest] - rows_[e] + back), load(d, device_tokens_[d] + rows_[e] - back));
      };
      if (load(d, active_[d] + 1) <= most_active && after(0) < least) least = after(0), best = {e, r, kNowhere, 0};
      for (const std::uint32_t f : split_.shared()) {
        const auto others = split_.replicas(f);
        if (rows_[f] == 0 || rows_[f] >= rows_[e] || others[chosen_[f]].device != d || !(after(rows_[f]) < least)) continue;
        for (std::uint32_t s = 0; s < others.size(); ++s)
          if (others[s].device == busiest) least = after(rows_[f]), best = {e, r, f, s};
      }
    }
  }
  if (best.away == kNowhere) return false;
  const auto move = [&](std::uint32_t expert, std::uint32_t replica) {
    const auto replicas = split_.replicas(expert);
    const std::uint32_t from = replicas[chosen_[expert]].device;
    const std::uint32_t to = replicas[replica].device;
    device_tokens_[from] -= rows_[expert], device_tokens_[to] += rows_[expert];
    --active_[from], ++active_[to];
    chosen_[expert] = replica;
  };
  move(best.away, best.to);
  if (best.back != kNowhere) move(best.back, best.back_to);
  return true;
}

}  // namespace flexpert::placement
