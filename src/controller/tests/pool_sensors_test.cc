#include "controller/pool_sensors.h"

#include <gtest/gtest.h>

#include "codec/gateway_report.h"
#include "http/server.h"

namespace flexpert::controller {
namespace {

/// An engine or a Prometheus that a test scripts.
class Scripted {
 public:
  Scripted(net::EventLoop& loop, std::function<http::Response(const http::Request&)> script)
      : loop_(loop), script_(std::move(script)), address_(*net::Address::parse("127.0.0.1:0")) {
    start();
  }
  void start() {
    server_ = std::make_unique<http::Server>(loop_, http::ServerLimits{}, [this](const http::Request& request, http::Responder responder) {
      ++asked;
      responder.respond(script_(request));
    });
    address_ = *server_->listen(address_);
  }
  void stop() { server_.reset(); }
  [[nodiscard]] std::string address() const { return address_.to_string(); }

  int asked = 0;

 private:
  net::EventLoop& loop_;
  std::function<http::Response(const http::Request&)> script_;
  net::Address address_;
  std::unique_ptr<http::Server> server_;
};

class PoolSensorsTest : public ::testing::Test {
 protected:
  PoolSensorsTest() {
    scaling::PoolConfig pool;
    pool.id = {"chat"};
    config.planner.interval_s = 0.3;
    config.planner.pools = {pool};
    config.entries.resize(1);
    config.entries[0].launch.name = "m";
    observation.pool = {"chat"};
  }

  void start() {
    auto created = PoolSensors::create(loop, clock, config);
    ASSERT_TRUE(created) << created.error().message;
    sensors = std::move(*created);
  }

  /// Makes instances known to the sensors and to the observation.
  void instances(const std::vector<SensedInstance>& list) {
    sensors->set_instances({"chat"}, list);
    observation.instances.clear();
    for (const SensedInstance& one : list) {
      PoolInstance instance;
      instance.id = one.id;
      instance.state = one.state;
      observation.instances.push_back(instance);
    }
  }

  /// Turns the loop until what the sensors say satisfies `condition`.
  bool until(const std::function<bool()>& condition) {
    const TimePoint give_up = clock.now() + Seconds(10);
    while (true) {
      conditions = sensors->fill(observation);
      if (condition()) return true;
      if (clock.now() > give_up) return false;
      loop.run_once(Milliseconds(10));
    }
  }

  [[nodiscard]] bool has(std::string_view code) const {
    return std::any_of(conditions.begin(), conditions.end(), [&](const Reason& reason) { return reason.code == code; });
  }

  SystemClock clock;
  net::EventLoop loop;
  config::PoolsConfig config;
  std::unique_ptr<PoolSensors> sensors;
  PoolObservation observation;
  std::vector<Reason> conditions;
};

/// vLLM's metrics, for an engine that answers ten requests (100 tokens in, 20 out, TTFT 0.5 s) between two scrapes.
struct Vllm {
  int scrapes = 0;
  bool broken = false;
  double running = 3;
  std::string kv_name = "vllm:kv_cache_usage_perc";

  http::Response answer() {
    if (broken) return {500, {}, ""};
    const int n = 1000 + 10 * scrapes++;
    std::string text = "# TYPE vllm:request_success_total counter\n";
    text += fmt::format("vllm:request_success_total{{finished_reason=\"stop\"}} {}\nvllm:request_success_total{{finished_reason=\"length\"}} 5\n", n);
    text += fmt::format("vllm:request_prompt_tokens_sum {}\nvllm:request_prompt_tokens_count {}\n", 100 * n, n);
    text += fmt::format("vllm:request_generation_tokens_sum {}\nvllm:request_generation_tokens_count {}\n", 20 * n, n);
    text += fmt::format("vllm:time_to_first_token_seconds_bucket{{le=\"+Inf\"}} {}\n", n);
    text += fmt::format("vllm:time_to_first_token_seconds_sum {}\nvllm:time_to_first_token_seconds_count {}\n", 0.5 * n, n);
    text += fmt::format("vllm:time_per_output_token_seconds_sum {}\nvllm:time_per_output_token_seconds_count {}\n", 0.4 * n, 20 * n);
    text += fmt::format("vllm:num_requests_running {}\nvllm:num_requests_waiting 2\n{} 0.25\n", running, kv_name);
    return {200, {}, text};
  }
};

class ScrapingTest : public PoolSensorsTest {
 protected:
  ScrapingTest() {
    config.entries[0].sensors.source = "direct";
    config.entries[0].sensors.engine = "vllm";
  }
  Vllm engine_a;
  Vllm engine_b;
  Scripted a{loop, [this](const http::Request& request) { return request.target == "/metrics" ? engine_a.answer() : http::Response{404, {}, ""}; }};
  Scripted b{loop, [this](const http::Request&) { return engine_b.answer(); }};
};

TEST_F(ScrapingTest, InstancesAreAddedUpAndMeansAreOverTheInterval) {
  engine_b.kv_name = "vllm:gpu_cache_usage_perc";  // an older vLLM beside a newer one
  start();
  instances({{{"a"}, InstanceState::kReady, a.address()}, {{"b"}, InstanceState::kReady, b.address()}});
  ASSERT_TRUE(until([&] { return engine_a.scrapes >= 3 && engine_b.scrapes >= 3 && observation.traffic.isl; }));
  EXPECT_NEAR(observation.traffic.isl->value, 100, 1e-6);
  EXPECT_NEAR(observation.traffic.osl->value, 20, 1e-6);
  EXPECT_NEAR(observation.traffic.ttft_s->value, 0.5, 1e-6);
  EXPECT_NEAR(observation.traffic.itl_s->value, 0.02, 1e-6);
  EXPECT_NEAR(observation.traffic.in_flight->value, 6, 3);
  EXPECT_EQ(observation.traffic.queued->value, 4);
  EXPECT_NEAR(observation.traffic.requests_per_s->value, 200, 150);  // 10 every 0.1 s, on two
  EXPECT_LT(observation.traffic.requests_per_s->age_s, 0.3);
  EXPECT_EQ(observation.metrics.at("kv").value, 0.25);
  EXPECT_EQ(observation.instances[0].in_flight, 3U);
  EXPECT_EQ(observation.instances[1].queued, 2U);
  EXPECT_EQ(observation.instances[1].metrics.at("utilisation").value, 0.25);
  EXPECT_TRUE(conditions.empty()) << conditions[0].text;
}

TEST_F(ScrapingTest, AnInstanceThatDoesNotAnswerMakesTheSumOldAndIsNamed) {
  start();
  instances({{{"a"}, InstanceState::kReady, a.address()}, {{"b"}, InstanceState::kReady, b.address()}});
  ASSERT_TRUE(until([&] { return observation.traffic.requests_per_s && engine_b.scrapes > 2; }));
  engine_b.broken = true;
  ASSERT_TRUE(until([&] { return has("scrape_failed") && observation.traffic.requests_per_s && observation.traffic.requests_per_s->age_s > 0.3; }));
  EXPECT_NE(conditions[0].text.find("(b): GET /metrics answered 500"), std::string::npos) << conditions[0].text;
  engine_b.broken = false;
  EXPECT_TRUE(until([&] { return conditions.empty() && observation.traffic.requests_per_s->age_s < 0.3; }));
}

TEST_F(ScrapingTest, ValuesThatCannotBeAreLeftOutAndNamed) {
  engine_a.running = std::numeric_limits<double>::quiet_NaN();
  engine_b.running = -1;
  start();
  instances({{{"a"}, InstanceState::kReady, a.address()}, {{"b"}, InstanceState::kReady, b.address()}});
  ASSERT_TRUE(until([&] { return conditions.size() == 2 && observation.traffic.isl; }));
  EXPECT_EQ(conditions[0].text, "in_flight of a cannot be nan and is left out");
  EXPECT_EQ(conditions[1].text, "in_flight of b cannot be -1 and is left out");
  EXPECT_FALSE(observation.traffic.in_flight);
}

TEST_F(ScrapingTest, AnInstanceSeenStartingCountsFromZero) {
  start();
  instances({{{"a"}, InstanceState::kStarting, a.address()}});
  instances({{{"a"}, InstanceState::kReady, a.address()}});
  ASSERT_TRUE(until([&] { return observation.traffic.isl.has_value(); }));
  EXPECT_EQ(engine_a.scrapes, 1);
  EXPECT_GT(observation.traffic.requests_per_s->value, 1000);
}

TEST_F(ScrapingTest, OnlyInstancesThatServeAreAskedAndTheGoneAreForgotten) {
  start();
  instances({{{"a"}, InstanceState::kStarting, a.address()}, {{"b"}, InstanceState::kReady, b.address()}, {{"c"}, InstanceState::kReady, "nonsense"}});
  ASSERT_TRUE(until([&] { return engine_b.scrapes > 2; }));
  EXPECT_EQ(a.asked, 0);
  instances({});
  const int before = b.asked;
  ASSERT_TRUE(until([&] { return !observation.traffic.requests_per_s; }));
  EXPECT_LE(b.asked, before + 1);
}

codec::GatewayReport report(std::uint64_t sequence, std::uint32_t held, std::uint64_t offered) {
  codec::GatewayReport out;
  out.gateway = "g";
  out.boot = 1;
  out.sequence = sequence;
  out.uptime_s = 0.1;
  codec::GatewayModelLoad load;
  load.model = "m";
  load.offered = offered;
  load.held = held;
  out.models = {load};
  out.servers = {{"a", 2, 64}};
  return out;
}

http::Request post(const codec::GatewayReport& report) {
  http::Request request;
  request.method = "POST";
  request.target = "/internal/gateway-report";
  request.body = codec::encode(report);
  return request;
}

TEST_F(PoolSensorsTest, DemandFromZeroIsToldAndSeen) {
  std::vector<PoolId> demanded;
  start();
  sensors->on_demand([&](const PoolId& pool) { demanded.push_back(pool); });
  EXPECT_EQ(sensors->take_gateway_report(post(report(1, 1, 5))).status, 204);
  ASSERT_EQ(demanded.size(), 1U);
  EXPECT_TRUE(sensors->fill(observation).empty());
  EXPECT_EQ(observation.traffic.queued->value, 1);
  EXPECT_NEAR(observation.traffic.requests_per_s->value, 50, 1e-6);
  EXPECT_EQ(observation.metrics.at("concurrency").value, 1);
  instances({{{"a"}, InstanceState::kReady, ""}});
  sensors->take_gateway_report(post(report(2, 0, 5)));
  sensors->take_gateway_report(post(report(3, 1, 6)));
  EXPECT_EQ(demanded.size(), 1U);
  EXPECT_TRUE(sensors->fill(observation).empty());
  EXPECT_EQ(observation.instances[0].in_flight, 2U);
  EXPECT_EQ(observation.instances[0].remaining_tokens, 64);
}

TEST_F(PoolSensorsTest, AMalformedReportIsNamed) {
  start();
  http::Request request = post(report(1, 0, 0));
  request.body = "{\"gateway\":3}";
  const http::Response answer = sensors->take_gateway_report(request);
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("gateway: must be a string"), std::string::npos) << answer.body;
}

TEST_F(ScrapingTest, WithoutAnInstanceDemandComesFromGateways) {
  start();
  instances({});
  EXPECT_EQ(sensors->fill(observation)[0].code, "no_gateway_reports");
  sensors->take_gateway_report(post(report(1, 2, 4)));
  EXPECT_TRUE(sensors->fill(observation).empty());
  EXPECT_NEAR(observation.traffic.requests_per_s->value, 40, 1e-6);
  EXPECT_EQ(observation.traffic.queued->value, 2);
}

TEST_F(ScrapingTest, RequestsHeldAtGatewaysCountAsQueued) {
  start();
  instances({{{"a"}, InstanceState::kReady, a.address()}});
  sensors->take_gateway_report(post(report(1, 5, 9)));
  ASSERT_TRUE(until([&] { return observation.traffic.queued && observation.traffic.queued->value == 7; }));
  EXPECT_EQ(observation.instances[0].remaining_tokens, 64);
  EXPECT_EQ(observation.instances[0].in_flight, 3U);  // by its own account
}

TEST_F(PoolSensorsTest, ConfigurationsThatCannotBeAreNamed) {
  const auto error = [&] {
    auto created = PoolSensors::create(loop, clock, config);
    return created ? std::string("none") : created.error().message;
  };
  config.entries[0].sensors.source = "guessing";
  EXPECT_EQ(error(), "pools[0]: sensors.source: must be gateway, direct or prometheus: \"guessing\"");
  config.entries[0].sensors.source = "direct";
  config.entries[0].sensors.engine = "tgi";
  EXPECT_EQ(error(), "pools[0]: sensors.engine: must be one of flexpert, vllm, sglang, llamacpp, dynamo: \"tgi\"");
  config.entries[0].sensors = {.source = "prometheus", .engine = "vllm", .names = {}, .queries = {}, .selector = ""};
  EXPECT_EQ(error(), "planner.prometheus.url: missing; pool chat has sensors.source prometheus");
  config.prometheus.url = "localhost:9090";
  EXPECT_EQ(error(), "planner.prometheus.url: must be http(s)://HOST:PORT[/PREFIX]: \"localhost:9090\"");
  config.prometheus.url = "http://localhost:9090";
  config.prometheus.bearer_token_file = "/nowhere/token";
  EXPECT_EQ(error(), "planner.prometheus.bearer_token_file: cannot be read, or is empty: /nowhere/token");
}

TEST(ModelName, IsTheConfiguredOneOrTheFoldersOrThePools) {
  config::PoolLaunchConfig launch;
  EXPECT_EQ(model_name_of(launch, {"p"}), "p");
  launch.model = "models/tiny/";
  EXPECT_EQ(model_name_of(launch, {"p"}), "tiny");
  launch.name = "n";
  EXPECT_EQ(model_name_of(launch, {"p"}), "n");
}

}  // namespace
}  // namespace flexpert::controller
