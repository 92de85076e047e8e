// 100 kill -9 of random expert servers (at times all of them) under 500 streamed requests: none fails, and every
// output is that of an undisturbed run.
#include <algorithm>

#include "base/rng.h"
#include "engine_rig.h"
#include "expert_fleet.h"
#include "figures.h"

namespace flexpert::bench {
namespace {

constexpr std::size_t kRequests = 500;
constexpr std::uint32_t kTokens = 128;  // long enough that servers come back between the kills
constexpr std::size_t kKills = 100;
constexpr std::size_t kServers = 4;
constexpr Duration kDeadline = Seconds(400);
/// A stall is looked for in this time after a kill.
constexpr Duration kStallWindow = Milliseconds(200);

/// Kills servers as the tokens come, and starts them again a moment later.
class Chaos {
 public:
  Chaos(net::EventLoop& loop, ExpertFleet& fleet) : loop_(loop), fleet_(fleet) {}

  void on_progress(std::uint64_t tokens) {
    const std::uint64_t total = kRequests * kTokens;
    // The kills are spread over the first 95 % of the tokens, so that all of them fall into the load.
    const auto due = std::min<std::size_t>(kKills, tokens * kKills * 100 / (total * 95));
    while (kills_ < due && strike()) {
    }
  }
  [[nodiscard]] std::size_t kills() const { return kills_; }
  [[nodiscard]] std::size_t times_all() const { return times_all_; }
  [[nodiscard]] std::size_t restarts() const { return restarts_; }
  [[nodiscard]] const std::vector<TimePoint>& when() const { return when_; }

 private:
  /// Kills one server, or every tenth time all that run; false when none runs.
  bool strike() {
    std::vector<std::size_t> alive;
    for (std::size_t i = 0; i < fleet_.size(); ++i)
      if (fleet_.ready(i)) alive.push_back(i);
    if (alive.empty()) return false;
    const bool all = ++strikes_ % 10 == 0;
    if (all && alive.size() < fleet_.size()) {
      --strikes_;  // waits until all are there to be killed
      return false;
    }
    if (!all) alive = {alive[rng_.below(alive.size())]};
    if (all) ++times_all_;
    when_.push_back(clock_.now());
    for (const std::size_t server : alive) {
      fleet_.kill_9(server);
      ++kills_;
      start_later(server);
    }
    return true;
  }

  void start_later(std::size_t server) {
    loop_.call_after(Milliseconds(10 + rng_.below(60)), [this, server] {
      if (fleet_.running(server)) return start_later(server);  // not reaped yet
      if (fleet_.start(server)) ++restarts_;
    });
  }

  net::EventLoop& loop_;
  ExpertFleet& fleet_;
  SystemClock clock_;
  Rng rng_{2026};
  std::size_t strikes_ = 0;
  std::size_t kills_ = 0;
  std::size_t times_all_ = 0;
  std::size_t restarts_ = 0;
  std::vector<TimePoint> when_;
};

/// The longest time without any token of any request after each strike.
std::vector<double> stalls_ms(const std::vector<Job>& jobs, const std::vector<TimePoint>& strikes) {
  std::vector<TimePoint> times;
  for (const Job& job : jobs) times.insert(times.end(), job.times.begin(), job.times.end());
  std::sort(times.begin(), times.end());
  std::vector<double> stalls;
  for (const TimePoint strike : strikes) {
    auto next = std::lower_bound(times.begin(), times.end(), strike);
    if (next == times.end()) continue;
    Duration longest = *next - (next == times.begin() ? strike : *(next - 1));
    for (; next + 1 != times.end() && *next < strike + kStallWindow; ++next) longest = std::max<Duration>(longest, *(next + 1) - *next);
    stalls.push_back(to_ms(longest));
  }
  return stalls;
}

/// As many moments as asked for, evenly over the first 95 % of a run.
std::vector<TimePoint> moments(const std::vector<Job>& jobs, std::size_t count) {
  TimePoint first = TimePoint::max();
  TimePoint last = TimePoint::min();
  for (const Job& job : jobs) {
    first = std::min(first, job.times.front());
    last = std::max(last, job.times.back());
  }
  std::vector<TimePoint> all;
  for (std::size_t i = 0; i < count; ++i)
    all.push_back(first + from_seconds(0.95 * to_seconds(last - first) * static_cast<double>(i) / static_cast<double>(count)));
  return all;
}

Result<void> measure(const std::string& program, const std::string& model, Figures& figures) {
  FLEXPERT_ASSIGN(const auto prompts, load_golden_prompts(model));
  const ScratchFolder folder;
  const std::string pack = folder.file("pack");
  FLEXPERT_ASSIGN(const auto checkpoint, engine::Checkpoint::open(model));
  FLEXPERT_TRY(engine::write_pack(*checkpoint, pack, {}));
  net::EventLoop loop;
  ExpertFleet fleet(loop, {.program = program, .pack = pack, .folder = folder.file("")});
  for (std::size_t i = 0; i < kServers; ++i) fleet.add(i % 2 == 1);
  FLEXPERT_TRY(fleet.start_all_and_wait());

  const auto run = [&](std::vector<Job>& jobs, Chaos* chaos) -> Result<std::unique_ptr<EngineRig>> {
    FLEXPERT_ASSIGN(auto rig, EngineRig::start(loop, model, pack, {.remote = true}));
    FLEXPERT_TRY(rig->connect(fleet.full_table(rig->geometry(), 1)));
    const auto progress = [&](std::uint64_t tokens) {
      if (chaos != nullptr) chaos->on_progress(tokens);
    };
    FLEXPERT_TRY(rig->run(jobs, 16, kDeadline, progress));
    return rig;
  };
  std::vector<Job> undisturbed = make_jobs(prompts, kRequests, kTokens);
  FLEXPERT_TRY(run(undisturbed, nullptr));
  std::vector<Job> disturbed = make_jobs(prompts, kRequests, kTokens);
  Chaos chaos(loop, fleet);
  FLEXPERT_ASSIGN(const auto rig, run(disturbed, &chaos));

  const std::size_t failed = count_failed(disturbed) + count_failed(undisturbed);
  const std::size_t same = count_identical(undisturbed, disturbed);
  figures.hold("kills", static_cast<double>(chaos.kills()), "kill -9", fmt::format(">={}", kKills), chaos.kills() >= kKills);
  figures.hold("failed", static_cast<double>(failed), "requests", "0", failed == 0);
  figures.hold("identical", static_cast<double>(same), "outputs", fmt::format("{}", kRequests), same == kRequests);
  const double lost = rig->metric("flexpert_remote_experts_failures_total");
  figures.hold("connections_lost", lost, "connections", ">=50", lost >= 50);
  const double rows = rig->metric("flexpert_remote_experts_rows_total");
  const double fallback = rig->metric("flexpert_remote_experts_fallback_rows_total");
  const double share = 100 * rows / std::max(rows + fallback, 1.0);
  figures.hold("rows_by_servers", share, "%", ">=50", share >= 50);
  figures.note("all_killed_at_once", static_cast<double>(chaos.times_all()), "times");
  figures.note("restarts", static_cast<double>(chaos.restarts()), "processes");
  figures.note("reconnects", rig->metric("flexpert_remote_experts_reconnects_total"), "connections");
  const auto stalls = stalls_ms(disturbed, chaos.when());
  figures.note("stall_p50", quantile(stalls, 0.5), "ms");
  figures.note("stall_p99", quantile(stalls, 0.99), "ms");
  // What the machine does by itself: the same question to the undisturbed run, at as many moments.
  const auto calm_stalls = stalls_ms(undisturbed, moments(undisturbed, chaos.when().size()));
  figures.note("stall_p50_undisturbed", quantile(calm_stalls, 0.5), "ms");
  figures.note("stall_p99_undisturbed", quantile(calm_stalls, 0.99), "ms");
  figures.note("lost_layer_p50", 1000 * rig->histogram_quantile("flexpert_remote_experts_stall_seconds", 0.5), "ms at most");
  figures.note("lost_layer_p99", 1000 * rig->histogram_quantile("flexpert_remote_experts_stall_seconds", 0.99), "ms at most");
  const auto calm = token_gaps_ms(undisturbed);
  const auto rough = token_gaps_ms(disturbed);
  figures.note("itl_p50_undisturbed", quantile(calm, 0.5), "ms");
  figures.note("itl_p50_disturbed", quantile(rough, 0.5), "ms");
  figures.note("itl_p99_undisturbed", quantile(calm, 0.99), "ms");
  figures.note("itl_p99_disturbed", quantile(rough, 0.99), "ms");
  return {};
}

}  // namespace
}  // namespace flexpert::bench

int main(int argc, char** argv) {
  return flexpert::bench::run_measurement(
      argc, argv, "chaos",
      "500 streamed requests of 128 tokens, 16 at a time, on 4 expert server processes (2 Unix, 2 TCP); 100 kill -9 spread over "
      "the run, every tenth strike all at once, each restarted 10-70 ms later; compared with the same requests undisturbed; a "
      "stall is the longest time without any token within 200 ms after a strike; a lost layer is timed from the loss to its end",
      flexpert::bench::measure);
}
