#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "config/fleet_config.h"
#include "config/time_zone_database.h"

namespace flexpert::config {
namespace {

const std::string kRoot = FLEXPERT_SOURCE_DIR;

std::string message_of(const std::string& text) {
  const auto config = parse(text, "f.yaml");
  return config ? "no error" : config.error().message;
}

/// One pool with more lines, from line 3 on.
std::string pool_with(const std::string& more) { return "pools:\n  - {name: a, launch: {model: m},\n" + more + "}\n"; }

TEST(PoolsConfig, TheExampleIsReadAsWritten) {
  const auto config = load_file(kRoot + "/examples/pools.yaml");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_TRUE(config->pools);
  const PoolsConfig& pools = *config->pools;
  EXPECT_EQ(pools.planner.gpu_budget, 6U);
  ASSERT_EQ(pools.planner.pools.size(), 2U);
  ASSERT_EQ(pools.entries.size(), 2U);
  EXPECT_EQ(pools.planner.pools[0].policies[1].rule, scaling::CombineRule::kFloor);
  EXPECT_EQ(std::get<scaling::ScheduleOptions>(pools.planner.pools[0].policies[1].options).zone.name, "Europe/Berlin");
  EXPECT_EQ(pools.entries[0].launch.name, "tiny");
  ASSERT_EQ(pools.shadows.size(), 1U);
  EXPECT_TRUE(pools.shadows[0].policies.contains("chat"));
  EXPECT_FALSE(config->model);
}

TEST(PoolsConfig, APoolNeedsANameAndWhatItRuns) {
  const auto config = parse("pools: [{name: a, launch: {model: models/x/}}]\n", "f.yaml");
  ASSERT_TRUE(config) << config.error().message;
  const scaling::PoolConfig& pool = config->pools->planner.pools[0];
  EXPECT_EQ(pool.limits, (PoolLimits{1, 8, {}}));
  ASSERT_EQ(pool.policies.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<scaling::SlaOptions>(pool.policies[0].options));
  EXPECT_EQ(config->pools->entries[0].launch.name, "x");
  EXPECT_EQ(config->pools->planner.interval_s, 15);
  EXPECT_FALSE(config->pools->planner.gpu_budget);
}

TEST(PoolsConfig, EveryFieldOfAPoolIsRead) {
  const auto config = parse(R"yaml(
planner: {interval_s: 3, gpu_budget: 9, prometheus: {url: "https://p:9090/x", timeout_s: 2, bearer_token_file: /t}, webhook: {url: "http://h:1", secret_file: /s, timeout_s: 4}}
pools:
  - name: p
    role: prefill
    deployment: d
    min: 2
    max: 5
    manual: 3
    gpus_per_instance: 2
    priority: -4
    weight: 2.5
    stabilisation: {up_window_s: 1, down_window_s: 2, hysteresis: 0.2, min_between_reversals_s: 3, max_step_up: 4, max_step_down: 5, max_loading: 0.5}
    forecast: {predictor: holt, quantile: 0.95, default_startup_s: 7, window: 50}
    warm: {min: 1, max: 2}
    vertical: {threads_min: 1, threads_max: 4, kv_blocks_min: 8, kv_blocks_max: 16, high: 0.9, low: 0.2}
    scale_to_zero_after_s: 60
    never_ready_s: 61
    max_metric_age_s: 62
    launch: {command: [srv, --port, "{port}", --port], environment: [A=b], ready_path: /health, ready_timeout_s: 5, drain_deadline_s: 6}
    sensors: {source: prometheus, engine: vllm, names: {queued: "vllm:num_requests_waiting"}, queries: {cpu: "avg(rate(x[1m]))"}, selector: 'job="vllm"'}
  - name: w
    launch: {backend: webhook, name: m, threads: 2, kv_blocks: 3, max_batch: 4, pace: /pace.json}
)yaml", "f.yaml");
  ASSERT_TRUE(config) << config.error().message;
  const PoolsConfig& all = *config->pools;
  EXPECT_EQ(all.planner.interval_s, 3);
  EXPECT_EQ(all.prometheus.url, "https://p:9090/x");
  EXPECT_EQ(all.prometheus.bearer_token_file, "/t");
  EXPECT_EQ(all.webhook.secret_file, "/s");
  const scaling::PoolConfig& pool = all.planner.pools[0];
  EXPECT_EQ(pool.role, PoolRole::kPrefill);
  EXPECT_EQ(pool.deployment, "d");
  EXPECT_EQ(pool.limits, (PoolLimits{2, 5, 3}));
  EXPECT_EQ(pool.gpus_per_instance, 2U);
  EXPECT_EQ(pool.priority, -4);
  EXPECT_EQ(pool.weight, 2.5);
  EXPECT_EQ(pool.stabilisation.hysteresis, 0.2);
  EXPECT_EQ(pool.stabilisation.max_step_up, 4U);
  EXPECT_EQ(pool.stabilisation.max_step_down, 5U);
  EXPECT_EQ(pool.stabilisation.max_loading, 0.5);
  EXPECT_EQ(pool.forecast.predictor, "holt");
  EXPECT_EQ(pool.forecast.default_startup_s, 7);
  EXPECT_EQ(pool.forecast.window, 50U);
  EXPECT_EQ(pool.warm.max, 2U);
  EXPECT_EQ(pool.vertical->kv_blocks_max, 16U);
  EXPECT_EQ(pool.scale_to_zero_after_s, 60);
  EXPECT_EQ(pool.never_ready_s, 61);
  EXPECT_EQ(pool.max_metric_age_s, 62);
  EXPECT_EQ(all.entries[0].launch.command.size(), 4U);
  EXPECT_EQ(all.entries[0].launch.environment[0], "A=b");
  EXPECT_EQ(all.entries[0].sensors.names.at("queued"), "vllm:num_requests_waiting");
  EXPECT_EQ(all.entries[0].sensors.queries.at("cpu"), "avg(rate(x[1m]))");
  EXPECT_EQ(all.entries[0].sensors.selector, "job=\"vllm\"");
  EXPECT_EQ(all.entries[1].launch.kv_blocks, 3U);
  EXPECT_EQ(all.entries[1].launch.pace, "/pace.json");
}

TEST(PoolsConfig, EveryFieldOfThePoliciesIsRead) {
  const auto config = parse(R"yaml(
pools:
  - name: p
    launch: {model: m}
    policies:
      - {kind: sla, name: s, ttft_s: 1, itl_s: 0.1, percentile: 0.9, utilisation: 0.7, learn: false, correction: {enabled: false, low: 0.5, high: 2, smoothing: 0.3},
         engine: {fixed_s: 0.01, per_new_token_s: 1e-5, per_sequence_s: 1e-4, per_kv_token_s: 1e-8, max_batch: 64, chunk_tokens: 512, kv_tokens: 1e5}}
      - {kind: target_tracking, tolerance: 0.2, initial_readiness_s: 9, max_age_s: 8, metrics: [{name: cpu, kind: per_instance, target: 0.6}, {name: q, kind: pool_value, target: 3}],
         up: {stabilisation_s: 5, select: min, policies: [{kind: instances, value: 2, period_s: 60}]}, down: {select: disabled}}
      - {kind: kpa, metric: requests_per_s, target: 20, utilisation: 0.5, stable_window_s: 30, panic_window_percentage: 20, panic_threshold_percentage: 300, max_scale_up_rate: 4,
         max_scale_down_rate: 3, activation_scale: 2, scale_to_zero_grace_s: 12, scale_down_delay_s: 13, target_burst_capacity: -1, max_age_s: 14}
      - {kind: thresholds, metric: kv, high: 0.9, low: 0.1, cooldown_s: 5, max_age_s: 6}
      - {kind: schedule, rule: ceiling, time_zone: America/New_York, otherwise: 1, holidays: [2026-07-03], entries: [{name: n, cron: "0 22 * * *", duration_s: 600, replicas: 2, priority: -1, on_holidays: false}]}
      - {kind: predictive, requests_per_s_per_instance: 4, utilisation: 0.6}
      - {kind: manual, replicas: 3, rule: floor}
)yaml", "f.yaml");
  ASSERT_TRUE(config) << config.error().message;
  const auto& policies = config->pools->planner.pools[0].policies;
  const auto& sla = std::get<scaling::SlaOptions>(policies[0].options);
  EXPECT_EQ(policies[0].name, "s");
  EXPECT_EQ(sla.engine->coefficients().per_kv_token, 1e-8);
  EXPECT_EQ(sla.engine->limits().chunk_tokens, 512);
  EXPECT_FALSE(sla.learn);
  EXPECT_EQ(sla.correction.smoothing, 0.3);
  const auto& tracking = std::get<scaling::TargetTrackingOptions>(policies[1].options);
  EXPECT_EQ(tracking.metrics[1].kind, scaling::TargetMetric::Kind::kPoolValue);
  EXPECT_EQ(tracking.up.policies[0].value, 2);
  EXPECT_EQ(tracking.up.select, scaling::ScalingRules::Select::kMin);
  EXPECT_EQ(tracking.down.select, scaling::ScalingRules::Select::kDisabled);
  EXPECT_EQ(tracking.down.policies.size(), 1U) << "the defaults stay";
  const auto& kpa = std::get<scaling::KpaOptions>(policies[2].options);
  EXPECT_EQ(kpa.metric, "requests_per_s");
  EXPECT_EQ(kpa.scale_down_delay_s, 13);
  EXPECT_EQ(std::get<scaling::ThresholdOptions>(policies[3].options).metric, "kv");
  const auto& schedule = std::get<scaling::ScheduleOptions>(policies[4].options);
  EXPECT_EQ(policies[4].rule, scaling::CombineRule::kCeiling);
  EXPECT_EQ(schedule.entries[0].priority, -1);
  EXPECT_FALSE(schedule.entries[0].on_holidays);
  EXPECT_EQ(schedule.otherwise, 1U);
  EXPECT_EQ(std::get<scaling::PredictiveOptions>(policies[5].options).requests_per_s_per_instance, 4);
  EXPECT_EQ(std::get<scaling::ManualOptions>(policies[6].options).replicas, 3U);
}

struct Case {
  std::string text;
  std::string message;
};

TEST(PoolsConfig, ErrorsSayFileLineFieldAndWhatIsAllowed) {
  const Case cases[] = {
      {"pools: []\n", "f.yaml:1: pools: there is no pool; allowed: a list with at least one pool"},
      {"planner: {}\nupstreams: [{url: 'http://h:1'}]\n", "f.yaml:1: pools: there is no pool; allowed: a list with at least one pool"},
      {pool_with("min: 9"), "f.yaml:3: pools[0].min: 9 is over max, which is 8; allowed: a whole number from 0 to max"},
      {pool_with("manual: 9"), "f.yaml:3: pools[0].manual: 9 is outside min and max; allowed: a whole number from 1 to 8"},
      {pool_with("mim: 2"), "f.yaml:3: pools[0].mim: unknown key, the nearest known one is \"min\"; allowed: "},
      {pool_with("role: worker"), "f.yaml:3: pools[0].role: worker is given; allowed: aggregated, prefill, decode, gateway"},
      {pool_with("weight: 0"), "f.yaml:3: pools[0].weight: 0 is out of range; allowed: a number over 0 and up to 1000000"},
      {pool_with("deployment: d"), "f.yaml:3: pools[0].deployment: d is given to a pool of role aggregated; allowed: for roles prefill and decode"},
      {pool_with("forecast: {predictor: crystal_ball}"),
       "f.yaml:3: pools[0].forecast.predictor: crystal_ball is given; allowed: constant, moving_average, exponential, holt, holt_winters, arima, "
       "prophet, kalman, seasonal_naive, mixture"},
      {pool_with("forecast: {window: 1}"), "f.yaml:3: pools[0].forecast.window: 1 is out of range; allowed: 0, or a whole number from 2 to 1024"},
      {pool_with("policies: [{kind: magic}]"),
       "f.yaml:3: pools[0].policies[0].kind: magic is given; allowed: sla, target_tracking, kpa, thresholds, schedule, predictive, manual"},
      {pool_with("policies: [{name: x}]"),
       "f.yaml:3: pools[0].policies[0].kind: the key is missing; allowed: sla, target_tracking, kpa, thresholds, schedule, predictive, manual"},
      {pool_with("policies: [{kind: manual}, {kind: manual}]"),
       "f.yaml:3: pools[0].policies[1].name: a policy manual is already given; allowed: each name once a pool"},
      {pool_with("policies: [{kind: thresholds, low: 0.5}]"),
       "f.yaml:3: pools[0].policies[0].low: 0.5 is over half of high, which is 0.8, so doubling and halving would undo each other; allowed: a number "
       "from 0 to high / 2"},
      {pool_with("policies: [{kind: target_tracking}]"), "f.yaml:3: pools[0].policies[0].metrics: there is none; allowed: at least one metric with its target"},
      {pool_with("policies: [{kind: target_tracking, metrics: [{name: q, target: -1}]}]"),
       "f.yaml:3: pools[0].policies[0].metrics[0].target: -1 is out of range; allowed: a number over 0 and up to 1000000000000000"},
      {pool_with("policies: [{kind: target_tracking, metrics: [{name: q, target: .nan}]}]"), "f.yaml:3: pools[0].policies[0].metrics[0].target: .nan is given; allowed: "},
      {pool_with("policies: [{kind: schedule, time_zone: Europe/Atlantis, otherwise: 1}]"),
       "f.yaml:3: pools[0].policies[0].time_zone: there is no time zone \"Europe/Atlantis\" in the system's database; allowed: UTC, or a name such as "
       "Europe/Berlin"},
      {pool_with("policies: [{kind: schedule, time_zone: ../../../etc/passwd, otherwise: 1}]"), "f.yaml:3: pools[0].policies[0].time_zone: there is no time zone"},
      {pool_with("policies: [{kind: schedule, entries: [{cron: '61 * * * *', replicas: 1}]}]"),
       "f.yaml:3: pools[0].policies[0].entries[0].cron: \"61\" is given as minute; allowed: "},
      {pool_with("policies: [{kind: schedule, otherwise: 1, holidays: [2026-02-30]}]"),
       "f.yaml:3: pools[0].policies[0].holidays[0]: \"2026-02-30\" is given; allowed: a date as YYYY-MM-DD"},
      {pool_with("policies: [{kind: sla, model: classic}]"),
       "f.yaml:3: pools[0].policies[0].profile: the key is missing; allowed: a folder of a measured profile, which model: classic goes by"},
      {pool_with("policies: [{kind: sla, profile: /nowhere}]"), "f.yaml:3: pools[0].policies[0].profile: there is no folder /nowhere; allowed: a .json profile"},
      {pool_with("policies: [{kind: sla, profile: " + kRoot + "/docs}]"), "f.yaml:3: pools[0].policies[0].profile: the folder "},
      {pool_with("policies: [{kind: sla, learn: false}]"), "f.yaml:3: pools[0].policies[0].learn: false is given without engine coefficients; allowed: "},
      {pool_with("vertical: {threads_min: 4, threads_max: 2}, sensors: {source: direct}"),
       "f.yaml:3: pools[0].vertical.threads_min: 4 is over threads_max, which is 2; allowed: a whole number up to threads_max"},
      {pool_with("vertical: {threads_min: 1, threads_max: 2}"),
       "f.yaml:3: pools[0].vertical: it needs each instance's own figures, and sensors.source is gateway; allowed: sensors: {source: direct}"},
      {pool_with("stabilisation: {hysteresis: 1}"), "f.yaml:3: pools[0].stabilisation.hysteresis: 1 is out of range; allowed: a number from 0 to 0.9"},
      {pool_with("sensors: {source: prometheus}"),
       "f.yaml:3: pools[0].sensors.source: prometheus is given, but no server; allowed: planner.prometheus.url: http(s)://HOST:PORT"},
      {"pools: [{name: a}]\n", "f.yaml:1: pools[0].launch: the key is missing; allowed: launch: with a model, a command, or backend: webhook"},
      {"pools: [{name: a b, launch: {model: m}}]\n", "f.yaml:1: pools[0].name: a b is given; allowed: up to 63 letters, digits, '.', '_' and '-'"},
      {"pools: [{name: a, launch: {}}]\n",
       "f.yaml:1: pools[0].launch.model: neither model nor command is given; allowed: a model folder to serve, or the command of another engine"},
      {"pools: [{name: a, launch: {backend: webhook}}]\n",
       "f.yaml:1: pools[0].launch.backend: webhook is given, but no address to call; allowed: planner.webhook: with url and secret_file"},
      {"pools: [{name: a, launch: {model: m}}, {name: a, launch: {model: m}}]\n", "f.yaml:1: pools[1].name: a pool a is already given; allowed: each name once"},
      {"pools:\n  - {name: a, min: 3, launch: {model: m}}\nplanner:\n  gpu_budget: 2\n",
       "f.yaml:4: planner.gpu_budget: 2 is less than the pools' minima take, which is 3; allowed: at least that, or lower minima"},
      {"pools: [{name: a, launch: {model: m}}]\nplanner: {prometheus: {url: 'ftp://h'}}\n",
       "f.yaml:2: planner.prometheus.url: \"ftp://h\" is given; allowed: http(s)://HOST:PORT[/PREFIX]"},
      {"pools: [{name: a, launch: {model: m}}]\nplanner:\n  shadows: [{name: s, pools: [{pool: b, policies: []}]}]\n",
       "f.yaml:3: planner.shadows[0].pools[0].pool: there is no pool \"b\"; allowed: a name from pools"},
  };
  for (const Case& c : cases) {
    const std::string message = message_of(c.text);
    EXPECT_TRUE(message.starts_with(c.message)) << "input:\n" << c.text << "\nwanted: " << c.message << "\n   got: " << message;
  }
}

TEST(PoolsConfig, ProfilesAreReadFromAFolderOrByFile) {
  const std::string file = kRoot + "/data/profiles/dynamo/H200_TP1P_TP1D.";
  const std::string text = "{prefill: " + file + "prefill.raw_data.npz, decode: " + file + "decode.raw_data.npz}";
  const auto config = parse(pool_with("policies: [{kind: sla, profile: " + text + "}]"), "f.yaml");
  ASSERT_TRUE(config) << config.error().message;
  const auto& sla = std::get<scaling::SlaOptions>(config->pools->planner.pools[0].policies[0].options);
  EXPECT_EQ(sla.model, scaling::SlaOptions::Model::kClassic);
  EXPECT_GT(sla.profile->ttft_s(3000), 0);
}

TEST(PoolsConfig, AMalformedProfileIsRefusedWithItsReason) {
  const std::string folder = ::testing::TempDir() + "flexpert_pools_profile";
  std::filesystem::create_directories(folder);
  for (const char* name : {"/prefill.npz", "/decode.npz"}) std::ofstream(folder + name) << "not a zip";
  const std::string message = message_of(pool_with("policies: [{kind: sla, profile: " + folder + "}]"));
  EXPECT_TRUE(message.starts_with("f.yaml:3: pools[0].policies[0].profile: the profile cannot be used: ")) << message;
  std::filesystem::remove_all(folder);
}

TEST(TimeZones, KnowTheirChanges) {
  const auto berlin = load_time_zone("Europe/Berlin");
  ASSERT_TRUE(berlin) << berlin.error().message;
  EXPECT_EQ(berlin->offset_at(1774746000 - 1), 3600);
  EXPECT_EQ(berlin->offset_at(1774746000), 7200);
  EXPECT_EQ(berlin->offset_at(1792890000), 3600);
  EXPECT_EQ(load_time_zone("Asia/Kolkata")->offset_at(1774746000), 19800);
  EXPECT_TRUE(load_time_zone("UTC")->changes.empty());
  EXPECT_FALSE(load_time_zone(""));
  EXPECT_FALSE(load_time_zone("/etc/localtime"));
  EXPECT_FALSE(load_time_zone(std::string(1000, 'a')));
}

}  // namespace
}  // namespace flexpert::config
