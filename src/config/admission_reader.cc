#include <algorithm>

#include "config/each_item.h"
#include "config/gateway_reader.h"

/// `gateway.admission`, `gateway.degradation[]` and `gateway.routing`.
namespace flexpert::config {
namespace {

constexpr std::uint64_t kMostTokens = 1'000'000'000'000;

void read_model_names(SectionReader& step, ProblemList& problems, std::vector<std::pair<std::string, std::string>>& out) {
  const YamlNode* node = step.value("models");
  if (node == nullptr || node->kind == YamlNode::Kind::kNull) return;
  if (node->kind != YamlNode::Kind::kMapping)
    return step.problem("models", fmt::format("{} is given", node->describe()), "a mapping of model to smaller model");
  for (const YamlNode::Entry& entry : node->entries) {
    const std::string path = fmt::format("{}.{}", step.path_of("models"), entry.key.substr(0, 64));
    std::string to;
    if (!read_text(entry.value, path, problems, to)) continue;
    if (to == entry.key) problems.add(entry.line, path, "a model is its own smaller model", "the name of another model");
    out.emplace_back(entry.key, std::move(to));
  }
}

void read_step(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<DegradationStepConfig>& out) {
  DegradationStepConfig step;
  SectionReader section(node, path, problems);
  section.choice("kind", {"cap_max_tokens", "cache", "smaller_model", "drop_low_priority", "shed"}, step.kind);
  section.require("kind", "cap_max_tokens, cache, smaller_model, drop_low_priority, shed");
  section.number("enter", {0, 1000, true}, step.enter);
  step.leave = step.enter * 7 / 8;
  section.number("leave", {0, 1000}, step.leave);
  section.number("hold_s", {0, 86400}, step.hold_s);
  section.amount("max_tokens", 1, kMostTokens, step.max_tokens);
  read_model_names(section, problems, step.models);
  section.finish();
  if (node.kind != YamlNode::Kind::kMapping || step.kind.empty()) return;
  if (step.leave >= step.enter)
    section.problem("leave", fmt::format("{} is not under enter, which is {}, so the step would come and go", step.leave, step.enter),
                    "a number from 0 to under enter");
  if ((step.kind == "cap_max_tokens") != (step.max_tokens != 0))
    section.problem("max_tokens", step.max_tokens == 0 ? "the key is missing" : "only cap_max_tokens has it",
                    "with kind: cap_max_tokens, a whole number over 0");
  if ((step.kind == "smaller_model") != !step.models.empty())
    section.problem("models", step.models.empty() ? "the key is missing" : "only smaller_model has it",
                    "with kind: smaller_model, a mapping of model to smaller model");
  const bool graded = step.kind == "cap_max_tokens" || step.kind == "smaller_model";
  for (const DegradationStepConfig& other : out)
    if (other.kind == step.kind && !graded) section.problem("kind", fmt::format("a step {} is already given", step.kind), "each kind once");
  if (!out.empty() && step.enter < out.back().enter)
    section.problem("enter", fmt::format("{} is under that of the step before, which is {}", step.enter, out.back().enter),
                    "steps in the order in which they begin");
  out.push_back(std::move(step));
}

bool is_session_header(std::string_view name) {
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789-";
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  // Ours are dropped at the edge; a credential would end in hashes and, by mistake, in logs.
  if (lower.starts_with("x-flexpert") || lower == "authorization" || lower == "x-api-key" || lower == "cookie") return false;
  return !lower.empty() && lower.size() <= 64 && lower.find_first_not_of(kLetters) == std::string::npos;
}

void read_routing_fields(SectionReader& section, RoutingConfig& out) {
  section.choice("policy", {"round_robin", "random", "power_of_two", "least_load", "prefix_hash", "session"}, out.policy);
  section.text("session_header", out.session_header);
  section.count("prefix_bytes", 1, 1 << 20, out.prefix_bytes);
  section.number("prefix_load_factor", {1, 100, true}, out.prefix_load_factor);
  section.number("slow_start_s", {0, 3600}, out.slow_start_s);
  section.number("retry_budget", {0, 1}, out.retry_budget);
  section.count("eject_after_failures", 0, 1'000'000, out.eject_after_failures);
  section.number("eject_s", {0, 86400, true}, out.eject_s);
  section.number("eject_max_s", {0, 86400, true}, out.eject_max_s);
  section.number("max_ejected_share", {0, 1}, out.max_ejected_share);
  section.count("breaker_max_in_flight", 0, 1'000'000, out.breaker_max_in_flight);
  section.amount("capacity_tokens", 0, kMostTokens, out.capacity_tokens);
}

void check_routing(SectionReader& section, const RoutingConfig& routing) {
  if (routing.eject_max_s < routing.eject_s)
    section.problem("eject_max_s", fmt::format("{} is under eject_s, which is {}", routing.eject_max_s, routing.eject_s),
                    "a number from eject_s");
  if (routing.policy == "session" && routing.session_header.empty())
    section.problem("session_header", "the key is missing", "with policy: session, the header by which clients name a session");
  if (!routing.session_header.empty() && !is_session_header(routing.session_header))
    section.problem("session_header", "this header cannot name a session",
                    "letters, digits and -, and neither a credential's nor X-Flexpert-*");
}

}  // namespace

void read_admission(SectionReader& gateway, ProblemList& problems, AdmissionConfig& out) {
  if (const YamlNode* node = gateway.value("admission")) {
    SectionReader section(*node, gateway.path_of("admission"), problems);
    section.count("max_in_flight", 0, 10'000'000, out.max_in_flight);
    section.count("max_queued", 0, 10'000'000, out.max_queued);
    section.number("max_queue_s", {0, 86400}, out.max_queue_s);
    section.amount("default_max_tokens", 1, kMostTokens, out.default_max_tokens);
    section.finish();
  }
  each_item(gateway, problems, "degradation", "steps",
            [&](const YamlNode& item, const std::string& path) { read_step(item, path, problems, out.degradation); });
}

void read_routing(SectionReader& gateway, ProblemList& problems, GatewayConfig& out) {
  const YamlNode* node = gateway.value("routing");
  if (node == nullptr) return;
  SectionReader section(*node, gateway.path_of("routing"), problems);
  read_routing_fields(section, out.routing);
  check_routing(section, out.routing);
  each_item(section, problems, "models", "mappings with a model", [&](const YamlNode& item, const std::string& path) {
    ModelRoutingConfig model{.model = {}, .routing = out.routing};
    SectionReader entry(item, path, problems);
    entry.text("model", model.model);
    entry.require("model", "the name by which requests ask for it");
    read_routing_fields(entry, model.routing);
    entry.finish();
    check_routing(entry, model.routing);
    for (const ModelRoutingConfig& other : out.routing_models)
      if (other.model == model.model && !model.model.empty())
        entry.problem("model", fmt::format("model {} is already given", model.model), "each model once");
    out.routing_models.push_back(std::move(model));
  });
  section.finish();
}

}  // namespace flexpert::config
