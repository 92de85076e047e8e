#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "live/pool_run.h"
#include "live/sections.h"
#include "live/traffic.h"

namespace flexpert::bench {
namespace {

namespace json = boost::json;

constexpr std::size_t kScaleDowns = 200;
constexpr const char* kNoDamping = "{down_window_s: 0, min_between_reversals_s: 0, hysteresis: 0, max_loading: 4}";

void print_problems(const Traffic& traffic) {
  std::size_t shown = 0;
  for (const RequestOutcome& one : traffic.outcomes())
    if (!one.problem.empty() && shown++ < 5) fmt::print("  a failed request: {}\n", one.problem);
}

std::uint32_t ready_of(const PoolRun& run) {
  const auto pool = run.pool();
  return pool ? pool->at("instances").at("ready").to_number<std::uint32_t>() : 0;
}

}  // namespace

Result<void> measure_drains(const LiveSetup& setup, Figures& figures) {
  PoolRunSettings settings;
  settings.interval_s = 0.2;
  settings.stabilisation = kNoDamping;
  FLEXPERT_ASSIGN(const auto run, PoolRun::start(setup.loop, setup.program, setup.model, settings));
  Traffic traffic(setup.loop, run->gateway(), run->model(), 11);
  traffic.open_loop({{600, 6, 6}});
  std::size_t drained = 0;
  while (drained < kScaleDowns) {
    FLEXPERT_TRY(run->set_manual(4));
    FLEXPERT_ASSIGN(const auto before, run->instances());
    FLEXPERT_TRY(run->set_manual(1));
    FLEXPERT_ASSIGN(const auto after, run->instances());
    for (const auto& [id, pid] : before) drained += after.contains(id) ? 0 : 1;
  }
  traffic.stop();
  FLEXPERT_TRY(run_until(setup.loop, [&] { return traffic.under_way() == 0; }, Seconds(30), "answers"));
  print_problems(traffic);
  figures.note("requests during the scale-downs", static_cast<double>(traffic.outcomes().size()), "");
  figures.hold("scale-downs under load", static_cast<double>(drained), "", ">= 200", drained >= kScaleDowns);
  figures.hold("failed requests over them", static_cast<double>(traffic.failed()), "", "0", traffic.failed() == 0);
  return run->stop(setup.journals + "/drains.db");
}

Result<void> measure_sensor_loss(const LiveSetup& setup, Figures& figures) {
  FLEXPERT_ASSIGN(const auto prometheus, PrometheusServer::create(setup.loop));
  PoolRunSettings settings;
  settings.prometheus = prometheus->url();
  settings.sensors = "{source: prometheus, selector: 'job=\"instances\"'}";
  settings.stabilisation = kNoDamping;
  settings.policies =
      "[{name: load, kind: target_tracking, metrics: [{name: concurrency, kind: pool_average, target: 2}], max_age_s: 4,"
      " down: {stabilisation_s: 2, policies: [{kind: percent, value: 100, period_s: 1}]}}]";
  FLEXPERT_ASSIGN(const auto run, PoolRun::start(setup.loop, setup.program, setup.model, settings));
  FLEXPERT_TRY(prometheus->start(run->controller(), run->gateway()));
  Traffic traffic(setup.loop, run->gateway(), run->model(), 5);
  traffic.open_loop({{60, 14, 14}});
  FLEXPERT_TRY(run_until(setup.loop, [&] { return ready_of(*run) >= 3; }, Seconds(40), "the pool to grow"));
  FLEXPERT_TRY(prometheus->kill());
  traffic.stop();  // with eyes this would shrink the pool
  const std::uint32_t before = ready_of(*run);
  std::uint32_t least = before;
  const TimePoint end = SystemClock().now() + Seconds(20);
  while (SystemClock().now() < end) {
    run_for(setup.loop, Milliseconds(500));
    least = std::min(least, ready_of(*run));
  }
  const std::string conditions = run->conditions();
  fmt::print("  conditions 20 s after the kill: {}\n", conditions);
  figures.hold("instances 20 s after Prometheus was killed, of those before", static_cast<double>(least) / before, "", "1", least >= before);
  const bool clear = conditions.find("prometheus_unreachable") != std::string::npos;
  figures.hold("the status says prometheus_unreachable", clear ? 1 : 0, "", "1", clear);
  const bool missing = conditions.find("metric_") != std::string::npos;
  figures.hold("and which metric is missing or stale", missing ? 1 : 0, "", "1", missing);
  figures.hold("failed requests", static_cast<double>(traffic.failed()), "", "0", traffic.failed() == 0);
  return run->stop(setup.journals + "/sensor-loss.db");
}

Result<void> measure_restarts(const LiveSetup& setup, Figures& figures) {
  PoolRunSettings settings;
  settings.separate = true;
  settings.interval_s = 0.5;
  settings.stabilisation = kNoDamping;
  FLEXPERT_ASSIGN(const auto run, PoolRun::start(setup.loop, setup.program, setup.model, settings));
  Traffic traffic(setup.loop, run->gateway(), run->model(), 13);
  traffic.open_loop({{300, 5, 5}});
  std::size_t kills = 0;
  std::size_t wrong = 0;
  std::size_t replaced = 0;
  std::size_t cycles_lost = 0;
  for (const Duration delay : {Milliseconds(0), Milliseconds(5), Milliseconds(15), Milliseconds(40), Milliseconds(80), Milliseconds(200), Milliseconds(500), Milliseconds(700)}) {
    for (const std::uint32_t wanted : {4U, 1U}) {
      FLEXPERT_ASSIGN(const auto before, run->instances());
      FLEXPERT_ASSIGN(const json::value planner, run->planner());
      FLEXPERT_ASSIGN(const json::value asked, ask(run->controller(), "PUT", "/api/v1/pools/chat/limits", fmt::format("{{\"manual\":{}}}", wanted)));
      run_for(setup.loop, delay);
      FLEXPERT_TRY(run->kill_controller());
      FLEXPERT_TRY(run->start_controller());
      ++kills;
      if (!run->settle(wanted, Seconds(30))) ++wrong;
      run_for(setup.loop, Seconds(1));
      FLEXPERT_ASSIGN(const auto after, run->instances());
      if (after.size() != wanted) ++wrong;
      for (const auto& [id, pid] : before)
        if (wanted == 4 && (!after.contains(id) || after.at(id) != pid)) ++replaced;
      FLEXPERT_ASSIGN(const json::value now, run->planner());
      if (now.at("cycle").to_number<std::uint64_t>() <= planner.at("cycle").to_number<std::uint64_t>()) ++cycles_lost;
    }
  }
  traffic.stop();
  FLEXPERT_TRY(run_until(setup.loop, [&] { return traffic.under_way() == 0; }, Seconds(30), "answers"));
  print_problems(traffic);
  figures.note("controllers killed while scaling", static_cast<double>(kills), "");
  figures.note("requests meanwhile", static_cast<double>(traffic.outcomes().size()), "");
  figures.hold("restarts after which the pool was not as wanted", static_cast<double>(wrong), "", "0", wrong == 0);
  figures.hold("running instances that were replaced", static_cast<double>(replaced), "", "0", replaced == 0);
  figures.hold("restarts that lost the history", static_cast<double>(cycles_lost), "", "0", cycles_lost == 0);
  figures.hold("failed requests over the restarts", static_cast<double>(traffic.failed()), "", "0", traffic.failed() == 0);
  return run->stop(setup.journals + "/restarts.db");
}

Result<void> measure_never_ready(const LiveSetup& setup, Figures& figures) {
  constexpr double kNeverReady = 3;
  PoolRunSettings settings;
  settings.launch = "{command: [/bin/sleep, '1000'], ready_timeout_s: 300}";
  settings.never_ready_s = kNeverReady;
  FLEXPERT_ASSIGN(const auto run, PoolRun::start(setup.loop, setup.program, setup.model, settings, false));
  std::int64_t started = 0;
  std::int64_t cancelled = 0;
  const auto look = [&] {
    const auto decisions = ask(run->controller(), "GET", "/api/v1/decisions?limit=100");
    if (!decisions) return false;
    for (const json::value& plan : decisions->at("plans").as_array()) {
      for (const json::value& action : plan.at("pools").at(0).at("actions").as_array()) {
        const auto at = plan.at("unix_ms").to_number<std::int64_t>();
        if (action.at("kind") == "start") started = at;  // newest first: the first start is the last one seen
        if (action.at("kind") == "cancel") cancelled = at;
      }
    }
    return cancelled > 0;
  };
  FLEXPERT_TRY(run_until(setup.loop, look, Seconds(30), "the instance to be cancelled"));
  const double cycles = (static_cast<double>(cancelled - started) / 1000 - kNeverReady) / settings.interval_s;
  figures.hold("cycles from its time being up to its cancelling", cycles, "", "<= 2", cycles <= 2);
  return run->stop(setup.journals + "/never-ready.db");
}

}  // namespace flexpert::bench
