// Bar 2 of the gateway: what a streamed event costs its core beside nginx and HAProxy, how much later it comes than straight from
// the backend, and what a silent stream holds of memory.
#include <algorithm>

#include "rig/backend.h"
#include "rig/idle_streams.h"
#include "rig/measurement.h"
#include "rig/requests.h"

namespace {

using namespace flexpert;
using namespace flexpert::bench;

constexpr int kRounds = 7;
constexpr std::uint32_t kIntervalUs = 20'000;      // 50 events/s a stream
constexpr std::uint32_t kEventsOfStream = 100;
constexpr std::size_t kBusyStreams = 800;          // 40 k events/s: what an event costs a core that has work
constexpr std::size_t kLatencyStreams = 200;       // 10 k events/s
constexpr double kRoundSeconds = 3;
constexpr std::size_t kIdleStreams = 9'000;
constexpr double kMostIdleBytes = 2'048;

/// Rounds of `streams` streams through each side in turns.
Result<void> measure_events(Backend& backend, std::vector<Side>& sides, std::size_t streams, const std::string& api_key, Figures& figures) {
  for (Side& side : sides) side.load = std::make_unique<Load>(side.proxy != nullptr ? side.proxy->port() : backend.ports()[0], streams);
  backend.plan().events = kEventsOfStream;
  backend.plan().interval_us = kIntervalUs;
  backend.plan().delay_us = 4 * kIntervalUs;  // so that streams are not in step
  const std::string request = chat_request({.body_bytes = 600, .stream = true, .api_key = api_key});
  for (int round = 0; round < kRounds; ++round) {
    for (Side& side : sides) {
      const Cost before = side.proxy != nullptr ? side.proxy->watch().read() : Cost{};
      const LoadResult result = side.load->closed_loop_until(request, monotonic_ns() + static_cast<std::int64_t>(kRoundSeconds * 1e9));
      if (result.failed > 0) return fail(ErrorCode::kUnavailable, "{} streams through {} failed; the first: {}", result.failed, side.name, result.first_failure);
      const auto events = static_cast<double>(result.events);
      if (side.proxy != nullptr) {
        const Cost used = side.proxy->watch().read() - before;
        side.cpu_us.push_back(used.cpu_s * 1e6 / events);
        side.user_instructions.push_back(static_cast<double>(used.user_instructions) / events);
        side.instructions.push_back(static_cast<double>(used.instructions) / events);
      }
      side.per_s.push_back(events / result.seconds);
      side.p50_ms.push_back(quantile(result.event_ms, 0.50));
      side.p99_ms.push_back(quantile(result.event_ms, 0.99));
    }
  }
  for (const Side& side : sides) note_side(figures, fmt::format("{}_streams", streams), side, "event");
  return {};
}

Result<void> measure_cost(Backend& backend, std::vector<Side> sides, const std::string& api_key, Figures& figures) {
  FLEXPERT_TRY(measure_events(backend, sides, kBusyStreams, api_key, figures));
  for (const std::size_t peer : {1, 2}) {
    const double ratio = median_ratio(sides[0].cpu_us, sides[peer].cpu_us);
    figures.hold("cpu_of_" + sides[peer].name, ratio, "x", "<=0.8", ratio <= 0.8);
  }
  return {};
}

/// How much later than straight from the backend, round by round.
double added(const std::vector<double>& through, const std::vector<double>& direct) {
  std::vector<double> differences;
  for (std::size_t i = 0; i < through.size(); ++i) differences.push_back(through[i] - direct[i]);
  return median(std::move(differences));
}

Result<void> measure_latency(Backend& backend, std::vector<Side> sides, const std::string& api_key, Figures& figures) {
  sides.push_back({.name = "direct"});
  FLEXPERT_TRY(measure_events(backend, sides, kLatencyStreams, api_key, figures));
  const double rate = median(sides[0].per_s);
  figures.hold("rate", rate, "events/s", ">=9000", rate >= 9000);
  const double p50 = added(sides[0].p50_ms, sides[3].p50_ms);
  const double p99 = added(sides[0].p99_ms, sides[3].p99_ms);
  figures.hold("added_p50", p50, "ms", "<=0.5", p50 <= 0.5);
  figures.hold("added_p99", p99, "ms", "<=2", p99 <= 2);
  return {};
}

Result<void> measure_idle(Backend& backend, Proxy& proxy, const std::string& api_key, Figures& figures, bool ours) {
  backend.plan().events = 1'000'000;
  backend.plan().interval_us = 3'600'000'000u;  // one event, then nothing for an hour
  backend.plan().delay_us = 0;
  const std::string request = chat_request({.body_bytes = 600, .stream = true, .api_key = api_key});
  {
    FLEXPERT_ASSIGN(const IdleStreams warm, IdleStreams::open(proxy.port(), 50, request));  // what a first request makes once
  }
  const double before = static_cast<double>(proxy.watch().resident_bytes());
  FLEXPERT_ASSIGN(const IdleStreams streams, IdleStreams::open(proxy.port(), kIdleStreams, request));
  const double bytes = (static_cast<double>(proxy.watch().resident_bytes()) - before) / static_cast<double>(kIdleStreams);
  if (!ours) {
    figures.note("idle." + proxy.name() + ".bytes_a_stream", bytes, "bytes");
    return {};
  }
  const auto open = static_cast<double>(streams.still_open());
  figures.hold("idle.streams", open, "streams", fmt::format(">={}", kIdleStreams), open >= static_cast<double>(kIdleStreams));
  figures.hold("idle.bytes_a_stream", bytes, "bytes", fmt::format("<={}", kMostIdleBytes), bytes <= kMostIdleBytes);
  return {};
}

Result<void> measure(const std::string& program, Figures& figures) {
  BenchFolder folder;
  FLEXPERT_ASSIGN(const std::unique_ptr<Backend> backend, Backend::start(1, kOtherCore));
  const ProxySetting setting{.upstreams = backend->ports(), .streams = true, .core = kProxyCore};
  FLEXPERT_ASSIGN(const std::unique_ptr<Proxy> nginx, start_nginx(folder, setting));
  FLEXPERT_ASSIGN(const std::unique_ptr<Proxy> haproxy, start_haproxy(folder, setting));
  FLEXPERT_ASSIGN(const GatewayUnderTest own, start_gateway(folder, program, setting));
  pin_to_core(kOtherCore);
  const auto sides = [&] {
    std::vector<Side> proxies;
    for (Proxy* proxy : {own.proxy.get(), nginx.get(), haproxy.get()}) proxies.push_back({.name = proxy->name(), .proxy = proxy});
    return proxies;
  };
  FLEXPERT_TRY(measure_cost(*backend, sides(), own.api_key, figures));
  FLEXPERT_TRY(measure_latency(*backend, sides(), own.api_key, figures));
  FLEXPERT_TRY(measure_idle(*backend, *nginx, own.api_key, figures, false));
  FLEXPERT_TRY(measure_idle(*backend, *haproxy, own.api_key, figures, false));
  return measure_idle(*backend, *own.proxy, own.api_key, figures, true);
}

}  // namespace

int main(int argc, char** argv) {
  return run_gateway_measurement(argc, argv, "gateway-sse",
                                 "proxy on one core, backend and load on another; rounds of ours, nginx (buffering off), HAProxy (http-no-delay) and none in turns; "
                                 "CPU time of the proxy's process per event with 800 streams of 50 events/s; latency from the backend's send to the client's "
                                 "read with 200; memory of 9,000 silent streams by resident memory",
                                 measure);
}
