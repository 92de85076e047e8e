#include "expert_fleet.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "base/check.h"

namespace flexpert::bench {

ScratchFolder::ScratchFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "flexpert-bench-XXXXXX").string();
  FLEXPERT_CHECK(::mkdtemp(name.data()) != nullptr, "cannot make a folder for scratch files");
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Result<void> run_until(net::EventLoop& loop, const std::function<bool()>& done, Duration deadline, const std::string& what) {
  const SystemClock clock;
  const TimePoint end = clock.now() + deadline;
  while (!done()) {
    if (clock.now() >= end) return fail(ErrorCode::kDeadlineExceeded, "gave up waiting after {:.0f} s: {}", to_seconds(deadline), what);
    loop.run_once(Milliseconds(50));
  }
  return {};
}

std::size_t ExpertFleet::add(bool tcp) {
  const std::string id = fmt::format("expert-{}", servers_.size());
  servers_.push_back({id, tcp ? "127.0.0.1:0" : "unix:" + options_.folder + "/" + id, nullptr, false, {}});
  return servers_.size() - 1;
}

Result<void> ExpertFleet::start(std::size_t index) {
  Server& server = servers_[index];
  server.ready = false;
  server.lines.clear();
  net::ChildProcessOptions child;
  child.argv = {options_.program, "expert", "--pack", options_.pack, "--listen", server.address,
                "--threads", fmt::format("{}", options_.threads), "--id", server.id};
  child.on_line = [this, index](std::string_view line) {
    Server& self = servers_[index];
    constexpr std::string_view kListening = " listening on ";
    if (const std::size_t at = line.find(kListening); at != std::string_view::npos) {
      const std::string_view rest = line.substr(at + kListening.size());
      self.address = rest.substr(0, rest.find_first_of(", "));
      self.ready = true;
    }
    if (self.lines.size() < 20) self.lines.emplace_back(line);
  };
  FLEXPERT_ASSIGN(server.process, net::ChildProcess::spawn(loop_, std::move(child), [this, index](net::ExitStatus) {
                    servers_[index].ready = false;
                    servers_[index].process.reset();
                  }));
  return {};
}

Result<void> ExpertFleet::start_all_and_wait() {
  for (std::size_t i = 0; i < servers_.size(); ++i)
    if (!running(i)) FLEXPERT_TRY(start(i));
  const auto all_ready = [&] { return std::ranges::all_of(servers_, [](const Server& s) { return s.ready || !s.process; }); };
  FLEXPERT_TRY(run_until(loop_, all_ready, Seconds(30), "expert servers to listen"));
  for (const Server& server : servers_)
    if (!server.ready)
      return fail(ErrorCode::kUnavailable, "an expert server ended at its start: {}: {}", server.id,
                  server.lines.empty() ? "it said nothing" : server.lines.back());
  return {};
}

void ExpertFleet::kill_9(std::size_t server) {
  if (servers_[server].process) servers_[server].process->signal(SIGKILL);
  servers_[server].ready = false;
}

std::vector<ExpertEndpoint> ExpertFleet::endpoints() const {
  std::vector<ExpertEndpoint> all;
  for (const Server& server : servers_) all.push_back({InstanceId{server.id}, server.address});
  return all;
}

RoutingTable ExpertFleet::full_table(ExpertGeometry geometry, std::uint64_t epoch) const {
  std::vector<std::uint16_t> everywhere(servers_.size());
  std::iota(everywhere.begin(), everywhere.end(), std::uint16_t{0});
  return {epoch, geometry, endpoints(), std::vector(geometry.size(), everywhere)};
}

}  // namespace flexpert::bench
