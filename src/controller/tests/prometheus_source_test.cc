#include "controller/prometheus_source.h"

#include <gtest/gtest.h>

#include "http/server.h"

namespace flexpert::controller {
namespace {

std::string decoded(std::string_view form) {
  std::string out;
  for (std::size_t i = 0; i < form.size(); ++i) {
    if (form[i] == '%' && i + 2 < form.size()) {
      out += static_cast<char>(std::stoi(std::string(form.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += form[i];
    }
  }
  return out;
}

std::string vector_of(const std::vector<std::pair<std::string, std::string>>& by_instance) {
  std::string body = R"({"status":"success","data":{"resultType":"vector","result":[)";
  for (std::size_t i = 0; i < by_instance.size(); ++i) {
    const auto& [instance, value] = by_instance[i];
    body += fmt::format(R"({}{{"metric":{{{}}},"value":[1700000000,"{}"]}})", i > 0 ? "," : "",
                        instance.empty() ? "" : fmt::format(R"("instance":"{}")", instance), value);
  }
  return body + "]}}";
}

/// A Prometheus of our own: it answers what a test puts down for queries that contain a text, and nothing for the rest.
class PrometheusSourceTest : public ::testing::Test {
 protected:
  PrometheusSourceTest() : address(*net::Address::parse("127.0.0.1:0")) {
    listen();
    options.server.url = "http://" + address.to_string() + "/";
    options.server.timeout_s = 5;
    options.interval = Milliseconds(300);
    options.period = Milliseconds(50);
  }

  void listen() {
    server = std::make_unique<http::Server>(loop, http::ServerLimits{}, [this](const http::Request& request, http::Responder responder) {
      EXPECT_EQ(request.target, "/api/v1/query");
      last_token = std::string(request.headers.find("Authorization").value_or(""));
      const std::string query = decoded(request.body).substr(6);
      queries.push_back(query);
      for (const auto& [part, body] : answers)
        if (query.find(part) != std::string::npos) return responder.respond(http::json_response(body.find("\"error\"") == std::string::npos ? 200 : 422, body));
      responder.respond(http::json_response(200, vector_of({})));
    });
    address = *server->listen(address);
  }

  void start(const std::map<std::string, std::string>& names, const std::map<std::string, std::string>& own = {}) {
    MetricRules rules;
    for (const auto& [name, text] : names) rules[name] = *parse_metric_rule(name, text);
    options.pools = {{{"p"}, std::move(rules), own, "job=\"x\""}};
    auto created = PrometheusSource::create(loop, clock, client, options);
    ASSERT_TRUE(created) << created.error().message;
    source = std::move(*created);
  }

  bool until(const std::function<bool()>& condition) {
    const TimePoint give_up = clock.now() + Seconds(10);
    while (true) {
      reading = source->read({"p"});
      if (condition()) return true;
      if (clock.now() > give_up) return false;
      loop.run_once(Milliseconds(10));
    }
  }
  [[nodiscard]] double value(std::string_view name) const { return reading.pool.find(name)->second.value; }
  [[nodiscard]] double age(std::string_view name) const { return to_seconds(clock.now() - reading.pool.find(name)->second.at); }
  [[nodiscard]] bool knows(std::string_view name) const { return reading.pool.find(name) != reading.pool.end(); }

  SystemClock clock;
  net::EventLoop loop;
  net::Address address;
  std::unique_ptr<http::Server> server;
  web_client::WebClient client{loop};
  PrometheusSource::Options options;
  std::vector<std::pair<std::string, std::string>> answers;
  std::vector<std::string> queries;
  std::string last_token;
  std::unique_ptr<PrometheusSource> source;
  SourceReading reading;
};

TEST_F(PrometheusSourceTest, AsksWithSelectorAndIntervalAndTakesTheAgeOfSamples) {
  answers = {{"time() - min by (instance) (timestamp(c_total{job=\"x\"}))", vector_of({{"a:1", "3"}, {"b:1", "12.5"}})},
             {"sum by (instance) (rate(c_total{job=\"x\"}[300ms]))", vector_of({{"a:1", "4"}, {"b:1", "6"}})},
             {"time() - min (timestamp(h_sum", vector_of({{"", "2"}})},
             {"sum (increase(h_sum{job=\"x\"}[300ms])) / sum (increase(h_count{job=\"x\"}[300ms]))", vector_of({{"", "123.5"}})}};
  start({{"requests_per_s", "c_total"}, {"isl", "h"}});
  source->set_instances({"p"}, {{{"i-a"}, InstanceState::kReady, "a:1"}, {{"i-b"}, InstanceState::kReady, "b:1"}});
  ASSERT_TRUE(until([&] { return knows("requests_per_s") && knows("isl"); })) << queries.size();
  EXPECT_EQ(value("requests_per_s"), 10);
  EXPECT_NEAR(age("requests_per_s"), 12.5, 1);
  EXPECT_EQ(value("isl"), 123.5);
  EXPECT_NEAR(age("isl"), 2, 1);
  EXPECT_EQ(reading.instances.at({"i-b"}).at("requests_per_s").value, 6);
  EXPECT_TRUE(reading.conditions.empty()) << reading.conditions[0].text;
}

TEST_F(PrometheusSourceTest, WhileItIsAwayValuesGrowOldAndNothingIsMadeUp) {
  answers = {{"mine", vector_of({{"", "7"}})}};
  start({}, {{"x", "mine"}});
  ASSERT_TRUE(until([&] { return knows("x"); }));
  server.reset();
  ASSERT_TRUE(until([&] { return !reading.conditions.empty() && age("x") > 0.3; }));
  EXPECT_EQ(reading.conditions[0].code, "prometheus_unreachable");
  EXPECT_EQ(value("x"), 7);
  listen();
  EXPECT_TRUE(until([&] { return reading.conditions.empty() && age("x") < 0.2; }));
}

TEST_F(PrometheusSourceTest, ARefusedQueryIsNamedAndTheOthersGoOn) {
  answers = {{"good", vector_of({{"", "1"}})}, {"bad", R"({"status":"error","errorType":"bad_data","error":"parse error"})"},
             {"range", R"({"status":"success","data":{"resultType":"matrix","result":[]}})"},
             {"many", R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"1"},"value":[1,"1"]},{"metric":{"a":"2"},"value":[1,"1"]}]}})"}};
  start({}, {{"g", "good"}, {"b", "bad"}, {"r", "range"}, {"z", "many"}});
  ASSERT_TRUE(until([&] { return reading.conditions.size() == 3 && knows("g"); }));
  EXPECT_EQ(reading.conditions[0].code, "prometheus_query_failed");
  EXPECT_EQ(reading.conditions[0].text, "b: Prometheus refused the query: bad_data: parse error");
  EXPECT_TRUE(reading.conditions[1].text.starts_with("r: the query gives a range"));
  EXPECT_TRUE(reading.conditions[2].text.starts_with("z: the query gives 2 values"));
}

TEST_F(PrometheusSourceTest, ImpossibleValuesAreNamedAMeanOverNothingIsNot) {
  answers = {{"time()", vector_of({{"", "1"}})}, {"neg", vector_of({{"", "-3"}})}, {"inf", vector_of({{"", "+Inf"}})}, {"h_sum", vector_of({{"", "NaN"}})}};
  start({{"isl", "h"}}, {{"n", "neg"}, {"i", "inf"}});
  ASSERT_TRUE(until([&] { return reading.conditions.size() == 2 && queries.size() > 8; }));
  EXPECT_EQ(reading.conditions[0].text, "i cannot be inf and is left out");
  EXPECT_EQ(reading.conditions[1].text, "n cannot be -3 and is left out");
  EXPECT_TRUE(reading.pool.empty());
}

TEST_F(PrometheusSourceTest, ASeriesThatIsMissingIsNamed) {
  start({{"kv", "g"}});
  ASSERT_TRUE(until([&] { return !reading.conditions.empty(); }));
  EXPECT_EQ(reading.conditions[0].code, "metric_missing");
  EXPECT_NE(reading.conditions[0].text.find("no series for kv"), std::string::npos);
}

TEST_F(PrometheusSourceTest, AReadyInstanceThatItDoesNotKnowMakesTheSumOld) {
  answers = {{"time()", vector_of({{"a:1", "0"}})}, {"running", vector_of({{"a:1", "4"}})}};
  start({{"in_flight", "running"}});
  source->set_instances({"p"}, {{{"i-a"}, InstanceState::kReady, "a:1"}, {{"i-b"}, InstanceState::kReady, "b:1"}});
  ASSERT_TRUE(until([&] { return knows("in_flight") && age("in_flight") > 0.5; }));
  source->set_instances({"p"}, {{{"i-a"}, InstanceState::kReady, "a:1"}, {{"i-b"}, InstanceState::kDraining, "b:1"}});
  EXPECT_TRUE(until([&] { return age("in_flight") < 0.3; }));
}

TEST_F(PrometheusSourceTest, TheTokenIsSent) {
  const std::string file = ::testing::TempDir() + "flexpert_prometheus_token";
  std::FILE* out = std::fopen(file.c_str(), "w");
  ASSERT_NE(out, nullptr);
  std::fputs("secret-token\n", out);
  std::fclose(out);
  options.server.bearer_token_file = file;
  answers = {{"mine", vector_of({{"", "7"}})}};
  start({}, {{"x", "mine"}});
  ASSERT_TRUE(until([&] { return knows("x"); }));
  EXPECT_EQ(last_token, "Bearer secret-token");
  std::remove(file.c_str());
}

}  // namespace
}  // namespace flexpert::controller
