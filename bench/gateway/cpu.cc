// Bar 1 of the gateway: what a relayed request costs its core, beside nginx and HAProxy, by the size of the request's body. Ours
// has key, policy, limits, routing, metrics and access log on; they relay and do nothing else.
#include <array>

#include "rig/backend.h"
#include "rig/measurement.h"
#include "rig/requests.h"

namespace {

using namespace flexpert;
using namespace flexpert::bench;

constexpr int kRounds = 11;
constexpr std::size_t kConnections = 32;

struct Size {
  std::string name;
  std::size_t body_bytes;
  std::uint64_t requests;      ///< in a round
  double of_haproxy;           ///< bars on the ratio of CPU time; 0 = none
  double of_nginx;
};

const std::array<Size, 4> kSizes{{{"250B", 250, 6000, 0.85, 0.85},
                                  {"1KB", 1024, 6000, 0, 0},
                                  {"16KB", 16 * 1024, 3000, 0.60, 0.80},
                                  {"200KB", 200 * 1000, 800, 0.55, 1.05}}};
constexpr double kMostInstructions = 15'000;
constexpr double kMostP99 = 1.1;

struct Rig {
  BenchFolder folder;
  std::unique_ptr<Backend> backend;
  GatewayUnderTest own;
  std::unique_ptr<Proxy> nginx;
  std::unique_ptr<Proxy> haproxy;
  std::vector<Side> sides;

  Result<void> start(const std::string& program) {
    FLEXPERT_ASSIGN(backend, Backend::start(1, kOtherCore));
    const ProxySetting setting{.upstreams = backend->ports(), .core = kProxyCore};
    FLEXPERT_ASSIGN(nginx, start_nginx(folder, setting));
    FLEXPERT_ASSIGN(haproxy, start_haproxy(folder, setting));
    FLEXPERT_ASSIGN(own, start_gateway(folder, program, setting));
    pin_to_core(kOtherCore);
    return {};
  }

  void begin_measure() {
    sides.clear();
    for (Proxy* proxy : {own.proxy.get(), nginx.get(), haproxy.get()}) {
      Side side{.name = proxy->name(), .proxy = proxy};
      side.load = std::make_unique<Load>(proxy->port(), kConnections);
      sides.push_back(std::move(side));
    }
  }
};

Result<void> check(const LoadResult& result, const Side& side) {
  if (result.failed == 0) return {};
  return fail(ErrorCode::kUnavailable, "{} of {} requests through {} failed; the first: {}", result.failed, result.failed + result.completed, side.name,
              result.first_failure);
}

Result<void> measure_size(Rig& rig, const Size& size, Figures& figures) {
  rig.begin_measure();
  const std::string request = chat_request({.body_bytes = size.body_bytes, .api_key = rig.own.api_key});
  for (Side& side : rig.sides) FLEXPERT_TRY(check(side.load->closed_loop(request, size.requests), side));
  for (int round = 0; round < kRounds; ++round) {
    for (Side& side : rig.sides) {
      const Cost before = side.proxy->watch().read();
      const LoadResult result = side.load->closed_loop(request, size.requests);
      const Cost used = side.proxy->watch().read() - before;
      FLEXPERT_TRY(check(result, side));
      const auto requests = static_cast<double>(size.requests);
      side.cpu_us.push_back(used.cpu_s * 1e6 / requests);
      side.user_instructions.push_back(static_cast<double>(used.user_instructions) / requests);
      side.instructions.push_back(static_cast<double>(used.instructions) / requests);
      side.per_s.push_back(requests / result.seconds);
      side.p99_ms.push_back(quantile(result.latency_ms, 0.99));
    }
  }
  for (const Side& side : rig.sides) note_side(figures, size.name, side, "request");
  const auto hold = [&](const Side& peer, double bar) {
    const double ratio = median_ratio(rig.sides[0].cpu_us, peer.cpu_us);
    if (bar > 0) figures.hold(size.name + ".cpu_of_" + peer.name, ratio, "x", fmt::format("<={}", bar), ratio <= bar);
    else figures.note(size.name + ".cpu_of_" + peer.name, ratio, "x");
  };
  hold(rig.sides[1], size.of_nginx);
  hold(rig.sides[2], size.of_haproxy);
  if (size.name == "1KB") {
    const double instructions = median(rig.sides[0].user_instructions);
    figures.hold("1KB.user_instructions", instructions, "per request", fmt::format("<={}", kMostInstructions),
                 instructions > 0 && instructions <= kMostInstructions);
  }
  return {};
}

/// The same rate for ours and HAProxy: 70 % of what HAProxy answered in closed loop.
Result<void> measure_latency(Rig& rig, Figures& figures) {
  rig.begin_measure();
  const std::string request = chat_request({.body_bytes = 250, .api_key = rig.own.api_key});
  Side& own = rig.sides[0];
  Side& haproxy = rig.sides[2];
  std::vector<double> capacity;
  for (int i = 0; i < 5; ++i) {
    const LoadResult result = haproxy.load->closed_loop(request, 6000);
    FLEXPERT_TRY(check(result, haproxy));
    capacity.push_back(6000 / result.seconds);
  }
  const double rate = 0.7 * median(capacity);
  figures.note("70_percent.rate", rate, "requests/s");
  FLEXPERT_TRY(check(own.load->closed_loop(request, 6000), own));
  for (int round = 0; round < kRounds; ++round) {
    for (Side* side : {&own, &haproxy}) {
      const LoadResult result = side->load->open_loop(request, rate, 1.0, static_cast<std::uint64_t>(round) + 1);
      FLEXPERT_TRY(check(result, *side));
      side->p50_ms.push_back(quantile(result.latency_ms, 0.5));
      side->p99_ms.push_back(quantile(result.latency_ms, 0.99));
    }
  }
  for (const Side* side : {&own, &haproxy}) note_side(figures, "70_percent", *side, "request");
  const double ratio = median_ratio(own.p99_ms, haproxy.p99_ms);
  figures.hold("70_percent.p99_of_haproxy", ratio, "x", fmt::format("<={}", kMostP99), ratio <= kMostP99);
  return {};
}

Result<void> measure(const std::string& program, Figures& figures) {
  Rig rig;
  FLEXPERT_TRY(rig.start(program));
  for (const Size& size : kSizes) FLEXPERT_TRY(measure_size(rig, size, figures));
  return measure_latency(rig, figures);
}

}  // namespace

int main(int argc, char** argv) {
  return run_gateway_measurement(argc, argv, "gateway-cpu",
                                 "proxy on one core, backend and load on another; 32 kept connections in closed loop, rounds of ours, nginx and HAProxy in "
                                 "turns; CPU time and instructions of the proxy's process, medians and medians of the rounds' ratios; p99 in open loop at "
                                 "70 % of HAProxy's rate, from the time at which a request was due",
                                 measure);
}
