#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/gateway_options.h"
#include "config/pools_config.h"
#include "fleet/expert_slot.h"

namespace flexpert::config {

/// The `gateway:` section.
struct GatewayConfig {
  std::string listen = "127.0.0.1:9000";
  std::uint64_t max_body_bytes = 4 * 1024 * 1024;
  double health_interval_s = 2;
  double upstream_timeout_s = 600;
  double hold_s = 120;     ///< longest wait of a request for a first instance of a pool that is scaled from zero
  std::string controller;  ///< address of a controller to follow ("HOST:PORT" or "unix:PATH"); `up` fills it in
  ListenersConfig listeners;
  EdgeLimitsConfig edge;
  AdmissionConfig admission;
  CacheConfig cache;
  RoutingConfig routing;
  std::vector<ModelRoutingConfig> routing_models;
  GatewayLogConfig log;
};

/// One entry of `upstreams:`: an OpenAI-compatible server that we do not run.
struct UpstreamConfig {
  std::string name;                 ///< default: host:port
  std::string url;                  ///< http://HOST:PORT or https://HOST:PORT
  std::vector<std::string> models;  ///< empty: asked with GET /v1/models
  std::string health_path = "/health";
  std::string ca_file;              ///< with https: PEM certificates to trust instead of the system's
  std::string api_key_file;         ///< its text goes there as `Authorization: Bearer`; a client's credential never does
  bool flexpert = false;            ///< one of our model servers: gets the signed grant and masks experts
  double weight = 1;                ///< relative speed
  std::uint64_t capacity_tokens = 0;///< in flight and queued that it takes well; 0 = gateway.routing.capacity_tokens
  double cost = 1;                  ///< of a token there
};

/// A configured group of experts that `/route` knows by name.
struct ExpertGroupConfig {
  std::string name;
  std::string security = "standard";  ///< standard | high; high needs a token that names the group
  double cost = 1;                    ///< what a row through it costs, for load and limits
  std::vector<ExpertSlot> slots;
};

/// One entry of `access.tokens:`.
struct AccessTokenConfig {
  std::string name;
  std::string sha256;               ///< 64 hex digits over the token's bytes; the token itself is never in a file
  std::vector<std::string> groups;  ///< the groups of high security that it opens
};

struct ExpertServersConfig {
  std::uint32_t min = 2;
  std::uint32_t max = 6;
  std::uint32_t warm = 1;                ///< started, mapped and idle
  std::uint32_t slots_per_server = 128;  ///< expert replicas that one server may hold
  std::uint32_t threads = 1;
  double pace_rows_per_s = 0;            ///< 0 = raw speed; else each stands for an accelerator of this speed
};

struct ExpertScalingConfig {
  double replica_capacity_rows_per_s = 0;  ///< 0 = measured at start
  double high = 0.8;
  double low = 0.2;
  std::uint32_t min_replicas = 1;
  std::uint32_t max_replicas = 8;
  std::uint32_t window_tokens = 2048;      ///< routed tokens that a window holds at least
  double smoothing = 0.5;                  ///< weight of the newest window, (0, 1]
  double cooldown_s = 5;                   ///< per expert, between two changes
  double interval_s = 1;                   ///< between two decision cycles
  double forecast_horizon_s = 300;         ///< how far ahead each expert's load is forecast; 0 = not at all
  double forecast_high = 0.7;              ///< forecast over this share of capacity: more replicas now
  double forecast_low = 0.3;               ///< forecast and measured under it: fewer
};

/// The `model.placement:` section: when replicas move for balance alone, and how far.
struct PlacementConfig {
  double rebalance_interval_s = 30;      ///< between two looks at the balance; 0 = only on drift and when asked
  double threshold = 0.9;                ///< balancedness at or over which nothing is moved; 0 = never
  double drift = 0.1;                    ///< a measured balancedness so far below the expected one is looked at early; 0 = never
  double least_gain = 0.02;              ///< of balancedness, below which nothing is moved
  std::uint32_t max_moves = 64;          ///< replicas that one rebalance moves
  std::uint32_t window_tokens = 2048;    ///< routed tokens of a window of loads
  double smoothing = 0.5;                ///< weight of the newest window, (0, 1]
  std::string cost = "none";             ///< none | deepseek_v3_decode | deepseek_v3_prefill: step cost that a change must earn back
  double link_bytes_per_s = 0;           ///< what moved weights travel at, for `cost`; 0 = moves are free
  std::string dispatch = "least_loaded"; ///< how model servers choose among an expert's replicas
};

/// The `model:` section: a model that we run.
struct ModelConfig {
  std::string name;  ///< default: the folder's name
  std::string path;
  std::string pack;  ///< default: in the runtime folder
  std::uint32_t servers = 1;
  std::uint32_t threads = 1;
  std::uint32_t kv_blocks = 1024;
  std::uint32_t max_batch = 32;
  ExpertServersConfig expert_servers;
  ExpertScalingConfig scaling;
  PlacementConfig placement;
  std::vector<ExpertGroupConfig> groups;
};

struct ControllerConfig {
  std::string listen = "127.0.0.1:9001";
  std::string journal = "flexpert.db";  ///< relative to the runtime folder
  bool dry_run = false;
};

/// One YAML file, checked: what `flexpert up` and `flexpert gateway` run from.
struct FleetConfig {
  GatewayConfig gateway;
  ControllerConfig controller;
  std::optional<ModelConfig> model;
  std::optional<PoolsConfig> pools;  ///< pools of model servers that the planner scales
  std::vector<UpstreamConfig> upstreams;
  AccessConfig access;
  std::vector<AccessTokenConfig> tokens;
  std::vector<std::string> default_route_groups{"A", "B"};  ///< when /route names none
  std::string runtime_dir;                                  ///< default: a new folder under $XDG_RUNTIME_DIR or /tmp
  double shutdown_deadline_s = 15;
};

/// Reads and checks a file. An error says FILE:LINE: field: what is wrong and what is allowed; unknown keys are errors
/// that name the nearest known one.
Result<FleetConfig> load_file(const std::string& path);
/// The same from text; `source` stands for the file's name in messages.
Result<FleetConfig> parse(const std::string& text, const std::string& source);

}  // namespace flexpert::config
