#include "config/fleet_config.h"

#include "config/access_reader.h"
#include "config/each_item.h"
#include "config/expert_group_reader.h"
#include "config/gateway_reader.h"
#include "config/pools_reader.h"
#include "config/section_reader.h"
#include "config/upstream_reader.h"
#include "config/yaml_tree.h"

namespace flexpert::config {
namespace {

void read_controller(SectionReader& file, ProblemList& problems, ControllerConfig& out) {
  const YamlNode* node = file.value("controller");
  if (node == nullptr) return;
  SectionReader section(*node, "controller", problems);
  section.address("listen", out.listen);
  section.text("journal", out.journal);
  section.boolean("dry_run", out.dry_run);
  section.finish();
}

void read_expert_servers(SectionReader& model, ProblemList& problems, ExpertServersConfig& out) {
  const YamlNode* node = model.value("expert_servers");
  if (node == nullptr) return;
  SectionReader section(*node, model.path_of("expert_servers"), problems);
  section.count("min", 0, 1024, out.min);
  section.count("max", 0, 1024, out.max);
  section.count("warm", 0, 1024, out.warm);
  section.count("slots_per_server", 1, 1u << 20, out.slots_per_server);
  section.count("threads", 1, 1024, out.threads);
  section.number("pace_rows_per_s", {0, 1e12}, out.pace_rows_per_s);
  section.finish();
  if (out.min > out.max)
    problems.add(section.line_of("min"), section.path_of("min"), fmt::format("{} is over max, which is {}", out.min, out.max),
                 "a whole number from 0 to max");
}

void read_scaling(SectionReader& model, ProblemList& problems, ExpertScalingConfig& out) {
  const YamlNode* node = model.value("scaling");
  if (node == nullptr) return;
  SectionReader section(*node, model.path_of("scaling"), problems);
  section.number("replica_capacity_rows_per_s", {0, 1e12}, out.replica_capacity_rows_per_s);
  section.number("high", {0, 1, true}, out.high);
  section.number("low", {0, 1}, out.low);
  section.count("min_replicas", 1, 1024, out.min_replicas);
  section.count("max_replicas", 1, 1024, out.max_replicas);
  section.count("window_tokens", 1, 1u << 30, out.window_tokens);
  section.number("smoothing", {0, 1, true}, out.smoothing);
  section.number("cooldown_s", {0, 86400}, out.cooldown_s);
  section.number("interval_s", {0.01, 3600}, out.interval_s);
  section.number("forecast_horizon_s", {0, 86400}, out.forecast_horizon_s);
  section.number("forecast_high", {0, 1, true}, out.forecast_high);
  section.number("forecast_low", {0, 1}, out.forecast_low);
  section.finish();
  if (out.forecast_low >= out.forecast_high / 2)
    problems.add(section.line_of("forecast_low"), section.path_of("forecast_low"),
                 fmt::format("{} is not under half of forecast_high, which is {}, so growing and shrinking would undo each other", out.forecast_low,
                             out.forecast_high),
                 "a number from 0 to under forecast_high / 2");
  // Doubling halves the utilisation, halving doubles it: past this bound one would at once undo the other.
  if (out.low > out.high / 2)
    problems.add(section.line_of("low"), section.path_of("low"),
                 fmt::format("{} is over half of high, which is {}, so doubling and halving would undo each other", out.low, out.high),
                 "a number from 0 to high / 2");
  if (out.min_replicas > out.max_replicas)
    problems.add(section.line_of("min_replicas"), section.path_of("min_replicas"),
                 fmt::format("{} is over max_replicas, which is {}", out.min_replicas, out.max_replicas), "a whole number from 1 to max_replicas");
}

void read_placement(SectionReader& model, ProblemList& problems, PlacementConfig& out) {
  const YamlNode* node = model.value("placement");
  if (node == nullptr) return;
  SectionReader section(*node, model.path_of("placement"), problems);
  section.number("rebalance_interval_s", {0, 86400}, out.rebalance_interval_s);
  section.number("threshold", {0, 1}, out.threshold);
  section.number("drift", {0, 1}, out.drift);
  section.number("least_gain", {0, 1}, out.least_gain);
  section.count("max_moves", 0, 1u << 20, out.max_moves);
  section.count("window_tokens", 1, 1u << 30, out.window_tokens);
  section.number("smoothing", {0, 1, true}, out.smoothing);
  section.choice("cost", {"none", "deepseek_v3_decode", "deepseek_v3_prefill"}, out.cost);
  section.number("link_bytes_per_s", {0, 1e15}, out.link_bytes_per_s);
  section.choice("dispatch", {"static", "random", "round_robin", "least_loaded", "least_activated_experts", "locality_first"}, out.dispatch);
  section.finish();
}

void read_model(SectionReader& file, ProblemList& problems, std::optional<ModelConfig>& out) {
  const YamlNode* node = file.value("model");
  if (node == nullptr) return;
  ModelConfig model;
  SectionReader section(*node, "model", problems);
  section.text("name", model.name);
  section.text("path", model.path);
  section.text("pack", model.pack);
  section.count("servers", 1, 64, model.servers);
  section.count("threads", 1, 1024, model.threads);
  section.count("kv_blocks", 1, 1u << 30, model.kv_blocks);
  section.count("max_batch", 1, 65536, model.max_batch);
  read_expert_servers(section, problems, model.expert_servers);
  read_scaling(section, problems, model.scaling);
  read_placement(section, problems, model.placement);
  each_item(section, problems, "groups", "expert groups",
            [&](const YamlNode& item, const std::string& path) { read_model_group(item, path, problems, model.groups); });
  section.finish();
  if (section.value("path") == nullptr && (node->kind == YamlNode::Kind::kMapping || node->kind == YamlNode::Kind::kNull))
    problems.add(node->line, "model.path", "the key is missing", "the folder of a Hugging Face checkpoint");
  if (model.name.empty()) {
    std::string path = model.path;
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    model.name = path.substr(path.rfind('/') + 1);
  }
  out = std::move(model);
}

}  // namespace

Result<FleetConfig> parse(const std::string& text, const std::string& source) {
  FLEXPERT_ASSIGN(const YamlNode root, parse_yaml(text, source));
  FleetConfig config;
  ProblemList problems(source);
  SectionReader file(root, "", problems);
  read_gateway(file, problems, config.gateway);
  read_controller(file, problems, config.controller);
  read_model(file, problems, config.model);
  each_item(file, problems, "upstreams", "upstreams",
            [&](const YamlNode& item, const std::string& path) { read_upstream(item, path, problems, config.upstreams); });
  read_pools(file, root, problems, config.pools);
  file.text("runtime_dir", config.runtime_dir);
  read_access(file, problems, config);
  file.number("shutdown_deadline_s", {0.1, 3600}, config.shutdown_deadline_s);
  file.finish();
  if (problems.empty() && !config.model && !config.pools && config.upstreams.empty() && config.gateway.controller.empty())
    problems.add(1, "model", "there is nothing to serve", "a model: section, pools:, at least one of upstreams:, or gateway.controller");
  if (!problems.empty()) return fail(problems.to_error());
  return config;
}

Result<FleetConfig> load_file(const std::string& path) {
  FLEXPERT_ASSIGN(const std::string text, read_yaml_file(path));
  return parse(text, path);
}

}  // namespace flexpert::config
