#include "scaling/gpu_budget.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <utility>

namespace flexpert::scaling {
namespace {

__extension__ using Wide = unsigned __int128;

/// A claim that wants more than its minimum and takes GPUs.
struct Active {
  std::size_t claim = 0;  ///< index in the caller's order
  std::uint32_t min = 0;
  std::uint32_t wanted = 0;
  std::uint32_t gpus = 1;
  double share = 1;  ///< weight * wanted
  std::uint32_t granted = 0;

  [[nodiscard]] double ratio(std::uint32_t count) const { return static_cast<double>(count) / share; }
};

double share_of(const BudgetClaim& claim) {
  const double weight = claim.weight > 0 && std::isfinite(claim.weight) ? claim.weight : 1.0;
  return weight * static_cast<double>(claim.wanted);
}

/// Returns the fewest instances whose ratio reaches `level`, within [min, wanted]; `wanted` where none does.
std::uint32_t fewest_at(const Active& claim, double level) {
  const double guess = std::ceil(level * claim.share);
  std::uint32_t count = claim.wanted;
  if (guess < static_cast<double>(claim.wanted)) count = std::max(claim.min, static_cast<std::uint32_t>(std::max(guess, 0.0)));
  while (count > claim.min && claim.ratio(count - 1) >= level) --count;
  while (count < claim.wanted && claim.ratio(count) < level) ++count;
  return count;
}

Wide cost_at(const std::vector<Active>& claims, double level) {
  Wide cost = 0;
  for (const Active& claim : claims) cost += static_cast<Wide>(fewest_at(claim, level)) * claim.gpus;
  return cost;
}

/// Returns the highest level that all claims reach together (those that are satisfied below it aside) within `budget`.
double common_level(const std::vector<Active>& claims, Wide budget) {
  double top = 0;
  for (const Active& claim : claims) top = std::max(top, claim.ratio(claim.wanted));
  if (cost_at(claims, top) <= budget) return top;
  // Positive doubles are ordered as their bits are.
  std::uint64_t low = 0;
  std::uint64_t high = std::bit_cast<std::uint64_t>(top);
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (cost_at(claims, std::bit_cast<double>(middle)) <= budget ? low : high) = middle;
  }
  return std::bit_cast<double>(low);
}

/// One more instance for a claim.
struct Increment {
  std::size_t active = 0;
  double from = 0;
  double to = 0;
};

/// All claims with the same GPUs per instance. For so many instances more, the best is always to raise the lowest first.
struct GpuClass {
  std::uint32_t gpus = 1;
  std::vector<std::size_t> members;
  std::size_t at_level = 0;           ///< members that are exactly at the common level and want more
  std::size_t base = 0;               ///< increments that it gets if as many as possible leave the level, cheapest first
  std::vector<Increment> increments;  ///< best first
};

void list_increments(GpuClass& gpu_class, const std::vector<Active>& claims, std::size_t count) {
  const auto worse = [](const Increment& a, const Increment& b) {
    if (a.from != b.from) return a.from > b.from;
    if (a.to != b.to) return a.to < b.to;
    return a.active > b.active;
  };
  std::priority_queue<Increment, std::vector<Increment>, decltype(worse)> next(worse);
  const auto offer = [&](std::size_t active, std::uint32_t granted) {
    const Active& claim = claims[active];
    if (granted < claim.wanted) next.push({active, claim.ratio(granted), claim.ratio(granted + 1)});
  };
  std::map<std::size_t, std::uint32_t> raised;
  for (const std::size_t member : gpu_class.members) offer(member, claims[member].granted);
  while (!next.empty() && gpu_class.increments.size() < count) {
    const Increment best = next.top();
    next.pop();
    gpu_class.increments.push_back(best);
    offer(best.active, claims[best.active].granted + ++raised[best.active]);
  }
}

/// What a choice changes against the base: ratios that vanish and appear, instances that claims gain and lose.
struct Choice {
  std::vector<double> removed;
  std::vector<double> added;
  std::vector<std::pair<std::size_t, int>> moves;

  /// Takes `shift` increments more (or less) of the class than its base.
  void take(const GpuClass& gpu_class, std::ptrdiff_t shift) {
    for (std::ptrdiff_t i = 0; i < shift; ++i) {
      const Increment& step = gpu_class.increments[gpu_class.base + static_cast<std::size_t>(i)];
      removed.push_back(step.from);
      added.push_back(step.to);
      moves.emplace_back(step.active, 1);
    }
    for (std::ptrdiff_t i = -1; i >= shift; --i) {
      const Increment& step = gpu_class.increments[gpu_class.base - static_cast<std::size_t>(-i)];
      removed.push_back(step.to);
      added.push_back(step.from);
      moves.emplace_back(step.active, -1);
    }
  }
};

bool better(const Choice& a, const Choice& b) {
  std::vector<double> of_a = a.added;
  of_a.insert(of_a.end(), b.removed.begin(), b.removed.end());
  std::vector<double> of_b = b.added;
  of_b.insert(of_b.end(), a.removed.begin(), a.removed.end());
  std::sort(of_a.begin(), of_a.end());
  std::sort(of_b.begin(), of_b.end());
  if (of_a != of_b) return of_a > of_b;
  std::map<std::size_t, int> difference;
  for (const auto& [active, by] : a.moves) difference[active] += by;
  for (const auto& [active, by] : b.moves) difference[active] -= by;
  for (const auto& [active, by] : difference) {
    if (by != 0) return by > 0;
  }
  return false;
}

/// Spends what the common level left over. As many claims as possible leave the level; taking the cheapest leaves less than
/// the next one costs, so all other choices lie within that slack of it, and a search over (slack used, swaps) is small.
void spend_rest(std::vector<Active>& claims, double level, Wide rest) {
  std::map<std::uint32_t, GpuClass> classes;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    GpuClass& gpu_class = classes[claims[i].gpus];
    gpu_class.gpus = claims[i].gpus;
    gpu_class.members.push_back(i);
    if (claims[i].granted < claims[i].wanted && claims[i].ratio(claims[i].granted) == level) ++gpu_class.at_level;
  }
  GpuClass* pivot = nullptr;
  for (auto& [gpus, gpu_class] : classes) {
    gpu_class.base = static_cast<std::size_t>(std::min<Wide>(gpu_class.at_level, rest / gpus));
    rest -= static_cast<Wide>(gpu_class.base) * gpus;
    if (gpu_class.base < gpu_class.at_level) {
      pivot = &gpu_class;
      break;
    }
  }
  if (pivot == nullptr) return;  // everything is satisfied
  const auto slack = static_cast<std::ptrdiff_t>(rest);  // less than the pivot's GPUs

  using State = std::pair<std::ptrdiff_t, std::ptrdiff_t>;  // slack used; claims off the level against the base
  std::map<State, Choice> states{{{0, 0}, Choice{}}};
  const auto pivot_gpus = static_cast<std::ptrdiff_t>(pivot->gpus);
  for (auto& [key, gpu_class] : classes) {
    if (&gpu_class == pivot) continue;
    const auto gpus = static_cast<std::ptrdiff_t>(key);
    const auto base = static_cast<std::ptrdiff_t>(gpu_class.base);
    const bool cheaper = gpus < pivot_gpus;
    const std::ptrdiff_t least = cheaper ? -std::min(base, slack / (pivot_gpus - gpus)) : 0;
    std::ptrdiff_t most = cheaper ? slack / gpus : std::min(static_cast<std::ptrdiff_t>(gpu_class.at_level), slack / (gpus - pivot_gpus));
    if (least == 0 && most == 0) continue;
    list_increments(gpu_class, claims, static_cast<std::size_t>(base + most));
    most = std::min(most, static_cast<std::ptrdiff_t>(gpu_class.increments.size()) - base);
    std::map<State, Choice> next;
    for (const auto& [state, choice] : states) {
      for (std::ptrdiff_t shift = least; shift <= most; ++shift) {
        const std::ptrdiff_t price = shift < 0 ? (pivot_gpus - gpus) * -shift : (cheaper ? gpus : gpus - pivot_gpus) * shift;
        if (state.first + price > slack) continue;
        Choice longer = choice;
        longer.take(gpu_class, shift);
        const State to{state.first + price, state.second + (shift < 0 || !cheaper ? shift : 0)};
        const auto found = next.find(to);
        if (found == next.end()) next.emplace(to, std::move(longer));
        else if (better(longer, found->second)) found->second = std::move(longer);
      }
    }
    states = std::move(next);
  }

  list_increments(*pivot, claims, pivot->at_level);
  std::optional<Choice> best;  // the base itself is one, so there is always a best
  for (const auto& [state, choice] : states) {
    const std::ptrdiff_t count = static_cast<std::ptrdiff_t>(pivot->base) - state.second;
    if (count < 0 || count > static_cast<std::ptrdiff_t>(pivot->at_level)) continue;
    Choice whole = choice;
    whole.take(*pivot, -state.second);
    if (!best || better(whole, *best)) best = std::move(whole);
  }
  for (auto& [gpus, gpu_class] : classes) {
    if (gpu_class.increments.empty()) list_increments(gpu_class, claims, gpu_class.base);
    for (std::size_t i = 0; i < gpu_class.base; ++i) best->moves.emplace_back(gpu_class.increments[i].active, 1);
  }
  for (const auto& [active, by] : best->moves) claims[active].granted += static_cast<std::uint32_t>(by);
}

/// Raises the claims from their minima within `budget`, which holds their minima.
void raise_fairly(std::vector<Active>& claims, Wide budget) {
  const double level = common_level(claims, budget);
  for (Active& claim : claims) {
    claim.granted = fewest_at(claim, level);
    budget -= static_cast<Wide>(claim.granted) * claim.gpus;
  }
  spend_rest(claims, level, budget);
}

}  // namespace

double fair_ratio(const BudgetClaim& claim, std::uint32_t granted) {
  return claim.wanted == 0 ? 0 : static_cast<double>(granted) / share_of(claim);
}

BudgetSplit split_budget(std::span<const BudgetClaim> claims, std::uint32_t budget) {
  BudgetSplit split;
  Wide minima = 0;
  for (const BudgetClaim& claim : claims) minima += static_cast<Wide>(claim.min) * claim.gpus_per_instance;
  if (minima > budget) {
    std::vector<BudgetClaim> least(claims.begin(), claims.end());
    for (BudgetClaim& claim : least) {
      claim.wanted = claim.gpus_per_instance == 0 ? std::max(claim.wanted, claim.min) : claim.min;
      claim.min = 0;
    }
    split = split_budget(least, budget);
    split.minima_fit = false;
    return split;
  }

  split.granted.resize(claims.size());
  std::set<int> priorities;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    split.granted[i] = claims[i].gpus_per_instance == 0 ? std::max(claims[i].wanted, claims[i].min) : claims[i].min;
    if (claims[i].gpus_per_instance > 0 && claims[i].wanted > claims[i].min) priorities.insert(claims[i].priority);
  }
  Wide left = static_cast<Wide>(budget) - minima;
  for (auto priority = priorities.rbegin(); priority != priorities.rend(); ++priority) {
    std::vector<Active> active;
    Wide theirs = left;
    for (std::size_t i = 0; i < claims.size(); ++i) {
      const BudgetClaim& claim = claims[i];
      if (claim.priority != *priority || claim.gpus_per_instance == 0 || claim.wanted <= claim.min) continue;
      active.push_back({i, claim.min, claim.wanted, claim.gpus_per_instance, share_of(claim), claim.min});
      theirs += static_cast<Wide>(claim.min) * claim.gpus_per_instance;
    }
    raise_fairly(active, theirs);
    for (const Active& claim : active) {
      left -= static_cast<Wide>(claim.granted - claim.min) * claim.gpus;
      split.granted[claim.claim] = claim.granted;
    }
  }
  split.gpus = static_cast<std::uint32_t>(static_cast<Wide>(budget) - left);
  return split;
}

}  // namespace flexpert::scaling
