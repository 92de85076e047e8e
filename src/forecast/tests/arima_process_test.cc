#include "forecast/arima_process.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "forecast/arima_filter.h"
#include "forecast/arma_likelihood.h"

namespace flexpert::forecast {
namespace {

Lags random_partials(Rng& rng, std::size_t count) {
  Lags out;
  out.count = count;
  for (std::size_t i = 0; i < count; ++i) out.at[i] = 1.9 * rng.uniform() - 0.95;
  return out;
}

ArmaProcess random_process(Rng& rng) {
  ArmaProcess out;
  out.ar = lags_from_partials(random_partials(rng, rng.below(6)));
  out.ma = lags_from_partials(random_partials(rng, rng.below(6)));
  for (double& weight : out.ma.at) weight = -weight;
  return out;
}

TEST(ArimaProcess, PartialsAndLagsAreEachOthersInverse) {
  Rng rng(1);
  for (int i = 0; i < 200; ++i) {
    const Lags partials = random_partials(rng, 1 + rng.below(5));
    const Lags lags = lags_from_partials(partials);
    const Lags back = partials_from_lags(lags);
    for (std::size_t k = 0; k < partials.count; ++k) EXPECT_NEAR(back.at[k], partials.at[k], 1e-9);
    EXPECT_TRUE(roots_beyond(lags, 1.0));
  }
}

TEST(ArimaProcess, RootsAreComparedWithTheRadius) {
  const Lags half = Lags::of(std::vector<double>{0.5});  // root 2
  EXPECT_TRUE(roots_beyond(half, 1.99));
  EXPECT_FALSE(roots_beyond(half, 2.01));
  EXPECT_FALSE(roots_beyond(Lags::of(std::vector<double>{0.0, 1.1}), 1.0));
}

TEST(ArimaProcess, TurnsMovingAveragesOutwards) {
  // (1 + 2z)(1 + 0.5z) has roots -1/2 and -2: the first turns to -2.
  const Lags turned = invertible_moving_average(Lags::of(std::vector<double>{2.5, 1.0}));
  EXPECT_NEAR(turned.at[0], 1.0, 1e-9);
  EXPECT_NEAR(turned.at[1], 0.25, 1e-9);
  const Lags kept = invertible_moving_average(Lags::of(std::vector<double>{0.3, -0.2}));
  EXPECT_EQ(kept.at[0], 0.3);
  EXPECT_EQ(kept.at[1], -0.2);
}

TEST(ArimaProcess, StationaryCovarianceStaysAsItIsWhenTimePasses) {
  Rng rng(2);
  for (int i = 0; i < 100; ++i) {
    const ArmaProcess process = random_process(rng);
    const StateCovariance p = stationary_covariance(process);
    ASSERT_TRUE(p.valid);
    auto phi = [&](std::size_t k) { return k < process.ar.count ? process.ar.at[k] : 0.0; };
    auto theta = [&](std::size_t k) { return k == 0 ? 1.0 : k <= process.ma.count ? process.ma.at[k - 1] : 0.0; };
    auto at = [&](std::size_t a, std::size_t b) { return a < p.size && b < p.size ? p.at[a][b] : 0.0; };
    for (std::size_t a = 0; a < p.size; ++a) {
      for (std::size_t b = 0; b < p.size; ++b) {
        const double from_first = phi(a) * phi(b) * at(0, 0) + phi(a) * at(0, b + 1) + phi(b) * at(a + 1, 0);
        const double next = from_first + at(a + 1, b + 1) + theta(a) * theta(b);
        EXPECT_NEAR(p.at[a][b], next, 1e-7 * at(0, 0));
      }
    }
  }
}

TEST(ArmaLikelihood, FourAtATimeAreTheFilterOneByOne) {
  Rng rng(3);
  std::vector<double> series(60);
  for (double& value : series) value = 5 + rng.exponential(2) - rng.exponential(1);
  for (int i = 0; i < 60; ++i) {
    std::vector<ArmaModel> models(7);
    for (ArmaModel& model : models) model = {.process = random_process(rng), .mean = 4 + rng.uniform()};
    for (ArmaModel& model : models) {
      model.process.ar.count = models.front().process.ar.count;
      model.process.ma.count = models.front().process.ma.count;
      model.process.ar = lags_from_partials(random_partials(rng, model.process.ar.count));
    }
    std::vector<ArmaErrors> errors(models.size());
    exact_errors(models, series, errors);
    for (std::size_t k = 0; k < models.size(); ++k) {
      ArimaFilter filter({.process = models[k].process, .differences = 0, .constant = models[k].mean});
      double squares = 0;
      double logarithms = 0;
      for (const double value : series) {
        const ArimaFilter::Innovation innovation = filter.step(value);
        squares += innovation.error * innovation.error / innovation.variance;
        logarithms += std::log(innovation.variance);
      }
      EXPECT_NEAR(errors[k].squares / squares, 1, 1e-6);
      EXPECT_NEAR(errors[k].log_variances, logarithms, 1e-6 * series.size());
    }
  }
}

TEST(ArmaLikelihood, ConditionalErrorsAreTheRecursion) {
  const std::vector<double> series = {1, 3, 2, 5, 4, 6, 8};
  const ArmaModel model{.process = {.ar = Lags::of(std::vector<double>{0.5}), .ma = Lags::of(std::vector<double>{0.4})}, .mean = 1};
  ArmaErrors errors;
  conditional_errors({&model, 1}, series, {&errors, 1});
  double squares = 0;
  double shock = 0;
  for (std::size_t t = 1; t < series.size(); ++t) {
    shock = (series[t] - 1) - 0.5 * (series[t - 1] - 1) - 0.4 * shock;
    squares += shock * shock;
  }
  EXPECT_DOUBLE_EQ(errors.squares, squares);
  EXPECT_EQ(errors.count, 6u);
}

TEST(ArmaLikelihood, AnUnstationaryProcessIsInfinitelyBad) {
  const std::vector<double> series = {1, 2, 3};
  const ArmaModel model{.process = {.ar = Lags::of(std::vector<double>{1.5}), .ma = {}}, .mean = 0};
  ArmaErrors errors;
  exact_errors({&model, 1}, series, {&errors, 1});
  EXPECT_TRUE(std::isinf(errors.squares));
}

}  // namespace
}  // namespace flexpert::forecast
