#include <cstdio>

#include <fmt/format.h>

#include "config/fleet_config.h"
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
Result<void> describe_model(const config::ModelConfig& model) {
  FLEXPERT_ASSIGN(const auto checkpoint, engine::Checkpoint::open(model.path));
  const engine::ModelConfig& shape = checkpoint->config();
  FLEXPERT_TRY(check_against_checkpoint(model, *checkpoint));
  fmt::print("model           {} ({}): {} layers of {} experts, {} chosen per token\n", model.name, shape.architecture, shape.num_layers,
             shape.num_experts, shape.experts_per_token);
  fmt::print("model servers   {}, {} thread(s), {} KV blocks, batches of up to {}\n", model.servers, model.threads, model.kv_blocks, model.max_batch);
  fmt::print("expert servers  {} to {}, {} warm, {} slots each, {}\n", model.expert_servers.min, model.expert_servers.max, model.expert_servers.warm,
             model.expert_servers.slots_per_server, pace_text(model.expert_servers.pace_rows_per_s));
  const config::ExpertScalingConfig& scaling = model.scaling;
  const std::string capacity = scaling.replica_capacity_rows_per_s > 0 ? fmt::format("{:.0f} rows/s", scaling.replica_capacity_rows_per_s)
                                                                       : std::string("measured at start");
  fmt::print("scaling         replicas double over {:.2f} and halve under {:.2f} of a replica's capacity ({}), {} to {}, cool-down {:.1f} s\n",
             scaling.high, scaling.low, capacity, scaling.min_replicas, scaling.max_replicas, scaling.cooldown_s);
  for (const config::ExpertGroupConfig& group : model.groups)
    fmt::print("group {:<9} {} expert(s), security {}\n", group.name, group.slots.size(), group.security);
  return {};
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
  if (config->model) {
    fmt::print("controller      {}{}\n", config->controller.listen, config->controller.dry_run ? " (dry-run)" : "");
    if (auto described = describe_model(*config->model); !described)
      return fail_with("check", described.error().with_context(options.config));
  }
  fmt::print("access tokens   {}\n", config->tokens.size());
  fmt::print("{}: good\n", options.config);
  return kExitOk;
}

}  // namespace flexpert::app
