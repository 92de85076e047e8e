#include "config/fleet_config.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>

#include "config/each_item.h"
#include "config/pools_reader.h"
#include "config/section_reader.h"
#include "config/yaml_tree.h"

namespace flexpert::config {
namespace {

constexpr std::uint32_t kMaxLayers = 1024;
constexpr std::uint32_t kMaxExperts = 65536;

void read_gateway(SectionReader& file, ProblemList& problems, GatewayConfig& out) {
  const YamlNode* node = file.value("gateway");
  if (node == nullptr) return;
  SectionReader section(*node, "gateway", problems);
  section.address("listen", out.listen);
  section.bytes("max_body_bytes", 1024, std::uint64_t{1} << 30, out.max_body_bytes);
  section.number("health_interval_s", {0.05, 3600}, out.health_interval_s);
  section.number("upstream_timeout_s", {0.1, 86400}, out.upstream_timeout_s);
  section.number("hold_s", {0, 86400}, out.hold_s);
  section.address("controller", out.controller);
  section.finish();
}

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

void add_slot(const YamlNode& node, const std::string& path, ProblemList& problems, ExpertSlot slot, std::vector<ExpertSlot>& out) {
  if (std::find(out.begin(), out.end(), slot) != out.end())
    return problems.add(node.line, path, fmt::format("layer {} expert {} is given twice", slot.layer, slot.expert), "each expert once a group");
  out.push_back(slot);
}

void read_layer_experts(SectionReader& section, ProblemList& problems, std::vector<ExpertSlot>& out) {
  std::uint32_t layer = 0;
  section.count("layer", 0, kMaxLayers - 1, layer);
  each_item(section, problems, "experts", "whole numbers", [&](const YamlNode& item, const std::string& path) {
    std::uint32_t expert = 0;
    if (read_count(item, path, problems, 0, kMaxExperts - 1, expert)) add_slot(item, path, problems, {layer, expert}, out);
  });
}

void read_slot(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<ExpertSlot>& out) {
  if (node.kind == YamlNode::Kind::kMapping) {
    SectionReader section(node, path, problems);
    for (const char* key : {"layer", "experts"})
      if (section.value(key) == nullptr)
        problems.add(node.line, section.path_of(key), "the key is missing", "layer: N together with experts: [N, ...]");
    read_layer_experts(section, problems, out);
    return section.finish();
  }
  if (node.kind != YamlNode::Kind::kSequence || node.items.size() != 2)
    return problems.add(node.line, path, fmt::format("{} is given", node.describe()),
                        "[LAYER, EXPERT], or layer: N together with experts: [N, ...]");
  ExpertSlot slot;
  const bool layer = read_count(node.items[0], item_path(path, 0), problems, 0, kMaxLayers - 1, slot.layer);
  const bool expert = read_count(node.items[1], item_path(path, 1), problems, 0, kMaxExperts - 1, slot.expert);
  if (layer && expert) add_slot(node, path, problems, slot, out);
}

void read_group(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<ExpertGroupConfig>& out) {
  ExpertGroupConfig group;
  SectionReader section(node, path, problems);
  section.text("name", group.name);
  section.choice("security", {"standard", "high"}, group.security);
  each_item(section, problems, "slots", "[LAYER, EXPERT] pairs",
            [&](const YamlNode& item, const std::string& item_at) { read_slot(item, item_at, problems, group.slots); });
  if ((section.value("layer") == nullptr) != (section.value("experts") == nullptr))
    problems.add(node.line, path, "one of layer and experts is given without the other", "layer: N together with experts: [N, ...]");
  read_layer_experts(section, problems, group.slots);
  section.finish();
  if (node.kind != YamlNode::Kind::kMapping) return;
  const std::size_t comma_or_control = group.name.find_first_of(",\r\n\t");
  if (section.value("name") == nullptr) {
    problems.add(node.line, section.path_of("name"), "the key is missing", "the name by which /route knows the group");
  } else if (comma_or_control != std::string::npos) {
    problems.add(section.line_of("name"), section.path_of("name"), "the name has a comma or a control character", "text without them");
  }
  if (group.slots.empty() && section.value("slots") == nullptr && section.value("experts") == nullptr)
    problems.add(node.line, section.path_of("slots"), "the key is missing", "a list of [LAYER, EXPERT] pairs, at least one");
  else if (group.slots.empty())
    problems.add(node.line, section.path_of("slots"), "no expert is given", "a list of [LAYER, EXPERT] pairs, at least one");
  for (const ExpertGroupConfig& other : out)
    if (other.name == group.name && !group.name.empty())
      problems.add(section.line_of("name"), section.path_of("name"), fmt::format("a group {} is already given", group.name), "each name once");
  out.push_back(std::move(group));
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
            [&](const YamlNode& item, const std::string& path) { read_group(item, path, problems, model.groups); });
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

void read_upstream(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<UpstreamConfig>& out) {
  static constexpr std::string_view kScheme = "http://";
  UpstreamConfig upstream;
  SectionReader section(node, path, problems);
  section.text("name", upstream.name);
  section.texts("models", upstream.models);
  section.text("health_path", upstream.health_path);
  std::string url;
  section.text("url", url);
  section.finish();
  if (node.kind != YamlNode::Kind::kMapping) return;
  if (upstream.health_path.front() != '/' || upstream.health_path.find_first_of(" \r\n\t") != std::string::npos)
    problems.add(section.line_of("health_path"), section.path_of("health_path"), fmt::format("\"{}\" is given", upstream.health_path),
                 "a path that begins with / and has no blanks");
  while (url.ends_with('/')) url.pop_back();
  std::string host_port = url.starts_with(kScheme) ? url.substr(kScheme.size()) : "";
  if (!host_port.empty() && host_port.find(':', host_port.rfind(']') + 1) == std::string::npos) {  // as in any URL
    host_port += ":80";
    url += ":80";
  }
  if (section.value("url") == nullptr) {
    problems.add(node.line, section.path_of("url"), "the key is missing", "http://HOST:PORT");
  } else if (url.starts_with("https://")) {
    problems.add(section.line_of("url"), section.path_of("url"), fmt::format("{} is given, and the gateway does not speak TLS yet", section.value("url")->describe()),
                 "http://HOST:PORT, of a TLS proxy beside the gateway if the engine has https only");
  } else if (!url.empty() && (!is_address(host_port) || host_port.starts_with("unix:") || host_port.front() == '*')) {
    problems.add(section.line_of("url"), section.path_of("url"), fmt::format("{} is given", section.value("url")->describe()),
                 "http://HOST:PORT, without a path (the gateway adds /v1/...)");
  }
  upstream.url = url;
  if (upstream.name.empty()) upstream.name = host_port;
  for (const UpstreamConfig& other : out)
    if (other.name == upstream.name && !upstream.name.empty())
      problems.add(section.line_of("name"), section.path_of("name"), fmt::format("an upstream {} is already given", upstream.name), "each name once");
  out.push_back(std::move(upstream));
}

void read_token(const YamlNode& node, const std::string& path, ProblemList& problems, FleetConfig& out) {
  AccessTokenConfig token;
  SectionReader section(node, path, problems);
  section.text("name", token.name);
  section.text("sha256", token.sha256);
  section.texts("groups", token.groups);
  section.finish();
  if (node.kind != YamlNode::Kind::kMapping) return;
  for (const char* key : {"name", "sha256"})
    if (section.value(key) == nullptr) problems.add(node.line, section.path_of(key), "the key is missing", "text");
  // The value is not repeated in the message: somebody may have put the token itself here.
  const bool hex = token.sha256.size() == 64 && token.sha256.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (!token.sha256.empty() && !hex)
    problems.add(section.line_of("sha256"), section.path_of("sha256"), "not a SHA-256 digest",
                 "64 hex digits, as `printf %s TOKEN | sha256sum` prints them");
  for (char& c : token.sha256)
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  for (const AccessTokenConfig& other : out.tokens)
    if (other.name == token.name && !token.name.empty())
      problems.add(section.line_of("name"), section.path_of("name"), fmt::format("a token {} is already given", token.name), "each name once");
  if (out.model) {
    for (const std::string& group : token.groups)
      if (std::none_of(out.model->groups.begin(), out.model->groups.end(), [&](const auto& known) { return known.name == group; }))
        problems.add(section.line_of("groups"), section.path_of("groups"), fmt::format("there is no group {}", group),
                     "names from model.groups");
  }
  out.tokens.push_back(std::move(token));
}

void read_access(SectionReader& file, ProblemList& problems, FleetConfig& out) {
  if (const YamlNode* node = file.value("access")) {
    SectionReader section(*node, "access", problems);
    each_item(section, problems, "tokens", "access tokens",
              [&](const YamlNode& item, const std::string& path) { read_token(item, path, problems, out); });
    section.texts("default_route_groups", out.default_route_groups);
    section.finish();
    if (section.value("default_route_groups") != nullptr && out.model) {
      for (const std::string& group : out.default_route_groups)
        if (std::none_of(out.model->groups.begin(), out.model->groups.end(), [&](const auto& known) { return known.name == group; }))
          problems.add(section.line_of("default_route_groups"), section.path_of("default_route_groups"),
                       fmt::format("there is no group {}", group), "names from model.groups");
    }
  }
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
  read_access(file, problems, config);
  read_pools(file, root, problems, config.pools);
  file.text("runtime_dir", config.runtime_dir);
  file.number("shutdown_deadline_s", {0.1, 3600}, config.shutdown_deadline_s);
  file.finish();
  if (problems.empty() && !config.model && !config.pools && config.upstreams.empty() && config.gateway.controller.empty())
    problems.add(1, "model", "there is nothing to serve", "a model: section, pools:, at least one of upstreams:, or gateway.controller");
  if (!problems.empty()) return fail(problems.to_error());
  return config;
}

Result<FleetConfig> load_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kNotFound, "{}: the configuration cannot be opened: {}", path, std::strerror(errno));
  // One byte over the limit is enough to know that the file is too large.
  std::string text(kMaxConfigBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.gcount() == 0 && !file.eof()))
    return fail(ErrorCode::kInvalidArgument, "{}: the configuration cannot be read: {}", path, std::strerror(errno));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return parse(text, path);
}

}  // namespace flexpert::config
