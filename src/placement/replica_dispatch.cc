#include "placement/replica_dispatch.h"

#include <algorithm>
#include <cmath>

namespace flexpert::placement {
namespace {

/// A split must end sooner than one replica alone by this share, or it only makes more messages.
constexpr double kLeastGain = 0.05;
/// The weight that all batches before keep when one more is observed.
constexpr double kMemory = 0.95;

}  // namespace

std::span<const DispatchPiece> ReplicaDispatch::assign(std::span<const ReplicaLoad> endpoints, std::span<const DispatchGroup> groups,
                                                       std::uint64_t turn) {
  pieces_.clear();
  turn_ = turn;
  finish_ns_.clear();
  for (const ReplicaLoad& endpoint : endpoints) finish_ns_.push_back(endpoint.queue_rows * endpoint.ns_per_row);
  used_.assign(endpoints.size(), 0);
  order_.clear();
  choices_.clear();
  for (std::uint32_t g = 0; g < groups.size(); ++g) {
    const auto alive = std::count_if(groups[g].replicas.begin(), groups[g].replicas.end(),
                                     [&](std::uint16_t e) { return e < endpoints.size() && endpoints[e].alive; });
    choices_.push_back(static_cast<std::uint32_t>(alive));
    if (alive > 0 && groups[g].rows > 0) order_.push_back(g);
  }
  std::sort(order_.begin(), order_.end(), [&](std::uint32_t a, std::uint32_t b) {
    const bool a_bound = choices_[a] == 1;
    const bool b_bound = choices_[b] == 1;
    if (a_bound != b_bound) return a_bound;
    return groups[a].rows != groups[b].rows ? groups[a].rows > groups[b].rows : a < b;
  });
  for (const std::uint32_t g : order_) {
    collect(endpoints, groups[g]);
    switch (policy_) {
      case DispatchPolicy::kStatic: fix(endpoints, groups[g]); break;
      case DispatchPolicy::kRandom:
      case DispatchPolicy::kRoundRobin: deal(groups[g]); break;
      case DispatchPolicy::kLeastLoaded:
      case DispatchPolicy::kLeastActivatedExperts:
      case DispatchPolicy::kLocalityFirst: by_finish(g, groups[g]); continue;
    }
    give_counted(g);
  }
  std::sort(pieces_.begin(), pieces_.end(),
            [](const DispatchPiece& a, const DispatchPiece& b) { return a.group != b.group ? a.group < b.group : a.first < b.first; });
  return pieces_;
}

/// Collects the replicas that may get rows of the group.
void ReplicaDispatch::collect(std::span<const ReplicaLoad> endpoints, const DispatchGroup& group) {
  candidates_.clear();
  const auto alive = [&](std::uint16_t e) { return e < endpoints.size() && endpoints[e].alive; };
  const bool only_near = policy_ == DispatchPolicy::kLocalityFirst &&
                         std::ranges::any_of(group.replicas, [&](std::uint16_t e) { return alive(e) && endpoints[e].near; });
  for (const std::uint16_t e : group.replicas) {
    if (!alive(e) || (only_near && !endpoints[e].near)) continue;
    const double message_ns = used_[e] != 0 ? 0 : endpoints[e].ns_per_batch;
    const std::size_t rank = (e + endpoints.size() - turn_ % endpoints.size()) % endpoints.size();
    const double ready_ns = finish_ns_[e] + message_ns + endpoints[e].ns_per_expert;
    candidates_.push_back({e, rank, ready_ns, message_ns, std::max(endpoints[e].ns_per_row, 1.0), 0});
  }
}

/// Row by row over the candidates: at random or in turns. Rows of an expert are alike, so only their numbers matter.
void ReplicaDispatch::deal(const DispatchGroup& group) {
  if (policy_ == DispatchPolicy::kRandom) {
    for (std::uint32_t row = 0; row < group.rows; ++row) ++candidates_[rng_.below(candidates_.size())].rows;
    return;
  }
  if (group.key >= next_.size()) next_.resize(group.key + std::size_t{1}, 0);
  const auto count = static_cast<std::uint32_t>(candidates_.size());
  const std::uint32_t first = next_[group.key] % count;
  for (std::uint32_t i = 0; i < count; ++i)
    candidates_[(first + i) % count].rows = group.rows / count + (i < group.rows % count ? 1 : 0);
  next_[group.key] = (first + group.rows) % count;
}

void ReplicaDispatch::fix(std::span<const ReplicaLoad> endpoints, const DispatchGroup& group) {
  std::size_t i = (seed_ + group.key) % group.replicas.size();
  while (group.replicas[i] >= endpoints.size() || !endpoints[group.replicas[i]].alive) i = (i + 1) % group.replicas.size();
  std::ranges::find(candidates_, group.replicas[i], &Candidate::endpoint)->rows = group.rows;
}

void ReplicaDispatch::give_counted(std::uint32_t index) {
  std::uint32_t first = 0;
  for (const Candidate& c : candidates_) {
    if (c.rows == 0) continue;
    give(index, c, first, c.rows);
    first += c.rows;
  }
}

void ReplicaDispatch::by_finish(std::uint32_t index, const DispatchGroup& group) {
  const double rows = group.rows;
  const auto alone = [&](const Candidate& c) { return c.ready_ns + rows * c.ns_per_row; };
  const auto best = std::min_element(candidates_.begin(), candidates_.end(), [&](const Candidate& a, const Candidate& b) {
    return alone(a) != alone(b) ? alone(a) < alone(b) : a.rank < b.rank;
  });
  const double alone_ns = alone(*best);
  const Candidate chosen = *best;
  if (policy_ == DispatchPolicy::kLeastActivatedExperts) {
    give(index, chosen, 0, group.rows);
    return;
  }

  // Water-filling: the level at which the first k candidates (by readiness) end together.
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return a.ready_ns != b.ready_ns ? a.ready_ns < b.ready_ns : a.rank < b.rank;
  });
  double level = 0;
  double speed = 0;
  double head_start = 0;
  std::size_t used = 0;
  for (; used < candidates_.size(); ++used) {
    const Candidate& c = candidates_[used];
    if (used > 0 && c.ready_ns >= level) break;
    speed += 1 / c.ns_per_row;
    head_start += c.ready_ns / c.ns_per_row;
    level = (rows + head_start) / speed;
  }

  std::uint32_t left = group.rows;
  if (used > 1) {
    for (std::size_t i = 0; i < used; ++i) {
      Candidate& c = candidates_[i];
      c.rows = std::min(left, static_cast<std::uint32_t>((level - c.ready_ns) / c.ns_per_row));
      left -= c.rows;
    }
    // Rounding down leaves less than one row per candidate: each goes where it ends first.
    for (; left > 0; --left) {
      Candidate* next = &candidates_[0];
      for (std::size_t i = 1; i < used; ++i) {
        Candidate& c = candidates_[i];
        if (c.ready_ns + (c.rows + 1) * c.ns_per_row < next->ready_ns + (next->rows + 1) * next->ns_per_row) next = &c;
      }
      ++next->rows;
    }
    double split_ns = 0;
    double messages_ns = -chosen.message_ns;
    std::size_t shares = 0;
    for (std::size_t i = 0; i < used; ++i) {
      if (candidates_[i].rows == 0) continue;
      ++shares;
      messages_ns += candidates_[i].message_ns;
      split_ns = std::max(split_ns, candidates_[i].ready_ns + candidates_[i].rows * candidates_[i].ns_per_row);
    }
    if (shares < 2 || split_ns + messages_ns > alone_ns * (1 - kLeastGain)) used = 1;
  }
  if (used <= 1) {
    give(index, chosen, 0, group.rows);
    return;
  }
  give_counted(index);
}

void ReplicaDispatch::give(std::uint32_t group, const Candidate& to, std::uint32_t first, std::uint32_t rows) {
  pieces_.push_back({group, to.endpoint, first, rows});
  finish_ns_[to.endpoint] = to.ready_ns - to.message_ns + rows * to.ns_per_row;
  used_[to.endpoint] = 1;
}

ServiceCost::ServiceCost(double pace_rows_per_s) : paced_(pace_rows_per_s > 0) {
  if (paced_) ns_per_row_ = 1e9 / pace_rows_per_s;
}

void ServiceCost::observe(std::uint32_t rows, std::uint32_t experts, double service_ns) {
  if (paced_ || rows == 0 || experts == 0 || !(service_ns > 0)) return;
  const double r = rows;
  const double e = experts;
  rr_ = kMemory * rr_ + r * r;
  re_ = kMemory * re_ + r * e;
  ee_ = kMemory * ee_ + e * e;
  rt_ = kMemory * rt_ + r * service_ns;
  et_ = kMemory * et_ + e * service_ns;
  const double determinant = rr_ * ee_ - re_ * re_;
  double per_row = rt_ / rr_;
  double per_expert = 0;
  // When rows and experts always came in one proportion they cannot be told apart: all cost is put on the rows.
  if (determinant > 1e-3 * rr_ * ee_) {
    per_row = (rt_ * ee_ - et_ * re_) / determinant;
    per_expert = (et_ * rr_ - rt_ * re_) / determinant;
    if (per_row < 0) {
      per_row = 0;
      per_expert = et_ / ee_;
    } else if (per_expert < 0) {
      per_expert = 0;
      per_row = rt_ / rr_;
    }
  }
  ns_per_row_ = std::max(per_row, 1.0);
  ns_per_expert_ = per_expert;
}

}  // namespace flexpert::placement
