#include "gateway/gateway.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

#include "base/log.h"
#include "codec/json_text.h"
#include "codec/openai_paths.h"
#include "gateway/fleet_follower.h"
#include "gateway/gateway_metrics.h"
#include "gateway/health_checker.h"
#include "gateway/load_report.h"
#include "gateway/load_report_sender.h"
#include "gateway/relay.h"
#include "gateway/route_handler.h"
#include "gateway/server_directory.h"
#include "http/server.h"

namespace flexpert::gateway {
namespace {

/// The gateway's own paths: metrics are labelled by these and never by a client's text.
constexpr std::pair<std::string_view, std::string_view> kEndpoints[] = {
    {"/v1/chat/completions", "POST"}, {"/v1/completions", "POST"}, {"/v1/models", "GET"}, {codec::kOneModelPath, "GET"},
    {"/route", "POST"},               {"/health", "GET"},          {"/ready", "GET"},     {"/metrics", "GET"},
};

/// How long a replica among several keeps idle connections when it drains.
constexpr Duration kDrainLinger = Seconds(2);

/// Tells gateways apart that listen on the same address, on one machine or on several.
std::string gateway_name(std::string_view address) {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  return fmt::format("{}@{}/{}", address, static_cast<const char*>(host), ::getpid());
}

}  // namespace

struct Gateway::Impl {
  Impl(net::EventLoop& the_loop, const config::FleetConfig& the_config, telemetry::Registry& the_registry, const Clock& the_clock,
       GatewayTimings timings)
      : loop(the_loop),
        config(the_config),
        registry(the_registry),
        clock(the_clock),
        metrics(the_registry),
        load(the_registry, the_clock, gateway_name(the_config.gateway.listen)),
        relay(the_loop, the_clock, directory, metrics, load,
              {.upstream_timeout = from_seconds(the_config.gateway.upstream_timeout_s),
               .recovery_wait = timings.recovery_wait,
               .hold = from_seconds(the_config.gateway.hold_s)}),
        routes(the_loop, the_clock, config, directory, metrics, {.expert_timeout = timings.expert_timeout}),
        health(the_loop, from_seconds(the_config.gateway.health_interval_s), directory, metrics),
        started_unix_s(the_clock.unix_ms() / 1000),
        server(the_loop, {.max_body_bytes = static_cast<std::size_t>(the_config.gateway.max_body_bytes)},
               [this](http::Request request, http::Responder responder) { handle(std::move(request), std::move(responder)); }) {
    directory.on_change([this] { changed(); });
    relay.on_lost([this](const std::string& id) { health.check_now(id); });
  }

  /// A change may wake waiting requests; not from inside whatever changed the directory.
  void changed() {
    if (change_timer != 0) return;
    change_timer = loop.call_after(Duration(0), [this] {
      change_timer = 0;
      relay.servers_changed();
    });
  }

  ~Impl() { loop.cancel(change_timer); }

  /// The first address that it listens on names it in reports.
  void named_by(const net::Address& address) {
    if (!std::exchange(named, true)) load.rename(gateway_name(address.to_string()));
  }

  void handle(http::Request request, http::Responder responder) {
    const auto one_model = codec::model_of_path(request.path());
    const std::string path(one_model ? codec::kOneModelPath : request.path());
    const auto* endpoint = std::find_if(std::begin(kEndpoints), std::end(kEndpoints), [&](const auto& known) { return known.first == path; });
    const bool known = endpoint != std::end(kEndpoints);
    auto answer = std::make_unique<Answer>(std::move(responder), metrics, known ? path : "other");
    if (!known)
      return answer->respond(http::openai_error(404, fmt::format("No such path: {}", path.substr(0, 200)), "invalid_request_error", {}, "unknown_url"));
    if (request.method != endpoint->second && !(endpoint->second == "GET" && request.method == "HEAD")) {
      http::Response response = http::openai_error(405, fmt::format("{} takes {} only", path, endpoint->second), "invalid_request_error", {},
                                                   "method_not_allowed");
      response.headers.set("Allow", std::string(endpoint->second));
      return answer->respond(std::move(response));
    }
    if (path == "/route") return routes.handle(request, std::move(answer));
    if (path == "/v1/models") return answer->respond(http::json_response(200, models()));
    if (one_model) return answer->respond(model(*one_model));
    if (path == "/health") return answer->respond(http::json_response(200, "{\"status\":\"ok\"}"));
    if (path == "/ready") return answer->respond(ready_response());
    if (path == "/metrics") {
      metrics.set_connections(server.open_connections());
      http::Response response{200, {}, registry.text()};
      response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
      return answer->respond(std::move(response));
    }
    relay.handle(std::move(request), std::move(answer));
  }

  [[nodiscard]] std::string models() const {
    std::string body = "{\"object\":\"list\",\"data\":[";
    bool first = true;
    for (const std::string& name : directory.models()) {
      if (!first) body += ',';
      first = false;
      append_model(body, name);
    }
    return body + "]}";
  }

  [[nodiscard]] http::Response model(const std::string& name) const {
    const std::vector<std::string> names = directory.models();
    if (std::find(names.begin(), names.end(), name) == names.end()) return unknown_model(name);
    std::string body;
    append_model(body, name);
    return http::json_response(200, std::move(body));
  }

  void append_model(std::string& body, const std::string& name) const {
    body += "{\"id\":";
    codec::append_json_string(body, name);
    body += fmt::format(",\"object\":\"model\",\"created\":{},\"owned_by\":\"flexpert\"}}", started_unix_s);
  }

  [[nodiscard]] http::Response ready_response() const {
    if (draining) return unavailable("The gateway is draining", "draining", 1);
    if (!directory.any_ready(clock.now())) return unavailable("No model server is ready", "no_server_ready", 1);
    return http::json_response(200, "{\"status\":\"ready\"}");
  }

  void took_snapshot(std::shared_ptr<const FleetSnapshot> snapshot) {
    for (const auto& [id, known] : directory.servers())
      if (known.of_fleet) metrics.forget_upstream(id);
    directory.apply(*snapshot);
    for (const auto& [id, known] : directory.servers())
      if (known.of_fleet) metrics.set_upstream_ready(id, known.ready);
    routes.apply(std::move(snapshot));
  }

  net::EventLoop& loop;
  const config::FleetConfig config;
  telemetry::Registry& registry;
  const Clock& clock;
  GatewayMetrics metrics;
  ServerDirectory directory;
  LoadReport load;
  Relay relay;
  RouteHandler routes;
  HealthChecker health;
  std::optional<FleetFollower> follower;
  std::optional<LoadReportSender> reports;
  std::int64_t started_unix_s;
  net::TimerId change_timer = 0;
  bool draining = false;
  bool named = false;  ///< after the first address
  bool shares_socket = false;
  http::Server server;  // last: no request arrives at what is already gone
};

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::~Gateway() = default;

Result<std::unique_ptr<Gateway>> Gateway::create(net::EventLoop& loop, const config::FleetConfig& config, telemetry::Registry& registry,
                                                 const Clock& clock, GatewayTimings timings) {
  auto impl = std::make_unique<Impl>(loop, config, registry, clock, timings);
  for (const config::UpstreamConfig& upstream : config.upstreams) FLEXPERT_TRY(impl->health.add(upstream));
  if (!config.gateway.controller.empty()) {
    FLEXPERT_ASSIGN(net::Address controller, net::Address::parse(config.gateway.controller));
    impl->directory.expect_fleet(config.model ? std::optional(config.model->name) : std::nullopt);
    Impl* self = impl.get();
    self->reports.emplace(loop, controller, timings.report_period, [self] { return self->load.report(self->server.open_connections()); });
    self->load.on_demand([self] { self->reports->hurry(); });
    self->follower.emplace(
        loop, std::move(controller), [self](std::shared_ptr<const FleetSnapshot> snapshot) { self->took_snapshot(std::move(snapshot)); },
        [self](bool connected) { self->metrics.set_controller_connected(connected); });
  }
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Result<net::Address> Gateway::listen(const net::Address& address) {
  FLEXPERT_ASSIGN(net::Address bound, impl_->server.listen(address));
  impl_->named_by(bound);
  return bound;
}

Result<net::Address> Gateway::listen_on(net::UniqueFd listening) {
  impl_->shares_socket = true;
  FLEXPERT_ASSIGN(net::Address bound, impl_->server.listen_on(std::move(listening)));
  impl_->named_by(bound);
  return bound;
}

Result<net::Address> Gateway::listen() {
  FLEXPERT_ASSIGN(const net::Address address, net::Address::parse(impl_->config.gateway.listen));
  return listen(address);
}

void Gateway::drain(Duration deadline, std::move_only_function<void()> done) {
  impl_->draining = true;
  if (impl_->follower) impl_->follower->expect_end();
  impl_->load.leave();
  if (impl_->reports) {
    impl_->reports->expect_end();
    impl_->reports->hurry();
  }
  // Other gateways go on: clients with a kept connection are to find their way there without a failure.
  impl_->server.drain(deadline, std::move(done), impl_->shares_socket ? kDrainLinger : Duration::zero());
}

std::uint64_t Gateway::load() const { return impl_->directory.load().total() + impl_->routes.in_flight(); }

bool Gateway::ready() const { return !impl_->draining && impl_->directory.any_ready(impl_->clock.now()); }

}  // namespace flexpert::gateway
