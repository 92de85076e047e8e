#include <cstdio>

#include <fmt/format.h>

#include "config/fleet_config.h"
#include "engine/serve/pace_profile.h"
#include "engine/weights/checkpoint.h"
#include "flexpert/commands.h"
#include "flexpert/exit_codes.h"
#include "flexpert/model_check.h"

namespace flexpert::app {

namespace {

std::string pace_text(double rows_per_s) {
  return rows_per_s > 0 ? fmt::format("paced: each stands for an accelerator of {:.0f} expert rows/s", rows_per_s) : "raw speed";
}

/// Prints what the `model:` section means, and checks it against the checkpoint itself.
Result<void> describe_model(const config::ModelConfig& model, const auth::PolicyRules& rules) {
  FLEXPERT_ASSIGN(const auto checkpoint, engine::Checkpoint::open(model.path));
  const engine::ModelConfig& shape = checkpoint->config();
  FLEXPERT_TRY(check_against_checkpoint(model, *checkpoint));
  FLEXPERT_TRY(check_against_checkpoint(rules, model, *checkpoint));
  fmt::print("model           {} ({}): {} layers of {} experts, {} chosen per token\n", model.name, shape.architecture, shape.num_layers,
             shape.num_experts, shape.experts_per_token);
  fmt::print("model servers   {}, {} thread(s), {} KV blocks, batches of up to {}\n", model.servers, model.threads, model.kv_blocks,
             model.max_batch);
  fmt::print("expert servers  {} to {}, {} warm, {} slots each, {}\n", model.expert_servers.min, model.expert_servers.max,
             model.expert_servers.warm, model.expert_servers.slots_per_server, pace_text(model.expert_servers.pace_rows_per_s));
  const config::ExpertScalingConfig& scaling = model.scaling;
  const std::string capacity = scaling.replica_capacity_rows_per_s > 0 ? fmt::format("{:.0f} rows/s", scaling.replica_capacity_rows_per_s)
                                                                       : std::string("measured at start");
  fmt::print(
      "scaling         replicas double over {:.2f} and halve under {:.2f} of a replica's capacity ({}), {} to {}, cool-down {:.1f} s\n",
      scaling.high, scaling.low, capacity, scaling.min_replicas, scaling.max_replicas, scaling.cooldown_s);
  for (const config::ExpertGroupConfig& group : model.groups)
    fmt::print("group {:<9} {} expert(s), security {}\n", group.name, group.slots.size(), group.security);
  return {};
}

std::string engine_of(const config::PoolEntry& entry, const scaling::PoolConfig& pool) {
  const config::PoolLaunchConfig& launch = entry.launch;
  if (launch.backend == "webhook") return "run by another orchestrator";
  if (!launch.command.empty()) return launch.command.front();
  if (pool.role == PoolRole::kGateway) return "flexpert gateway";
  return launch.model + (launch.pace.empty() ? "" : ", paced by " + launch.pace);
}

/// Prints what `planner:` and `pools:` mean, and looks whether what pools start from is there.
Result<void> describe_pools(const config::PoolsConfig& pools) {
  const std::string budget =
      pools.planner.gpu_budget ? fmt::format("at most {} GPUs", *pools.planner.gpu_budget) : std::string("no GPU budget");
  fmt::print("planner         every {} s, {}\n", pools.planner.interval_s, budget);
  for (std::size_t i = 0; i < pools.planner.pools.size(); ++i) {
    const scaling::PoolConfig& pool = pools.planner.pools[i];
    const config::PoolEntry& entry = pools.entries[i];
    std::string policies;
    for (const scaling::PolicyConfig& policy : pool.policies) policies += (policies.empty() ? "" : ", ") + policy.name;
    fmt::print("pool {:<10} {}, {} to {} instances of {} GPU(s), {}; {}; figures: {}\n", pool.id, name_of(pool.role), pool.limits.min,
               pool.limits.max, pool.gpus_per_instance, engine_of(entry, pool), policies, entry.sensors.source);
    const std::string where = fmt::format("pools[{}].launch", i);
    if (!entry.launch.model.empty())
      if (const auto checkpoint = engine::Checkpoint::open(entry.launch.model); !checkpoint)
        return fail(checkpoint.error().with_context(where + ".model"));
    if (!entry.launch.pace.empty())
      if (const auto pace = engine::read_pace_profile(entry.launch.pace); !pace) return fail(pace.error().with_context(where + ".pace"));
  }
  for (const config::ShadowConfig& shadow : pools.shadows) fmt::print("shadow          {}\n", shadow.name);
  return {};
}

/// Prints who may come in, and what they may do.
void describe_access(const config::FleetConfig& config) {
  const config::AccessConfig& access = config.access;
  std::string callers;
  const auto add = [&callers](const std::string& text) { callers += (callers.empty() ? "" : ", ") + text; };
  if (!access.keys_file.empty()) add("API keys of " + access.keys_file);
  if (!access.keys_yaml.empty()) add("API keys of " + access.keys_yaml);
  for (const config::JwtIssuerConfig& issuer : access.jwt) add("tokens of " + issuer.issuer);
  if (!config.tokens.empty()) add(fmt::format("{} access token(s) on /route", config.tokens.size()));
  if (access.anonymous) add("anybody");
  fmt::print("callers         {}\n",
             callers.empty() ? "nobody: name access.keys_file or access.jwt, or say access.anonymous: true" : callers);
  const std::string source = !access.policy_file.empty() ? access.policy_file + ": " : "";
  fmt::print("policy          {}{} role(s), {} tenant(s), {} expert group(s)\n", source, access.rules.roles.size() - config.tokens.size(),
             access.rules.tenants.size(), access.rules.groups.size());
}

}  // namespace

int run_check(const CheckOptions& options) {
  const auto config = config::load_file(options.config);
  if (!config) {
    // The one message of several lines: an editor can step through FILE:LINE.
    fmt::print(stderr, "{}\n", config.error().message);
    return kExitFailure;
  }
  fmt::print("gateway         {}\n", config->gateway.listen);
  for (const config::UpstreamConfig& upstream : config->upstreams) fmt::print("upstream        {} at {}\n", upstream.name, upstream.url);
  if (config->model || config->pools)
    fmt::print("controller      {}{}\n", config->controller.listen, config->controller.dry_run ? " (dry-run)" : "");
  if (config->model) {
    if (auto described = describe_model(*config->model, config->access.rules); !described)
      return fail_with("check", described.error().with_context(options.config));
  }
  if (config->pools) {
    if (auto described = describe_pools(*config->pools); !described)
      return fail_with("check", described.error().with_context(options.config));
  }
  describe_access(*config);
  fmt::print("{}: good\n", options.config);
  return kExitOk;
}

}  // namespace flexpert::app
