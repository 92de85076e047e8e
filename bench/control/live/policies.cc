#include <algorithm>

#include <fmt/format.h>

#include "live/pool_run.h"
#include "live/sections.h"
#include "live/traffic.h"

namespace flexpert::bench {
namespace {

constexpr double kTtftTarget = 0.6;
constexpr double kItlTarget = 0.06;
constexpr std::uint32_t kPeak = 4;

// What the pace stands for is what the engine model is told.
constexpr const char* kSla =
    "[{name: sla, kind: sla, ttft_s: 0.6, itl_s: 0.06, percentile: 0.95, engine: {fixed_s: 0.03, per_new_token_s: 0.001, max_batch: 4}}]";
// HPA with its own defaults, its times scaled as the interval is (15 s there, 1 s here).
constexpr const char* kHpa =
    "[{name: hpa, kind: target_tracking, metrics: [{name: concurrency, kind: pool_average, target: 2.5}], initial_readiness_s: 2, max_age_s: 5,"
    " up: {stabilisation_s: 0, policies: [{kind: percent, value: 100, period_s: 1}, {kind: instances, value: 4, period_s: 1}]},"
    " down: {stabilisation_s: 20, policies: [{kind: percent, value: 100, period_s: 1}]}}]";
constexpr const char* kStatic = "[{name: peak, kind: manual, replicas: 4}]";

/// An hour of a day's rise and fall, in a minute.
const std::vector<TrafficLeg> kDay = {{8, 3, 3}, {12, 3, 17}, {12, 17, 17}, {10, 17, 3}, {18, 3, 3}};

struct Row {
  std::string name;
  std::size_t requests = 0;
  std::size_t failed = 0;
  double attained = 0;
  double instance_seconds = 0;
  std::size_t most = 0;
};

Result<Row> run_day(const LiveSetup& setup, const std::string& source, const std::string& name, const char* policies) {
  PoolRunSettings settings;
  settings.policies = policies;
  settings.max = kPeak;
  settings.stabilisation = name == "sla" ? "{down_window_s: 4, min_between_reversals_s: 4, max_loading: 4}" : "{down_window_s: 0, min_between_reversals_s: 0, hysteresis: 0, max_loading: 4}";
  std::unique_ptr<PrometheusServer> prometheus;
  if (source == "prometheus") {
    FLEXPERT_ASSIGN(prometheus, PrometheusServer::create(setup.loop));
    settings.prometheus = prometheus->url();
    settings.sensors = "{source: prometheus, selector: 'job=\"instances\"'}";
  }
  FLEXPERT_ASSIGN(const auto run, PoolRun::start(setup.loop, setup.program, setup.model, settings));
  if (prometheus) FLEXPERT_TRY(prometheus->start(run->controller(), run->gateway()));
  if (name == "static") FLEXPERT_TRY(run->settle(kPeak, Seconds(30)));
  run_for(setup.loop, Seconds(3));
  Traffic traffic(setup.loop, run->gateway(), run->model(), 7);
  Row row;
  row.name = name;
  {
    const InstanceSeconds instance_seconds(setup.loop, *run);
    traffic.open_loop(kDay);
    FLEXPERT_TRY(run_until(setup.loop, [&] { return !traffic.sending() && traffic.under_way() == 0; }, Seconds(150), "the day's traffic"));
    row.instance_seconds = instance_seconds.value();
    row.most = instance_seconds.most();
  }
  row.requests = traffic.outcomes().size();
  row.failed = traffic.failed();
  const auto attained = std::count_if(traffic.outcomes().begin(), traffic.outcomes().end(), [](const RequestOutcome& one) {
    return one.problem.empty() && one.ttft_s <= kTtftTarget && one.mean_itl_s <= kItlTarget;
  });
  row.attained = static_cast<double>(attained) / static_cast<double>(std::max<std::size_t>(1, row.requests));
  FLEXPERT_TRY(run->stop(fmt::format("{}/{}-{}.db", setup.journals, source, name)));
  if (prometheus) FLEXPERT_TRY(prometheus->stop());
  return row;
}

Result<void> measure_day(const LiveSetup& setup, const std::string& source, Figures& figures) {
  std::vector<Row> rows;
  for (const auto& [name, policies] : {std::pair{"sla", kSla}, std::pair{"hpa", kHpa}, std::pair{"static", kStatic}}) {
    FLEXPERT_ASSIGN(Row row, run_day(setup, source, name, policies));
    rows.push_back(std::move(row));
  }
  for (const Row& row : rows) {
    const std::string who = fmt::format("{}, {}", source, row.name);
    figures.note(who + ": requests", static_cast<double>(row.requests), "");
    figures.note(who + ": within TTFT 600 ms and ITL 60 ms", 100 * row.attained, "%");
    figures.note(who + ": instance-seconds", row.instance_seconds, "s");
    figures.hold(who + ": failed requests", static_cast<double>(row.failed), "", "0", row.failed == 0);
    figures.hold(who + ": most instances at one time", static_cast<double>(row.most), "", fmt::format("<= {}", kPeak), row.most <= kPeak);
  }
  figures.hold(source + ": instance-seconds of SLA over static peak", rows[0].instance_seconds / rows[2].instance_seconds, "", "< 1",
               rows[0].instance_seconds < rows[2].instance_seconds);
  figures.hold(source + ": the pool grew and shrank", static_cast<double>(rows[0].most), "instances at most", ">= 2", rows[0].most >= 2);
  return {};
}

}  // namespace

Result<void> measure_policies_with_prometheus(const LiveSetup& setup, Figures& figures) { return measure_day(setup, "prometheus", figures); }
Result<void> measure_policies_with_scraping(const LiveSetup& setup, Figures& figures) { return measure_day(setup, "direct", figures); }

Result<void> measure_pace(const LiveSetup& setup, Figures& figures) {
  PoolRunSettings settings;
  settings.stabilisation = "{down_window_s: 0, min_between_reversals_s: 0, max_loading: 4}";
  FLEXPERT_ASSIGN(const auto run, PoolRun::start(setup.loop, setup.program, setup.model, settings));
  double tokens_per_s[2] = {0, 0};
  for (const std::uint32_t instances : {1U, 4U}) {
    FLEXPERT_TRY(run->set_manual(instances));
    Traffic traffic(setup.loop, run->gateway(), run->model(), 3);
    traffic.closed_loop(std::size_t{6} * instances);
    run_for(setup.loop, Seconds(2));
    const std::uint64_t before = traffic.tokens();
    const TimePoint began = SystemClock().now();
    run_for(setup.loop, Seconds(8));
    tokens_per_s[instances == 4] = static_cast<double>(traffic.tokens() - before) / to_seconds(SystemClock().now() - began);
    traffic.stop();
    FLEXPERT_TRY(run_until(setup.loop, [&] { return traffic.under_way() == 0; }, Seconds(30), "answers"));
  }
  figures.note("one instance", tokens_per_s[0], "tokens/s");
  figures.note("four instances", tokens_per_s[1], "tokens/s");
  figures.hold("four instances over one", tokens_per_s[1] / tokens_per_s[0], "", ">= 3.5", tokens_per_s[1] >= 3.5 * tokens_per_s[0]);
  return run->stop(setup.journals + "/pace.db");
}

}  // namespace flexpert::bench
