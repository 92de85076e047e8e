#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "forecast/arima_start.h"
#include "forecast/bfgs.h"
#include "forecast/lbfgs.h"
#include "forecast/normal_quantile.h"

namespace flexpert::forecast {
namespace {

double rosenbrock(double x, double y) { return 100 * (y - x * x) * (y - x * x) + (1 - x) * (1 - x); }

TEST(Lbfgs, FindsTheBottomOfACurvedValley) {
  LbfgsOptions options;
  options.max_iterations = 200;
  options.difference_step = 1e-7;
  const LbfgsResult result = minimise_lbfgs([](const std::vector<double>& at) { return rosenbrock(at[0], at[1]); }, {-1.2, 1}, options);
  EXPECT_NEAR(result.point[0], 1, 1e-3);
  EXPECT_NEAR(result.point[1], 1, 1e-3);
  EXPECT_LT(result.iterations, 60);
}

TEST(Lbfgs, StopsAfterItsIterationsAndWhereNothingIsFinite) {
  LbfgsOptions options;
  options.max_iterations = 3;
  EXPECT_EQ(minimise_lbfgs([](const std::vector<double>& at) { return rosenbrock(at[0], at[1]); }, {-1.2, 1}, options).iterations, 3);
  const LbfgsResult lost = minimise_lbfgs([](const std::vector<double>&) { return std::nan(""); }, {2}, {});
  EXPECT_EQ(lost.point, std::vector<double>{2});
}

TEST(Bfgs, FindsTheBottomInUnitsOfItsScales) {
  const BfgsFunction bowl = [](std::span<const double> points, std::span<double> values) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double x = points[2 * i] - 3e6;
      const double y = points[2 * i + 1] + 2;
      values[i] = x * x / 1e12 + x * y / 1e6 + 3 * y * y;
    }
  };
  const std::vector<double> scales = {1e6, 1};
  const BfgsResult result = minimise_bfgs(bowl, {0, 0}, scales);
  ASSERT_TRUE(result.ok);
  EXPECT_NEAR(result.point[0], 3e6, 1e3);
  EXPECT_NEAR(result.point[1], -2, 1e-3);
  const std::vector<double> hessian = hessian_at(bowl, result.point, scales);
  EXPECT_NEAR(hessian[0], 2e-12, 1e-16);
  EXPECT_NEAR(hessian[1], 1e-6, 1e-9);
  EXPECT_NEAR(hessian[3], 6, 1e-4);
}

TEST(Bfgs, GivesUpOutOfPatienceWhereItsMinimumIsOfNoUse) {
  const BfgsFunction valley = [](std::span<const double> points, std::span<double> values) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = 10 + rosenbrock(points[2 * i], points[2 * i + 1]);
  };
  const std::vector<double> scales = {1, 1};
  const std::vector<double> start = {-1.2, 1};
  const BfgsResult whole = minimise_bfgs(valley, start, scales);
  EXPECT_NEAR(whole.value, 10, 1e-3);
  const BfgsResult given_up = minimise_bfgs(valley, start, scales, {.useful_below = 5, .patience = 0});
  EXPECT_TRUE(given_up.ok);
  EXPECT_LT(given_up.evaluations, whole.evaluations / 2);
  const BfgsResult useful = minimise_bfgs(valley, start, scales, {.useful_below = 11, .patience = 0});
  EXPECT_NEAR(useful.value, 10, 1e-3);
  EXPECT_EQ(minimise_bfgs(valley, start, scales, {.useful_below = 5}).point, whole.point);
}

TEST(Bfgs, SaysWhereTheFunctionIsNotFinite) {
  const std::vector<double> scales = {1};
  const auto nowhere = [](std::span<const double>, std::span<double> values) { values[0] = std::nan(""); };
  EXPECT_FALSE(minimise_bfgs(nowhere, {1}, scales).ok);
}

TEST(ArmaStart, FollowsALinearRecursionExactly) {
  std::vector<double> series = {1, -0.5, 0.75, 0.3};
  while (series.size() < 30) series.push_back(0.5 * series[series.size() - 1] - 0.3 * series[series.size() - 2]);
  const ArmaStart start = regress_arma(std::span(series).subspan(2), 2, 0);
  EXPECT_NEAR(start.process.ar.at[0], 0.5, 1e-9);
  EXPECT_NEAR(start.process.ar.at[1], -0.3, 1e-9);
  EXPECT_EQ(start.noise, 1e-10);
}

TEST(ArmaStart, EqualColumnsAndTooFewValuesStartAtZeroOrFinite) {
  const std::vector<double> constant(20, 3.0);
  const ArmaStart same = regress_arma(constant, 3, 2);  // its autoregressions have a root of 1
  EXPECT_EQ(same.process.ar.at[0], 0);
  EXPECT_GE(same.noise, 1e-10);
  const ArmaStart few = regress_arma(std::vector<double>{1, 2, 4}, 1, 2);
  EXPECT_EQ(few.process.ar.at[0], 0);
  EXPECT_NEAR(few.noise, 14.0 / 9, 1e-12);
  EXPECT_EQ(regress_arma({}, 1, 1).noise, 1);
}

TEST(NormalQuantile, IsTheInverseOfTheDistribution) {
  EXPECT_NEAR(standard_normal_quantile(0.975), 1.959963984540054, 1e-12);
  EXPECT_NEAR(standard_normal_quantile(0.5), 0, 1e-12);
  EXPECT_NEAR(standard_normal_quantile(0.001), -standard_normal_quantile(0.999), 1e-12);
  EXPECT_TRUE(std::isfinite(standard_normal_quantile(0)));
  EXPECT_TRUE(std::isfinite(standard_normal_quantile(1)));
}

}  // namespace
}  // namespace flexpert::forecast
