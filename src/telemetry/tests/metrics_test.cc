#include "telemetry/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>

#include <gtest/gtest.h>

#include "base/rng.h"

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

TEST(Metrics, ACounterTakesWholeAmountsAndOthers) {
  Registry registry;
  const Counter counter = registry.counter("a_total", "A.");
  counter.add();
  counter.add_alone();
  counter.add(0.25);
  counter.add(1e6);
  counter.add(1e30);
  counter.add(-5);
  counter.add(std::nan(""));
  EXPECT_EQ(counter.value(), 2 + 0.25 + 1e6 + 1e30);
}

TEST(Metrics, AnObservationIsInTheFirstBucketWhoseBoundIsNotUnderIt) {
  const std::vector<std::vector<double>> kinds{{}, {0}, {-3, -1, 0, 2}, {1, 1.5, 1.75, 1.8, 3}, {1e-300, 1, 1e300}, {5, std::numeric_limits<double>::infinity()},
                                               latency_bounds_s()};
  for (const std::vector<double>& bounds : kinds) {
    HistogramCell cell(bounds);
    std::vector<std::uint64_t> expected(bounds.size() + 1);
    std::vector<double> values{0, -0.0, -1, 1, 1e-320, 1e308, -1e308, std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
    for (const double bound : bounds) values.insert(values.end(), {bound, std::nextafter(bound, 1e9), std::nextafter(bound, -1e9)});
    Rng rng(1);
    for (int i = 0; i < 1000; ++i) values.push_back((rng.uniform() - 0.2) * std::exp2(rng.uniform() * 40 - 20));
    for (const double value : values) {
      ++expected[static_cast<std::size_t>(std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin())];
      cell.observe_alone(value);
    }
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(cell.count(i), expected[i]) << i << " of " << bounds.size();
  }
}

TEST(Metrics, ThreadsLoseNothingOfEachOther) {
  Registry registry;
  const Counter counter = registry.counter("a_total", "A.");
  const Gauge gauge = registry.gauge("b", "B.");
  const Histogram histogram = registry.histogram("c_seconds", "C.", {1, 2});
  const auto count = [&] {
    for (int i = 0; i < 10000; ++i) {
      counter.add();
      counter.add(0.5);
      gauge.add(1);
      histogram.observe(1.5);
    }
  };
  std::thread other(count);
  count();
  other.join();
  EXPECT_EQ(counter.value(), 30000);
  EXPECT_EQ(gauge.value(), 20000);
  const std::string text = registry.text();
  EXPECT_NE(text.find("c_seconds_bucket{le=\"2\"} 20000"), std::string::npos) << text;
  EXPECT_NE(text.find("c_seconds_sum 30000"), std::string::npos) << text;
}

}  // namespace
}  // namespace flexpert::telemetry
