#include "placement/expert_placement.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>

namespace flexpert::placement {
namespace {

Result<void> check(const ExpertPlacementInput& input) {
  const std::size_t slots = input.geometry.size();
  if (input.replicas.size() != slots)
    return fail(ErrorCode::kInvalidArgument, "placement: replicas must have one count per (layer, expert): {} wanted, {} given", slots,
                input.replicas.size());
  if (!input.rows_per_s.empty() && input.rows_per_s.size() != slots)
    return fail(ErrorCode::kInvalidArgument, "placement: rows_per_s must be empty or have one number per (layer, expert): {}",
                input.rows_per_s.size());
  return {};
}

/// Lowers the counts until they fit, taking away first what helps least: the last replica of r takes load/(r-1) down to
/// load/r, and the last one of all saves the model server `load` rows.
std::vector<std::uint32_t> trim(const ExpertPlacementInput& input, std::vector<Trim>& trimmed) {
  std::vector<std::uint32_t> fit = input.replicas;
  const double rows = std::accumulate(input.rows_per_s.begin(), input.rows_per_s.end(), 0.0);
  // A little for every expert: of idle ones too the first replica counts most.
  const auto weight = [&](std::size_t i) { return rows > 0 ? input.rows_per_s[i] + rows / static_cast<double>(fit.size()) * 1e-3 : 1; };
  std::uint64_t total = 0;
  for (std::uint32_t& count : fit) total += count = std::min(count, input.servers);
  const std::uint64_t room = static_cast<std::uint64_t>(input.servers) * input.slots_per_server;
  const auto benefit = [&](std::size_t i) {
    const double r = fit[i];
    return fit[i] > 1 ? weight(i) / (r * (r - 1)) : weight(i) * 1e6;
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
    trimmed.push_back(
        {input.geometry.slot(i),
         input.replicas[i],
         fit[i],
         {few_slots ? "few_slots" : "few_servers",
          few_slots ? fmt::format("{} of {} replicas placed: {} servers have {} slots, others gain more by them", fit[i], input.replicas[i],
                                  input.servers, room)
                    : fmt::format("{} of {} replicas placed: one on each of {} servers", fit[i], input.replicas[i], input.servers),
          {{"wanted", input.replicas[i]}, {"placed", fit[i]}, {"servers", input.servers}, {"slots", static_cast<double>(room)}}}});
  }
  return fit;
}

}  // namespace

Result<ExpertPlacement> place_experts(const ExpertPlacementInput& input) {
  FLEXPERT_TRY(check(input));
  ExpertPlacement out;
  FLEXPERT_ASSIGN(FixedPlacement placed, place_fixed_replicas({.geometry = input.geometry,
                                                               .replicas = trim(input, out.trimmed),
                                                               .loads = input.rows_per_s,
                                                               .servers = input.servers,
                                                               .slots_per_server = input.slots_per_server,
                                                               .current = input.current,
                                                               .max_moves = input.max_moves,
                                                               .tolerance = input.tolerance}));
  out.positions = std::move(placed.positions);
  out.added = placed.added;
  out.removed = placed.removed;
  out.moved = placed.moved;
  out.imbalance = placed.imbalance;
  out.bound = placed.bound;
  return out;
}

}  // namespace flexpert::placement
