#include "gateway/health_checker.h"

#include <algorithm>

#include "base/log.h"
#include "config/file_bytes.h"
#include "gateway/request_scan.h"

namespace flexpert::gateway {
namespace {

constexpr Duration kProbeTimeout = Seconds(3);
constexpr std::size_t kLongestKey = 4096;
constexpr std::string_view kModelsPath = "/v1/models";
constexpr std::string_view kHttp = "http://";
constexpr std::string_view kHttps = "https://";

bool is_success(int status) { return status >= 200 && status < 300; }

/// Reads the key that goes to an upstream. One line, since it becomes a field.
Result<std::string> read_api_key(const std::string& file) {
  FLEXPERT_ASSIGN(std::string key, config::read_file_bytes(file));
  while (!key.empty() && (key.back() == '\n' || key.back() == '\r')) key.pop_back();
  const bool one_line = key.size() <= kLongestKey && std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (key.empty() || !one_line) return fail(ErrorCode::kFailedPrecondition, "api_key_file must have one line of printable text: {}", file);
  return key;
}

}  // namespace

HealthChecker::HealthChecker(net::EventLoop& loop, const Clock& clock, Duration interval, ServerDirectory& directory, GatewayMetrics& metrics,
                             const GrantSigner* signer)
    : loop_(loop), clock_(clock), interval_(interval), directory_(directory), metrics_(metrics), signer_(signer) {}

HealthChecker::~HealthChecker() {
  for (const auto& probe : probes_) loop_.cancel(probe->timer);
}

Result<void> HealthChecker::add(const config::UpstreamConfig& upstream) {
  ServerSpec spec;
  spec.tls = upstream.url.starts_with(kHttps);
  spec.host = upstream.url;
  for (const std::string_view scheme : {kHttp, kHttps})
    if (spec.host.starts_with(scheme)) spec.host.erase(0, scheme.size());
  auto address = net::Address::parse(spec.host);
  if (!address) return fail(address.error().with_context(fmt::format("upstream {}", upstream.name)));
  spec.address = std::move(*address);
  auto probe = std::make_unique<Probe>();
  probe->upstream = upstream;
  if (probe->upstream.name.empty()) probe->upstream.name = spec.host;
  const std::string name = spec.id = probe->upstream.name;
  spec.models = upstream.models;
  spec.own = upstream.flexpert;
  spec.ca_file = upstream.ca_file;
  spec.weight = upstream.weight;
  spec.capacity_tokens = static_cast<double>(upstream.capacity_tokens);
  spec.cost = upstream.cost;
  if (!upstream.api_key_file.empty()) {
    auto key = read_api_key(upstream.api_key_file);
    if (!key) return fail(key.error().with_context(fmt::format("upstream {}", name)));
    spec.authorization = "Bearer " + *key;
  }
  directory_.add_configured(std::move(spec));
  if (!directory_.servers().at(name).upstream)
    return fail(ErrorCode::kFailedPrecondition, "this gateway cannot connect to such an upstream: {}", upstream.url);
  metrics_.set_upstream_ready(name, false);
  probes_.push_back(std::move(probe));
  check(*probes_.back());
  return {};
}

void HealthChecker::renew(const std::set<std::string>& authorities) {
  for (const auto& probe : probes_) {
    const config::UpstreamConfig& upstream = probe->upstream;
    const bool reconnect = authorities.contains(upstream.ca_file);
    std::string authorization = directory_.servers().at(upstream.name).authorization;
    if (!upstream.api_key_file.empty()) {
      const auto key = read_api_key(upstream.api_key_file);
      if (!key) {
        log::error("upstream {}: the API key read before stays: {}", upstream.name, key.error().message);
      } else if (std::string renewed = "Bearer " + *key; renewed != authorization) {
        authorization = std::move(renewed);
        log::info("upstream {}: a new API key from now on", upstream.name);
      }
    }
    directory_.renew(upstream.name, std::move(authorization), reconnect);
    if (reconnect) check_now(upstream.name);
  }
}

void HealthChecker::check_now(const std::string& name) {
  for (const auto& probe : probes_)
    if (probe->upstream.name == name && !probe->running) check(*probe);
}

void HealthChecker::check(Probe& probe) {
  loop_.cancel(probe.timer);
  probe.timer = 0;
  ask(probe, probe.upstream.health_path, probe.upstream.health_path == kModelsPath);
}

void HealthChecker::ask(Probe& probe, const std::string& path, bool models) {
  const ModelServer& server = directory_.servers().at(probe.upstream.name);
  const std::string grant = server.own && signer_ != nullptr ? signer_->for_probe(clock_.unix_ms()) : std::string();
  probe.running = std::make_unique<UpstreamProbe>(loop_, *server.upstream, server, path, grant, kProbeTimeout, [this, &probe, models](const Result<ProbeAnswer>& answer) {
    const std::unique_ptr<UpstreamProbe> over = std::move(probe.running);
    if (answer) answered(probe, *answer, models);
    else conclude(probe, false, std::nullopt, answer.error().message);
  });
}

void HealthChecker::answered(Probe& probe, const ProbeAnswer& answer, bool models) {
  if (!models && answer.status == 404) return ask(probe, std::string(kModelsPath), true);
  if (!is_success(answer.status)) return conclude(probe, false, std::nullopt, fmt::format("it answered {}", answer.status));
  if (!probe.upstream.models.empty()) return conclude(probe, true, std::nullopt, "");
  if (!models) return ask(probe, std::string(kModelsPath), true);
  auto list = parse_model_list(answer.body);
  if (!list) return conclude(probe, false, std::nullopt, fmt::format("its model list cannot be read: {}", list.error().message));
  conclude(probe, true, std::move(*list), "");
}

void HealthChecker::conclude(Probe& probe, bool ready, std::optional<std::vector<std::string>> models, const std::string& why) {
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
