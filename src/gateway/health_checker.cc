#include "gateway/health_checker.h"

#include "base/log.h"
#include "gateway/request_scan.h"

namespace flexpert::gateway {
namespace {

constexpr std::size_t kLongestBody = 1024 * 1024;
constexpr std::string_view kModelsPath = "/v1/models";

bool is_success(int status) { return status >= 200 && status < 300; }

}  // namespace

HealthChecker::HealthChecker(net::EventLoop& loop, Duration interval, ServerDirectory& directory, GatewayMetrics& metrics)
    : loop_(loop),
      interval_(interval),
      directory_(directory),
      metrics_(metrics),
      client_(std::make_unique<http::Client>(
          loop, http::ClientOptions{.connect_timeout = Seconds(1), .head_timeout = Seconds(3), .idle_timeout = Seconds(3)})) {}

HealthChecker::~HealthChecker() {
  for (const auto& probe : probes_) loop_.cancel(probe->timer);
}

Result<void> HealthChecker::add(const config::UpstreamConfig& upstream) {
  constexpr std::string_view kScheme = "http://";
  const std::string host_port = upstream.url.starts_with(kScheme) ? upstream.url.substr(kScheme.size()) : upstream.url;
  auto address = net::Address::parse(host_port);
  if (!address) return fail(address.error().with_context(fmt::format("upstream {}", upstream.name)));
  auto probe = std::make_unique<Probe>();
  probe->upstream = upstream;
  if (probe->upstream.name.empty()) probe->upstream.name = host_port;
  probe->address = *address;
  directory_.add_configured(probe->upstream.name, *address, upstream.models);
  metrics_.set_upstream_ready(probe->upstream.name, false);
  probes_.push_back(std::move(probe));
  check(*probes_.back());
  return {};
}

void HealthChecker::check_now(const std::string& name) {
  for (const auto& probe : probes_)
    if (probe->upstream.name == name && !probe->running) check(*probe);
}

void HealthChecker::check(Probe& probe) {
  loop_.cancel(probe.timer);
  probe.timer = 0;
  probe.running = true;
  ask(probe, probe.upstream.health_path, probe.upstream.health_path == kModelsPath);
}

void HealthChecker::ask(Probe& probe, const std::string& path, bool models) {
  probe.status = 0;
  probe.body.clear();
  http::Request request;
  request.method = "GET";
  request.target = path;
  http::AnswerCallbacks callbacks;
  callbacks.on_head = [&probe](int status, const http::Headers&) { probe.status = status; };
  callbacks.on_body = [&probe](std::string_view bytes) {
    if (probe.body.size() + bytes.size() <= kLongestBody) probe.body += bytes;
  };
  callbacks.on_end = [this, &probe, models] { answered(probe, models); };
  callbacks.on_error = [this, &probe](const Error& error) { conclude(probe, false, std::nullopt, error.message); };
  client_->send(probe.address, std::move(request), std::move(callbacks));
}

void HealthChecker::answered(Probe& probe, bool models) {
  const bool well = is_success(probe.status);
  if (!models && probe.status == 404) return ask(probe, std::string(kModelsPath), true);
  if (!well) return conclude(probe, false, std::nullopt, fmt::format("it answered {}", probe.status));
  if (!probe.upstream.models.empty()) return conclude(probe, true, std::nullopt, "");
  if (!models) return ask(probe, std::string(kModelsPath), true);
  auto list = parse_model_list(probe.body);
  if (!list) return conclude(probe, false, std::nullopt, fmt::format("its model list cannot be read: {}", list.error().message));
  conclude(probe, true, std::move(*list), "");
}

void HealthChecker::conclude(Probe& probe, bool ready, std::optional<std::vector<std::string>> models, const std::string& why) {
  probe.running = false;
  probe.timer = loop_.call_after(interval_, [this, &probe] { check(probe); });
  if (!probe.known || probe.was_ready != ready) {
    if (ready) log::info("upstream {} is ready", probe.upstream.name);
    else log::warn("upstream {} is not ready: {}", probe.upstream.name, why);
  }
  probe.known = true;
  probe.was_ready = ready;
  metrics_.set_upstream_ready(probe.upstream.name, ready);
  directory_.set_health(probe.upstream.name, ready, std::move(models));
}

}  // namespace flexpert::gateway
