#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "flexpert/place_options.h"

/// What each subcommand was asked to do: filled by command_line.cc, read by the file of the subcommand's name.
namespace flexpert::app {

struct ServeOptions {
  std::string model;            ///< checkpoint folder
  std::string pack;             ///< empty: made in the cache folder
  std::string listen = "127.0.0.1:8000";
  std::string name;             ///< empty: the folder's name
  std::uint32_t threads = 1;
  std::uint32_t kv_blocks = 1024;
  std::uint32_t max_kv_blocks = 0;
  std::uint32_t max_batch = 32;
  std::string pace;             ///< step-time profile (JSON); empty = raw speed
  std::string expert_servers;   ///< addresses with commas between; empty: a controller places the experts
  bool enable_eplb = false;
  std::string eplb_algorithm = "auto";
  std::uint32_t eplb_iterations = 1000;
  double eplb_threshold = 1.0;
  std::string init_expert_location = "trivial";
  std::uint32_t redundant_experts = 0;
  std::string dispatch = "least_loaded";
  std::string recorder_mode = "stat";
  std::uint32_t recorder_buffer = 1000;
  std::string recorder_folder;  ///< where dumps are written; empty: nowhere
  std::string internal_secret_file;  ///< shared with the gateways; empty: requests need no grant
  std::string log_level = "info";
};

struct ExpertOptions {
  std::string pack;
  std::string listen;
  std::string metrics;          ///< where /metrics and /health are served over HTTP; empty: nowhere
  std::string id = "expert";
  std::uint32_t threads = 1;
  double pace_rows_per_s = 0;   ///< 0 = raw speed
  std::string log_level = "info";
};

struct PackOptions {
  std::string model;
  std::string output;
  bool verify = false;          ///< with `model`: after writing; without: of the file `output`
};

struct GatewayOptions {
  std::string config;
  std::uint32_t listen_fd = 0;  ///< a listening socket that the parent shares; 0: none
  std::string also_listen;      ///< a further address; empty: none
  std::string internal_secret_file;  ///< instead of access.internal_secret_file; empty: that
  std::string metrics_listen;   ///< instead of gateway.metrics_listen; empty: that
  std::string controller;       ///< instead of gateway.controller; empty: that
  double drain_deadline_s = 0;  ///< instead of shutdown_deadline_s; 0: that
  std::string log_level = "info";
};

struct ControllerOptions {
  std::string config;
  bool dry_run = false;
  bool no_wait = false;         ///< fail if another controller leads the fleet, instead of waiting for its end
  std::string log_level = "info";
};

struct UpOptions {
  std::string config;
  bool dry_run = false;
  std::string log_level = "warn";
};

struct StatusOptions {
  std::string address;          ///< of the controller; empty: from `config`, or through the runtime folder of a running `up`
  std::string config;
  bool json = false;
};

struct LoadOptions {
  std::string url = "http://127.0.0.1:9000";
  std::string model;            ///< empty: the first of GET /v1/models
  std::string phases;           ///< JSON file; empty: one phase of the four options below
  std::vector<std::string> prompts;  ///< prompt set files
  double rate = 1;
  double duration_s = 10;
  std::uint32_t max_tokens = 64;
  double temperature = 0.7;
  std::uint64_t seed = 1;
  std::uint32_t concurrency = 256;
  double timeout_s = 120;       ///< for one request
  std::string json;             ///< file for the figures; "-" = stdout
};

struct DemoOptions {
  std::string config;
  std::string json;
  bool keep = false;
  bool fast = false;
  std::uint64_t seed = 1;
};

struct CheckOptions {
  std::string config;
};

enum class Command { kServe, kExpert, kPack, kGateway, kController, kUp, kStatus, kLoad, kDemo, kCheck, kPlace, kVersion, kDescribed };

/// The whole command line; only the member of `command` counts.
struct CommandLine {
  Command command = Command::kVersion;
  ServeOptions serve;
  ExpertOptions expert;
  PackOptions pack;
  GatewayOptions gateway;
  ControllerOptions controller;
  UpOptions up;
  StatusOptions status;
  LoadOptions load;
  DemoOptions demo;
  CheckOptions check;
  PlaceOptions place;
  std::function<int()> run;  ///< of a described command, with its options
};

}  // namespace flexpert::app
