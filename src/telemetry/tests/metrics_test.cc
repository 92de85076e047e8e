#include "telemetry/metrics.h"

#include <gtest/gtest.h>

namespace flexpert::telemetry {
namespace {

TEST(Metrics, WritesEverySeriesInPrometheusText) {
  Registry registry;
  registry.counter("flexpert_requests_total", "Requests.", {{"route", "chat"}}).add(3);
  registry.gauge("flexpert_running", "Running requests.").set(2);
  registry.histogram("flexpert_ttft_seconds", "Time to first token.", {0.1, 1}).observe(0.5);
  const std::string text = registry.text();
  EXPECT_NE(text.find("flexpert_requests_total{route=\"chat\"} 3"), std::string::npos) << text;
  EXPECT_NE(text.find("flexpert_running 2"), std::string::npos) << text;
  EXPECT_NE(text.find("flexpert_ttft_seconds_bucket{le=\"1\"} 1"), std::string::npos) << text;
}

TEST(Metrics, TellsWhatTheProcessUses) {
  const std::string text = Registry().text();
  const auto value_of = [&](const std::string& name) {
    const std::size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1.0 : std::stod(text.substr(at + name.size() + 2));
  };
  EXPECT_GE(value_of("process_cpu_seconds_total"), 0);
  EXPECT_GT(value_of("process_resident_memory_bytes"), 1e6);
  EXPECT_GT(value_of("process_start_time_seconds"), 1.7e9);
}

TEST(Metrics, GivesTheSameSeriesForTheSameNameAndLabels) {
  Registry registry;
  registry.counter("a_total", "A.").add();
  EXPECT_EQ(registry.counter("a_total", "A.").value(), 1);
}

}  // namespace
}  // namespace flexpert::telemetry
