#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include "engine/expert/expert_server.h"
#include "flexpert/commands.h"
#include "flexpert/drain_on_signal.h"
#include "flexpert/exit_codes.h"
#include "flexpert/log_setup.h"
#include "http/server.h"

namespace flexpert::app {

namespace {

constexpr Duration kDrainDeadline = Seconds(10);

void answer(const http::Request& request, http::Responder& responder, telemetry::Registry& metrics) {
  if (request.path() == "/health") return responder.respond(http::json_response(200, R"({"status":"ok"})"));
  if (request.path() != "/metrics")
    return responder.respond(http::openai_error(404, "Only /metrics and /health are here.", "invalid_request_error", {}, "unknown_url"));
  http::Response response{.status = 200, .headers = {}, .body = metrics.text()};
  response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  responder.respond(std::move(response));
}

Result<void> serve_experts(const ExpertOptions& options) {
  FLEXPERT_ASSIGN(const net::Address address, net::Address::parse(options.listen));
  std::optional<net::Address> metrics_address;
  if (!options.metrics.empty()) {
    FLEXPERT_ASSIGN(metrics_address, net::Address::parse(options.metrics));
  }
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
  http::Server metrics_server(loop, {}, [&metrics](const http::Request& request, http::Responder responder) { answer(request, responder, metrics); });
  std::string metrics_text;
  if (metrics_address) {
    FLEXPERT_ASSIGN(const net::Address bound, metrics_server.listen(*metrics_address));
    metrics_text = fmt::format(", metrics on {}", bound.to_string());
  }
  fmt::print("{} listening on {}{}{}\n", options.id, server->address().to_string(),
             options.pace_rows_per_s > 0 ? fmt::format(", paced at {:.0f} rows/s", options.pace_rows_per_s) : std::string(), metrics_text);
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
