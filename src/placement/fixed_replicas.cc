#include "placement/fixed_replicas.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "fleet/expert_counts.h"
#include "placement/fixed_replicas_layer.h"
#include "placement/incremental_budget.h"

namespace flexpert::placement {
namespace {

/// What the search's tables are made for.
constexpr std::uint64_t kMostPairs = 1 << 26;
/// What a move must take off a layer's busiest server, in units of the mean: for less nothing is moved.
constexpr double kPriceOfMove = 1e-3;

std::vector<double> loads_or_alike(const ExpertGeometry& geometry, const std::vector<double>& loads) {
  if (std::accumulate(loads.begin(), loads.end(), 0.0) >= kLeastLoad) return loads;
  return std::vector<double>(geometry.size(), 1.0);
}

Result<void> check(const FixedReplicas& wanted) {
  const std::size_t slots = wanted.geometry.size();
  if (wanted.replicas.size() != slots)
    return fail(ErrorCode::kInvalidArgument, "placement: replicas must have one count per (layer, expert): {} wanted, {} given", slots,
                wanted.replicas.size());
  if (!wanted.loads.empty() && wanted.loads.size() != slots)
    return fail(ErrorCode::kInvalidArgument, "placement: loads must be empty or have one number per (layer, expert): {} wanted, {} given",
                slots, wanted.loads.size());
  if (wanted.servers > 65535) return fail(ErrorCode::kInvalidArgument, "placement: at most 65535 servers: {}", wanted.servers);
  if (static_cast<std::uint64_t>(wanted.servers) * wanted.geometry.experts > kMostPairs)
    return fail(ErrorCode::kInvalidArgument, "placement: at most {} servers x experts: {} x {}", kMostPairs, wanted.servers,
                wanted.geometry.experts);
  if (!wanted.current.empty() && wanted.current.size() != slots)
    return fail(ErrorCode::kInvalidArgument, "placement: current must be empty or have one list per (layer, expert): {} wanted, {} given",
                slots, wanted.current.size());
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < slots; ++i) {
    const ExpertSlot at = wanted.geometry.slot(i);
    if (wanted.replicas[i] > wanted.servers)
      return fail(ErrorCode::kInvalidArgument, "placement: layer {} expert {}: {} replicas need as many servers: {}", at.layer, at.expert,
                  wanted.replicas[i], wanted.servers);
    if (!wanted.loads.empty() && !(wanted.loads[i] >= 0 && wanted.loads[i] <= kMostCount))
      return fail(ErrorCode::kInvalidArgument, "placement: layer {} expert {}: a load must be a number from 0 to {}: {}", at.layer,
                  at.expert, kMostCount, wanted.loads[i]);
    total += wanted.replicas[i];
    if (wanted.current.empty()) continue;
    for (const std::uint16_t server : wanted.current[i])
      if (server >= wanted.servers)
        return fail(ErrorCode::kInvalidArgument, "placement: layer {} expert {}: current names server {} of {}", at.layer, at.expert,
                    server, wanted.servers);
  }
  const std::uint64_t room = static_cast<std::uint64_t>(wanted.servers) * wanted.slots_per_server;
  if (total > room)
    return fail(ErrorCode::kInvalidArgument, "placement: {} replicas do not fit into the {} slots of {} servers", total, room,
                wanted.servers);
  return {};
}

/// The state of one placement under construction.
class ReplicaBoard {
 public:
  explicit ReplicaBoard(const FixedReplicas& wanted)
      : wanted_(wanted),
        loads_(loads_or_alike(wanted.geometry, wanted.loads)),
        positions_(wanted.geometry.size()),
        layer_load_(static_cast<std::size_t>(wanted.geometry.layers) * wanted.servers, 0.0),
        total_load_(wanted.servers, 0.0),
        room_(wanted.servers, wanted.slots_per_server) {
    // A little for every expert, so that idle ones spread too.
    const double total = std::accumulate(loads_.begin(), loads_.end(), 0.0);
    base_ = total / static_cast<double>(std::max<std::size_t>(loads_.size(), 1)) * 1e-3;
  }

  void keep_current() {
    if (wanted_.current.empty()) return;
    std::vector<std::uint32_t> used(wanted_.servers, 0);
    for (std::size_t i = 0; i < positions_.size(); ++i)
      for (const std::uint16_t server : wanted_.current[i])
        if (wanted_.replicas[i] > 0 && !holds(i, server)) put(i, server), ++used[server];
    for (std::size_t i = 0; i < positions_.size(); ++i)
      while (positions_[i].size() > wanted_.replicas[i]) {
        const std::uint32_t server = busiest_of(i);
        take(i, server), --used[server];
      }
    for (std::uint32_t server = 0; server < wanted_.servers; ++server)
      for (; used[server] > wanted_.slots_per_server; --used[server]) take(lightest_on(server), server);
  }

  void add_missing() {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < positions_.size(); ++i)
      if (positions_[i].size() < wanted_.replicas[i]) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) { return share(a) > share(b); });
    for (const std::size_t i : order)
      while (positions_[i].size() < wanted_.replicas[i]) put(i, free_server_for(i));
  }

  void balance() {
    ReplicaLayer search(wanted_.servers, wanted_.geometry.experts);
    // First what costs nothing: where new replicas go, and which of those too many goes.
    for (std::uint32_t layer = 0; layer < wanted_.geometry.layers; ++layer) {
      start(search, layer, wanted_.current);
      search.improve(ReplicaGoal::kExcess, 1, 0);
      carry_out(layer, search.shifts());
    }
    // A layer's plan leaves out that others change the room on servers: what does not fit any more is planned anew.
    // At last moves count from where replicas are by now, as they would if the result were planned again.
    std::int64_t left = wanted_.max_moves;
    for (const bool anew : {false, true})
      while (left > 0 && spend(search, anew, left)) {
      }
  }

  Positions finish() {
    for (auto& list : positions_) std::sort(list.begin(), list.end());
    return std::move(positions_);
  }

 private:
  [[nodiscard]] double share(std::size_t slot) const { return (loads_[slot] + base_) / std::max<std::uint32_t>(wanted_.replicas[slot], 1); }
  [[nodiscard]] double& layer_load(std::size_t slot, std::uint32_t server) {
    return layer_load_[slot / wanted_.geometry.experts * wanted_.servers + server];
  }
  [[nodiscard]] bool holds(std::size_t slot, std::uint32_t server) const {
    return std::find(positions_[slot].begin(), positions_[slot].end(), server) != positions_[slot].end();
  }
  void put(std::size_t slot, std::uint32_t server) {
    positions_[slot].push_back(static_cast<std::uint16_t>(server));
    layer_load(slot, server) += share(slot);
    total_load_[server] += share(slot);
    --room_[server];
  }
  void take(std::size_t slot, std::uint32_t server) {
    std::erase(positions_[slot], static_cast<std::uint16_t>(server));
    layer_load(slot, server) -= share(slot);
    total_load_[server] -= share(slot);
    ++room_[server];
  }
  [[nodiscard]] std::uint32_t busiest_of(std::size_t slot) {
    return *std::max_element(positions_[slot].begin(), positions_[slot].end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::pair(layer_load(slot, a), total_load_[a]) < std::pair(layer_load(slot, b), total_load_[b]);
    });
  }
  [[nodiscard]] std::size_t lightest_on(std::uint32_t server) const {
    std::size_t best = positions_.size();
    for (std::size_t i = 0; i < positions_.size(); ++i)
      if (holds(i, server) && (best == positions_.size() || share(i) < share(best))) best = i;
    return best;
  }

  /// Returns the server with room that is the least loaded in the slot's layer, then in all. If each of those holds the
  /// slot already, frees a place on another by moving something off it.
  [[nodiscard]] std::uint32_t free_server_for(std::size_t slot) {
    std::uint32_t best = wanted_.servers;
    for (std::uint32_t s = 0; s < wanted_.servers; ++s) {
      if (room_[s] == 0 || holds(slot, s)) continue;
      if (best == wanted_.servers || std::pair(layer_load(slot, s), total_load_[s]) < std::pair(layer_load(slot, best), total_load_[best]))
        best = s;
    }
    if (best < wanted_.servers) return best;
    // Full servers do not hold the slot, and some server with room does: the full one has something that the other
    // lacks, by counting.
    for (std::uint32_t full = 0; full < wanted_.servers; ++full) {
      if (holds(slot, full)) continue;
      for (std::uint32_t open = 0; open < wanted_.servers; ++open) {
        if (room_[open] == 0) continue;
        for (std::size_t other = 0; other < positions_.size(); ++other) {
          if (!holds(other, full) || holds(other, open)) continue;
          take(other, full);
          put(other, open);
          return full;
        }
      }
    }
    return 0;  // not reached while the replicas fit, which check() made sure of
  }

  void start(ReplicaLayer& search, std::uint32_t layer, const Positions& before) {
    const std::size_t first = wanted_.geometry.index({layer, 0});
    const std::size_t count = wanted_.geometry.experts;
    search.start(std::span(loads_).subspan(first, count), std::span(positions_).subspan(first, count),
                 before.empty() ? std::span<const std::vector<std::uint16_t>>() : std::span(before).subspan(first, count), room_,
                 total_load_);
  }

  /// Says whether every server has the room, shift by shift; the two of a swap count together.
  [[nodiscard]] bool fits(std::span<const ReplicaShift> shifts) {
    std::vector<std::int64_t> room(room_.begin(), room_.end());
    for (std::size_t i = 0; i < shifts.size(); ++i) {
      ++room[shifts[i].from];
      const bool swap = i + 1 < shifts.size() && shifts[i + 1].from == shifts[i].to && shifts[i + 1].to == shifts[i].from;
      if (--room[shifts[i].to] < 0 && !swap) return false;
    }
    return true;
  }

  void carry_out(std::uint32_t layer, std::span<const ReplicaShift> shifts) {
    for (const ReplicaShift& one : shifts) {
      const std::size_t slot = wanted_.geometry.index({layer, one.expert});
      take(slot, one.from);
      put(slot, one.to);
    }
  }

  struct LayerWay {
    std::int64_t moved = 0;
    double max_load = 0;
    std::vector<ReplicaShift> shifts;
  };

  /// Returns what can be done with a layer, by moves; the first is nothing.
  [[nodiscard]] std::vector<LayerWay> ways(ReplicaLayer& search, std::uint32_t layer, bool anew, std::int64_t most_moved) {
    std::vector<LayerWay> out;
    start(search, layer, anew ? positions_ : wanted_.current);
    for (const ReplicaGoal goal : {ReplicaGoal::kExcess, ReplicaGoal::kBusier}) {
      search.improve(goal, wanted_.tolerance, most_moved);
      for (const ReplicaPoint& point : search.points()) {
        if (point.shifts == 0 && !out.empty()) continue;
        const auto shifts = search.shifts().first(point.shifts);
        out.push_back({point.moved, point.max_load, {shifts.begin(), shifts.end()}});
      }
    }
    std::stable_sort(out.begin() + 1, out.end(),
                     [](const LayerWay& a, const LayerWay& b) { return std::pair(a.moved, a.max_load) < std::pair(b.moved, b.max_load); });
    return out;
  }

  static std::vector<BudgetChoice> prices(const std::vector<LayerWay>& ways) {
    std::vector<BudgetChoice> out;
    for (const LayerWay& way : ways) out.push_back({way.moved, -way.max_load - kPriceOfMove * static_cast<double>(way.moved)});
    return out;
  }

  /// Spends moves where they gain most; returns false if none helps.
  bool spend(ReplicaLayer& search, bool anew, std::int64_t& left) {
    std::vector<std::vector<LayerWay>> layers;
    std::vector<std::vector<BudgetChoice>> choices;
    for (std::uint32_t layer = 0; layer < wanted_.geometry.layers; ++layer) {
      layers.push_back(ways(search, layer, anew, left));
      choices.push_back(prices(layers.back()));
    }
    const std::vector<std::uint32_t> chosen = spend_budget(choices, left);
    bool any = false;
    for (std::uint32_t layer = 0; layer < layers.size(); ++layer) {
      if (chosen[layer] == 0) continue;
      LayerWay way = layers[layer][chosen[layer]];
      if (!fits(way.shifts)) {
        // Layers before it took the room on some server: the best with what is left of both.
        std::vector<LayerWay> now = ways(search, layer, anew, way.moved);
        const std::vector<BudgetChoice> priced[] = {prices(now)};
        way = std::move(now[spend_budget(priced, way.moved)[0]]);
      }
      carry_out(layer, way.shifts);
      left -= way.moved;
      any = any || !way.shifts.empty();
    }
    return any;
  }

  const FixedReplicas& wanted_;
  std::vector<double> loads_;
  double base_ = 0;
  Positions positions_;
  std::vector<double> layer_load_;  // [layer][server]
  std::vector<double> total_load_;
  std::vector<std::uint32_t> room_;  // wraps around within a swap
};

void count_changes(const FixedReplicas& wanted, FixedPlacement& out) {
  for (std::size_t i = 0; i < out.positions.size(); ++i) {
    std::uint32_t came = 0;
    std::uint32_t gone = 0;
    const std::vector<std::uint16_t> before = wanted.current.empty() ? std::vector<std::uint16_t>{} : wanted.current[i];
    for (const std::uint16_t s : out.positions[i]) came += std::find(before.begin(), before.end(), s) == before.end();
    for (const std::uint16_t s : before) gone += std::find(out.positions[i].begin(), out.positions[i].end(), s) == out.positions[i].end();
    const std::uint32_t moved = std::min(came, gone);
    out.moved += moved;
    out.added += came - moved;
    out.removed += gone - moved;
  }
}

}  // namespace

Result<FixedPlacement> place_fixed_replicas(const FixedReplicas& wanted) {
  FLEXPERT_TRY(check(wanted));
  FixedPlacement out;
  ReplicaBoard board(wanted);
  if (wanted.servers > 0) {
    board.keep_current();
    board.add_missing();
    board.balance();
  }
  out.positions = board.finish();
  count_changes(wanted, out);
  out.imbalance = imbalance_of(wanted.geometry, out.positions, wanted.loads, wanted.servers);
  out.bound = imbalance_bound(wanted.geometry, wanted.replicas, wanted.loads, wanted.servers);
  return out;
}

double imbalance_of(const ExpertGeometry& geometry, const Positions& positions, const std::vector<double>& loads, std::uint32_t servers) {
  const std::vector<double> weights = loads_or_alike(geometry, loads);
  double sum = 0;
  std::uint32_t layers = 0;
  for (std::uint32_t layer = 0; layer < geometry.layers && servers > 0; ++layer) {
    std::vector<double> load(servers, 0.0);
    for (std::uint32_t expert = 0; expert < geometry.experts; ++expert) {
      const std::size_t i = geometry.index({layer, expert});
      for (const std::uint16_t s : positions[i]) load[s] += weights[i] / static_cast<double>(positions[i].size());
    }
    const double total = std::accumulate(load.begin(), load.end(), 0.0);
    if (!(total >= kLeastLoad)) continue;
    sum += *std::max_element(load.begin(), load.end()) / (total / servers);
    ++layers;
  }
  return layers > 0 ? sum / layers : 1.0;
}

double imbalance_bound(const ExpertGeometry& geometry, const std::vector<std::uint32_t>& replicas, const std::vector<double>& loads,
                       std::uint32_t servers) {
  const std::vector<double> weights = loads_or_alike(geometry, loads);
  double sum = 0;
  std::uint32_t layers = 0;
  std::vector<double> shares;
  for (std::uint32_t layer = 0; layer < geometry.layers && servers > 0; ++layer) {
    shares.clear();
    double total = 0;
    for (std::uint32_t expert = 0; expert < geometry.experts; ++expert) {
      const std::size_t i = geometry.index({layer, expert});
      if (replicas[i] == 0) continue;
      total += weights[i];
      shares.insert(shares.end(), replicas[i], weights[i] / replicas[i]);
    }
    if (!(total >= kLeastLoad)) continue;
    std::sort(shares.begin(), shares.end(), std::greater<>());
    double least = std::max(total / servers, shares.front());
    if (shares.size() > servers) least = std::max(least, shares[servers - 1] + shares[servers]);
    sum += least / (total / servers);
    ++layers;
  }
  return layers > 0 ? sum / layers : 1.0;
}

}  // namespace flexpert::placement
