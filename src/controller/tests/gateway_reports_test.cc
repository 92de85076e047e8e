#include "controller/gateway_reports.h"

#include <gtest/gtest.h>

#include "controller/metric_names.h"

namespace flexpert::controller {
namespace {

const TimePoint kT0{std::chrono::hours(1)};
TimePoint at(double seconds) { return kT0 + from_seconds(seconds); }

/// A report of one model, after `requests` requests of 100 tokens in and 20 out.
codec::GatewayReport report(const std::string& gateway, std::uint64_t sequence, double uptime_s, std::uint64_t requests, std::uint32_t held = 0) {
  codec::GatewayReport out;
  out.gateway = gateway;
  out.boot = 1;
  out.sequence = sequence;
  out.uptime_s = uptime_s;
  codec::GatewayModelLoad load;
  load.model = "m";
  load.offered = load.finished = requests;
  load.isl = {100.0 * static_cast<double>(requests), requests};
  load.osl = {20.0 * static_cast<double>(requests), requests};
  load.ttft_s = {0.5 * static_cast<double>(requests), requests};
  load.in_flight_s = 2 * uptime_s;
  load.in_flight = 2;
  load.held = held;
  out.models = {load};
  out.servers = {{"serve-0", 2, 30}};
  return out;
}

double value(const SourceReading& reading, std::string_view name) {
  const auto found = reading.pool.find(name);
  return found == reading.pool.end() ? -1 : found->second.value;
}

class GatewayReportsTest : public ::testing::Test {
 protected:
  GatewayReports reports{Seconds(10), Seconds(20)};
};

TEST_F(GatewayReportsTest, SeveralGatewaysAreSummed) {
  for (int i = 0; i <= 5; ++i) {
    reports.take(report("a", 1 + static_cast<std::uint64_t>(i), 100 + i, 50 + 10 * static_cast<std::uint64_t>(i), 1), at(i));
    reports.take(report("b", 1 + static_cast<std::uint64_t>(i), 100 + i, 5 * static_cast<std::uint64_t>(i)), at(i));
  }
  const SourceReading reading = reports.read("m", at(5));
  EXPECT_NEAR(value(reading, metric::kRequests), 15, 1e-9);
  EXPECT_NEAR(value(reading, metric::kIsl), 100, 1e-9);
  EXPECT_NEAR(value(reading, metric::kOsl), 20, 1e-9);
  EXPECT_NEAR(value(reading, metric::kTtft), 0.5, 1e-9);
  EXPECT_NEAR(value(reading, metric::kInFlight), 4, 1e-9);
  EXPECT_EQ(value(reading, metric::kQueued), 1);
  EXPECT_EQ(reading.instances.at({"serve-0"}).find(metric::kInFlight)->second.value, 4);
  EXPECT_EQ(reading.instances.at({"serve-0"}).find(metric::kRemainingTokens)->second.value, 60);
  EXPECT_TRUE(reading.conditions.empty());
}

TEST_F(GatewayReportsTest, AYoungGatewayCountsFromItsStart) {
  reports.take(report("a", 1, 2, 30), at(0));
  EXPECT_NEAR(value(reports.read("m", at(0)), metric::kRequests), 15, 1e-9);
}

TEST_F(GatewayReportsTest, ARestartLosesNothingAndCountsNothingTwice) {
  reports.take(report("a", 1, 100, 1000), at(0));
  reports.take(report("a", 2, 102, 1020), at(2));
  codec::GatewayReport fresh = report("a", 1, 1, 5);
  fresh.boot = 2;
  reports.take(fresh, at(4));
  EXPECT_NEAR(value(reports.read("m", at(4)), metric::kRequests), 25 / 4.0, 1e-9);
}

TEST_F(GatewayReportsTest, ALateReportIsIgnored) {
  reports.take(report("a", 5, 100, 100), at(0));
  reports.take(report("a", 6, 101, 110), at(1));
  reports.take(report("a", 5, 100, 100), at(2));
  EXPECT_NEAR(value(reports.read("m", at(2)), metric::kRequests), 10, 1e-9);
}

TEST_F(GatewayReportsTest, ASilentGatewayMakesTheSumOldAndIsForgotten) {
  for (int i = 0; i <= 5; ++i) {
    reports.take(report("a", 1 + static_cast<std::uint64_t>(i), 100 + i, 10 * static_cast<std::uint64_t>(i)), at(i));
    if (i < 3) reports.take(report("b", 1 + static_cast<std::uint64_t>(i), 100 + i, 10 * static_cast<std::uint64_t>(i)), at(i));
  }
  SourceReading reading = reports.read("m", at(12));
  EXPECT_EQ(reading.pool.find(metric::kRequests)->second.at, at(2));
  ASSERT_EQ(reading.conditions.size(), 1U);
  EXPECT_EQ(reading.conditions[0].code, "gateway_report_stale");
  for (int i = 6; i <= 24; ++i) reports.take(report("a", 1 + static_cast<std::uint64_t>(i), 100 + i, 10 * static_cast<std::uint64_t>(i)), at(i));
  reading = reports.read("m", at(24));
  EXPECT_NEAR(value(reading, metric::kRequests), 10, 1e-9);
  EXPECT_EQ(reading.pool.find(metric::kRequests)->second.at, at(24));
}

TEST_F(GatewayReportsTest, OneThatSaidItLeavesPassesOutOfTheIntervalAndMakesNothingOld) {
  for (int i = 0; i <= 5; ++i) {
    const auto n = static_cast<std::uint64_t>(i);
    reports.take(report("a", 1 + n, 100 + i, 10 * n), at(i));
    codec::GatewayReport leaving = report("b", 1 + n, 100 + i, 10 * n, 1);
    leaving.leaving = i == 5;
    reports.take(leaving, at(i));
  }
  EXPECT_NEAR(value(reports.read("m", at(5)), metric::kRequests), 20, 1e-9);
  // What b served goes to a from now on.
  for (int i = 6; i <= 16; ++i) {
    const auto n = static_cast<std::uint64_t>(i);
    reports.take(report("a", 1 + n, 100 + i, 50 + 20 * (n - 5)), at(i));
    const SourceReading reading = reports.read("m", at(i));
    EXPECT_EQ(reading.pool.find(metric::kRequests)->second.at >= at(5), true) << i;
    if (i < 10) continue;
    EXPECT_NEAR(value(reading, metric::kRequests), 20, 1e-9) << i;
    EXPECT_EQ(reading.pool.find(metric::kRequests)->second.at, at(i));
    EXPECT_EQ(value(reading, metric::kQueued), 0);
    EXPECT_TRUE(reading.conditions.empty());
  }
}

TEST_F(GatewayReportsTest, WhenAllAreSilentTheLastWordStaysAndGrowsOld) {
  reports.take(report("a", 1, 100, 0), at(0));
  reports.take(report("a", 2, 101, 10), at(1));
  const SourceReading reading = reports.read("m", at(61));
  EXPECT_NEAR(value(reading, metric::kRequests), 10, 1e-9);
  EXPECT_EQ(reading.pool.find(metric::kRequests)->second.at, at(1));
  EXPECT_FALSE(reports.any(at(61)));
}

TEST_F(GatewayReportsTest, TheLastOneToLeaveIsNoZero) {
  reports.take(report("a", 1, 100, 0), at(0));
  codec::GatewayReport last = report("a", 2, 101, 10);
  last.leaving = true;
  reports.take(last, at(1));
  for (const double now : {5.0, 9.0, 30.0}) {
    EXPECT_NEAR(value(reports.read("m", at(now)), metric::kRequests), 10, 1e-9);
    EXPECT_EQ(reports.read("m", at(now)).pool.find(metric::kRequests)->second.at, at(1));
  }
}

TEST_F(GatewayReportsTest, DemandIsToldOnceUntilItIsOver) {
  EXPECT_EQ(reports.take(report("a", 1, 5, 1, 1), at(0)), std::vector<std::string>{"m"});
  EXPECT_TRUE(reports.take(report("a", 2, 6, 2, 2), at(1)).empty());
  EXPECT_TRUE(reports.take(report("a", 3, 7, 2, 0), at(2)).empty());
  EXPECT_EQ(reports.take(report("a", 4, 8, 3, 1), at(3)), std::vector<std::string>{"m"});
}

TEST_F(GatewayReportsTest, NobodyAskedIsZeroAndNobodyReportsIsUnknown) {
  EXPECT_EQ(reports.read("m", at(0)).conditions[0].code, "no_gateway_reports");
  EXPECT_TRUE(reports.read("m", at(0)).pool.empty());
  reports.take(report("a", 1, 100, 5), at(0));
  EXPECT_EQ(value(reports.read("other", at(0)), metric::kRequests), 0);
}

TEST_F(GatewayReportsTest, GatewaysAreAPoolOfTheirOwn) {
  for (int i = 0; i <= 4; ++i) {
    codec::GatewayReport one = report("a", 1 + static_cast<std::uint64_t>(i), 100 + i, 10 * static_cast<std::uint64_t>(i));
    one.cpu_s = 0.25 * i;
    one.connections = 7;
    reports.take(one, at(i));
  }
  const SourceReading reading = reports.read_gateways(at(4));
  EXPECT_NEAR(value(reading, metric::kCpu), 0.25, 1e-9);
  EXPECT_EQ(value(reading, "connections"), 7);
  EXPECT_EQ(reading.instances.at({"a"}).find("connections")->second.value, 7);
}

}  // namespace
}  // namespace flexpert::controller
