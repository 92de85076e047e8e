#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scaling/pool_config.h"

namespace flexpert::config {

/// How an instance of a pool is run.
struct PoolLaunchConfig {
  std::string backend = "local";        ///< local: child processes | webhook: somebody else's orchestrator
  std::string model;                    ///< folder of a checkpoint: instances are `flexpert serve`
  std::string name;                     ///< the `model` that requests name; default: the folder's name
  std::vector<std::string> command;     ///< another engine instead of `model`: argv; {address} and {port} are filled in
  std::vector<std::string> environment; ///< NAME=value
  std::string ready_path = "/ready";    ///< `command`: GET it until 200
  std::string pace;                     ///< step-time profile: instances emulate an accelerator; empty: raw speed
  std::uint32_t threads = 1;
  std::uint32_t kv_blocks = 1024;
  std::uint32_t max_batch = 32;
  double ready_timeout_s = 300;
  double drain_deadline_s = 120;        ///< what is still running then is cut off
};

/// Where a pool's figures come from.
struct PoolSensorConfig {
  std::string source = "gateway";                ///< gateway: what gateways report | direct: scraped from instances | prometheus
  std::string engine = "flexpert";               ///< direct and prometheus: whose metric names: flexpert | vllm | sglang | llamacpp | dynamo
  std::map<std::string, std::string> names;      ///< direct: one of our names -> the engine's, over those of `engine`
  std::map<std::string, std::string> queries;    ///< prometheus: one of our names, or one that a policy asks for -> PromQL;
                                                 ///< over those that `engine` gives
  std::string selector;                          ///< prometheus: label matchers put into the engine's own queries
};

struct PrometheusConfig {
  std::string url;                      ///< http(s)://HOST:PORT[/PREFIX]; empty: none
  double timeout_s = 5;
  std::string bearer_token_file;
};

struct WebhookConfig {
  std::string url;                      ///< gets the desired state
  std::string secret_file;              ///< HMAC-SHA256 key of both directions
  double timeout_s = 10;
};

struct PoolEntry {
  PoolLaunchConfig launch;
  PoolSensorConfig sensors;
};

/// Another way to plan, run beside the live one on the same snapshots and scored, never carried out.
struct ShadowConfig {
  std::string name;
  std::map<std::string, std::vector<scaling::PolicyConfig>> policies;  ///< pool -> its policies in this shadow
};

/// The `planner:` and `pools:` sections.
struct PoolsConfig {
  scaling::PlannerConfig planner;
  std::vector<PoolEntry> entries;       ///< one for each of planner.pools, in its order
  PrometheusConfig prometheus;
  WebhookConfig webhook;
  std::vector<ShadowConfig> shadows;
};

}  // namespace flexpert::config
