#include "report/pool_tables.h"

#include <fmt/format.h>

namespace flexpert::report {

namespace {

std::string numbers_of(const Reason& reason) {
  std::string out;
  for (const auto& [name, value] : reason.numbers) out += fmt::format("{}{} {:.4g}", out.empty() ? "" : ", ", name, value);
  return out.empty() ? out : " (" + out + ")";
}

void add_reasons(std::vector<std::string>& lines, const char* mark, const std::vector<Reason>& reasons) {
  for (const Reason& reason : reasons) lines.push_back(fmt::format("  {} {}: {}{}", mark, reason.code, reason.text, numbers_of(reason)));
}

}  // namespace

std::string describe(const PoolAction& action) {
  switch (action.kind) {
    case PoolActionKind::kStart: return fmt::format("start {}{}", action.count, action.warm ? " into the warm pool" : "");
    case PoolActionKind::kActivate: return fmt::format("activate {}", action.instance);
    case PoolActionKind::kDrain: return fmt::format("drain {}", action.instance);
    case PoolActionKind::kCancel: return fmt::format("cancel {}", action.instance);
    case PoolActionKind::kResize: break;
  }
  std::string to;
  if (action.threads) to += fmt::format(" {} threads", *action.threads);
  if (action.kv_blocks) to += fmt::format(" {} KV blocks", *action.kv_blocks);
  return fmt::format("resize {} to{}", action.instance, to);
}

Table pool_table(const ScalePlan& plan) {
  Table table({{"pool", Align::kLeft}, {"ready", Align::kRight}, {"current", Align::kRight}, {"wanted", Align::kRight}, {"granted", Align::kRight},
               {"target", Align::kRight}, {"warm", Align::kRight}, {"actions", Align::kLeft}, {"why", Align::kLeft}});
  for (const PoolPlan& pool : plan.pools) {
    std::string actions;
    for (const PoolAction& action : pool.actions) actions += (actions.empty() ? "" : ", ") + describe(action);
    table.add_row({pool.pool.value, std::to_string(pool.ready), std::to_string(pool.current), std::to_string(pool.wanted), std::to_string(pool.granted),
                   std::to_string(pool.target), std::to_string(pool.warm), actions, pool.reasons.empty() ? "" : pool.reasons.front().text});
  }
  return table;
}

std::vector<std::string> pool_explanations(const ScalePlan& plan) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format("GPUs: {} held, {} after this cycle", plan.gpus_held, plan.gpus_after));
  add_reasons(lines, "!", plan.conditions);
  for (const PoolPlan& pool : plan.pools) {
    if (pool.actions.empty() && pool.reasons.empty() && pool.conditions.empty()) continue;
    lines.push_back(fmt::format("{}: {} -> {}", pool.pool, pool.current, pool.target));
    for (const PoolAction& action : pool.actions) {
      lines.push_back("  " + describe(action));
      add_reasons(lines, " ", action.reasons);
    }
    add_reasons(lines, "-", pool.reasons);
    add_reasons(lines, "!", pool.conditions);
  }
  return lines;
}

}  // namespace flexpert::report
