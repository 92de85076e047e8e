#include "scaling/combine.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace flexpert::scaling {
namespace {

constexpr double kMostWanted = 1e6;

/// Smallest count that holds `exact` and has the room free. The tolerance keeps 0.9 / 0.9 from becoming 2.
std::uint32_t with_room(double exact, double hysteresis) {
  if (!std::isfinite(exact) || exact <= 0) return 0;
  return static_cast<std::uint32_t>(std::ceil(std::min(exact / (1 - hysteresis), kMostWanted) - 1e-9));
}

Reason moved_by(std::string code, const NamedProposal& by, std::uint32_t from, std::uint32_t to) {
  return {std::move(code), fmt::format("{} {} moves {} to {}", by.rule == CombineRule::kFloor ? "floor" : "ceiling", by.name, from, to),
          {{"from", from}, {"to", to}}};
}

}  // namespace

Combined combine(std::span<const NamedProposal> proposals, std::uint32_t current, double hysteresis) {
  Combined out;
  const NamedProposal* top = nullptr;
  const NamedProposal* floor = nullptr;
  const NamedProposal* ceiling = nullptr;
  const NamedProposal* lacking = nullptr;
  for (const NamedProposal& each : proposals) {
    const Proposal& proposal = each.proposal;
    out.conditions.insert(out.conditions.end(), proposal.conditions.begin(), proposal.conditions.end());
    if (!proposal.may_shrink && lacking == nullptr) lacking = &each;
    if (!proposal.replicas) continue;
    const auto replaces = [&](const NamedProposal* now, bool larger) {
      return now == nullptr || (larger ? *proposal.replicas > *now->proposal.replicas : *proposal.replicas < *now->proposal.replicas);
    };
    if (each.rule == CombineRule::kMax && replaces(top, true)) top = &each;
    if (each.rule == CombineRule::kFloor && replaces(floor, true)) floor = &each;
    if (each.rule == CombineRule::kCeiling && replaces(ceiling, false)) ceiling = &each;
    if (each.rule == CombineRule::kMax) out.keep = std::max(out.keep, with_room(proposal.exact.value_or(0), hysteresis));
  }
  if (top != nullptr) {
    out.wanted = *top->proposal.replicas;
    out.decided_by = top->name;
    out.reasons = top->proposal.reasons;
  } else {
    out.wanted = current;
    out.reasons.push_back({"no_opinion", fmt::format("no policy has an opinion: {} stay", current), {{"current", current}}});
  }
  if (floor != nullptr && *floor->proposal.replicas > out.wanted) {
    out.reasons.insert(out.reasons.begin(), moved_by("floor", *floor, out.wanted, *floor->proposal.replicas));
    out.wanted = *floor->proposal.replicas;
    out.decided_by = floor->name;
  }
  if (lacking != nullptr) {
    out.may_shrink = false;
    if (out.wanted < current) {
      out.reasons.insert(out.reasons.begin(), {"shrink_blocked", fmt::format("{} lacks data, so {} stay", lacking->name, current),
                                               {{"wanted", out.wanted}, {"current", current}}});
      out.wanted = current;
      out.decided_by.clear();
    }
  }
  out.keep = std::max(out.keep, out.wanted);
  if (ceiling != nullptr && (ceiling->proposal.may_shrink || *ceiling->proposal.replicas >= current)) {
    const std::uint32_t limit = *ceiling->proposal.replicas;
    out.keep = std::min(out.keep, limit);
    if (limit < out.wanted) {
      out.reasons.insert(out.reasons.begin(), moved_by("ceiling", *ceiling, out.wanted, limit));
      out.wanted = limit;
      out.decided_by = ceiling->name;
    }
    out.may_shrink = out.may_shrink || limit < current;
  }
  return out;
}

}  // namespace flexpert::scaling
