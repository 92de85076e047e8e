#include "controller/pool_sensors.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "codec/gateway_report.h"
#include "controller/gateway_reports.h"
#include "controller/metric_names.h"
#include "controller/prometheus_source.h"
#include "controller/scrape_source.h"
#include "http/client.h"
#include "web_client/web_client.h"

namespace flexpert::controller {
namespace {

constexpr Duration kShortestPeriod = Milliseconds(50);
constexpr std::size_t kMostConditions = 20;

Duration period_of(Duration interval) { return std::clamp<Duration>(interval / 3, kShortestPeriod, Seconds(15)); }

std::optional<MetricSample> sample_of(const TimedMap& values, std::string_view name, TimePoint now) {
  const auto found = values.find(name);
  if (found == values.end()) return std::nullopt;
  return MetricSample{found->second.value, std::max(0.0, to_seconds(now - found->second.at))};
}

std::uint32_t count_of(const std::optional<MetricSample>& sample) {
  if (!sample) return 0;
  return static_cast<std::uint32_t>(std::clamp(std::round(sample->value), 0.0, 4e9));
}

/// Adds what is made of others: "concurrency" of in flight and queued, "utilisation" of the scarcest that is known.
void derive(TimedMap& values) {
  if (!values.contains(metric::kConcurrency)) {
    const auto in_flight = values.find(metric::kInFlight);
    const auto queued = values.find(metric::kQueued);
    if (in_flight != values.end() && queued != values.end())
      values.insert_or_assign(std::string(metric::kConcurrency), TimedValue{in_flight->second.value + queued->second.value,
                                                                           std::min(in_flight->second.at, queued->second.at)});
  }
  if (values.contains(metric::kUtilisation)) return;
  for (const std::string_view name : {metric::kGpu, metric::kKv, metric::kCpu}) {
    const auto found = values.find(name);
    if (found == values.end()) continue;
    values.insert_or_assign(std::string(metric::kUtilisation), found->second);
    return;
  }
}

/// Takes what `values` lacks from `others`.
void fill_in(TimedMap& values, const TimedMap& others, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const auto found = others.find(name);
    if (found != others.end() && !values.contains(name)) values.emplace(name, found->second);
  }
}

}  // namespace

std::string model_name_of(const config::PoolLaunchConfig& launch, const PoolId& pool) {
  if (!launch.name.empty()) return launch.name;
  std::string_view path = launch.model;
  while (path.ends_with('/')) path.remove_suffix(1);
  path = path.substr(path.rfind('/') + 1);
  return path.empty() ? pool.value : std::string(path);
}

struct PoolSensors::Impl {
  struct Entry {
    PoolId id;
    PoolRole role = PoolRole::kAggregated;
    std::string model;
    std::string source;
    std::vector<SensedInstance> instances;
    std::unique_ptr<ScrapeSource> scrape;
  };

  Impl(net::EventLoop& event_loop, const Clock& time, Duration interval)
      : loop(event_loop),
        clock(time),
        reports(interval, std::max<Duration>(Seconds(10), 2 * interval)),
        client(event_loop, {.connect_timeout = Seconds(2), .head_timeout = Seconds(5), .idle_timeout = Seconds(5)}) {}

  Result<void> add(const scaling::PoolConfig& pool, const config::PoolEntry& entry, Duration interval, std::vector<PrometheusSource::Pool>& asked) {
    Entry out;
    out.id = pool.id;
    out.role = pool.role;
    out.model = model_name_of(entry.launch, pool.id);
    out.source = entry.sensors.source;
    if (out.source == "direct" || out.source == "prometheus") {
      FLEXPERT_ASSIGN(MetricRules rules, rules_for(entry.sensors.engine, entry.sensors.names));
      // What nobody asks for is not missed either.
      const auto unneeded = [&](const char* name) {
        if (!entry.sensors.names.contains(name)) rules.erase(name);
      };
      if (pool.role != PoolRole::kGateway) unneeded("connections");
      if (!pool.vertical) {
        unneeded("threads");
        unneeded("kv_blocks");
      }
      if (out.source == "direct") {
        const Duration period = period_of(interval);
        const Duration timeout = std::clamp<Duration>(period, Seconds(1), Seconds(5));
        out.scrape = std::make_unique<ScrapeSource>(
            loop, clock, client, ScrapeSource::Options{.rules = std::move(rules), .interval = interval, .period = period, .timeout = timeout});
      } else {
        asked.push_back({pool.id, std::move(rules), entry.sensors.queries, entry.sensors.selector});
      }
    } else if (out.source != "gateway") {
      return fail(ErrorCode::kInvalidArgument, "sensors.source: must be gateway, direct or prometheus: \"{}\"", out.source);
    }
    entries.push_back(std::move(out));
    return {};
  }

  [[nodiscard]] Entry* find(const PoolId& pool) {
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.id == pool; });
    return found == entries.end() ? nullptr : &*found;
  }

  static bool has_ready(const Entry& entry) {
    return std::any_of(entry.instances.begin(), entry.instances.end(), [](const SensedInstance& one) { return one.state == InstanceState::kReady; });
  }

  [[nodiscard]] SourceReading from_gateways(const Entry& entry, TimePoint now) const {
    if (entry.role != PoolRole::kGateway) return reports.read(entry.model, now);
    SourceReading reading = reports.read_gateways(now);
    // Gateways call themselves ADDRESS@HOST/PID.
    for (const SensedInstance& instance : entry.instances) {
      const std::string begin = instance.address + "@";
      const auto named = reading.instances.lower_bound(InstanceId{begin});
      if (!instance.address.empty() && named != reading.instances.end() && named->first.value.starts_with(begin))
        reading.instances.insert_or_assign(instance.id, TimedMap(named->second));
    }
    return reading;
  }

  static bool source_lost(const SourceReading& reading) {
    return std::any_of(reading.conditions.begin(), reading.conditions.end(), [](const Reason& one) { return one.code == "prometheus_unreachable"; });
  }

  /// What the pool's source knows, and from the gateways what it cannot know: requests that are held, demand from zero.
  [[nodiscard]] SourceReading read(const Entry& entry, TimePoint now) const {
    if (entry.source == "gateway") return from_gateways(entry, now);
    SourceReading reading = entry.scrape ? entry.scrape->read() : prometheus->read(entry.id);
    const bool ready = has_ready(entry);
    if (!reports.any(now)) {
      if (!ready && !reading.pool.contains(metric::kRequests))
        reading.conditions.push_back({"no_gateway_reports", "no instance is ready and no gateway reports: nobody knows of demand", {}});
      return reading;
    }
    const SourceReading gateways = from_gateways(entry, now);
    const auto held = gateways.pool.find(metric::kQueued);
    const auto waiting = reading.pool.find(metric::kQueued);
    if (held != gateways.pool.end() && waiting != reading.pool.end() && ready) {
      waiting->second.value += held->second.value;
      waiting->second.at = std::min(waiting->second.at, held->second.at);
    } else if (held != gateways.pool.end()) {
      reading.pool.insert_or_assign(std::string(metric::kQueued), held->second);
    }
    // A source that is lost is not made up for while instances serve: the pool is to be seen as unseen, not to shrink by half a view.
    if (ready && source_lost(reading)) return reading;
    if (!ready)
      for (const std::string_view name : {metric::kRequests, metric::kInFlight}) reading.pool.erase(std::string(name));
    fill_in(reading.pool, gateways.pool, {metric::kRequests, metric::kIsl, metric::kOsl, metric::kTtft, metric::kItl, metric::kDuration, metric::kInFlight});
    for (const auto& [id, values] : gateways.instances) fill_in(reading.instances[id], values, {metric::kInFlight, metric::kRemainingTokens});
    return reading;
  }

  std::vector<Reason> fill(PoolObservation& observation) {
    const Entry* entry = find(observation.pool);
    if (entry == nullptr) return {};
    const TimePoint now = clock.now();
    SourceReading reading = read(*entry, now);
    derive(reading.pool);
    observation.metrics.clear();
    for (const auto& [name, value] : reading.pool) observation.metrics.emplace(name, *sample_of(reading.pool, name, now));
    PoolTraffic& traffic = observation.traffic;
    traffic.requests_per_s = sample_of(reading.pool, metric::kRequests, now);
    traffic.isl = sample_of(reading.pool, metric::kIsl, now);
    traffic.osl = sample_of(reading.pool, metric::kOsl, now);
    traffic.ttft_s = sample_of(reading.pool, metric::kTtft, now);
    traffic.itl_s = sample_of(reading.pool, metric::kItl, now);
    traffic.duration_s = sample_of(reading.pool, metric::kDuration, now);
    traffic.in_flight = sample_of(reading.pool, metric::kInFlight, now);
    traffic.queued = sample_of(reading.pool, metric::kQueued, now);
    for (PoolInstance& instance : observation.instances) {
      instance.metrics.clear();
      instance.in_flight = instance.queued = 0;
      instance.remaining_tokens = 0;
      const auto found = reading.instances.find(instance.id);
      if (found == reading.instances.end()) continue;
      derive(found->second);
      for (const auto& [name, value] : found->second) instance.metrics.emplace(name, *sample_of(found->second, name, now));
      instance.in_flight = count_of(sample_of(found->second, metric::kInFlight, now));
      instance.queued = count_of(sample_of(found->second, metric::kQueued, now));
      if (const auto tokens = sample_of(found->second, metric::kRemainingTokens, now)) instance.remaining_tokens = tokens->value;
    }
    if (reading.conditions.size() > kMostConditions) reading.conditions.resize(kMostConditions);
    return std::move(reading.conditions);
  }

  http::Response take(const http::Request& request) {
    auto report = codec::decode_gateway_report(request.body);
    if (!report) return http::openai_error(400, report.error().message, "invalid_request_error");
    for (const std::string& model : reports.take(*report, clock.now())) {
      if (!demanded) break;
      for (std::size_t i = 0; i < entries.size(); ++i)
        if (entries[i].model == model && entries[i].role != PoolRole::kGateway && !has_ready(entries[i])) demanded(entries[i].id);
    }
    return {204, {}, ""};
  }

  net::EventLoop& loop;
  const Clock& clock;
  GatewayReports reports;
  http::Client client;
  std::unique_ptr<web_client::WebClient> web;
  std::unique_ptr<PrometheusSource> prometheus;
  std::vector<Entry> entries;
  std::function<void(const PoolId&)> demanded;
};

PoolSensors::PoolSensors(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PoolSensors::~PoolSensors() = default;

Result<std::unique_ptr<PoolSensors>> PoolSensors::create(net::EventLoop& loop, const Clock& clock, const config::PoolsConfig& config) {
  const Duration interval = from_seconds(config.planner.interval_s);
  if (interval < Milliseconds(1)) return fail(ErrorCode::kInvalidArgument, "planner.interval_s: must be at least 0.001: {}", config.planner.interval_s);
  if (config.entries.size() != config.planner.pools.size())
    return fail(ErrorCode::kInternal, "pools: {} with {} ways to see them", config.planner.pools.size(), config.entries.size());
  auto impl = std::make_unique<Impl>(loop, clock, interval);
  std::vector<PrometheusSource::Pool> asked;
  for (std::size_t i = 0; i < config.entries.size(); ++i)
    if (auto added = impl->add(config.planner.pools[i], config.entries[i], interval, asked); !added)
      return fail(added.error().with_context(fmt::format("pools[{}]", i)));
  if (!asked.empty()) {
    if (config.prometheus.url.empty())
      return fail(ErrorCode::kInvalidArgument, "planner.prometheus.url: missing; pool {} has sensors.source prometheus", asked.front().id);
    impl->web = std::make_unique<web_client::WebClient>(loop);
    FLEXPERT_ASSIGN(impl->prometheus,
                    PrometheusSource::create(loop, clock, *impl->web,
                                             {.server = config.prometheus, .interval = interval, .period = period_of(interval), .pools = std::move(asked)}));
  }
  return std::unique_ptr<PoolSensors>(new PoolSensors(std::move(impl)));
}

void PoolSensors::set_instances(const PoolId& pool, std::vector<SensedInstance> instances) {
  Impl::Entry* entry = impl_->find(pool);
  if (entry == nullptr || entry->instances == instances) return;
  entry->instances = std::move(instances);
  if (entry->scrape) entry->scrape->set_instances(entry->instances);
  if (entry->source == "prometheus") impl_->prometheus->set_instances(pool, entry->instances);
}

std::vector<Reason> PoolSensors::fill(PoolObservation& observation) { return impl_->fill(observation); }

http::Response PoolSensors::take_gateway_report(const http::Request& request) { return impl_->take(request); }

void PoolSensors::on_demand(std::function<void(const PoolId&)> listener) { impl_->demanded = std::move(listener); }

}  // namespace flexpert::controller
