#include "gateway/gateway.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/secret_file.h"
#include "gateway/access_watch.h"
#include "gateway/admin_api.h"
#include "gateway/admission_control.h"
#include "gateway/authenticator.h"
#include "gateway/engine_registration.h"
#include "gateway/fleet_follower.h"
#include "gateway/gateway_metrics.h"
#include "gateway/grant_signer.h"
#include "gateway/health_checker.h"
#include "gateway/load_report.h"
#include "gateway/load_report_sender.h"
#include "gateway/loop_clock.h"
#include "gateway/probe_listener.h"
#include "gateway/relay.h"
#include "gateway/route_handler.h"
#include "gateway/server_directory.h"
#include "gateway/tls_setup.h"
#include "gateway/trace_export.h"
#include "http/inbound.h"
#include "http/outbound.h"
#include "net/socket.h"
#include "telemetry/request_log.h"

namespace flexpert::gateway {
namespace {

/// How long a replica among several keeps idle connections when it drains.
constexpr Duration kDrainLinger = Seconds(2);
/// Between two looks at what the servers take, and two flushes of the access log.
constexpr Duration kTick = Milliseconds(250);
constexpr int kTicksPerFlush = 4;

/// Tells gateways apart that listen on the same address, on one machine or on several.
std::string gateway_name(std::string_view address) {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  return fmt::format("{}@{}/{}", address, static_cast<const char*>(host), ::getpid());
}

http::InboundLimits inbound_limits(const config::GatewayConfig& config) {
  const config::EdgeLimitsConfig& edge = config.edge;
  return {.max_head_bytes = static_cast<std::size_t>(edge.max_head_bytes),
          .max_body_bytes = static_cast<std::size_t>(config.max_body_bytes),
          .head_timeout = from_seconds(edge.head_timeout_s),
          .body_idle_timeout = from_seconds(edge.body_idle_timeout_s),
          .min_body_bytes_per_s = edge.min_body_bytes_per_s,
          .idle_timeout = from_seconds(edge.idle_timeout_s),
          .max_connections = edge.max_connections,
          .max_connections_per_peer = edge.max_connections_per_peer,
          .write_timeout = from_seconds(edge.write_timeout_s)};
}

http::OutboundOptions outbound_options(const config::GatewayConfig& config) {
  const Duration timeout = from_seconds(config.upstream_timeout_s);
  return {.head_timeout = timeout, .idle_timeout = timeout};
}

RelayOptions relay_options(const config::GatewayConfig& config, const GatewayTimings& timings) {
  return {.recovery_wait = timings.recovery_wait,
          .hold = from_seconds(config.hold_s),
          .heartbeat = from_seconds(config.edge.heartbeat_s),
          .default_max_tokens = config.admission.default_max_tokens};
}

}  // namespace

/// What can fail to come about, made before the rest.
struct GatewayParts {
  std::unique_ptr<LoopClock> clock;
  std::shared_ptr<crypto::TlsServer> tls;  ///< of the API's TCP listeners; null: they speak plain HTTP
  std::unique_ptr<telemetry::AuditLog> audit_log;
  std::unique_ptr<AccessWatch> access;
  std::unique_ptr<TraceExport> traces;  ///< null: nobody collects them
  RegistrationOptions registration;
  std::unique_ptr<CredentialAuthenticator> authenticator;
  std::unique_ptr<Admission> admission;
  std::unique_ptr<GrantSigner> signer;  ///< null: there is no internal secret
  std::unique_ptr<telemetry::AccessLog> access_log;
};

struct Gateway::Impl {
  Impl(net::EventLoop& the_loop, const config::FleetConfig& the_config, telemetry::Registry& the_registry, GatewayTimings timings,
       GatewayParts the_parts)
      : loop(the_loop),
        config(the_config),
        registry(the_registry),
        parts(std::move(the_parts)),
        clock(*parts.clock),
        metrics(the_registry),
        outbound(the_loop, outbound_options(the_config.gateway)),
        load(the_registry, clock, gateway_name(the_config.gateway.listen)),
        routes(the_loop, clock, config, directory, metrics, {.expert_timeout = timings.expert_timeout, .signer = parts.signer.get(), .audit = parts.audit_log.get()}),
        caching(the_loop, clock, the_config.gateway.cache, the_registry),
        relay({.loop = the_loop,
               .clock = clock,
               .directory = directory,
               .metrics = metrics,
               .load = load,
               .routes = routes,
               .authenticator = *parts.authenticator,
               .admission = *parts.admission,
               .caching = &caching,
               .signer = parts.signer.get(),
               .traces = parts.traces.get(),
               .access_log = config.gateway.log.access.empty() ? nullptr : parts.access_log.get(),
               .audit_log = parts.audit_log.get()},
              relay_options(the_config.gateway, timings)),
        health(the_loop, clock, from_seconds(the_config.gateway.health_interval_s), directory, metrics, parts.signer.get()),
        registration(the_loop, directory, std::move(parts.registration), [this](const ModelServer& server) { return connect(server); }),
        inbound(the_loop, inbound_limits(the_config.gateway), relay) {
    directory.set_routing(config.gateway.routing, config.gateway.routing_models);
    directory.connect_with([this](const ModelServer& server) { return connect(server); });
    directory.on_change([this] { changed(); });
    relay.on_lost([this](const std::string& id) { health.check_now(id); });
    routes.apply(parts.access->snapshot().policy);
    tick(0);
  }

  ~Impl() {
    loop.cancel(change_timer);
    loop.cancel(tick_timer);
  }

  /// Nothing for a server whose authorities cannot be read: it is never spoken to without TLS instead.
  std::unique_ptr<http::OutboundUpstream> connect(const ModelServer& server) {
    auto tls = trust.of(server);
    if (tls) return outbound.connect(server.address, std::move(*tls));
    log::error("{}", tls.error().message);
    return nullptr;
  }

  /// Unix sockets are plain: who may open the file is the file system's to say.
  [[nodiscard]] std::shared_ptr<crypto::TlsServer> tls_of(const net::Address& address) const { return address.is_unix ? nullptr : parts.tls; }

  /// A change may wake waiting requests; not from inside whatever changed the directory.
  void changed() {
    if (change_timer != 0) return;
    change_timer = loop.call_after(Duration(0), [this] {
      change_timer = 0;
      look_at_capacity();
      relay.servers_changed();
    });
  }

  void look_at_capacity() {
    const ServerCapacity capacity = directory.capacity(loop.now());
    parts.admission->set_capacity(capacity.requests);
    parts.admission->set_saturation(capacity.saturation);
  }

  void tick(int count) {
    clock.sync();
    look_at_capacity();
    if (count % kTicksPerFlush == 0) parts.access_log->flush();
    tick_timer = loop.call_after(kTick, [this, count] { tick(count + 1); });
  }

  /// Keys, policy and tokens hold for every request from now on; none that is under way is touched.
  void apply(const AccessSnapshot& access) {
    routes.apply(access.policy);
    parts.authenticator->apply(access);
  }

  /// Authorities and API keys of configured upstreams, as their files say now.
  void renew_upstreams() { health.renew(trust.renew()); }

  /// The first address that it listens on names it in reports.
  void named_by(const net::Address& address) {
    if (!std::exchange(named, true)) load.rename(gateway_name(address.to_string()));
  }

  [[nodiscard]] http::Response probe(Endpoint endpoint) {
    switch (endpoint) {
      case Endpoint::kReady: return ready_response();
      case Endpoint::kMetrics: {
        metrics.set_connections(inbound.open_connections());
        http::Response response{200, {}, registry.text()};
        response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
        return response;
      }
      default: return http::json_response(200, "{\"status\":\"ok\"}");
    }
  }

  [[nodiscard]] http::Response ready_response() const {
    if (draining) return unavailable("The gateway is draining", "draining", 1);
    if (!directory.any_ready(clock.now())) return unavailable("No model server is ready", "no_server_ready", 1);
    return http::json_response(200, "{\"status\":\"ready\"}");
  }

  void took_snapshot(std::shared_ptr<const FleetSnapshot> snapshot) {
    for (const auto& [id, known] : directory.servers())
      if (known.of_fleet) metrics.forget_upstream(id);
    for (const InstanceStatus& instance : snapshot->instances) {
      // The same server as another process: it may have come with other weights.
      const auto known = directory.servers().find(instance.id.value);
      if (known != directory.servers().end() && known->second.pid > 0 && known->second.pid != instance.pid) relay.models_changed();
    }
    directory.apply(*snapshot);
    for (const auto& [id, known] : directory.servers())
      if (known.of_fleet) metrics.set_upstream_ready(id, known.ready);
    routes.apply(std::move(snapshot));
  }

  net::EventLoop& loop;
  const config::FleetConfig config;
  telemetry::Registry& registry;
  GatewayParts parts;
  LoopClock& clock;
  GatewayMetrics metrics;
  http::Outbound outbound;
  UpstreamTrust trust;
  ServerDirectory directory;
  LoadReport load;
  RouteHandler routes;
  ResponseCaching caching;
  Relay relay;
  HealthChecker health;
  EngineRegistration registration;
  std::optional<FleetFollower> follower;
  std::optional<LoadReportSender> reports;
  net::TimerId change_timer = 0;
  net::TimerId tick_timer = 0;
  bool draining = false;
  bool named = false;  ///< after the first address
  bool shares_socket = false;
  std::unique_ptr<AdminRoutes> admin_routes;
  std::unique_ptr<AdminListener> admin;
  std::vector<std::unique_ptr<ProbeListener>> probes;
  http::Inbound inbound;  // last: no request arrives at what is already gone
};

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::~Gateway() = default;

Result<std::unique_ptr<Gateway>> Gateway::create(net::EventLoop& loop, const config::FleetConfig& config, telemetry::Registry& registry,
                                                 const Clock& clock, GatewayTimings timings) {
  GatewayParts parts;
  parts.clock = std::make_unique<LoopClock>(loop, clock);
  FLEXPERT_ASSIGN(parts.audit_log, telemetry::AuditLog::open(config.gateway.log.audit, [](std::string_view line) { return crypto::sha256_hex(line); }));
  FLEXPERT_ASSIGN(parts.tls, listener_tls(config.gateway.listeners));
  auto self = std::make_shared<Impl*>(nullptr);
  FLEXPERT_ASSIGN(parts.access, AccessWatch::start(loop, clock, config, registry,
                                                   {.access = [self](const AccessSnapshot& access) { (*self)->apply(access); },
                                                    .certificates =
                                                        [self, tls = parts.tls] {
                                                          if (tls) renew_certificate(*tls);
                                                          (*self)->renew_upstreams();
                                                        },
                                                    .audit = [log = parts.audit_log.get()](const telemetry::AuditRecord& record) { log->write(record); }}));
  FLEXPERT_ASSIGN(parts.authenticator, CredentialAuthenticator::create(loop, *parts.clock, config.access.jwt, parts.access->snapshot()));
  FLEXPERT_ASSIGN(parts.admission, make_admission(loop, *parts.clock, config.gateway.admission, registry));
  if (!config.access.internal_secret_file.empty()) {
    FLEXPERT_ASSIGN(const std::string secret, crypto::read_secret_file(config.access.internal_secret_file));
    parts.signer = std::make_unique<GrantSigner>(secret, from_seconds(config.gateway.upstream_timeout_s));
  }
  if (!config.access.pool_secret_file.empty()) {
    FLEXPERT_ASSIGN(parts.registration.secret, crypto::read_secret_file(config.access.pool_secret_file));
    FLEXPERT_ASSIGN(parts.registration.networks, RegistrationNetworks::parse(config.access.pool_networks));
  }
  if (const config::GatewayLogConfig& log = config.gateway.log; !log.otlp_url.empty())
    parts.traces = std::make_unique<TraceExport>(
        loop, TraceExportOptions{.url = log.otlp_url, .share = log.otlp_sample, .instance = gateway_name(config.gateway.listen)}, registry);
  FLEXPERT_ASSIGN(parts.access_log, telemetry::AccessLog::open(config.gateway.log.access));
  auto impl = std::make_unique<Impl>(loop, config, registry, timings, std::move(parts));
  *self = impl.get();
  for (const config::UpstreamConfig& upstream : config.upstreams) FLEXPERT_TRY(impl->health.add(upstream));
  if (!config.gateway.controller.empty()) {
    FLEXPERT_ASSIGN(net::Address controller, net::Address::parse(config.gateway.controller));
    impl->directory.expect_fleet(config.model ? std::optional(config.model->name) : std::nullopt);
    Impl* made = impl.get();
    made->reports.emplace(loop, controller, timings.report_period, [made] { return made->load.report(made->inbound.open_connections()); });
    made->load.on_demand([made] { made->reports->hurry(); });
    made->follower.emplace(
        loop, std::move(controller), [made](std::shared_ptr<const FleetSnapshot> snapshot) { made->took_snapshot(std::move(snapshot)); },
        [made](bool connected) { made->metrics.set_controller_connected(connected); });
  }
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Result<net::Address> Gateway::listen(const net::Address& address) {
  FLEXPERT_ASSIGN(net::Address bound, impl_->inbound.listen(address, impl_->tls_of(address)));
  impl_->named_by(bound);
  return bound;
}

Result<net::Address> Gateway::listen_on(net::UniqueFd listening) {
  impl_->shares_socket = true;
  FLEXPERT_ASSIGN(const net::Address address, net::adopt_listening(listening.get()));
  FLEXPERT_ASSIGN(net::Address bound, impl_->inbound.listen_on(std::move(listening), impl_->tls_of(address)));
  impl_->named_by(bound);
  return bound;
}

Result<net::Address> Gateway::listen() {
  FLEXPERT_ASSIGN(const net::Address address, net::Address::parse(impl_->config.gateway.listen));
  FLEXPERT_ASSIGN(net::Address bound, listen(address));
  for (const std::string& text : impl_->config.gateway.listeners.also) {
    FLEXPERT_ASSIGN(const net::Address also, net::Address::parse(text));
    if (auto heard = listen(also); !heard) return fail(heard.error().with_context("gateway.also_listen"));
  }
  return bound;
}

Result<net::Address> Gateway::listen_for_probes(const net::Address& address) {
  Impl& self = *impl_;
  auto probes = std::make_unique<ProbeListener>(self.loop, self.metrics, [&self](Endpoint endpoint) { return self.probe(endpoint); });
  FLEXPERT_ASSIGN(net::Address bound, probes->listen(address));
  self.probes.push_back(std::move(probes));
  self.named_by(bound);
  return bound;
}

Result<std::optional<net::Address>> Gateway::listen_for_probes() {
  const std::string& text = impl_->config.gateway.listeners.metrics;
  if (text.empty()) return std::optional<net::Address>();
  FLEXPERT_ASSIGN(const net::Address address, net::Address::parse(text));
  auto bound = listen_for_probes(address);
  if (!bound) return fail(bound.error().with_context("gateway.metrics_listen (does another gateway run? choose another address, or \"\" for none)"));
  return std::optional(std::move(*bound));
}

Result<std::optional<net::Address>> Gateway::listen_for_admin(std::unique_ptr<AdminRoutes> routes) {
  Impl& self = *impl_;
  const std::string& text = self.config.gateway.listeners.admin;
  if (text.empty()) return std::optional<net::Address>();
  FLEXPERT_ASSIGN(const net::Address address, net::Address::parse(text));
  if (routes == nullptr)
    routes = std::make_unique<AdminApi>(AdminSurface{.clock = self.clock,
                                                     .directory = self.directory,
                                                     .admission = *self.parts.admission,
                                                     .access = *self.parts.access,
                                                     .audit = *self.parts.audit_log,
                                                     .reload = [this] { reload(); },
                                                     .models_changed = [&self] { self.relay.models_changed(); },
                                                     .connections = [&self] { return self.inbound.open_connections(); },
                                                     .registered = [&self] { return self.registration.engines(); },
                                                     .draining = [&self] { return self.draining; }});
  self.admin_routes = std::move(routes);
  self.admin = std::make_unique<AdminListener>(self.loop, *self.parts.authenticator, self.metrics, self.registration, self.admin_routes.get());
  auto bound = self.admin->listen(address);
  if (!bound) return fail(bound.error().with_context("gateway.admin_listen"));
  return std::optional(std::move(*bound));
}

void Gateway::reload() {
  impl_->parts.access->reload();
  impl_->parts.access_log->reopen();
  impl_->parts.audit_log->reopen();
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
  impl_->inbound.drain(deadline, std::move(done), impl_->shares_socket ? kDrainLinger : Duration::zero());
}

std::uint64_t Gateway::load() const { return impl_->directory.in_flight() + impl_->routes.in_flight(); }

bool Gateway::ready() const { return !impl_->draining && impl_->directory.any_ready(impl_->clock.now()); }

}  // namespace flexpert::gateway
