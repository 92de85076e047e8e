#include <cstdio>

#include <fmt/format.h>

#include "engine/expert/expert_server.h"
#include "flexpert/commands.h"
#include "flexpert/drain_on_signal.h"
#include "flexpert/exit_codes.h"
#include "flexpert/log_setup.h"

namespace flexpert::app {

namespace {

constexpr Duration kDrainDeadline = Seconds(10);

Result<void> serve_experts(const ExpertOptions& options) {
  FLEXPERT_ASSIGN(const net::Address address, net::Address::parse(options.listen));
  const SystemClock clock;
  telemetry::Registry metrics;
  net::EventLoop loop;
  std::unique_ptr<engine::ExpertServer> server;
  const DrainOnSignal on_signal(loop, [&] {
    server->drain(kDrainDeadline, [&loop] { loop.stop(); });
  });
  FLEXPERT_ASSIGN(const auto pack, engine::PackFile::open(options.pack));
  FLEXPERT_ASSIGN(server, engine::ExpertServer::start(loop, pack,
                                                      {.listen = address,
                                                       .instance = InstanceId{options.id},
                                                       .threads = options.threads,
                                                       .pace_rows_per_s = options.pace_rows_per_s},
                                                      metrics, clock));
  fmt::print("{} listening on {}{}\n", options.id, server->address().to_string(),
             options.pace_rows_per_s > 0 ? fmt::format(", paced at {:.0f} rows/s", options.pace_rows_per_s) : std::string());
  std::fflush(stdout);
  loop.run();
  return {};
}

}  // namespace

int run_expert(const ExpertOptions& options) {
  configure_log(options.log_level, options.id);
  if (auto served = serve_experts(options); !served) return fail_with("expert", served.error());
  return kExitOk;
}

}  // namespace flexpert::app
