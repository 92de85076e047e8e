// Bar 3 of the gateway: prompts of 220 KB, streamed answers, four backends that answer at once, 150 at a time, on one core.
#include "rig/backend.h"
#include "rig/measurement.h"
#include "rig/requests.h"

namespace {

using namespace flexpert;
using namespace flexpert::bench;

constexpr int kRounds = 7;
constexpr std::uint64_t kRequests = 4'000;
constexpr std::size_t kConcurrency = 150;
constexpr double kLeastPerSecond = 4'000;

Result<void> measure(const std::string& program, Figures& figures) {
  BenchFolder folder;
  FLEXPERT_ASSIGN(const std::unique_ptr<Backend> backend, Backend::start(4, kOtherCore));
  backend->plan().events = 4;
  const ProxySetting setting{.upstreams = backend->ports(), .streams = true, .core = kProxyCore};
  FLEXPERT_ASSIGN(const std::unique_ptr<Proxy> nginx, start_nginx(folder, setting));
  FLEXPERT_ASSIGN(const std::unique_ptr<Proxy> haproxy, start_haproxy(folder, setting));
  FLEXPERT_ASSIGN(const GatewayUnderTest own, start_gateway(folder, program, setting));
  pin_to_core(kOtherCore);
  const std::string request = chat_request({.body_bytes = 220 * 1000, .stream = true, .api_key = own.api_key});
  std::vector<Side> sides;
  for (Proxy* proxy : {own.proxy.get(), nginx.get(), haproxy.get()}) {
    sides.push_back({.name = proxy->name(), .proxy = proxy});
    sides.back().load = std::make_unique<Load>(proxy->port(), kConcurrency);
  }
  for (int round = 0; round < kRounds; ++round) {
    for (Side& side : sides) {
      const Cost before = side.proxy->watch().read();
      const LoadResult result = side.load->closed_loop(request, kRequests);
      const Cost used = side.proxy->watch().read() - before;
      if (result.failed > 0) return fail(ErrorCode::kUnavailable, "{} requests through {} failed; the first: {}", result.failed, side.name, result.first_failure);
      side.cpu_us.push_back(used.cpu_s * 1e6 / static_cast<double>(kRequests));
      side.user_instructions.push_back(static_cast<double>(used.user_instructions) / static_cast<double>(kRequests));
      side.instructions.push_back(static_cast<double>(used.instructions) / static_cast<double>(kRequests));
      side.per_s.push_back(static_cast<double>(kRequests) / result.seconds);
      side.p50_ms.push_back(quantile(result.latency_ms, 0.5));
      side.p99_ms.push_back(quantile(result.latency_ms, 0.99));
    }
  }
  for (const Side& side : sides) note_side(figures, "220KB", side, "request");
  figures.note("220KB.rate_of_a_core", 1e6 / median(sides[0].cpu_us), "requests/s");
  const double rate = median(sides[0].per_s);
  figures.hold("220KB.rate", rate, "requests/s", fmt::format(">={}", kLeastPerSecond), rate >= kLeastPerSecond);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  return run_gateway_measurement(argc, argv, "gateway-long-prompts",
                                 "chat requests of 220 KB with stream: true, four backends that answer at once, 150 kept connections in closed loop; proxy on one "
                                 "core, backends and load on another; rounds of ours, nginx and HAProxy in turns, medians. The rate is by the clock: on a machine where something else runs it is that of what is left",
                                 measure);
}
