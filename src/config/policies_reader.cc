#include "config/policies_reader.h"

#include <limits>

#include "config/each_item.h"
#include "config/policies_profile.h"
#include "config/time_zone_database.h"
#include "scaling/default_policies.h"
#include "scaling/policy_check.h"

namespace flexpert::config {
namespace {

using scaling::KpaOptions;
using scaling::ManualOptions;
using scaling::PolicyConfig;
using scaling::PolicyOptions;
using scaling::PredictiveOptions;
using scaling::RatePolicy;
using scaling::ScalingRules;
using scaling::ScheduleEntry;
using scaling::ScheduleOptions;
using scaling::SlaOptions;
using scaling::TargetMetric;
using scaling::TargetTrackingOptions;
using scaling::ThresholdOptions;

constexpr double kLargestMetric = 1e15;
constexpr std::uint32_t kMostInstances = 100'000;

void need(SectionReader& section, ProblemList& problems, const YamlNode& node, std::string_view key, std::string_view allowed) {
  if (node.kind == YamlNode::Kind::kMapping && section.value(key) == nullptr) problems.add(node.line, section.path_of(key), "the key is missing", allowed);
}

void read_whole(SectionReader& section, ProblemList& problems, std::string_view key, int low, int high, int& out) {
  double value = out;
  section.number(key, {static_cast<double>(low), static_cast<double>(high)}, value);
  if (value != static_cast<double>(static_cast<int>(value)))
    return problems.add(section.line_of(key), section.path_of(key), fmt::format("{} is given", value), fmt::format("a whole number from {} to {}", low, high));
  out = static_cast<int>(value);
}

void read_engine(SectionReader& policy, ProblemList& problems, SlaOptions& out) {
  const YamlNode* node = policy.value("engine");
  if (node == nullptr) return;
  perf::StepCoefficients coefficients;
  perf::EngineLimits limits;
  SectionReader section(*node, policy.path_of("engine"), problems);
  section.number("fixed_s", {0, 60}, coefficients.fixed);
  section.number("per_new_token_s", {0, 60}, coefficients.per_new_token);
  section.number("per_sequence_s", {0, 60}, coefficients.per_sequence);
  section.number("per_kv_token_s", {0, 60}, coefficients.per_kv_token);
  section.number("max_batch", {1, 1e6}, limits.max_batch);
  section.number("chunk_tokens", {1, 1e9}, limits.chunk_tokens);
  section.number("kv_tokens", {1, 1e12}, limits.kv_tokens);
  section.finish();
  const double per_step = coefficients.fixed + coefficients.per_new_token + coefficients.per_sequence + coefficients.per_kv_token;
  if (node->kind == YamlNode::Kind::kMapping && !(per_step > 0))
    problems.add(node->line, policy.path_of("engine"), "all times are 0", "at least one of fixed_s, per_new_token_s, per_sequence_s, per_kv_token_s over 0");
  out.engine = perf::EngineModel(coefficients, limits);
}

void read_correction(SectionReader& policy, ProblemList& problems, perf::CorrectionOptions& out) {
  const YamlNode* node = policy.value("correction");
  if (node == nullptr) return;
  SectionReader section(*node, policy.path_of("correction"), problems);
  section.boolean("enabled", out.enabled);
  section.number("low", {0, 1, true}, out.low);
  section.number("high", {1, 1000}, out.high);
  section.number("smoothing", {0, 1, true}, out.smoothing);
  section.finish();
}

SlaOptions read_sla(SectionReader& section, ProblemList& problems) {
  SlaOptions out;
  section.number("ttft_s", {0, 3600, true}, out.ttft_s);
  section.number("itl_s", {0, 3600, true}, out.itl_s);
  std::string model = section.value("profile") != nullptr ? "classic" : "engine";
  section.choice("model", {"classic", "engine"}, model);
  out.model = model == "classic" ? SlaOptions::Model::kClassic : SlaOptions::Model::kEngine;
  read_profile(section, problems, out);
  read_engine(section, problems, out);
  section.number("percentile", {0.5, 0.999}, out.percentile);
  section.number("utilisation", {0, 1, true}, out.utilisation);
  section.boolean("learn", out.learn);
  read_correction(section, problems, out.correction);
  return out;
}

void read_metric(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<TargetMetric>& out) {
  TargetMetric metric;
  std::string kind = "per_instance";
  SectionReader section(node, path, problems);
  section.text("name", metric.name);
  section.choice("kind", {"per_instance", "pool_average", "pool_value"}, kind);
  section.number("target", {0, kLargestMetric, true}, metric.target);
  section.finish();
  need(section, problems, node, "name", "a metric of the instances or of the pool");
  need(section, problems, node, "target", "a number over 0");
  metric.kind = kind == "per_instance"   ? TargetMetric::Kind::kPerInstance
                : kind == "pool_average" ? TargetMetric::Kind::kPoolAverage
                                         : TargetMetric::Kind::kPoolValue;
  out.push_back(std::move(metric));
}

void read_rules(SectionReader& policy, ProblemList& problems, std::string_view key, ScalingRules& out) {
  const YamlNode* node = policy.value(key);
  if (node == nullptr) return;
  SectionReader section(*node, policy.path_of(key), problems);
  section.number("stabilisation_s", {0, 3600}, out.stabilisation_s);
  std::string select = "max";
  section.choice("select", {"max", "min", "disabled"}, select);
  out.select = select == "max" ? ScalingRules::Select::kMax : select == "min" ? ScalingRules::Select::kMin : ScalingRules::Select::kDisabled;
  if (section.value("policies") != nullptr) out.policies.clear();
  each_item(section, problems, "policies", "rates", [&](const YamlNode& item, const std::string& path) {
    RatePolicy rate;
    std::string kind = "percent";
    SectionReader entry(item, path, problems);
    entry.choice("kind", {"instances", "percent"}, kind);
    entry.number("value", {0, kMostInstances, true}, rate.value);
    entry.number("period_s", {0, 1800, true}, rate.period_s);
    entry.finish();
    rate.kind = kind == "percent" ? RatePolicy::Kind::kPercent : RatePolicy::Kind::kInstances;
    out.policies.push_back(rate);
  });
  section.finish();
}

TargetTrackingOptions read_target_tracking(SectionReader& section, ProblemList& problems) {
  TargetTrackingOptions out;
  each_item(section, problems, "metrics", "metrics",
            [&](const YamlNode& item, const std::string& path) { read_metric(item, path, problems, out.metrics); });
  section.number("tolerance", {0, 1}, out.tolerance);
  read_rules(section, problems, "up", out.up);
  read_rules(section, problems, "down", out.down);
  section.number("initial_readiness_s", {0, 3600}, out.initial_readiness_s);
  section.number("max_age_s", {0, 86400, true}, out.max_age_s);
  return out;
}

KpaOptions read_kpa(SectionReader& section) {
  KpaOptions out;
  section.choice("metric", {"concurrency", "requests_per_s"}, out.metric);
  section.number("target", {0, kLargestMetric, true}, out.target);
  section.number("utilisation", {0, 1, true}, out.utilisation);
  section.number("stable_window_s", {6, 3600}, out.stable_window_s);
  section.number("panic_window_percentage", {1, 100}, out.panic_window_percentage);
  section.number("panic_threshold_percentage", {110, 1000}, out.panic_threshold_percentage);
  section.number("max_scale_up_rate", {1, 1e6, true}, out.max_scale_up_rate);
  section.number("max_scale_down_rate", {1, 1e6, true}, out.max_scale_down_rate);
  section.count("activation_scale", 1, kMostInstances, out.activation_scale);
  section.number("scale_to_zero_grace_s", {0, 86400}, out.scale_to_zero_grace_s);
  section.number("scale_down_delay_s", {0, 3600}, out.scale_down_delay_s);
  section.number("target_burst_capacity", {-1, kLargestMetric}, out.target_burst_capacity);
  section.number("max_age_s", {0, 86400, true}, out.max_age_s);
  return out;
}

ThresholdOptions read_thresholds(SectionReader& section) {
  ThresholdOptions out;
  section.text("metric", out.metric);
  section.number("high", {0, kLargestMetric, true}, out.high);
  section.number("low", {0, kLargestMetric}, out.low);
  section.number("cooldown_s", {0, 86400}, out.cooldown_s);
  section.number("max_age_s", {0, 86400, true}, out.max_age_s);
  return out;
}

void read_entry(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<ScheduleEntry>& out) {
  ScheduleEntry entry;
  SectionReader section(node, path, problems);
  section.text("name", entry.name);
  section.text("cron", entry.cron);
  section.number("duration_s", {60, 7 * 86400}, entry.duration_s);
  section.count("replicas", 0, kMostInstances, entry.replicas);
  read_whole(section, problems, "priority", -1'000'000, 1'000'000, entry.priority);
  section.boolean("on_holidays", entry.on_holidays);
  section.finish();
  need(section, problems, node, "cron", "minute hour day-of-month month day-of-week, as \"30 8 * * MON-FRI\"");
  need(section, problems, node, "replicas", "a whole number");
  if (entry.name.empty()) entry.name = entry.cron;
  out.push_back(std::move(entry));
}

ScheduleOptions read_schedule(SectionReader& section, ProblemList& problems) {
  ScheduleOptions out;
  std::string zone = "UTC";
  section.text("time_zone", zone);
  if (auto loaded = load_time_zone(zone)) {
    out.zone = std::move(*loaded);
  } else {
    const std::string& message = loaded.error().message;
    const std::size_t allowed = message.find("; allowed: ");
    problems.add(section.line_of("time_zone"), section.path_of("time_zone"), message.substr(0, allowed), message.substr(allowed + 11));
  }
  each_item(section, problems, "entries", "entries",
            [&](const YamlNode& item, const std::string& path) { read_entry(item, path, problems, out.entries); });
  section.texts("holidays", out.holidays);
  if (section.value("otherwise") != nullptr) {
    std::uint32_t otherwise = 0;
    section.count("otherwise", 0, kMostInstances, otherwise);
    out.otherwise = otherwise;
  }
  return out;
}

PolicyOptions read_options(SectionReader& section, ProblemList& problems, const std::string& kind) {
  if (kind == "sla") return read_sla(section, problems);
  if (kind == "target_tracking") return read_target_tracking(section, problems);
  if (kind == "kpa") return read_kpa(section);
  if (kind == "thresholds") return read_thresholds(section);
  if (kind == "schedule") return read_schedule(section, problems);
  if (kind == "predictive") {
    PredictiveOptions out;
    section.number("requests_per_s_per_instance", {0, kLargestMetric}, out.requests_per_s_per_instance);
    section.number("utilisation", {0, 1, true}, out.utilisation);
    return out;
  }
  ManualOptions out;
  section.count("replicas", 0, kMostInstances, out.replicas);
  return out;
}

void read_policy(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<PolicyConfig>& out) {
  const std::vector<std::string> kinds{"sla", "target_tracking", "kpa", "thresholds", "schedule", "predictive", "manual"};
  SectionReader section(node, path, problems);
  PolicyConfig policy;
  std::string kind;
  section.choice("kind", kinds, kind);
  if (node.kind != YamlNode::Kind::kMapping) return;
  if (section.value("kind") == nullptr) return problems.add(node.line, section.path_of("kind"), "the key is missing", fmt::format("{}", fmt::join(kinds, ", ")));
  if (kind.empty()) return;
  policy.name = kind;
  section.text("name", policy.name);
  std::string rule = "max";
  section.choice("rule", {"max", "floor", "ceiling"}, rule);
  policy.rule = rule == "max" ? scaling::CombineRule::kMax : rule == "floor" ? scaling::CombineRule::kFloor : scaling::CombineRule::kCeiling;
  policy.options = read_options(section, problems, kind);
  section.finish();
  out.push_back(std::move(policy));
}

}  // namespace

std::vector<PolicyConfig> read_policies(SectionReader& section, ProblemList& problems, PoolRole role) {
  if (section.value("policies") == nullptr) return scaling::default_policies(role);
  std::vector<PolicyConfig> out;
  each_item(section, problems, "policies", "policies",
            [&](const YamlNode& item, const std::string& path) { read_policy(item, path, problems, out); });
  return out;
}

}  // namespace flexpert::config
