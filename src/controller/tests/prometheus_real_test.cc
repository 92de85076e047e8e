// The real Prometheus server scrapes an engine of ours and answers our sensors. Skipped where it is not installed.
#include <csignal>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "controller/pool_sensors.h"
#include "http/server.h"
#include "net/child_process.h"
#include "net/socket.h"

namespace flexpert::controller {
namespace {

constexpr const char* kPrometheus = "/usr/bin/prometheus";

class RealPrometheus : public ::testing::Test {
 protected:
  RealPrometheus() : folder(std::filesystem::temp_directory_path() / fmt::format("flexpert_prometheus_{}", ::getpid())) {}
  ~RealPrometheus() override {
    process.reset();
    std::filesystem::remove_all(folder);
  }

  /// An engine that answers a request of 100 tokens in and 20 out every 10 ms.
  http::Response metrics() {
    const auto n = static_cast<std::uint64_t>(to_seconds(clock.now() - began) * 100);
    return {200, {}, fmt::format("# TYPE vllm:request_success_total counter\nvllm:request_success_total{{model_name=\"m\"}} {}\n"
                                 "# TYPE vllm:request_prompt_tokens histogram\nvllm:request_prompt_tokens_bucket{{le=\"+Inf\"}} {}\n"
                                 "vllm:request_prompt_tokens_sum {}\nvllm:request_prompt_tokens_count {}\n"
                                 "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 3\n"
                                 "# TYPE vllm:kv_cache_usage_perc gauge\nvllm:kv_cache_usage_perc 0.5\n", n, n, 100 * n, n)};
  }

  void start_prometheus() {
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "prometheus.yml") << fmt::format(
        "global:\n  scrape_interval: 100ms\n  scrape_timeout: 100ms\nscrape_configs:\n  - job_name: engines\n    static_configs:\n      - targets: ['{}']\n",
        engine_address.to_string());
    const net::Address any = *net::Address::parse("127.0.0.1:0");
    auto listening = net::listen_on(any);
    ASSERT_TRUE(listening);
    const std::string address = net::bound_address(listening->get(), any)->to_string();
    *listening = net::UniqueFd();
    net::ChildProcessOptions options;
    options.argv = {kPrometheus, "--config.file=" + (folder / "prometheus.yml").string(), "--storage.tsdb.path=" + (folder / "data").string(),
                    "--web.listen-address=" + address, "--log.level=warn"};
    auto spawned = net::ChildProcess::spawn(loop, std::move(options), [](net::ExitStatus) {});
    ASSERT_TRUE(spawned) << spawned.error().message;
    process = std::move(*spawned);
    config.prometheus.url = "http://" + address;
  }

  bool until(const std::function<bool()>& condition) {
    const TimePoint give_up = clock.now() + Seconds(60);
    while (true) {
      conditions = sensors->fill(observation);
      if (condition()) return true;
      if (clock.now() > give_up) return false;
      loop.run_once(Milliseconds(20));
    }
  }

  SystemClock clock;
  TimePoint began = clock.now();
  net::EventLoop loop;
  std::filesystem::path folder;
  http::Server engine{loop, {}, [this](const http::Request&, http::Responder responder) { responder.respond(metrics()); }};
  net::Address engine_address = *engine.listen(*net::Address::parse("127.0.0.1:0"));
  config::PoolsConfig config;
  std::unique_ptr<net::ChildProcess> process;
  std::unique_ptr<PoolSensors> sensors;
  PoolObservation observation;
  std::vector<Reason> conditions;
};

TEST_F(RealPrometheus, TellsOfAPoolUntilItIsKilledAndThenItsFiguresGrowOld) {
  if (::access(kPrometheus, X_OK) != 0) GTEST_SKIP() << "no " << kPrometheus << " here; apt install prometheus to run this";
  start_prometheus();
  config.planner.interval_s = 1;
  config.planner.pools.resize(1);
  config.planner.pools[0].id = observation.pool = {"p"};
  config.entries.resize(1);
  config.entries[0].sensors = {.source = "prometheus", .engine = "vllm", .names = {},
                               .queries = {{"targets", "count(up == 1)"}, {"wrong", "sum("}}, .selector = "job=\"engines\""};
  auto created = PoolSensors::create(loop, clock, config);
  ASSERT_TRUE(created) << created.error().message;
  sensors = std::move(*created);
  sensors->set_instances({"p"}, {{{"e"}, InstanceState::kReady, engine_address.to_string()}});
  observation.instances.resize(1);
  observation.instances[0].id = {"e"};
  observation.instances[0].state = InstanceState::kReady;
  const PoolTraffic& traffic = observation.traffic;
  // Once the window is full, so that the rate is that of the engine.
  ASSERT_TRUE(until([&] { return traffic.isl && traffic.requests_per_s && std::abs(traffic.requests_per_s->value - 100) < 25 && traffic.in_flight; }));
  EXPECT_NEAR(traffic.isl->value, 100, 1e-6);
  EXPECT_EQ(traffic.in_flight->value, 3);
  EXPECT_LT(traffic.requests_per_s->age_s, 2);
  EXPECT_EQ(observation.metrics.at("kv").value, 0.5);
  EXPECT_EQ(observation.metrics.at("targets").value, 1);
  EXPECT_EQ(observation.instances[0].in_flight, 3U);
  EXPECT_TRUE(std::any_of(conditions.begin(), conditions.end(), [](const Reason& r) { return r.code == "prometheus_query_failed" && r.text.starts_with("wrong: "); }));

  process->signal(SIGKILL);
  const double before = traffic.in_flight->age_s;
  ASSERT_TRUE(until([&] { return !conditions.empty() && conditions[0].code == "prometheus_unreachable"; }));
  ASSERT_TRUE(until([&] { return traffic.in_flight && traffic.in_flight->age_s > before + 0.5; }));
  EXPECT_EQ(traffic.in_flight->value, 3);
}

}  // namespace
}  // namespace flexpert::controller
