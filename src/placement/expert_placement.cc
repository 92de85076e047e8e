#include "placement/expert_placement.h"

#include <algorithm>
#include <numeric>
#include <queue>

namespace flexpert::placement {
namespace {

/// Per slot, the load that counts for balance: what was measured, plus a little so that idle experts spread too.
std::vector<double> weights_of(const ExpertGeometry& geometry, const std::vector<double>& rows_per_s) {
  std::vector<double> weights(geometry.size(), 1.0);
  if (rows_per_s.empty()) return weights;
  const double total = std::accumulate(rows_per_s.begin(), rows_per_s.end(), 0.0);
  if (!(total > 0)) return weights;
  const double base = total / static_cast<double>(weights.size()) * 1e-3;
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = rows_per_s[i] + base;
  return weights;
}

/// The state of one placement under construction.
class Board {
 public:
  Board(const ExpertPlacementInput& input, std::vector<std::uint32_t> replicas)
      : input_(input),
        replicas_(std::move(replicas)),
        weights_(weights_of(input.geometry, input.rows_per_s)),
        positions_(input.geometry.size()),
        layer_load_(static_cast<std::size_t>(input.geometry.layers) * input.servers, 0.0),
        total_load_(input.servers, 0.0),
        used_(input.servers, 0) {}

  void keep_current() {
    if (input_.current.empty()) return;
    for (std::size_t i = 0; i < positions_.size(); ++i)
      for (const std::uint16_t server : input_.current[i])
        if (replicas_[i] > 0 && !holds(i, server)) put(i, server);
    for (std::size_t i = 0; i < positions_.size(); ++i)
      while (positions_[i].size() > replicas_[i]) take(i, busiest_of(i));
    for (std::uint32_t server = 0; server < input_.servers; ++server)
      while (used_[server] > input_.slots_per_server) take(lightest_on(server), server);
  }

  void add_missing() {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < positions_.size(); ++i)
      if (positions_[i].size() < replicas_[i]) order.push_back(i);
    std::sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) { return std::pair(-share(a), a) < std::pair(-share(b), b); });
    for (const std::size_t i : order)
      while (positions_[i].size() < replicas_[i]) put(i, free_server_for(i));
  }

  std::uint32_t balance() {
    std::uint32_t moves = 0;
    bool moved = true;
    while (moved && moves < input_.max_moves) {
      moved = false;
      for (std::uint32_t layer = 0; layer < input_.geometry.layers && moves < input_.max_moves; ++layer) {
        const std::uint32_t made = improve(layer, input_.max_moves - moves);
        moves += made;
        moved = moved || made > 0;
      }
    }
    return moves;
  }

  Positions finish() {
    for (auto& list : positions_) std::sort(list.begin(), list.end());
    return std::move(positions_);
  }

 private:
  double share(std::size_t slot) const { return weights_[slot] / std::max<std::uint32_t>(replicas_[slot], 1); }
  double& layer_load(std::size_t slot_or_layer_start, std::uint32_t server) {
    return layer_load_[slot_or_layer_start / input_.geometry.experts * input_.servers + server];
  }
  bool holds(std::size_t slot, std::uint32_t server) const {
    return std::find(positions_[slot].begin(), positions_[slot].end(), server) != positions_[slot].end();
  }
  void put(std::size_t slot, std::uint32_t server) {
    positions_[slot].push_back(static_cast<std::uint16_t>(server));
    layer_load(slot, server) += share(slot);
    total_load_[server] += share(slot);
    ++used_[server];
  }
  void take(std::size_t slot, std::uint32_t server) {
    std::erase(positions_[slot], static_cast<std::uint16_t>(server));
    layer_load(slot, server) -= share(slot);
    total_load_[server] -= share(slot);
    --used_[server];
  }
  std::uint32_t busiest_of(std::size_t slot) {
    return *std::max_element(positions_[slot].begin(), positions_[slot].end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::pair(layer_load(slot, a), total_load_[a]) < std::pair(layer_load(slot, b), total_load_[b]);
    });
  }
  std::size_t lightest_on(std::uint32_t server) const {
    std::size_t best = positions_.size();
    for (std::size_t i = 0; i < positions_.size(); ++i)
      if (holds(i, server) && (best == positions_.size() || share(i) < share(best))) best = i;
    return best;
  }

  /// Returns the server with a free slot that is the least loaded in the slot's layer, then in all. If each of those
  /// holds the slot already, frees a place on another by moving something off it.
  std::uint32_t free_server_for(std::size_t slot) {
    std::uint32_t best = input_.servers;
    for (std::uint32_t s = 0; s < input_.servers; ++s) {
      if (used_[s] >= input_.slots_per_server || holds(slot, s)) continue;
      if (best == input_.servers || std::pair(layer_load(slot, s), total_load_[s]) < std::pair(layer_load(slot, best), total_load_[best]))
        best = s;
    }
    if (best < input_.servers) return best;
    // Full servers do not hold the slot, and some server with a free slot does: the full one has something that the
    // other lacks, by counting.
    for (std::uint32_t full = 0; full < input_.servers; ++full) {
      if (holds(slot, full)) continue;
      for (std::uint32_t open = 0; open < input_.servers; ++open) {
        if (used_[open] >= input_.slots_per_server) continue;
        for (std::size_t other = 0; other < positions_.size(); ++other) {
          if (!holds(other, full) || holds(other, open)) continue;
          take(other, full);
          put(other, open);
          return full;
        }
      }
    }
    return 0;  // not reached while the replicas fit, which trimming made sure of
  }

  /// Makes the best single move or swap off the layer's busiest server, if the layer is out of balance.
  /// Returns the replicas moved: 0, 1 or 2.
  std::uint32_t improve(std::uint32_t layer, std::uint32_t allowed) {
    const std::size_t start = static_cast<std::size_t>(layer) * input_.geometry.experts;
    std::uint32_t busiest = 0;
    double sum = 0;
    for (std::uint32_t s = 0; s < input_.servers; ++s) {
      sum += layer_load(start, s);
      if (layer_load(start, s) > layer_load(start, busiest)) busiest = s;
    }
    const double mean = sum / input_.servers;
    const double high = layer_load(start, busiest);
    if (!(high > mean * input_.tolerance)) return 0;
    // The pair (busiest, other) improves by how much its larger load falls; it must fall by 2 % of the mean at least.
    double best_gain = 0.02 * mean;
    std::size_t best_slot = 0, best_back = 0;
    std::uint32_t best_server = input_.servers;
    bool best_is_swap = false;
    for (std::size_t slot = start; slot < start + input_.geometry.experts; ++slot) {
      if (!holds(slot, busiest)) continue;
      for (std::uint32_t s = 0; s < input_.servers; ++s) {
        if (s == busiest || holds(slot, s)) continue;
        const double low = layer_load(start, s);
        if (used_[s] < input_.slots_per_server) {
          const double gain = high - std::max(high - share(slot), low + share(slot));
          if (gain > best_gain) best_gain = gain, best_slot = slot, best_server = s, best_is_swap = false;
        }
        if (allowed < 2) continue;
        for (std::size_t back = start; back < start + input_.geometry.experts; ++back) {
          if (!holds(back, s) || holds(back, busiest)) continue;
          const double shift = share(slot) - share(back);
          const double gain = 0.5 * (high - std::max(high - shift, low + shift));  // two moves for one gain
          if (gain > best_gain) best_gain = gain, best_slot = slot, best_back = back, best_server = s, best_is_swap = true;
        }
      }
    }
    if (best_server == input_.servers) return 0;
    take(best_slot, busiest);
    put(best_slot, best_server);
    if (!best_is_swap) return 1;
    take(best_back, best_server);
    put(best_back, busiest);
    return 2;
  }

  const ExpertPlacementInput& input_;
  std::vector<std::uint32_t> replicas_;
  std::vector<double> weights_;
  Positions positions_;
  std::vector<double> layer_load_;  // [layer][server]
  std::vector<double> total_load_;
  std::vector<std::uint32_t> used_;
};

Result<void> check(const ExpertPlacementInput& input) {
  const std::size_t slots = input.geometry.size();
  if (input.replicas.size() != slots)
    return fail(ErrorCode::kInvalidArgument, "placement: replicas must have one count per (layer, expert): {} wanted, {} given", slots,
                input.replicas.size());
  if (!input.rows_per_s.empty() && input.rows_per_s.size() != slots)
    return fail(ErrorCode::kInvalidArgument, "placement: rows_per_s must be empty or have one number per (layer, expert): {}",
                input.rows_per_s.size());
  if (input.servers > 65535) return fail(ErrorCode::kInvalidArgument, "placement: at most 65535 servers: {}", input.servers);
  if (!input.current.empty() && input.current.size() != slots)
    return fail(ErrorCode::kInvalidArgument, "placement: current must be empty or have one list per (layer, expert): {}", input.current.size());
  for (const auto& list : input.current)
    for (const std::uint16_t server : list)
      if (server >= input.servers) return fail(ErrorCode::kInvalidArgument, "placement: current names server {} of {}", server, input.servers);
  return {};
}

/// Lowers the counts until they fit, taking away first what helps least: the last replica of r takes load/(r-1) down to
/// load/r, and the last one of all saves the model server `load` rows.
std::vector<std::uint32_t> trim(const ExpertPlacementInput& input, std::vector<Trim>& trimmed) {
  std::vector<std::uint32_t> fit = input.replicas;
  const auto weights = weights_of(input.geometry, input.rows_per_s);
  std::uint64_t total = 0;
  for (std::uint32_t& count : fit) total += count = std::min(count, input.servers);
  const std::uint64_t room = static_cast<std::uint64_t>(input.servers) * input.slots_per_server;
  const auto benefit = [&](std::size_t i) {
    const double r = fit[i];
    return fit[i] > 1 ? weights[i] / (r * (r - 1)) : weights[i] * 1e6;
  };
  using Entry = std::pair<double, std::size_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> least;
  if (total > room)
    for (std::size_t i = 0; i < fit.size(); ++i)
      if (fit[i] > 0) least.emplace(benefit(i), i);
  for (; total > room; --total) {
    const std::size_t i = least.top().second;
    least.pop();
    if (--fit[i] > 0) least.emplace(benefit(i), i);
  }
  for (std::size_t i = 0; i < fit.size(); ++i) {
    if (fit[i] == input.replicas[i]) continue;
    const bool few_slots = fit[i] < std::min(input.replicas[i], input.servers);
    trimmed.push_back({input.geometry.slot(i), input.replicas[i], fit[i],
                       {few_slots ? "few_slots" : "few_servers",
                        few_slots ? fmt::format("{} of {} replicas placed: {} servers have {} slots, others gain more by them", fit[i],
                                                input.replicas[i], input.servers, room)
                                  : fmt::format("{} of {} replicas placed: one on each of {} servers", fit[i], input.replicas[i], input.servers),
                        {{"wanted", input.replicas[i]}, {"placed", fit[i]}, {"servers", input.servers}, {"slots", static_cast<double>(room)}}}});
  }
  return fit;
}

}  // namespace

Result<ExpertPlacement> place_experts(const ExpertPlacementInput& input) {
  FLEXPERT_TRY(check(input));
  ExpertPlacement out;
  Board board(input, trim(input, out.trimmed));
  if (input.servers > 0) {
    board.keep_current();
    board.add_missing();
    board.balance();
  }
  out.positions = board.finish();
  for (std::size_t i = 0; i < out.positions.size(); ++i) {
    std::uint32_t came = 0;
    std::uint32_t gone = 0;
    const std::vector<std::uint16_t> before = input.current.empty() ? std::vector<std::uint16_t>{} : input.current[i];
    for (const std::uint16_t s : out.positions[i]) came += std::find(before.begin(), before.end(), s) == before.end();
    for (const std::uint16_t s : before) gone += std::find(out.positions[i].begin(), out.positions[i].end(), s) == out.positions[i].end();
    const std::uint32_t moved = std::min(came, gone);
    out.moved += moved;
    out.added += came - moved;
    out.removed += gone - moved;
  }
  out.imbalance = imbalance_of(input.geometry, out.positions, input.rows_per_s, input.servers);
  return out;
}

double imbalance_of(const ExpertGeometry& geometry, const Positions& positions, const std::vector<double>& rows_per_s, std::uint32_t servers) {
  const auto weights = weights_of(geometry, rows_per_s);
  double sum = 0;
  std::uint32_t layers = 0;
  for (std::uint32_t layer = 0; layer < geometry.layers && servers > 0; ++layer) {
    std::vector<double> load(servers, 0.0);
    for (std::uint32_t expert = 0; expert < geometry.experts; ++expert) {
      const std::size_t i = geometry.index({layer, expert});
      for (const std::uint16_t s : positions[i]) load[s] += weights[i] / static_cast<double>(positions[i].size());
    }
    const double total = std::accumulate(load.begin(), load.end(), 0.0);
    if (!(total > 0)) continue;
    sum += *std::max_element(load.begin(), load.end()) / (total / servers);
    ++layers;
  }
  return layers > 0 ? sum / layers : 1.0;
}

}  // namespace flexpert::placement
