#include <cstdio>

#include <fmt/format.h>

#include "engine/serve/model_server.h"
#include "flexpert/commands.h"
#include "flexpert/drain_on_signal.h"
#include "flexpert/exit_codes.h"
#include "flexpert/log_setup.h"

namespace flexpert::app {

namespace {

constexpr Duration kDrainDeadline = Seconds(10);

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
  server_options.engine.max_batch = options.max_batch;
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
