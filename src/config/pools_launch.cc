#include "config/pools_launch.h"

#include <algorithm>
#include <filesystem>

namespace flexpert::config {
namespace {

/// "http(s)://HOST[:PORT][/PREFIX]" without blanks, queries or credentials.
bool is_http_url(std::string_view url) {
  std::size_t scheme = 0;
  if (url.starts_with("http://")) scheme = 7;
  else if (url.starts_with("https://")) scheme = 8;
  else return false;
  if (std::any_of(url.begin(), url.end(), [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == '?' || c == '#' || c == '@' || c == 0x7f; }))
    return false;
  std::string host(url.substr(scheme, std::min(url.find('/', scheme), url.size()) - scheme));
  if (host.empty() || host.front() == '*') return false;
  if (host.find(':', host.rfind(']') == std::string::npos ? 0 : host.rfind(']')) == std::string::npos) host += ":80";
  return is_address(host) && !host.starts_with("unix:");
}

void read_url(SectionReader& section, ProblemList& problems, std::string_view key, std::string& out) {
  section.text(key, out);
  if (!out.empty() && !is_http_url(out))
    problems.add(section.line_of(key), section.path_of(key), fmt::format("{} is given", section.value(key)->describe()), "http(s)://HOST:PORT[/PREFIX]");
}

void read_texts_by_name(SectionReader& section, ProblemList& problems, std::string_view key, std::map<std::string, std::string>& out) {
  const YamlNode* node = section.value(key);
  if (node == nullptr || node->kind == YamlNode::Kind::kNull) return;
  if (node->kind != YamlNode::Kind::kMapping)
    return problems.add(node->line, section.path_of(key), fmt::format("{} is given", node->describe()), "a mapping of our names to text");
  for (const YamlNode::Entry& entry : node->entries) {
    std::string text;
    if (read_text(entry.value, fmt::format("{}.{}", section.path_of(key), entry.key), problems, text)) out[entry.key] = text;
  }
}

void check_environment(SectionReader& section, ProblemList& problems, const std::vector<std::string>& environment) {
  for (std::size_t i = 0; i < environment.size(); ++i)
    if (const std::size_t equals = environment[i].find('='); equals == 0 || equals == std::string::npos)
      problems.add(section.line_of("environment"), fmt::format("{}[{}]", section.path_of("environment"), i), "there is no NAME=", "NAME=value");
}

/// Arguments may repeat, unlike the items of other lists.
void read_command(SectionReader& section, ProblemList& problems, std::vector<std::string>& out) {
  const YamlNode* node = section.value("command");
  if (node == nullptr || node->kind == YamlNode::Kind::kNull) return;
  if (node->kind != YamlNode::Kind::kSequence)
    return problems.add(node->line, section.path_of("command"), fmt::format("{} is given", node->describe()), "a list: the program and its arguments");
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    std::string argument;
    if (read_text(node->items[i], fmt::format("{}[{}]", section.path_of("command"), i), problems, argument)) out.push_back(std::move(argument));
  }
}

PoolLaunchConfig read_launch(SectionReader& pool, const YamlNode& pool_node, PoolRole role, ProblemList& problems) {
  PoolLaunchConfig out;
  const YamlNode* node = pool.value("launch");
  if (node == nullptr) {
    if (pool_node.kind == YamlNode::Kind::kMapping && role != PoolRole::kGateway)
      problems.add(pool_node.line, pool.path_of("launch"), "the key is missing", "launch: with a model, a command, or backend: webhook");
    return out;
  }
  SectionReader section(*node, pool.path_of("launch"), problems);
  section.choice("backend", {"local", "webhook"}, out.backend);
  section.text("model", out.model);
  section.text("name", out.name);
  read_command(section, problems, out.command);
  section.texts("environment", out.environment);
  check_environment(section, problems, out.environment);
  section.text("ready_path", out.ready_path);
  section.text("pace", out.pace);
  section.count("threads", 1, 1024, out.threads);
  section.count("kv_blocks", 1, 1u << 30, out.kv_blocks);
  section.count("max_batch", 1, 65536, out.max_batch);
  section.number("ready_timeout_s", {0, 86400, true}, out.ready_timeout_s);
  section.number("drain_deadline_s", {0, 86400}, out.drain_deadline_s);
  section.finish();
  if (node->kind != YamlNode::Kind::kMapping) return out;
  if (out.ready_path.empty() || out.ready_path.front() != '/' || out.ready_path.find_first_of(" \t\r\n") != std::string::npos)
    problems.add(section.line_of("ready_path"), section.path_of("ready_path"), fmt::format("\"{}\" is given", out.ready_path),
                 "a path that begins with / and has no blanks");
  const bool model = section.value("model") != nullptr;
  const bool command = section.value("command") != nullptr;
  if (role == PoolRole::kGateway && model)
    problems.add(section.line_of("model"), section.path_of("model"), "a model is given, but gateways have none", "no model: replicas are `flexpert gateway`s");
  else if (out.backend == "local" && model == command && role != PoolRole::kGateway)
    problems.add(node->line, section.path_of("model"), model ? "both model and command are given" : "neither model nor command is given",
                 "a model folder to serve, or the command of another engine");
  if (out.backend == "webhook" && command)
    problems.add(section.line_of("command"), section.path_of("command"), "a command is given, but instances are started by another orchestrator",
                 "command: with backend: local");
  if (out.name.empty() && model) {
    const std::filesystem::path folder(out.model);
    out.name = (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  }
  return out;
}

PoolSensorConfig read_sensors(SectionReader& pool, ProblemList& problems) {
  PoolSensorConfig out;
  const YamlNode* node = pool.value("sensors");
  if (node == nullptr) return out;
  SectionReader section(*node, pool.path_of("sensors"), problems);
  section.choice("source", {"gateway", "direct", "prometheus"}, out.source);
  section.choice("engine", {"flexpert", "vllm", "sglang", "llamacpp", "dynamo"}, out.engine);
  read_texts_by_name(section, problems, "names", out.names);
  read_texts_by_name(section, problems, "queries", out.queries);
  section.text("selector", out.selector);
  section.finish();
  return out;
}

}  // namespace

PoolEntry read_pool_entry(SectionReader& pool, const YamlNode& node, PoolRole role, ProblemList& problems) {
  return {read_launch(pool, node, role, problems), read_sensors(pool, problems)};
}

void read_prometheus(SectionReader& planner, ProblemList& problems, PrometheusConfig& out) {
  const YamlNode* node = planner.value("prometheus");
  if (node == nullptr) return;
  SectionReader section(*node, planner.path_of("prometheus"), problems);
  read_url(section, problems, "url", out.url);
  section.number("timeout_s", {0, 300, true}, out.timeout_s);
  section.text("bearer_token_file", out.bearer_token_file);
  section.finish();
}

void read_webhook(SectionReader& planner, ProblemList& problems, WebhookConfig& out) {
  const YamlNode* node = planner.value("webhook");
  if (node == nullptr) return;
  SectionReader section(*node, planner.path_of("webhook"), problems);
  read_url(section, problems, "url", out.url);
  section.text("secret_file", out.secret_file);
  section.number("timeout_s", {0, 300, true}, out.timeout_s);
  section.finish();
  for (const char* key : {"url", "secret_file"})
    if (node->kind == YamlNode::Kind::kMapping && section.value(key) == nullptr)
      problems.add(node->line, section.path_of(key), "the key is missing", "both url and secret_file");
}

}  // namespace flexpert::config
