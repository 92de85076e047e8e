#include <cstdio>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "config/fleet_config.h"

namespace flexpert::config {
namespace {

/// A file in the test's own folder, gone when the test is.
struct TraceFile {
  explicit TraceFile(const std::string& text)
      : path(std::filesystem::path(::testing::TempDir()) /
             fmt::format("trace-{}-{}.csv", ::testing::UnitTest::GetInstance()->random_seed(),
                         ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::ofstream(path) << text;
  }
  ~TraceFile() { std::filesystem::remove(path); }
  std::filesystem::path path;
};

Result<FleetConfig> with_forecast(const std::string& forecast) {
  return parse("pools:\n  - {name: a, launch: {model: m}, forecast: {" + forecast + "}}\n", "f.yaml");
}

TEST(PoolsTrace, AFileOfRatesIsThePast) {
  const TraceFile file("t_s,value\n0,4\n30,5\n60,6\n");
  const auto config = with_forecast("trace: " + file.path.string());
  ASSERT_TRUE(config) << config.error().message;
  const auto& trace = config->pools->planner.pools[0].forecast.trace;
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->values, (std::vector<double>{4, 5, 6}));
  EXPECT_EQ(trace->step_s, 30);
  EXPECT_EQ(trace->scale, 1);
  EXPECT_FALSE(trace->end_unix_s) << "times that count from 0 say nothing about the day";
}

TEST(PoolsTrace, ColumnScaleAndTimesOfTheDayAreTaken) {
  const TraceFile file("t_s,other,mine\n1700000000,1,60\n1700000060,2,120\n");
  const auto config = with_forecast("trace: " + file.path.string() + ", trace_column: mine, trace_scale: 0.5");
  ASSERT_TRUE(config) << config.error().message;
  const auto& trace = *config->pools->planner.pools[0].forecast.trace;
  EXPECT_EQ(trace.values, (std::vector<double>{60, 120}));
  EXPECT_EQ(trace.scale, 0.5);
  EXPECT_EQ(trace.end_unix_s, 1700000120.0);
}

TEST(PoolsTrace, RequestsAMinuteAreKnownByTheirName) {
  const TraceFile file("minute,req_per_min\n0,60\n1,120\n");
  const auto config = with_forecast("trace: " + file.path.string());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->pools->planner.pools[0].forecast.trace->scale, 1.0 / 60);
}

TEST(PoolsTrace, WhatCannotBeReadIsNamed) {
  const auto message_of = [](const std::string& forecast) {
    const auto config = with_forecast(forecast);
    return config ? std::string("fine") : config.error().message;
  };
  EXPECT_NE(message_of("trace: /no/such/file").find("pools[0].forecast.trace: /no/such/file is not there"), std::string::npos);
  EXPECT_NE(message_of("trace_scale: 2").find("pools[0].forecast.trace_scale: it is given without a trace"), std::string::npos);
  EXPECT_NE(message_of("trace_column: x").find("pools[0].forecast.trace_column"), std::string::npos);
  const TraceFile bad("t_s,value\n0,4\n30,five\n");
  EXPECT_NE(message_of("trace: " + bad.path.string()).find("pools[0].forecast.trace: "), std::string::npos);
  EXPECT_NE(message_of("trace: " + bad.path.string()).find("line 3"), std::string::npos);
  EXPECT_NE(message_of("trace: " + bad.path.string() + ", trace_scale: .nan").find("trace_scale"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::config
