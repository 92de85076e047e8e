#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "crypto/secret_file.h"
#include "engine/serve/model_server.h"
#include "flexpert/commands.h"
#include "flexpert/drain_on_signal.h"
#include "flexpert/exit_codes.h"
#include "flexpert/log_setup.h"

namespace flexpert::app {

namespace {

constexpr Duration kDrainDeadline = Seconds(10);

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> items;
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    if (end > at) items.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return items;
}

/// Takes what SGLang's flags say of placement and recording.
Result<void> read_placement(const ServeOptions& options, engine::ModelServerOptions& out) {
  out.eplb.servers = split(options.expert_servers);
  out.eplb.init_location = options.init_expert_location;
  out.eplb.redundant_experts = options.redundant_experts;
  out.eplb.rebalance = options.enable_eplb;
  FLEXPERT_ASSIGN(out.eplb.algorithm, engine::parse_eplb_algorithm(options.eplb_algorithm));
  out.eplb.interval_steps = options.eplb_iterations;
  out.eplb.least_utilisation = options.eplb_threshold;
  auto dispatch = placement::parse_dispatch_policy(options.dispatch);
  if (!dispatch) return fail(dispatch.error().with_context("--ep-dispatch-algorithm"));
  out.dispatch = *dispatch;
  auto mode = placement::parse_recorder_mode(options.recorder_mode);
  if (!mode) return fail(mode.error().with_context("--expert-distribution-recorder-mode"));
  out.recorder.mode = *mode;
  out.recorder.buffer_steps = options.recorder_buffer;
  out.recording_folder = options.recorder_folder;
  return {};
}

Result<void> serve_model(const ServeOptions& options) {
  FLEXPERT_ASSIGN(const net::Address address, net::Address::parse(options.listen));
  const SystemClock clock;
  net::EventLoop loop;
  std::unique_ptr<engine::ModelServer> server;
  const DrainOnSignal on_signal(loop, [&] { server->drain(kDrainDeadline, [&loop] { loop.stop(); }); });
  engine::ModelServerOptions server_options;
  server_options.model_folder = options.model;
  server_options.served_name = options.name;
  server_options.pack_path = options.pack;
  server_options.pace_profile = options.pace;
  server_options.engine.threads = options.threads;
  server_options.engine.kv_blocks = options.kv_blocks;
  server_options.engine.max_kv_blocks = options.max_kv_blocks;
  server_options.engine.max_batch = options.max_batch;
  FLEXPERT_TRY(read_placement(options, server_options));
  if (!options.internal_secret_file.empty()) {
    FLEXPERT_ASSIGN(server_options.internal_secret, crypto::read_secret_file(options.internal_secret_file));
  }
  FLEXPERT_ASSIGN(server, engine::ModelServer::create(loop, std::move(server_options), clock));
  FLEXPERT_ASSIGN(const net::Address bound, server->listen(address));
  fmt::print("{} listening on {}{}\n", server->served_name(), bound.to_string(), options.pace.empty() ? "" : ", paced");
  std::fflush(stdout);
  loop.run();
  return {};
}

}  // namespace

int run_serve(const ServeOptions& options) {
  configure_log(options.log_level, options.name.empty() ? "serve" : options.name);
  if (auto served = serve_model(options); !served) return fail_with("serve", served.error());
  return kExitOk;
}

}  // namespace flexpert::app
