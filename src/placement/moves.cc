#include "placement/moves.h"

#include <algorithm>
#include <tuple>

namespace flexpert::placement {
namespace {

/// Of so many copies one more or less is not looked into.
constexpr std::size_t kMany = 64;

/// Carries out one layer's moves on paper, so that each finds its source alive.
class LayerMoves {
 public:
  LayerMoves(const ExpertCluster& cluster, const std::vector<std::uint32_t>& device_of, std::uint32_t experts)
      : cluster_(cluster), device_of_(device_of), copies_(experts), waiting_(experts) {}

  void list(std::uint32_t layer, std::span<const std::int32_t> from, std::span<const std::int32_t> to, MoveList& out) {
    from_ = from;
    row_.assign(from.begin(), from.end());
    for (auto& list : copies_) list.clear();
    for (auto& list : waiting_) list.clear();
    std::vector<SlotMove> pending;
    std::vector<SlotMove> emptied;
    for (std::uint32_t slot = 0; slot < from.size(); ++slot) {
      if (!cluster_.devices[device_of_[slot]].alive) continue;
      if (from[slot] != kEmptySlot) copies_[static_cast<std::uint32_t>(from[slot])].push_back(slot);
      if (from[slot] == to[slot]) {
        ++out.unchanged;
        continue;
      }
      SlotMove move{layer, slot, from[slot], to[slot], MoveKind::kSameDevice, slot};
      if (to[slot] == kEmptySlot) {
        emptied.push_back(move);
        continue;
      }
      waiting_[static_cast<std::uint32_t>(to[slot])].push_back(slot);
      pending.push_back(move);
    }
    while (!pending.empty()) {
      std::size_t kept = 0;
      // First what takes nothing away that another would read, then what leaves a farther copy; a circle is cut last.
      for (const Harm allowed : {Harm::kNone, Harm::kFarther, Harm::kLost}) {
        kept = run(pending, allowed, out);
        if (kept < pending.size()) break;
      }
      pending.resize(kept);
    }
    out.same_device += emptied.size();
    out.moves.insert(out.moves.end(), emptied.begin(), emptied.end());
  }

 private:
  enum class Harm { kNone, kFarther, kLost };

  /// Carries out every pending move that does no more than `allowed` harm, after kLost only one; keeps the rest in order.
  std::size_t run(std::vector<SlotMove>& pending, Harm allowed, MoveList& out) {
    std::size_t kept = 0;
    bool stop = false;
    for (std::size_t i = 0; i < pending.size(); ++i) {
      if (stop || harm_of(pending[i]) > allowed) {
        pending[kept++] = pending[i];
        continue;
      }
      carry_out(pending[i], out);
      stop = allowed != Harm::kNone;
    }
    return kept;
  }

  [[nodiscard]] MoveKind kind(std::uint32_t source, std::uint32_t target) const {
    const std::uint32_t a = device_of_[source];
    const std::uint32_t b = device_of_[target];
    if (a == b) return MoveKind::kSameDevice;
    return cluster_.devices[a].node == cluster_.devices[b].node ? MoveKind::kSameNode : MoveKind::kCrossNode;
  }

  /// Returns the nearest copy that is left, one from before first; kLoad if there is none. Without slot `gone`.
  [[nodiscard]] std::tuple<MoveKind, std::uint32_t> nearest(std::uint32_t expert, std::uint32_t target, std::int64_t gone) const {
    std::tuple<bool, MoveKind, std::uint32_t> best{true, MoveKind::kLoad, 0};
    for (const std::uint32_t copy : copies_[expert]) {
      if (copy == gone) continue;
      const bool made = from_[copy] != static_cast<std::int32_t>(expert);
      best = std::min(best, std::tuple(made, kind(copy, target), copy));
    }
    return {std::get<1>(best), std::get<2>(best)};
  }

  [[nodiscard]] Harm harm_of(const SlotMove& move) const {
    const std::int32_t lost = row_[move.slot];
    Harm harm = Harm::kNone;
    if (lost == kEmptySlot) return harm;
    const auto expert = static_cast<std::uint32_t>(lost);
    if (copies_[expert].size() > kMany) return harm;
    for (const std::uint32_t target : waiting_[expert]) {
      const auto now = std::get<0>(nearest(expert, target, -1));
      const auto then = std::get<0>(nearest(expert, target, move.slot));
      if (then == MoveKind::kLoad && now != MoveKind::kLoad) return Harm::kLost;
      if (then > now) harm = Harm::kFarther;
    }
    return harm;
  }

  void carry_out(SlotMove move, MoveList& out) {
    const auto expert = static_cast<std::uint32_t>(move.to_expert);
    std::tie(move.kind, move.source_slot) = nearest(expert, move.slot, -1);
    if (row_[move.slot] != kEmptySlot) std::erase(copies_[static_cast<std::uint32_t>(row_[move.slot])], move.slot);
    std::erase(waiting_[expert], move.slot);
    row_[move.slot] = move.to_expert;
    copies_[expert].push_back(move.slot);
    switch (move.kind) {
      case MoveKind::kUnchanged: break;
      case MoveKind::kSameDevice: ++out.same_device; break;
      case MoveKind::kSameNode: ++out.same_node; break;
      case MoveKind::kCrossNode: ++out.cross_node; break;
      case MoveKind::kLoad: ++out.load; break;
    }
    out.moves.push_back(move);
  }

  const ExpertCluster& cluster_;
  const std::vector<std::uint32_t>& device_of_;
  std::span<const std::int32_t> from_;
  std::vector<std::int32_t> row_;                     // as it stands after the moves so far
  std::vector<std::vector<std::uint32_t>> copies_;    // living slots of each expert, by row_
  std::vector<std::vector<std::uint32_t>> waiting_;   // slots that each expert has still to come to
};

}  // namespace

MoveList moves_between(const ExpertLayout& from, const ExpertLayout& to, const ExpertCluster& cluster, std::uint64_t bytes_per_expert) {
  MoveList out;
  const std::vector<std::uint32_t> device_of = device_of_slots(from.slots_of_device);
  LayerMoves moves(cluster, device_of, from.geometry.experts);
  for (std::uint32_t layer = 0; layer < from.geometry.layers; ++layer) moves.list(layer, from.layer(layer), to.layer(layer), out);
  out.bytes = (out.same_node + out.cross_node + out.load) * bytes_per_expert;
  return out;
}

void align_slots(const ExpertLayout& from, ExpertLayout& to) {
  std::vector<std::int32_t> left;
  for (std::uint32_t layer = 0; layer < to.geometry.layers; ++layer) {
    const auto before = from.layer(layer);
    const auto after = to.layer(layer);
    std::size_t first = 0;
    for (const std::uint32_t slots : to.slots_of_device) {
      left.assign(after.begin() + static_cast<std::ptrdiff_t>(first), after.begin() + static_cast<std::ptrdiff_t>(first + slots));
      std::vector<bool> kept(slots, false);
      for (std::uint32_t s = 0; s < slots; ++s) {
        const auto found = std::find(left.begin(), left.end(), before[first + s]);
        if (found == left.end()) continue;
        kept[s] = true;
        after[first + s] = *found;
        left.erase(found);
      }
      // What comes in goes to what left, in its own order; a slot that was empty and one that becomes so are a pair like any other.
      std::size_t next = 0;
      for (std::uint32_t s = 0; s < slots; ++s)
        if (!kept[s]) after[first + s] = left[next++];
      first += slots;
    }
  }
}

}  // namespace flexpert::placement
