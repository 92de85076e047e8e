#include "config/pools_reader.h"

#include <algorithm>
#include <utility>

#include "config/each_item.h"
#include "config/policies_reader.h"
#include "config/pools_launch.h"
#include "config/pools_lines.h"
#include "config/pools_trace.h"
#include "forecast/predictor.h"

namespace flexpert::config {
namespace {

using scaling::PoolConfig;

constexpr std::uint32_t kMostInstances = 100'000;

void optional_count(SectionReader& section, std::string_view key, std::uint32_t low, std::uint32_t high, std::optional<std::uint32_t>& out) {
  if (section.value(key) == nullptr) return;
  std::uint32_t value = low;
  section.count(key, low, high, value);
  out = value;
}

void read_stabilisation(SectionReader& pool, ProblemList& problems, scaling::StabilisationOptions& out) {
  const YamlNode* node = pool.value("stabilisation");
  if (node == nullptr) return;
  SectionReader section(*node, pool.path_of("stabilisation"), problems);
  section.number("up_window_s", {0, 86400}, out.up_window_s);
  section.number("down_window_s", {0, 86400}, out.down_window_s);
  section.number("hysteresis", {0, 0.9}, out.hysteresis);
  section.number("min_between_reversals_s", {0, 86400}, out.min_between_reversals_s);
  optional_count(section, "max_step_up", 1, kMostInstances, out.max_step_up);
  optional_count(section, "max_step_down", 1, kMostInstances, out.max_step_down);
  section.number("max_loading", {0, kMostInstances}, out.max_loading);
  section.finish();
}

void read_forecast(SectionReader& pool, ProblemList& problems, scaling::ForecastOptions& out) {
  const YamlNode* node = pool.value("forecast");
  if (node == nullptr) return;
  SectionReader section(*node, pool.path_of("forecast"), problems);
  section.choice("predictor", forecast::predictor_names(), out.predictor);
  section.number("quantile", {0.5, 0.999}, out.quantile);
  section.count("window", 0, forecast::kLargestWindow, out.window);
  section.number("default_startup_s", {0, 86400}, out.default_startup_s);
  read_trace(section, problems, out);
  section.finish();
}

void read_vertical(SectionReader& pool, ProblemList& problems, std::optional<scaling::VerticalOptions>& out) {
  const YamlNode* node = pool.value("vertical");
  if (node == nullptr) return;
  scaling::VerticalOptions vertical;
  SectionReader section(*node, pool.path_of("vertical"), problems);
  section.count("threads_min", 0, 1024, vertical.threads_min);
  section.count("threads_max", 0, 1024, vertical.threads_max);
  section.count("kv_blocks_min", 0, 1u << 30, vertical.kv_blocks_min);
  section.count("kv_blocks_max", 0, 1u << 30, vertical.kv_blocks_max);
  section.number("high", {0, 1, true}, vertical.high);
  section.number("low", {0, 1}, vertical.low);
  section.finish();
  out = vertical;
}

void read_warm(SectionReader& pool, ProblemList& problems, scaling::WarmPoolOptions& out) {
  const YamlNode* node = pool.value("warm");
  if (node == nullptr) return;
  SectionReader section(*node, pool.path_of("warm"), problems);
  section.count("min", 0, kMostInstances, out.min);
  section.count("max", 0, kMostInstances, out.max);
  section.finish();
}

PoolRole role_of(const std::string& name) {
  for (const PoolRole role : {PoolRole::kPrefill, PoolRole::kDecode, PoolRole::kGateway})
    if (name == name_of(role)) return role;
  return PoolRole::kAggregated;
}

bool is_pool_name(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !name.empty() && name.size() <= 63 && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

void read_pool(const YamlNode& node, const std::string& path, ProblemList& problems, PoolsConfig& out) {
  PoolConfig pool;
  SectionReader section(node, path, problems);
  section.text("name", pool.id.value);
  if (node.kind == YamlNode::Kind::kMapping && section.value("name") == nullptr)
    problems.add(node.line, section.path_of("name"), "the key is missing", "a name, each once");
  else if (!pool.id.value.empty() && !is_pool_name(pool.id.value))
    problems.add(section.line_of("name"), section.path_of("name"), fmt::format("{} is given", section.value("name")->describe()),
                 "up to 63 letters, digits, '.', '_' and '-'");
  std::string role = "aggregated";
  section.choice("role", {"aggregated", "prefill", "decode", "gateway"}, role);
  pool.role = role_of(role);
  section.text("deployment", pool.deployment);
  section.count("min", 0, kMostInstances, pool.limits.min);
  section.count("max", 0, kMostInstances, pool.limits.max);
  optional_count(section, "manual", 0, kMostInstances, pool.limits.manual);
  pool.gpus_per_instance = pool.role == PoolRole::kGateway ? 0 : 1;
  section.count("gpus_per_instance", 0, 4096, pool.gpus_per_instance);
  double priority = 0;
  section.number("priority", {-1'000'000, 1'000'000}, priority);
  pool.priority = static_cast<int>(priority);
  if (priority != pool.priority)
    problems.add(section.line_of("priority"), section.path_of("priority"), fmt::format("{} is given", priority), "a whole number");
  section.number("weight", {0, 1e6, true}, pool.weight);
  pool.policies = read_policies(section, problems, pool.role);
  read_stabilisation(section, problems, pool.stabilisation);
  read_forecast(section, problems, pool.forecast);
  read_warm(section, problems, pool.warm);
  read_vertical(section, problems, pool.vertical);
  section.number("scale_to_zero_after_s", {0, 2'592'000}, pool.scale_to_zero_after_s);
  section.number("never_ready_s", {0, 2'592'000, true}, pool.never_ready_s);
  section.number("max_metric_age_s", {0, 86400, true}, pool.max_metric_age_s);
  PoolEntry entry = read_pool_entry(section, node, pool.role, problems);
  section.finish();
  out.planner.pools.push_back(std::move(pool));
  out.entries.push_back(std::move(entry));
}

void read_shadow_pool(const YamlNode& node, const std::string& path, ProblemList& problems, const PoolsConfig& all, ShadowConfig& out) {
  SectionReader section(node, path, problems);
  std::string name;
  section.text("pool", name);
  const auto pool = std::find_if(all.planner.pools.begin(), all.planner.pools.end(), [&](const PoolConfig& each) { return each.id.value == name; });
  auto policies = read_policies(section, problems, pool == all.planner.pools.end() ? PoolRole::kAggregated : pool->role);
  section.finish();
  if (node.kind != YamlNode::Kind::kMapping) return;
  if (pool == all.planner.pools.end())
    return problems.add(section.line_of("pool"), section.path_of("pool"), fmt::format("there is no pool \"{}\"", name.substr(0, 63)), "a name from pools");
  if (!out.policies.emplace(name, std::move(policies)).second)
    problems.add(section.line_of("pool"), section.path_of("pool"), fmt::format("the pool {} is already given", name), "each pool once a shadow");
}

void read_shadow(const YamlNode& node, const std::string& path, ProblemList& problems, PoolsConfig& out) {
  ShadowConfig shadow;
  SectionReader section(node, path, problems);
  section.text("name", shadow.name);
  each_item(section, problems, "pools", "pools with their policies",
            [&](const YamlNode& item, const std::string& at) { read_shadow_pool(item, at, problems, out, shadow); });
  section.finish();
  if (node.kind != YamlNode::Kind::kMapping) return;
  if (!is_pool_name(shadow.name))
    problems.add(section.line_of("name"), section.path_of("name"), "it is missing or has other characters", "up to 63 letters, digits, '.', '_' and '-'");
  for (const ShadowConfig& other : out.shadows)
    if (other.name == shadow.name)
      problems.add(section.line_of("name"), section.path_of("name"), fmt::format("a shadow {} is already given", shadow.name), "each name once");
  out.shadows.push_back(std::move(shadow));
}

void read_planner(SectionReader& file, ProblemList& problems, PoolsConfig& out) {
  const YamlNode* node = file.value("planner");
  if (node == nullptr) return;
  SectionReader section(*node, "planner", problems);
  section.number("interval_s", {0.05, 86400}, out.planner.interval_s);
  optional_count(section, "gpu_budget", 0, 1'000'000'000, out.planner.gpu_budget);
  read_prometheus(section, problems, out.prometheus);
  read_webhook(section, problems, out.webhook);
  each_item(section, problems, "shadows", "shadows", [&](const YamlNode& item, const std::string& path) { read_shadow(item, path, problems, out); });
  section.finish();
}

/// What needs both sections.
void check_sources(const YamlNode& root, ProblemList& problems, const PoolsConfig& config) {
  for (std::size_t i = 0; i < config.entries.size(); ++i) {
    if (config.entries[i].sensors.source == "prometheus" && config.prometheus.url.empty()) {
      const std::string path = fmt::format("pools[{}].sensors.source", i);
      problems.add(line_of_path(root, path), path, "prometheus is given, but no server", "planner.prometheus.url: http(s)://HOST:PORT");
    }
    if (config.planner.pools[i].vertical && config.entries[i].sensors.source == "gateway") {
      const std::string path = fmt::format("pools[{}].vertical", i);
      problems.add(line_of_path(root, path), path, "it needs each instance's own figures, and sensors.source is gateway",
                   "sensors: {source: direct} or {source: prometheus}");
    }
    if (config.entries[i].launch.backend == "webhook" && config.webhook.url.empty()) {
      const std::string path = fmt::format("pools[{}].launch.backend", i);
      problems.add(line_of_path(root, path), path, "webhook is given, but no address to call", "planner.webhook: with url and secret_file");
    }
  }
}

void check_shadows(const YamlNode& root, ProblemList& problems, const PoolsConfig& config) {
  for (std::size_t i = 0; i < config.shadows.size(); ++i) {
    for (const auto& [name, policies] : config.shadows[i].policies) {
      scaling::PlannerConfig alone = config.planner;
      std::erase_if(alone.pools, [&](const PoolConfig& pool) { return pool.id.value != name; });
      if (alone.pools.size() != 1) continue;
      alone.pools[0].policies = policies;
      alone.gpu_budget.reset();
      if (auto checked = scaling::validate(alone); !checked) {
        Error error = checked.error();
        constexpr std::string_view kPool = "pools[0].";
        if (error.message.starts_with(kPool)) error.message = error.message.substr(kPool.size());
        const std::string path = fmt::format("planner.shadows[{}].{}.", i, name);
        problems.add(line_of_path(root, fmt::format("planner.shadows[{}].pools", i)), path + error.message.substr(0, error.message.find(": ")),
                     error.message.substr(std::min(error.message.find(": ") + 2, error.message.size())), "as for pools[].policies");
      }
    }
  }
}

}  // namespace

void read_pools(SectionReader& file, const YamlNode& root, ProblemList& problems, std::optional<PoolsConfig>& out) {
  PoolsConfig config;
  each_item(file, problems, "pools", "pools", [&](const YamlNode& item, const std::string& path) { read_pool(item, path, problems, config); });
  const bool planner = file.value("planner") != nullptr;
  read_planner(file, problems, config);
  if (config.planner.pools.empty()) {
    if (planner || file.value("pools") != nullptr)
      problems.add(file.line_of(planner ? "planner" : "pools"), "pools", "there is no pool", "a list with at least one pool");
    return;
  }
  check_sources(root, problems, config);
  if (problems.empty()) {
    if (auto checked = scaling::validate(config.planner); !checked)
      add_located(root, problems, checked.error().message.starts_with("pools") ? "" : "planner.", checked.error());
    check_shadows(root, problems, config);
  }
  out = std::move(config);
}

}  // namespace flexpert::config
