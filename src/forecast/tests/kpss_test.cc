#include "forecast/kpss.h"

#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "forecast/tests/arima_series.h"

namespace flexpert::forecast {
namespace {

TEST(Kpss, MatchesStatsmodelsOnALineAndAWalk) {
  std::vector<double> line(30);
  for (std::size_t i = 0; i < line.size(); ++i) line[i] = 10 + 3 * static_cast<double>(i);
  EXPECT_EQ(kpss_legacy_lags(line.size()), 9u);
  const KpssTest of_line = kpss_level_test(line, 9);
  EXPECT_NEAR(of_line.statistic, 0.4435924902436914, 1e-12);
  EXPECT_NEAR(of_line.p_value, 0.05836530592944337, 1e-12);
  EXPECT_EQ(kpss_legacy_lags(std::size(testing::kWalk)), 12u);
  const KpssTest of_walk = kpss_level_test(testing::kWalk, 12);
  EXPECT_NEAR(of_walk.statistic, 0.20556112379417596, 1e-12);
  EXPECT_EQ(of_walk.p_value, 0.1);
}

TEST(Kpss, HasNoStatisticForAConstant) {
  const std::array<double, 20> constant = [] {
    std::array<double, 20> out{};
    out.fill(42);
    return out;
  }();
  EXPECT_TRUE(std::isnan(kpss_level_test(constant, 9).statistic));
}

TEST(Kpss, DifferencesAsOftenAsThePolynomialNeeds) {
  std::vector<double> constant(40, 7.0);
  std::vector<double> line(40);
  std::vector<double> curve(40);
  std::iota(line.begin(), line.end(), 1.0);
  std::partial_sum(line.begin(), line.end(), curve.begin());
  EXPECT_EQ(differences_by_kpss(constant, 2), 0u);
  EXPECT_EQ(differences_by_kpss(line, 2), 1u);
  EXPECT_EQ(differences_by_kpss(curve, 2), 2u);
  EXPECT_EQ(differences_by_kpss(curve, 1), 1u);
}

TEST(Kpss, LeavesGapsOutOfTheCount) {
  std::vector<double> walk(std::begin(testing::kWalk), std::end(testing::kWalk));
  const std::size_t whole = differences_by_kpss(walk, 2);
  walk.insert(walk.begin() + 50, 5, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(differences_by_kpss(walk, 2), whole);
  EXPECT_EQ(differences_by_kpss({}, 2), 0u);
}

}  // namespace
}  // namespace flexpert::forecast
