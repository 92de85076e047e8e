#include "rig/fleet_changes.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <deque>

#include <fmt/format.h>

#include "rig/backend.h"
#include "rig/background_load.h"
#include "rig/fleet_publisher.h"
#include "rig/measurement.h"
#include "rig/requests.h"
#include "rig/sockets.h"

namespace flexpert::bench {
namespace {

constexpr std::uint32_t kReloads = 334;
constexpr std::uint32_t kScaleDowns = 333;
constexpr std::uint32_t kDrains = 333;
constexpr std::size_t kServers = 4;
constexpr std::size_t kWhole = 16;
constexpr std::size_t kStreams = 24;
constexpr std::size_t kDrainingAtOnce = 8;

struct Fleet {
  BenchFolder folder;
  std::vector<std::unique_ptr<Backend>> servers;
  std::vector<PublishedServer> published;
  std::unique_ptr<FleetPublisher> publisher;
  std::string extra_gateway;  ///< YAML that makes a gateway follow it
};

Result<std::unique_ptr<Fleet>> start_fleet() {
  auto fleet = std::make_unique<Fleet>();
  for (std::size_t i = 0; i < kServers; ++i) {
    FLEXPERT_ASSIGN(auto server, Backend::start(1, kOtherCore));
    server->plan().events = 20;
    server->plan().interval_us = 5'000;
    server->plan().delay_us = 5'000;
    fleet->published.push_back({.id = fmt::format("server-{}", i), .port = server->ports()[0]});
    fleet->servers.push_back(std::move(server));
  }
  FLEXPERT_ASSIGN(fleet->publisher, FleetPublisher::start());
  fleet->publisher->publish(fleet->published);
  fleet->extra_gateway = fmt::format("  controller: 127.0.0.1:{}\n", fleet->publisher->port());
  return fleet;
}

/// Returns the value of x-ratelimit-limit-requests that an answer has now.
Result<std::string> limit_in_force(std::uint16_t port, const std::string& api_key) {
  const int fd = connect_locally(port);
  const std::string request = chat_request({.body_bytes = 250, .api_key = api_key});
  std::string got;
  AnswerReader reader;
  for (pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0}; ::poll(&ready, 1, 5000) == 1; ready.events = POLLIN) {
    std::array<char, 8192> buffer;
    if (ready.events == POLLOUT) {
      if (::write(fd, request.data(), request.size()) < 0) break;
      continue;
    }
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count <= 0 || reader.take({buffer.data(), static_cast<std::size_t>(count)}, nullptr) != AnswerReader::Step::kMore) break;
  }
  ::close(fd);
  constexpr std::string_view kName = "x-ratelimit-limit-requests: ";
  const std::size_t at = reader.head().find(kName);
  if (at == std::string::npos) return fail(ErrorCode::kUnavailable, "an answer says nothing of the limit: {}", reader.head().substr(0, 300));
  return reader.head().substr(at + kName.size(), reader.head().find('\r', at) - at - kName.size());
}

void hold_load(Figures& figures, const std::string& what, const BackgroundLoad::Results& load) {
  figures.note(what + ".requests", static_cast<double>(load.whole.completed), "requests");
  figures.note(what + ".streams", static_cast<double>(load.streams.completed), "streams");
  figures.note(what + ".sent_again_on_a_new_connection", static_cast<double>(load.whole.resent + load.streams.resent), "requests");
  for (const LoadResult* result : {&load.whole, &load.streams})
    if (result->failed > 0) fmt::print("{}: the first failure: {}\n", what, result->first_failure);
  figures.hold(what + ".failed_requests", static_cast<double>(load.whole.failed), "requests", "0", load.whole.failed == 0 && load.whole.completed > 0);
  figures.hold(what + ".cut_streams", static_cast<double>(load.streams.failed), "streams", "0", load.streams.failed == 0 && load.streams.completed > 0);
}

/// The policy file is written anew and the gateway told, each time with another limit; then that limit must be in force.
Result<void> reload_policies(const GatewayUnderTest& own, const BenchFolder& folder, Figures& figures) {
  BackgroundLoad load(own.proxy->port(), own.api_key, kWhole, kStreams);
  std::uint32_t in_force = 0;
  for (std::uint32_t i = 1; i <= kReloads; ++i) {
    const std::uint64_t limit = 800'000'000'000 + i;
    (void)folder.write("policy.yaml", gateway_policy(limit));
    own.proxy->signal(SIGHUP);
    std::string now;
    for (int attempt = 0; attempt < 200 && now != std::to_string(limit); ++attempt) {
      if (attempt > 0) ::poll(nullptr, 0, 5);
      FLEXPERT_ASSIGN(now, limit_in_force(own.proxy->port(), own.api_key));
    }
    if (now == std::to_string(limit)) ++in_force;
  }
  const auto results = load.stop();
  figures.hold("reloads.in_force", in_force, "reloads", fmt::format(">={}", kReloads), in_force >= kReloads);
  hold_load(figures, "reloads", results);
  return {};
}

/// One server after the other drains as the controller says, is killed once it is idle, and comes back as another instance.
Result<void> scale_down(Fleet& fleet, const GatewayUnderTest& own, Figures& figures) {
  BackgroundLoad load(own.proxy->port(), own.api_key, kWhole, kStreams);
  std::uint32_t done = 0;
  std::uint64_t cut = 0;
  for (; done < kScaleDowns; ++done) {
    const std::size_t victim = done % kServers;
    Backend& server = *fleet.servers[victim];
    const std::uint64_t cut_before = server.counts().cut;
    fleet.published[victim].draining = true;
    fleet.publisher->publish(fleet.published);
    ::poll(nullptr, 0, 20);  // the snapshot is on its way
    int waited = 0;
    while (server.counts().open_requests > 0 && ++waited < 1000) ::poll(nullptr, 0, 5);
    if (waited == 1000) return fail(ErrorCode::kDeadlineExceeded, "a draining server still gets requests after 5 s");
    std::vector<PublishedServer> others;
    for (std::size_t i = 0; i < kServers; ++i)
      if (i != victim) others.push_back(fleet.published[i]);
    fleet.publisher->publish(others);
    cut += server.counts().cut - cut_before;
    FLEXPERT_TRY(server.restart());
    fleet.published[victim] = {.id = fmt::format("server-{}", kServers + done), .port = server.ports()[0]};
    fleet.publisher->publish(fleet.published);
    ::poll(nullptr, 0, 5);
  }
  const auto results = load.stop();
  figures.hold("scale_downs.done", done, "scale-downs", fmt::format(">={}", kScaleDowns), done >= kScaleDowns);
  figures.note("scale_downs.requests_cut_at_servers", static_cast<double>(cut), "requests");
  hold_load(figures, "scale_downs", results);
  return {};
}

/// Gateways on one listening socket: a new one comes, the old one gets SIGTERM, and so on.
Result<void> drain_gateways(const std::string& program, const GatewayUnderTest& own, const BenchFolder& folder, Figures& figures) {
  const int shared = listen_locally(0);
  const std::uint16_t port = port_of(shared);
  std::uint32_t ended_well = 0;
  std::deque<std::unique_ptr<Proxy>> draining;
  const auto reap = [&] {
    ended_well += draining.front()->stop() == 0 ? 1 : 0;  // waits for its end; it has had its SIGTERM
    draining.pop_front();
  };
  const auto start = [&]() -> Result<std::unique_ptr<Proxy>> {
    const std::uint16_t metrics = free_port();
    return Proxy::start("flexpert", {program, "gateway", "-c", own.config_file, "--listen-fd", "3", "--metrics-listen", fmt::format("127.0.0.1:{}", metrics)},
                        (folder.path() / "gateways.log").string(), metrics, kProxyCore, false, shared);
  };
  FLEXPERT_ASSIGN(std::unique_ptr<Proxy> current, start());
  ::poll(nullptr, 0, 300);  // it has the fleet
  BackgroundLoad load(port, own.api_key, kWhole, kStreams);
  for (std::uint32_t i = 0; i < kDrains; ++i) {
    FLEXPERT_ASSIGN(std::unique_ptr<Proxy> next, start());
    current->signal(SIGTERM);
    draining.push_back(std::exchange(current, std::move(next)));
    if (draining.size() > kDrainingAtOnce) reap();
  }
  const auto results = load.stop();
  while (!draining.empty()) reap();
  ::close(shared);
  figures.hold("drains.ended_well", ended_well, "drains", fmt::format(">={}", kDrains), ended_well >= kDrains);
  hold_load(figures, "drains", results);
  return {};
}

}  // namespace

Result<void> hold_changes(const std::string& program, Figures& figures) {
  FLEXPERT_ASSIGN(const std::unique_ptr<Fleet> fleet, start_fleet());
  FLEXPERT_ASSIGN(const GatewayUnderTest own, start_gateway(fleet->folder, program, {.upstreams = {}, .core = kProxyCore},
                                                            {.extra_gateway = fleet->extra_gateway}));
  pin_to_core(kOtherCore);
  FLEXPERT_TRY(scale_down(*fleet, own, figures));
  FLEXPERT_TRY(drain_gateways(program, own, fleet->folder, figures));
  return reload_policies(own, fleet->folder, figures);
}

}  // namespace flexpert::bench
