#include <algorithm>
#include <bit>

#include "fleet/expert_layout.h"
#include "placement/layer_packing.h"

namespace flexpert::placement {
namespace {

constexpr double kGain = 1 - 1e-9;       // what counts as less
constexpr std::size_t kCandidates = 8;   // experts to take a replica from, or to give one to
constexpr std::uint64_t kPairCost = 16;  // comparisons that a pair of devices takes besides its own

}  // namespace

std::uint32_t LayerPacking::busiest() const {
  return static_cast<std::uint32_t>(std::max_element(now_.level.begin(), now_.level.end()) - now_.level.begin());
}

void LayerPacking::put(std::uint32_t device, std::uint32_t place, std::int32_t expert) {
  const std::int32_t old = now_.expert_at[place];
  const std::uint64_t bit = 1ULL << (device % 64);
  now_.level[device] += ((expert < 0 ? 0.0 : now_.share[static_cast<std::size_t>(expert)]) - share_at(place)) * devices_[device].per_speed;
  now_.expert_at[place] = expert;
  if (old >= 0) {
    const auto first = now_.expert_at.begin() + devices_[device].first;
    const auto end = first + devices_[device].room;
    if (std::find(first, end, old) == end) now_.holds[static_cast<std::size_t>(old) * words_ + device / 64] &= ~bit;
  }
  if (expert >= 0) now_.holds[static_cast<std::size_t>(expert) * words_ + device / 64] |= bit;
}

/// Splits an expert's load over another number of replicas; those that there are change their share.
void LayerPacking::set_copies(std::uint32_t expert, std::uint32_t copies) {
  const double share = loads_[expert] / copies;
  const double more = share - now_.share[expert];
  for (std::uint32_t word = 0; word < words_; ++word)
    for (std::uint64_t bits = now_.holds[static_cast<std::size_t>(expert) * words_ + word]; bits != 0; bits &= bits - 1) {
      const std::uint32_t device = word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits));
      const auto first = now_.expert_at.begin() + devices_[device].first;
      const auto held = std::count(first, first + devices_[device].room, static_cast<std::int32_t>(expert));
      now_.level[device] += more * static_cast<double>(held) * devices_[device].per_speed;
    }
  now_.copies[expert] = copies;
  now_.share[expert] = share;
}

/// Looks for the exchange of a replica of `a` with a replica or an empty place of `b` that leaves the lowest maximum of
/// both, below best.worse.
void LayerPacking::find_exchange(std::uint32_t a, std::uint32_t b, Exchange& best) {
  const Device& from = devices_[a];
  const Device& to = devices_[b];
  std::uint32_t count = 0;
  for (std::uint32_t p = to.first; p < to.first + to.room; ++p) {
    if (holds(a, now_.expert_at[p])) continue;
    in_shares_[count] = share_at(p);
    in_places_[count++] = p;
  }
  compared_ += kPairCost + std::uint64_t{from.room} * count;
  for (std::uint32_t p = from.first; p < from.first + from.room; ++p) {
    if (now_.expert_at[p] < 0 || holds(b, now_.expert_at[p])) continue;
    const double share = share_at(p);
    const double a_without = now_.level[a] - share * from.per_speed;
    const double b_with = now_.level[b] + share * to.per_speed;
    double least = best.worse;
    for (std::uint32_t i = 0; i < count; ++i)
      least = std::min(least, std::max(a_without + in_shares_[i] * from.per_speed, b_with - in_shares_[i] * to.per_speed));
    if (!(least < best.worse)) continue;  // sums that overflow compare with nothing
    std::uint32_t i = 0;
    while (std::max(a_without + in_shares_[i] * from.per_speed, b_with - in_shares_[i] * to.per_speed) > least) ++i;
    best = {least, b, p, in_places_[i]};
  }
}

/// Exchanges a replica of `a`, first with the least loaded device, then with any.
bool LayerPacking::exchange_with_any(std::uint32_t a, double goal) {
  const double before = now_.level[a] * kGain;
  Exchange best{.worse = before};
  const auto lightest = static_cast<std::uint32_t>(std::min_element(now_.level.begin(), now_.level.end()) - now_.level.begin());
  find_exchange(a, lightest, best);
  for (std::uint32_t b = 0; b < devices_.size() && best.worse > goal; ++b)
    if (b != a && b != lightest && now_.level[b] < best.worse) find_exchange(a, b, best);
  if (!(best.worse < before)) return false;
  const std::int32_t out = now_.expert_at[best.out];
  const std::int32_t in = now_.expert_at[best.in];
  put(a, best.out, in);
  put(best.device, best.in, out);
  return true;
}

void LayerPacking::exchange_all(double goal, std::uint64_t comparisons) {
  while (compared_ < comparisons) {
    const std::uint32_t a = busiest();
    if (now_.level[a] <= goal || !exchange_with_any(a, goal)) return;
  }
}

/// Gives an expert a replica at the expense of another, on `device` (UINT32_MAX: the least loaded one that can), and
/// exchanges; takes all back if the maximum is not lower then.
bool LayerPacking::try_recount(std::uint32_t gains, std::uint32_t loses, std::uint32_t device, double goal, std::uint64_t comparisons) {
  const auto in = static_cast<std::int32_t>(gains);
  const auto out = static_cast<std::int32_t>(loses);
  if (device == UINT32_MAX)
    for (std::uint32_t d = 0; d < devices_.size(); ++d)
      if (holds(d, out) && !holds(d, in) && (device == UINT32_MAX || now_.level[d] < now_.level[device])) device = d;
  if (device == UINT32_MAX) return false;
  const double before = now_.level[busiest()] * kGain;
  saved_ = now_;
  compared_ += now_.holds.size() / 8;  // what the copy takes
  const auto place = static_cast<std::uint32_t>(std::find(now_.expert_at.begin() + devices_[device].first, now_.expert_at.end(), out) -
                                                now_.expert_at.begin());
  put(device, place, kEmptySlot);
  set_copies(loses, now_.copies[loses] - 1);
  set_copies(gains, now_.copies[gains] + 1);
  put(device, place, in);
  exchange_all(goal, comparisons);
  if (now_.level[busiest()] < before) return true;
  std::swap(now_, saved_);
  return false;
}

/// Tries other replica counts for what the busiest device holds.
bool LayerPacking::recount(double goal, const PackingEffort& effort) {
  const std::uint32_t a = busiest();
  // Anew for each use: try_recount() swaps the state's memory.
  const auto held = [&] { return std::span(now_.expert_at).subspan(devices_[a].first, devices_[a].room); };
  const auto least_harm = [&](std::uint32_t e, std::uint32_t f) {
    const double harm_e = loads_[e] / (now_.copies[e] - 1);
    const double harm_f = loads_[f] / (now_.copies[f] - 1);
    return harm_e != harm_f ? harm_e < harm_f : e < f;
  };
  const auto largest = [&](std::uint32_t e, std::uint32_t f) {
    return now_.share[e] != now_.share[f] ? now_.share[e] > now_.share[f] : e < f;
  };
  const auto keep = [](std::vector<std::uint32_t>& list, const auto& order) {
    const std::size_t count = std::min(list.size(), kCandidates);
    std::partial_sort(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(count), list.end(), order);
    list.resize(count);
  };
  // An expert of the busiest device gets a replica elsewhere.
  gaining_.clear();
  losing_.clear();
  for (const std::int32_t e : held())
    if (e >= 0 && now_.copies[static_cast<std::size_t>(e)] < devices_.size()) gaining_.push_back(static_cast<std::uint32_t>(e));
  for (std::uint32_t e = 0; e < experts_; ++e)
    if (now_.copies[e] > 1) losing_.push_back(e);
  keep(gaining_, largest);
  keep(losing_, least_harm);
  for (const std::uint32_t gains : gaining_)
    for (const std::uint32_t loses : losing_) {
      if (gains == loses) continue;
      if (compared_ >= effort.comparisons) return false;
      if (try_recount(gains, loses, UINT32_MAX, goal, effort.comparisons)) return true;
    }
  // An expert of the busiest device loses its replica there to another expert.
  gaining_.clear();
  losing_.clear();
  for (const std::int32_t e : held())
    if (e >= 0 && now_.copies[static_cast<std::size_t>(e)] > 1) losing_.push_back(static_cast<std::uint32_t>(e));
  for (std::uint32_t e = 0; e < experts_; ++e)
    if (now_.copies[e] < devices_.size() && !holds(a, static_cast<std::int32_t>(e))) gaining_.push_back(e);
  keep(gaining_, largest);
  keep(losing_, least_harm);
  for (const std::uint32_t loses : losing_)
    for (const std::uint32_t gains : gaining_) {
      if (compared_ >= effort.comparisons) return false;
      if (try_recount(gains, loses, a, goal, effort.comparisons)) return true;
    }
  // Experts elsewhere: other shares make other exchanges.
  losing_.clear();
  for (std::uint32_t e = 0; e < experts_; ++e)
    if (now_.copies[e] > 1) losing_.push_back(e);
  keep(losing_, least_harm);
  for (const std::uint32_t gains : gaining_)
    for (const std::uint32_t loses : losing_) {
      if (gains == loses) continue;
      if (compared_ >= effort.comparisons) return false;
      if (try_recount(gains, loses, UINT32_MAX, goal, effort.comparisons)) return true;
    }
  return false;
}

void LayerPacking::search(const PackingEffort& effort) {
  const double goal = bound_ * (1 + effort.tolerance);
  exchange_all(goal, effort.comparisons);
  while (now_.level[busiest()] > bound_ * (1 + effort.recount_tolerance) && compared_ < effort.comparisons)
    if (!recount(goal, effort)) return;
}

}  // namespace flexpert::placement
