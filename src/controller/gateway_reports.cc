#include "controller/gateway_reports.h"

#include <algorithm>
#include <cmath>

#include "controller/metric_names.h"

namespace flexpert::controller {
namespace {

/// More gateways than this are no fleet but a mistake in names: the most silent ones give way.
constexpr std::size_t kMostGateways = 1000;
/// Reports come every second: so long without one is worth a condition.
constexpr Duration kSilence = Seconds(5);
/// A gateway that leaves is gone after so long without a report.
constexpr Duration kLeft = Seconds(3);

enum Count : std::size_t { kOffered, kFinished, kFailed, kIslSum, kIslCount, kIslEstimated, kOslSum, kOslCount, kTtftSum, kTtftCount,
                           kItlSum, kItlCount, kDurationSum, kDurationCount, kInFlightSeconds, kCounts };

std::vector<std::optional<double>> counters_of(const codec::GatewayModelLoad& load) {
  std::vector<std::optional<double>> out(kCounts);
  const auto whole = [&](Count at, std::uint64_t value) { out[at] = static_cast<double>(value); };
  const auto sum = [&](Count at, const codec::GatewaySum& value) {
    out[at] = value.sum;
    out[at + 1] = static_cast<double>(value.count);
  };
  whole(kOffered, load.offered);
  whole(kFinished, load.finished);
  whole(kFailed, load.failed);
  sum(kIslSum, load.isl);
  whole(kIslEstimated, load.isl_estimated);
  sum(kOslSum, load.osl);
  sum(kTtftSum, load.ttft_s);
  sum(kItlSum, load.itl_s);
  sum(kDurationSum, load.duration_s);
  out[kInFlightSeconds] = load.in_flight_s;
  return out;
}

}  // namespace

bool put(TimedMap& into, std::string_view name, TimedValue value, const std::string& whose, std::vector<Reason>& conditions) {
  if (std::isfinite(value.value) && value.value >= 0) {
    into.insert_or_assign(std::string(name), value);
    return true;
  }
  conditions.push_back({"metric_invalid", fmt::format("{} of {} cannot be {} and is left out", name, whose, value.value), {}});
  return false;
}

GatewayReports::Model::Model(Duration interval) : window(kCounts, interval) {}

std::vector<std::string> GatewayReports::take(const codec::GatewayReport& report, TimePoint now) {
  auto found = gateways_.find(report.gateway);
  const bool known = found != gateways_.end();
  if (!known) {
    if (gateways_.size() >= kMostGateways)
      gateways_.erase(std::min_element(gateways_.begin(), gateways_.end(), [](const auto& a, const auto& b) { return a.second.heard < b.second.heard; }));
    found = gateways_.emplace(report.gateway, Gateway(interval_)).first;
  }
  Gateway& gateway = found->second;
  const bool rebooted = known && gateway.boot != report.boot;
  if (known && !rebooted && report.sequence <= gateway.sequence) return {};
  const TimePoint heard_last = gateway.heard;
  gateway.boot = report.boot;
  gateway.sequence = report.sequence;
  gateway.heard = now;
  gateway.leaving = report.leaving;
  gateway.connections = report.connections;
  gateway.servers = report.servers;
  // What a gateway counted before we first heard of it is ours only if it has just begun.
  const std::optional<TimePoint> began =
      report.uptime_s <= to_seconds(interval_) ? std::optional(now - from_seconds(std::max(report.uptime_s, 0.001))) : std::nullopt;
  if (rebooted) gateway.own.restart();
  gateway.own.take(now, {report.cpu_s}, began);
  std::vector<std::string> demanded;
  for (auto& [name, model] : gateway.models) {
    if (rebooted) model.window.restart();
    const bool named = std::any_of(report.models.begin(), report.models.end(), [&known_name = name](const auto& load) { return load.model == known_name; });
    if (named) continue;
    model.in_flight = model.held = 0;
    model.window.take(now, std::vector<std::optional<double>>(kCounts, 0.0));
  }
  for (const codec::GatewayModelLoad& load : report.models) {
    auto at = gateway.models.find(load.model);
    if (at == gateway.models.end()) at = gateway.models.emplace(load.model, Model(interval_)).first;
    Model& model = at->second;
    // A model that a known gateway names for the first time counts from when the gateway was last heard of.
    model.window.take(now, counters_of(load), known && !rebooted ? std::optional(heard_last) : began);
    if (load.held > 0 && model.held == 0) demanded.push_back(load.model);
    model.in_flight = load.in_flight;
    model.held = load.held;
  }
  std::erase_if(gateways_, [&](const auto& item) { return now - item.second.heard > 10 * forget_after_; });
  return demanded;
}

bool GatewayReports::left(const Gateway& gateway, TimePoint now) { return gateway.leaving && now - gateway.heard > kLeft; }

bool GatewayReports::all_left(const std::vector<std::pair<const std::string*, const Gateway*>>& gateways, TimePoint now) {
  return std::all_of(gateways.begin(), gateways.end(), [&](const auto& one) { return left(*one.second, now); });
}

bool GatewayReports::counts(const Gateway& gateway, TimePoint now) const {
  return now - gateway.heard <= (left(gateway, now) ? interval_ : forget_after_);
}

bool GatewayReports::any(TimePoint now) const {
  return std::any_of(gateways_.begin(), gateways_.end(), [&](const auto& item) { return counts(item.second, now); });
}

/// The gateways whose word counts: those heard of lately, or, where there is none, the one heard of last.
std::vector<std::pair<const std::string*, const GatewayReports::Gateway*>> GatewayReports::counted(TimePoint now, SourceReading& reading,
                                                                                                  TimePoint& oldest) const {
  std::vector<std::pair<const std::string*, const Gateway*>> out;
  oldest = now;
  if (gateways_.empty()) {
    reading.conditions.push_back({"no_gateway_reports", "no gateway has reported yet; does its configuration name this controller?", {}});
    return out;
  }
  for (const auto& [name, gateway] : gateways_)
    if (counts(gateway, now)) out.emplace_back(&name, &gateway);
  if (out.empty()) {
    // The last one to leave took demand with it, as far as anybody knows: its word grows old like any other's.
    const auto last = std::max_element(gateways_.begin(), gateways_.end(), [](const auto& a, const auto& b) { return a.second.heard < b.second.heard; });
    out.emplace_back(&last->first, &last->second);
  }
  const bool nobody_stays = all_left(out, now);
  for (const auto& [name, gateway] : out)
    if (nobody_stays || !left(*gateway, now)) oldest = std::min(oldest, gateway->heard);
  if (now - oldest > kSilence)
    reading.conditions.push_back({"gateway_report_stale", fmt::format("a gateway has not reported for {:.0f} s", to_seconds(now - oldest)),
                                  {{"age_s", to_seconds(now - oldest)}}});
  return out;
}

/// Adds up what gateways counted of the same model, or of all.
void GatewayReports::sum_up(const std::vector<Part>& parts, TimePoint oldest, TimePoint now, SourceReading& reading) const {
  double rate[3] = {};
  double in_flight_mean = 0;
  double growth[kCounts] = {};
  std::uint64_t in_flight = 0;
  std::uint64_t held = 0;
  bool covered = false;
  for (const auto& [model, gone] : parts) {
    in_flight += gone ? 0 : model->in_flight;
    held += gone ? 0 : model->held;
    const auto last = model->window.last();
    if (!last) continue;
    // As of its newest report: silence afterwards is age, not absence of load. Not so where it said that it goes.
    const TimePoint as_of = gone ? now : *last;
    const auto from = model->window.covered_from(as_of);
    if (!from || *from >= *last) continue;
    covered = true;
    const double seconds = gone ? to_seconds(interval_) : to_seconds(*last - *from);
    for (std::size_t i = 0; i < kCounts; ++i) growth[i] += model->window.increase(i, as_of).value_or(0);
    for (std::size_t i = 0; i < 3; ++i) rate[i] += model->window.increase(i, as_of).value_or(0) / seconds;
    in_flight_mean += model->window.increase(kInFlightSeconds, as_of).value_or(0) / seconds;
  }
  const auto put_pool = [&](std::string_view name, double value) { put(reading.pool, name, {value, oldest}, "the gateways", reading.conditions); };
  put_pool(metric::kQueued, static_cast<double>(held));
  put_pool(metric::kInFlight, covered ? in_flight_mean : static_cast<double>(in_flight));
  if (!covered) return;
  put_pool(metric::kRequests, rate[kOffered]);
  put_pool("finished_per_s", rate[kFinished]);
  put_pool("failed_per_s", rate[kFailed]);
  const auto put_mean = [&](std::string_view name, Count sum) {
    if (growth[sum + 1] > 0) put_pool(name, growth[sum] / growth[sum + 1]);
  };
  put_mean(metric::kIsl, kIslSum);
  put_mean(metric::kOsl, kOslSum);
  put_mean(metric::kTtft, kTtftSum);
  put_mean(metric::kItl, kItlSum);
  put_mean(metric::kDuration, kDurationSum);
  if (growth[kIslCount] > 0) put_pool("isl_estimated", growth[kIslEstimated] / growth[kIslCount]);
}

SourceReading GatewayReports::read(const std::string& model, TimePoint now) const {
  SourceReading reading;
  TimePoint oldest;
  const auto gateways = counted(now, reading, oldest);
  if (gateways.empty()) return reading;
  std::vector<Part> models;
  std::map<InstanceId, std::pair<double, double>> servers;
  for (const auto& [name, gateway] : gateways) {
    const bool gone = left(*gateway, now) && !all_left(gateways, now);
    if (const auto found = gateway->models.find(model); found != gateway->models.end()) models.push_back({&found->second, gone});
    if (gone) continue;
    for (const codec::GatewayServerLoad& server : gateway->servers) {
      servers[InstanceId{server.id}].first += server.in_flight;
      servers[InstanceId{server.id}].second += server.remaining_tokens;
    }
  }
  if (models.empty()) {
    // Gateways are there, and nobody has asked for this model.
    for (const std::string_view name : {metric::kRequests, metric::kInFlight, metric::kQueued})
      put(reading.pool, name, {0, oldest}, model, reading.conditions);
  } else {
    sum_up(models, oldest, now, reading);
  }
  for (const auto& [id, load] : servers) {
    put(reading.instances[id], metric::kInFlight, {load.first, oldest}, id.value, reading.conditions);
    put(reading.instances[id], metric::kRemainingTokens, {load.second, oldest}, id.value, reading.conditions);
  }
  return reading;
}

SourceReading GatewayReports::read_gateways(TimePoint now) const {
  SourceReading reading;
  TimePoint oldest;
  std::vector<Part> models;
  double connections = 0;
  double cpu = 0;
  std::size_t with_cpu = 0;
  const auto gateways = counted(now, reading, oldest);
  for (const auto& [name, gateway] : gateways) {
    const bool gone = left(*gateway, now) && !all_left(gateways, now);
    for (const auto& [model_name, model] : gateway->models) models.push_back({&model, gone});
    if (gone) continue;
    TimedMap& own = reading.instances[InstanceId{*name}];
    double in_flight = 0;
    for (const auto& [model_name, model] : gateway->models) in_flight += model.in_flight + model.held;
    connections += gateway->connections;
    put(own, metric::kInFlight, {in_flight, gateway->heard}, *name, reading.conditions);
    put(own, "connections", {static_cast<double>(gateway->connections), gateway->heard}, *name, reading.conditions);
    const auto from = gateway->own.covered_from(gateway->heard);
    const auto used = gateway->own.increase(0, gateway->heard);
    if (!from || !used || *from >= gateway->heard) continue;
    const double share = *used / to_seconds(gateway->heard - *from);
    put(own, metric::kCpu, {share, gateway->heard}, *name, reading.conditions);
    cpu += share;
    ++with_cpu;
  }
  if (reading.instances.empty()) return reading;
  sum_up(models, oldest, now, reading);
  put(reading.pool, "connections", {connections, oldest}, "the gateways", reading.conditions);
  if (with_cpu > 0) put(reading.pool, metric::kCpu, {cpu / static_cast<double>(with_cpu), oldest}, "the gateways", reading.conditions);
  return reading;
}

}  // namespace flexpert::controller
