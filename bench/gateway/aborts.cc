// Bar 6 of the gateway: clients that leave at any moment and upstreams that are killed leave nothing behind; drains, reloads and
// scale-downs under load cost no request.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <thread>

#include <poll.h>

#include "rig/abort_load.h"
#include "rig/backend.h"
#include "rig/fleet_changes.h"
#include "rig/gauges.h"
#include "rig/measurement.h"

namespace {

using namespace flexpert;
using namespace flexpert::bench;

constexpr std::uint32_t kRequests = 20'000;   // more than half of them leave
constexpr std::size_t kClients = 64;
constexpr std::uint64_t kLeastAborts = 10'000;
constexpr std::uint32_t kKills = 50;
constexpr std::size_t kBackends = 3;
constexpr double kMostCloseMs = 10;

struct Rig {
  BenchFolder folder;
  std::vector<std::unique_ptr<Backend>> backends;
  GatewayUnderTest own;

  Result<void> start(const std::string& program) {
    ProxySetting setting{.upstreams = {}, .streams = true, .core = kProxyCore};
    for (std::size_t i = 0; i < kBackends; ++i) {
      FLEXPERT_ASSIGN(auto backend, Backend::start(1, kOtherCore));
      setting.upstreams.push_back(backend->ports()[0]);
      backend->plan().events = 20;
      backend->plan().interval_us = 5'000;
      backend->plan().delay_us = 30'000;
      backends.push_back(std::move(backend));
    }
    FLEXPERT_ASSIGN(own, start_gateway(folder, program, setting, {.extra_gateway = "  health_interval_s: 0.1\n"}));
    pin_to_core(kOtherCore);
    return {};
  }
  [[nodiscard]] std::int64_t open_upstream_requests() const {
    std::int64_t open = 0;
    for (const auto& backend : backends) open += backend->counts().open_requests;
    return open;
  }
};

/// How long after its client had left each upstream request was closed, as the upstream saw it, in ms.
std::vector<double> close_times(const Rig& rig, const AbortResult& result) {
  std::vector<double> times;
  for (std::size_t number = 1; number < result.left_at_ns.size(); ++number) {
    const std::int64_t left = result.left_at_ns[number];
    for (const auto& backend : rig.backends) {
      const std::int64_t cut = backend->counts().cut_at_ns[number];
      if (left > 0 && cut >= left) times.push_back(static_cast<double>(cut - left) / 1e6);
    }
  }
  return times;
}

/// Waits until nothing is open any more, then holds every gauge to 0.
Result<void> hold_all_at_zero(const Rig& rig, Figures& figures) {
  Gauges gauges;
  for (int i = 0; i < 500; ++i) {
    FLEXPERT_ASSIGN(gauges, read_gauges(rig.own.metrics_port));
    if (gauges.open() == 0 && rig.open_upstream_requests() == 0) break;
    ::poll(nullptr, 0, 10);
  }
  for (const auto& [name, value] : gauges.of_requests) figures.hold("left_behind." + name, value, "", "0", value == 0);
  const auto upstream = static_cast<double>(rig.open_upstream_requests());
  figures.hold("left_behind.requests_open_at_upstreams", upstream, "requests", "0", upstream == 0);
  return {};
}

std::size_t descriptors(pid_t pid) {
  std::error_code error;
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid), error), {}));
}

Result<void> measure_aborts(Rig& rig, Figures& figures) {
  AbortLoad load(rig.own.proxy->port(), rig.own.api_key, kClients, 20261122);
  std::uint32_t kills = 0;
  Result<void> killed;
  const AbortResult result = load.run(kRequests, [&](std::uint32_t begun) {
    if (begun < (kills + 1) * (kRequests / (kKills + 1)) || kills == kKills || !killed) return;
    Backend& victim = *rig.backends[kills % kBackends];
    ++kills;
    killed = victim.restart();  // SIGKILL, then another process on the same port
  });
  FLEXPERT_TRY(killed);
  figures.hold("aborted", static_cast<double>(result.aborted), "requests", fmt::format(">={}", kLeastAborts), result.aborted >= kLeastAborts);
  figures.note("finished", static_cast<double>(result.finished), "requests");
  figures.note("told_of_a_killed_upstream", static_cast<double>(result.told), "requests");
  figures.note("cut_by_a_killed_upstream", static_cast<double>(result.cut), "requests");
  figures.hold("upstream_kills", kills, "kills", fmt::format(">={}", kKills), kills >= kKills);
  figures.hold("truncated_answers_that_look_whole", static_cast<double>(result.silent_truncations), "answers", "0", result.silent_truncations == 0);
  const std::vector<double> times = close_times(rig, result);
  figures.note("upstream_requests_cut", static_cast<double>(times.size()), "requests");
  figures.note("upstream_closed.p50", quantile(times, 0.5), "ms");
  const double p99 = quantile(times, 0.99);
  figures.hold("upstream_closed.p99", p99, "ms", fmt::format("<={}", kMostCloseMs), times.size() > kLeastAborts / 4 && p99 <= kMostCloseMs);
  FLEXPERT_TRY(hold_all_at_zero(rig, figures));
  // Kept connections to upstreams may stay; those of clients may not.
  const auto open = static_cast<double>(descriptors(rig.own.proxy->pid()));
  figures.note("descriptors_at_the_end", open, "descriptors");
  return {};
}

Result<void> measure(const std::string& program, Figures& figures) {
  {
    Rig rig;
    FLEXPERT_TRY(rig.start(program));
    FLEXPERT_TRY(measure_aborts(rig, figures));
  }
  return hold_changes(program, figures);
}

}  // namespace

int main(int argc, char** argv) {
  return run_gateway_measurement(argc, argv, "gateway-aborts",
                                 "64 clients leave at random moments (in the request, before the answer, in it, by close or reset) while upstreams are killed; when "
                                 "an upstream's connection closes is measured at the upstream; then policy reloads, scale-downs of a followed fleet and gateways "
                                 "that drain one after the other on a shared socket, under load",
                                 measure);
}
