#include "report/placement_tables.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

#include <fmt/format.h>

#include "report/sparkline.h"

namespace flexpert::report {

namespace {

std::string expert_text(std::int32_t expert) { return expert == kEmptySlot ? "none" : std::to_string(expert); }

std::string kind_text(MoveKind kind) {
  switch (kind) {
    case MoveKind::kUnchanged: return "unchanged";
    case MoveKind::kSameDevice: return "same GPU";
    case MoveKind::kSameNode: return "same node";
    case MoveKind::kCrossNode: return "cross node";
    case MoveKind::kLoad: return "from storage";
  }
  return "unknown";
}

}  // namespace

std::string balancedness_text(double balancedness) {
  const double shown = balancedness < 1 ? std::min(std::floor(balancedness * 10000 + 1e-9) / 10000, 0.9999) : balancedness;
  return fmt::format("{:.4f}", shown);
}

std::string percent_text(double share) { return fmt::format("{:.2f} %", share * 100); }

std::string bytes_text(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

Table balance_table(const Balance& after, const Balance* before, const std::string& before_name, const std::string& after_name) {
  const bool both = before != nullptr && !before->layers.empty();
  std::vector<Column> columns{{""}};
  if (both) columns.push_back({before_name, Align::kRight});
  columns.push_back({both ? after_name : "", Align::kRight});
  Table table(std::move(columns));
  const auto row = [&](const std::string& title, auto&& cell) {
    std::vector<std::string> cells{title};
    if (both) cells.push_back(cell(*before));
    cells.push_back(cell(after));
    table.add_row(std::move(cells));
  };
  row("balancedness, mean of layers", [](const Balance& b) { return balancedness_text(b.balancedness); });
  row("balancedness, worst layer", [](const Balance& b) { return balancedness_text(b.worst); });
  row("worst layer", [](const Balance& b) { return std::to_string(b.worst_layer); });
  row("proven bound on balancedness", [](const Balance& b) { return balancedness_text(b.bound); });
  row("gap to the bound, mean", [](const Balance& b) { return percent_text(b.gap); });
  row("replicas beside their like on one GPU", [](const Balance& b) { return grouped(b.duplicates); });
  return table;
}

Table move_kinds_table(const MoveList& moves) {
  Table table({{"slots"}, {"", Align::kRight}, {"share", Align::kRight}});
  const std::uint64_t all = moves.unchanged + moves.changed();
  const auto row = [&](const std::string& title, std::uint64_t slots) {
    table.add_row({title, grouped(slots), percent_text(all == 0 ? 0 : static_cast<double>(slots) / static_cast<double>(all))});
  };
  row("unchanged", moves.unchanged);
  row("changed", moves.changed());
  row("  within the GPU", moves.same_device);
  row("  within the node", moves.same_node);
  row("  across nodes", moves.cross_node);
  row("  from storage", moves.load);
  return table;
}

Table moves_table(const MoveList& moves, const ExpertLayout& layout, std::size_t most) {
  const std::vector<std::uint32_t> device_of = device_of_slots(layout.slots_of_device);
  const auto device = [&](std::uint32_t slot) { return slot < device_of.size() ? std::to_string(device_of[slot]) : std::string("?"); };
  Table table({{"move", Align::kRight}, {"layer", Align::kRight}, {"GPU", Align::kRight}, {"slot", Align::kRight}, {"had", Align::kRight},
               {"gets", Align::kRight}, {"from GPU", Align::kRight}, {"how"}});
  for (std::size_t i = 0; i < std::min(most, moves.moves.size()); ++i) {
    const SlotMove& move = moves.moves[i];
    const bool copied = move.kind != MoveKind::kLoad && move.to_expert != kEmptySlot;
    table.add_row({std::to_string(i + 1), std::to_string(move.layer), device(move.slot), std::to_string(move.slot),
                   expert_text(move.from_expert), expert_text(move.to_expert), copied ? device(move.source_slot) : "-",
                   move.to_expert == kEmptySlot ? "freed" : kind_text(move.kind)});
  }
  return table;
}

Table replicas_table(const ExpertLayout& layout) {
  std::map<std::uint32_t, std::uint64_t> experts;
  std::uint64_t most = 0;
  for (const std::uint32_t replicas : replica_counts(layout)) most = std::max(most, ++experts[replicas]);
  Table table({{"replicas", Align::kRight}, {"experts", Align::kRight}, {""}});
  for (const auto& [replicas, count] : experts)
    table.add_row({std::to_string(replicas), grouped(count), bar(static_cast<double>(count) / static_cast<double>(most), 24)});
  return table;
}

Table layers_table(const Balance& balance, std::size_t most) {
  std::vector<std::uint32_t> order(balance.layers.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return balance.layers[a].balancedness() < balance.layers[b].balancedness(); });
  Table table({{"layer", Align::kRight}, {"balancedness", Align::kRight}, {"bound", Align::kRight}, {"busiest GPU", Align::kRight},
               {"its load", Align::kRight}, {"mean load", Align::kRight}});
  for (std::size_t i = 0; i < std::min(most, order.size()); ++i) {
    const LayerBalance& layer = balance.layers[order[i]];
    const double bound = layer.lower_bound > 0 ? layer.mean_load / layer.lower_bound : 1;
    table.add_row({std::to_string(order[i]), balancedness_text(layer.balancedness()), balancedness_text(bound),
                   std::to_string(layer.busiest), fmt::format("{:.1f}", layer.max_load), fmt::format("{:.1f}", layer.mean_load)});
  }
  return table;
}

}  // namespace flexpert::report
