#include "flexpert/pool_status.h"

#include <vector>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "codec/scale_plan_json.h"
#include "report/pool_tables.h"
#include "report/table.h"
#include "report/terminal.h"

namespace flexpert::app {

namespace json = boost::json;

namespace {

/// Finds a part by its path; null if there is none.
const json::value* part(const json::value& root, const char* pointer) {
  boost::system::error_code error;
  const json::value* found = root.find_pointer(pointer, error);
  return error || found == nullptr || found->is_null() ? nullptr : found;
}

std::string number(const json::value& root, const char* pointer, const char* absent = "") {
  const json::value* found = part(root, pointer);
  if (found == nullptr || !found->is_number()) return absent;
  return found->is_double() ? fmt::format("{:.3g}", found->get_double()) : json::serialize(*found);
}

std::string text(const json::value& root, const char* pointer) {
  const json::value* found = part(root, pointer);
  return found != nullptr && found->is_string() ? std::string(found->get_string().c_str()) : std::string();
}

void add_conditions(std::string& out, const json::value& root, const std::string& whose, std::size_t width) {
  const json::value* list = part(root, "/conditions");
  if (list == nullptr || !list->is_array()) return;
  for (const json::value& condition : list->get_array())
    out += report::cut_to_width(fmt::format("! {}{}: {}", whose, text(condition, "/code"), text(condition, "/text")), width) + "\n";
}

}  // namespace

Result<std::string> pool_status_text(std::string_view status, std::size_t width, bool colours) {
  boost::system::error_code error;
  const json::value root = json::parse({status.data(), status.size()}, error);
  if (error) return fail(ErrorCode::kDataLoss, "controller's answer is not JSON: {}", error.message());
  const json::value* planner = part(root, "/planner");
  if (planner == nullptr) return std::string();
  const json::value* pools = part(*planner, "/pools");
  if (pools == nullptr || !pools->is_array()) return fail(ErrorCode::kDataLoss, "controller's answer has a planner without pools");
  using report::Align;
  report::Table table({{"pool", Align::kLeft},     {"ready", Align::kRight},  {"starting", Align::kRight}, {"draining", Align::kRight},
                       {"warm", Align::kRight},    {"failed", Align::kRight}, {"wanted", Align::kRight},   {"granted", Align::kRight},
                       {"target", Align::kRight},  {"limits", Align::kLeft},  {"start s", Align::kRight},  {"requests/s", Align::kRight},
                       {"why", Align::kLeft}});
  std::string conditions;
  add_conditions(conditions, *planner, "", width);
  for (const json::value& pool : pools->get_array()) {
    const std::string manual = number(pool, "/limits/manual");
    table.add_row({text(pool, "/pool"), number(pool, "/instances/ready"), number(pool, "/instances/starting"), number(pool, "/instances/draining"),
                   number(pool, "/instances/warm"), number(pool, "/instances/failed"), number(pool, "/wanted"), number(pool, "/granted"),
                   number(pool, "/target"),
                   fmt::format("{}..{}{}", number(pool, "/limits/min"), number(pool, "/limits/max"), manual.empty() ? "" : ", by hand " + manual),
                   number(pool, "/startup_s"), number(pool, "/traffic/requests_per_s/value"), text(pool, "/reasons/0/text")});
    add_conditions(conditions, pool, text(pool, "/pool") + ": ", width);
  }
  return fmt::format("Pools: cycle {}, {} s ago; GPUs {} of {}{}\n{}{}", number(*planner, "/cycle"), number(*planner, "/age_s"), number(*planner, "/gpus_held"),
                     number(*planner, "/gpu_budget", "any number"), part(*planner, "/dry_run") != nullptr && part(*planner, "/dry_run")->is_bool() && part(*planner, "/dry_run")->get_bool() ? ", dry-run" : "",
                     table.text(width, colours), conditions);
}

Result<std::string> pool_plans_text(std::string_view decisions, std::size_t width) {
  boost::system::error_code error;
  const json::value root = json::parse({decisions.data(), decisions.size()}, error);
  if (error) return fail(ErrorCode::kDataLoss, "controller's answer is not JSON: {}", error.message());
  const json::value* plans = part(root, "/plans");
  std::string out;
  if (plans == nullptr || !plans->is_array()) return out;
  for (const json::value& value : plans->get_array()) {
    FLEXPERT_ASSIGN(const ScalePlan plan, codec::decode_scale_plan(json::serialize(value)));
    std::string line = fmt::format("#{:<6}", plan.cycle);
    for (const PoolPlan& pool : plan.pools) {
      if (pool.actions.empty()) continue;
      line += fmt::format(" {} {} -> {} (", pool.pool, pool.current, pool.target);
      for (std::size_t i = 0; i < pool.actions.size(); ++i) line += (i > 0 ? ", " : "") + report::describe(pool.actions[i]);
      line += pool.reasons.empty() ? ")" : "): " + pool.reasons.front().text;
    }
    if (line.size() > 7) out += report::cut_to_width(line, width) + "\n";
  }
  return out;
}

}  // namespace flexpert::app
