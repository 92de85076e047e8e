#include "forecast/arima.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "forecast/auto_arima.h"
#include "forecast/tests/arima_series.h"

namespace flexpert::forecast {
namespace {

struct Case {
  std::span<const double> series;
  ArimaOrder order;
  double log_likelihood;
  std::array<double, 6> forecast;
};

TEST(Arima, MatchesStatsmodels) {
  const std::vector<Case> cases = {
      {testing::kWalk, {1, 0, 0, true}, -252.6925231716777, {88.795119, 89.166806, 89.524139, 89.867671, 90.197935, 90.515444}},
      {testing::kWalk, {0, 1, 1, false}, -249.5929170514158, {88.641743, 88.641743, 88.641743, 88.641743, 88.641743, 88.641743}},
      {testing::kWalk, {1, 1, 1, false}, -249.5814204721369, {88.631200, 88.655466, 88.658110, 88.658398, 88.658429, 88.658433}},
      {testing::kWalk, {2, 1, 2, false}, -246.8317899921839, {88.190315, 87.194085, 87.186023, 88.141230, 88.357660, 87.487381}},
      {testing::kIdleThenLoad, {1, 1, 1, false}, -172.3145364459232, {404.96716, 414.15529, 423.34338, 432.53143, 441.71946, 450.90744}},
      {testing::kSine, {1, 0, 0, true}, -406.2311309679814, {177.718903, 178.750133, 179.730254, 180.661801, 181.547179, 182.382387}},
      {testing::kSine, {1, 1, 1, false}, -373.2360789114932, {190.120233, 201.757383, 211.798902, 220.463576, 227.940191, 234.391646}},
  };
  for (const Case& c : cases) {
    const Result<ArimaFit> fit = fit_arima(c.series, c.order);
    ASSERT_TRUE(fit);
    EXPECT_NEAR(fit->log_likelihood, c.log_likelihood, 0.01);
    const std::vector<double> forecast = filter_series(*fit, c.series).forecast(6);
    for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(forecast[i], c.forecast[i], 0.005 * c.forecast[i]);
  }
}

TEST(Arima, RefusesOrdersItCannotEstimate) {
  const std::vector<double> short_series = {1, 2};
  EXPECT_FALSE(fit_arima(testing::kWalk, {6, 0, 0, false}));
  EXPECT_FALSE(fit_arima(testing::kWalk, {0, 3, 0, false}));
  EXPECT_FALSE(fit_arima(testing::kWalk, {0, 2, 0, true}));
  const Result<ArimaFit> few = fit_arima(short_series, {0, 1, 1, false});
  ASSERT_FALSE(few);
  EXPECT_NE(few.error().message.find("series"), std::string::npos);
}

TEST(Arima, GapsCostLittleOfAnAutoregression) {
  std::vector<double> series(std::begin(testing::kWalk), std::end(testing::kWalk));
  const Result<ArimaFit> whole = fit_arima(series, {1, 1, 0, false});
  for (std::size_t i = 40; i < 48; ++i) series[i] = std::numeric_limits<double>::quiet_NaN();
  const Result<ArimaFit> gapped = fit_arima(series, {1, 1, 0, false});
  ASSERT_TRUE(whole && gapped);
  EXPECT_NEAR(gapped->coefficients.process.ar.at[0], whole->coefficients.process.ar.at[0], 0.15);
  EXPECT_NEAR(gapped->noise, whole->noise, 0.2 * whole->noise);
  EXPECT_NEAR(filter_series(*gapped, series).forecast(1)[0], filter_series(*whole, series).forecast(1)[0], 1);
}

TEST(AutoArima, ChoosesWhatRChooses) {
  const ArimaFit walk = auto_arima(testing::kWalk);
  EXPECT_EQ(walk.order, (ArimaOrder{0, 1, 0, false}));
  EXPECT_NEAR(walk.aicc, 502.0345421952, 0.01);
  const ArimaFit idle = auto_arima(testing::kIdleThenLoad);
  EXPECT_EQ(idle.order, (ArimaOrder{1, 1, 0, true}));
  EXPECT_NEAR(idle.log_likelihood, -169.1490776944, 0.01);
  EXPECT_NEAR(idle.noise, 360.3761130409, 0.5);
  EXPECT_NEAR(filter_series(idle, testing::kIdleThenLoad).forecast(6)[5], 453.7595224466, 0.5);
  const ArimaFit sine = auto_arima(testing::kSine);
  EXPECT_EQ(sine.order, (ArimaOrder{4, 0, 0, true}));
  EXPECT_NEAR(sine.aicc, 696.4945867115, 0.01);
  EXPECT_NEAR(filter_series(sine, testing::kSine).forecast(6)[5], 266.3953458137, 0.5);
  EXPECT_EQ(select_order(testing::kSine), sine.order);
}

TEST(AutoArima, AStraightLineGoesOnAndAConstantStays) {
  std::vector<double> line(30);
  for (std::size_t i = 0; i < line.size(); ++i) line[i] = 10 + 3 * static_cast<double>(i);
  const ArimaFit fit = auto_arima(line);
  EXPECT_EQ(fit.order, (ArimaOrder{0, 1, 0, true}));
  EXPECT_NEAR(fit.coefficients.constant, 3, 1e-12);
  EXPECT_NEAR(filter_series(fit, line).forecast(6)[5], 115, 1e-3);
  const ArimaFit constant = auto_arima(std::vector<double>(20, 42.0));
  EXPECT_EQ(constant.order, (ArimaOrder{0, 0, 0, true}));
  EXPECT_EQ(constant.noise, 0);
  EXPECT_NEAR(filter_series(constant, std::vector<double>(20, 42.0)).forecast(3)[2], 42, 1e-9);
}

TEST(AutoArima, GivesFiniteForecastsForAnySeries) {
  Rng rng(11);
  const double gap = std::numeric_limits<double>::quiet_NaN();
  const double kinds[] = {1, 1e-300, 1e-12, 1e9, 1e150, 1e300};
  for (std::size_t n = 0; n <= 24; ++n) {
    for (int kind = 0; kind < 10; ++kind) {
      std::vector<double> series(n);
      double level = 10;
      for (std::size_t i = 0; i < n; ++i) {
        level += rng.uniform() - 0.5;
        const double index = static_cast<double>(i);
        const double shapes[] = {level, 0, index * index, i % 2 == 0 ? 1.0 : -1.0, rng.below(3) == 0 ? gap : level};
        series[i] = kind < 5 ? shapes[kind] : level * kinds[kind - 4];
      }
      const ArimaFit fit = auto_arima(series);
      EXPECT_GE(fit.noise, 0);
      for (const double expected : filter_series(fit, series).forecast(50)) EXPECT_TRUE(std::isfinite(expected)) << n << " " << kind;
      const ArimaFit again = estimate_arima(series, {2, 1, 2, true});
      for (const double expected : filter_series(again, series).forecast(50)) EXPECT_TRUE(std::isfinite(expected)) << n << " " << kind;
    }
  }
}

TEST(AutoArima, SpendsABoundedNumberOfLikelihoodsOnHardSeries) {
  Rng rng(6);
  std::size_t most = 0;
  for (int run = 0; run < 6; ++run) {
    const double period = 10 + 8 * rng.uniform();
    std::vector<double> series(100);
    for (std::size_t i = 0; i < series.size(); ++i) {
      const auto t = static_cast<double>(i);
      series[i] = 100 + 30 * std::sin(6.283 * t / period) + 10 * std::cos(6.283 * t / 7) + 1.7 * (rng.uniform() - 0.5);
    }
    const ArimaFit fit = auto_arima(series);
    most = std::max(most, fit.evaluations);
    EXPECT_LT(fit.noise, 20);  // the swings of both seasons have a variance of 500
  }
  EXPECT_GT(most, 3000);
  EXPECT_LT(most, 10'000);
}

TEST(AutoArima, RecoversAnAutoregressionWithGaps) {
  Rng rng(5);
  std::vector<double> series;
  double state = 0;
  double squares = 0;
  for (int i = 0; i < 140; ++i) {
    const double shock = std::sqrt(-2 * std::log(1 - rng.uniform())) * std::cos(6.283185307 * rng.uniform());
    squares += shock * shock;
    state = 0.7 * state + shock;
    series.push_back(rng.below(10) == 0 ? std::numeric_limits<double>::quiet_NaN() : 50 + state);
  }
  const ArimaFit fit = estimate_arima(series, {1, 0, 0, true});
  EXPECT_NEAR(fit.coefficients.process.ar.at[0], 0.7, 0.15);
  EXPECT_NEAR(fit.coefficients.constant, 50, 1);
  EXPECT_NEAR(fit.noise, squares / 140, 0.15 * squares / 140);
}

}  // namespace
}  // namespace flexpert::forecast
