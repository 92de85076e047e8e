#include "controller/pool_sentence.h"

#include <algorithm>
#include <map>

namespace flexpert::controller {
namespace {

std::string actions_of(const PoolPlan& pool) {
  std::map<std::string, std::uint32_t> counts;
  std::string victims;
  for (const PoolAction& action : pool.actions) {
    const bool start = action.kind == PoolActionKind::kStart;
    counts[fmt::format("{}{}", name_of(action.kind), start && action.warm ? " warm" : "")] += start ? action.count : 1;
    if (!start) victims += (victims.empty() ? "" : ",") + action.instance.value;
    if (action.kind == PoolActionKind::kResize)
      for (const Reason& reason : action.reasons) victims += fmt::format(" {}: {}", reason.code, reason.text);
  }
  std::string out;
  for (const auto& [what, count] : counts) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", what, count);
  return victims.empty() ? out : fmt::format("{} ({})", out, victims);
}

std::string reasons_of(const std::vector<Reason>& reasons) {
  constexpr std::size_t kShown = 2;
  std::string out;
  for (std::size_t i = 0; i < std::min(kShown, reasons.size()); ++i) out += fmt::format("{}{}: {}", i > 0 ? "; " : "", reasons[i].code, reasons[i].text);
  return out;
}

}  // namespace

bool acts(const ScalePlan& plan) {
  return std::any_of(plan.pools.begin(), plan.pools.end(), [](const PoolPlan& pool) { return !pool.actions.empty(); });
}

std::string standing_of(const ScalePlan& plan) {
  std::string out;
  for (const Reason& condition : plan.conditions) out += condition.code + ' ';
  for (const PoolPlan& pool : plan.pools) {
    out += fmt::format("|{} {} {}", pool.wanted, pool.granted, pool.target);
    for (const Reason& condition : pool.conditions) out += ' ' + condition.code;
  }
  return out;
}

std::string sentence_of(const ScalePlan& plan) {
  std::string line = fmt::format("cycle {}:", plan.cycle);
  bool any = false;
  for (const PoolPlan& pool : plan.pools) {
    const bool held = pool.wanted != pool.target;
    if (pool.actions.empty() && !held && pool.conditions.empty() && pool.current == pool.target) continue;
    line += fmt::format("{} {} {} -> {}", any ? " |" : "", pool.pool, pool.current, pool.target);
    any = true;
    if (held) line += fmt::format(" of {} wanted", pool.wanted);
    if (!pool.actions.empty()) line += fmt::format(", {}", actions_of(pool));
    if (!pool.reasons.empty()) line += fmt::format(": {}", reasons_of(pool.reasons));
    if (!pool.conditions.empty()) line += fmt::format(" [{}]", reasons_of(pool.conditions));
  }
  if (!plan.conditions.empty()) line += fmt::format(" [{}]", reasons_of(plan.conditions));
  return any || !plan.conditions.empty() ? line : heartbeat_of(plan);
}

std::string heartbeat_of(const ScalePlan& plan) {
  constexpr std::size_t kShown = 8;
  std::string line = fmt::format("cycle {}: nothing to do:", plan.cycle);
  for (std::size_t i = 0; i < std::min(kShown, plan.pools.size()); ++i) {
    const PoolPlan& pool = plan.pools[i];
    line += fmt::format("{} {} {}/{}", i > 0 ? "," : "", pool.pool, pool.ready, pool.target);
    if (!pool.reasons.empty()) line += fmt::format(" ({}: {})", pool.reasons.front().code, pool.reasons.front().text);
  }
  if (plan.pools.size() > kShown) line += fmt::format(" and {} pools more", plan.pools.size() - kShown);
  return fmt::format("{}; {} GPUs", line, plan.gpus_after);
}

}  // namespace flexpert::controller
