#include "forecast/arima_estimate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "forecast/bfgs.h"

namespace flexpert::forecast {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kWorst = std::numeric_limits<double>::max();
constexpr double kUnknownLevel = 1e4;  // a prediction this much wider than a shock says nothing yet
constexpr double kSoundRadius = 1.01;
constexpr double kNoCoefficient = 1e-8;
constexpr int kRoughIterations = 40;

/// Free variables are p autoregressive, q moving-average ones and the constant, in this order.
ArmaProcess process_of(std::span<const double> free, const ArimaOrder& order) {
  return {.ar = Lags::of(free.first(order.p)), .ma = Lags::of(free.subspan(order.p, order.q))};
}
double constant_of(std::span<const double> free, const ArimaOrder& order) { return order.constant ? free.back() : 0.0; }
ArmaModel model_of(std::span<const double> free, const ArimaOrder& order) {
  return {.process = process_of(free, order), .mean = constant_of(free, order)};
}

/// The models at several points, and room for what becomes of them.
template <std::size_t kMost>
class Batch {
 public:
  Batch(std::span<const double> points, const ArimaOrder& order, std::size_t count) : count_(std::min(count, kMost)) {
    const std::size_t width = points.size() / count;
    for (std::size_t i = 0; i < count_; ++i) models_[i] = model_of(points.subspan(i * width, width), order);
  }
  std::span<ArmaModel> models() { return std::span(models_).first(count_); }
  std::span<ArmaErrors> errors() { return std::span(errors_).first(count_); }

 private:
  std::size_t count_;
  std::array<ArmaModel, kMost> models_;
  std::array<ArmaErrors, kMost> errors_;
};

constexpr std::size_t kGradient = 2 * (2 * kMaxArimaLags + 1);  // points that the slopes of all variables need

/// Half the logarithm of the noise plus half the mean logarithm of relative variances.
double concentrated(const ArmaErrors& errors) {
  const auto count = static_cast<double>(errors.count);
  const double value = 0.5 * (std::log(errors.squares / count) + errors.log_variances / count);
  return std::isfinite(value) ? value : kWorst;
}

Lags through_tanh(Lags lags) {
  for (std::size_t i = 0; i < lags.count; ++i) lags.at[i] = std::tanh(lags.at[i]);
  return lags_from_partials(lags);
}

bool is_stationary(const Lags& ar) { return roots_beyond(ar, 1.0); }

bool roots_are_sound(Lags lags) {
  while (lags.count > 0 && std::abs(lags.at[lags.count - 1]) <= kNoCoefficient) --lags.count;
  return roots_beyond(lags, kSoundRadius);
}

std::vector<double> filled(std::span<const double> series) {
  std::vector<double> out(series.begin(), series.end());
  std::size_t last = out.size();
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (std::isnan(out[i])) continue;
    const std::size_t from = last < out.size() ? last : i;
    for (std::size_t k = from + 1; k < i; ++k) {
      out[k] = out[from] + (out[i] - out[from]) * static_cast<double>(k - from) / static_cast<double>(i - from);
    }
    if (last == out.size()) std::fill(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(i), out[i]);
    last = i;
  }
  if (last < out.size()) std::fill(out.begin() + static_cast<std::ptrdiff_t>(last), out.end(), out[last]);
  return out;
}

/// The inverse of a symmetric matrix by Gauss and Jordan; empty where it is singular.
std::vector<double> inverse_of(std::vector<double> a, std::size_t n) {
  std::vector<double> out(n * n, 0.0);
  for (std::size_t i = 0; i < n; ++i) out[i * n + i] = 1;
  for (std::size_t column = 0; column < n; ++column) {
    std::size_t pivot = column;
    for (std::size_t row = column + 1; row < n; ++row) {
      if (std::abs(a[row * n + column]) > std::abs(a[pivot * n + column])) pivot = row;
    }
    if (!(std::abs(a[pivot * n + column]) > 0)) return {};
    for (std::size_t k = 0; k < n; ++k) {
      std::swap(a[pivot * n + k], a[column * n + k]);
      std::swap(out[pivot * n + k], out[column * n + k]);
    }
    const double divisor = a[column * n + column];
    for (std::size_t k = 0; k < n; ++k) {
      a[column * n + k] /= divisor;
      out[column * n + k] /= divisor;
    }
    for (std::size_t row = 0; row < n; ++row) {
      if (row == column) continue;
      const double factor = a[row * n + column];
      for (std::size_t k = 0; k < n; ++k) {
        a[row * n + k] -= factor * a[column * n + k];
        out[row * n + k] -= factor * out[column * n + k];
      }
    }
  }
  return out;
}

}  // namespace

ArimaSeries::ArimaSeries(std::span<const double> series, std::size_t differences) : differences_(differences) {
  values_ = static_cast<std::size_t>(std::count_if(series.begin(), series.end(), [](double value) { return !std::isnan(value); }));
  if (values_ < series.size()) original_.assign(series.begin(), series.end());
  differenced_ = filled(series);
  for (std::size_t d = 0; d < differences; ++d) {
    for (std::size_t i = 0; i + 1 < differenced_.size(); ++i) differenced_[i] = differenced_[i + 1] - differenced_[i];
    differenced_.pop_back();
  }
  const auto n = static_cast<double>(differenced_.size());
  mean_ = std::accumulate(differenced_.begin(), differenced_.end(), 0.0) / n;
  double squares = 0;
  for (const double value : differenced_) squares += (value - mean_) * (value - mean_);
  standard_error_ = n > 1 ? std::sqrt(squares / (n - 1) / n) : 0.0;
}

std::vector<double> ArimaSeries::start(const ArimaOrder& order, std::vector<double>& scales) const {
  std::vector<double> free(order.p + order.q, 0.0);
  scales.assign(order.p + order.q, 1.0);
  if (order.constant) {
    free.push_back(mean_);
    scales.push_back(standard_error_ > 0 ? 10 * standard_error_ : 1.0);
  }
  return free;
}

template <std::size_t kMost>
void ArimaSeries::conditional_objectives_of(std::span<const double> points, const ArimaOrder& order, std::span<double> values) const {
  Batch<kMost> batch(points, order, values.size());
  conditional_errors(batch.models(), differenced_, batch.errors());
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = 0.5 * std::log(batch.errors()[i].squares / static_cast<double>(batch.errors()[i].count));
  }
}

void ArimaSeries::conditional_objectives(std::span<const double> points, const ArimaOrder& order, std::span<double> values) const {
  if (values.size() == 1) return conditional_objectives_of<1>(points, order, values);
  conditional_objectives_of<kGradient>(points, order, values);
}

template <std::size_t kMost>
void ArimaSeries::exact_objectives_of(std::span<const double> points, const ArimaOrder& order, std::span<double> values) const {
  Batch<kMost> batch(points, order, values.size());
  for (ArmaModel& model : batch.models()) model.process.ar = through_tanh(model.process.ar);
  if (original_.empty()) exact_errors(batch.models(), differenced_, batch.errors());
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = concentrated(original_.empty() ? batch.errors()[i] : gapped_errors(batch.models()[i]));
  }
}

void ArimaSeries::exact_objectives(std::span<const double> points, const ArimaOrder& order, std::span<double> values) const {
  if (values.size() == 1) return exact_objectives_of<1>(points, order, values);
  exact_objectives_of<kGradient>(points, order, values);
}

ArmaErrors ArimaSeries::gapped_errors(const ArmaModel& model) const {
  ArmaErrors errors;
  ArimaFilter filter({.process = model.process, .differences = differences_, .constant = model.mean});
  if (!filter.valid()) errors = {.squares = kInfinity, .log_variances = 0, .count = 1};
  if (!filter.valid()) return errors;
  for (const double value : original_) {
    const ArimaFilter::Innovation innovation = filter.step(value);
    if (std::isnan(innovation.error) || innovation.variance >= kUnknownLevel) continue;
    errors.squares += innovation.error * innovation.error / innovation.variance;
    errors.log_variances += std::log(innovation.variance);
    ++errors.count;
  }
  return errors;
}

bool ArimaSeries::search_conditional(const ArimaOrder& order, std::vector<double>& free, const std::vector<double>& scales,
                                     ArimaEffort& effort) const {
  BfgsLimits limits;
  if (effort.hasty()) limits = {.iterations = kRoughIterations, .patience = 0};
  if (differenced_.size() <= order.p) return false;
  if (free.empty()) return true;
  BfgsResult found =
      minimise_bfgs([&](std::span<const double> at, std::span<double> out) { conditional_objectives(at, order, out); }, free, scales,
                    limits);
  effort.spent += found.evaluations;
  if (!found.ok) return false;
  free = std::move(found.point);
  return true;
}

ArimaFit ArimaSeries::finish(const ArimaOrder& order, std::span<const double> free, bool conditional, double offset) const {
  ArimaFit fit;
  fit.order = order;
  const ArmaModel model = model_of(free, order);
  ArmaErrors errors;
  fit.coefficients = {.process = model.process, .differences = differences_, .constant = model.mean};
  const auto n = static_cast<double>(effective_values());
  const auto estimated = static_cast<double>(free.size() + 1);
  double criterion = 0;
  if (conditional) {
    conditional_errors({&model, 1}, differenced_, {&errors, 1});
    fit.noise = errors.squares / static_cast<double>(errors.count);
    criterion = offset + n * std::log(fit.noise) + 2 * estimated;
    fit.log_likelihood = -0.5 * (criterion - 2 * estimated);
  } else {
    if (original_.empty()) {
      exact_errors({&model, 1}, differenced_, {&errors, 1});
    } else {
      errors = gapped_errors(model);
    }
    fit.log_likelihood = -n * concentrated(errors) - 0.5 * n * (1 + std::log(2 * std::numbers::pi));
    criterion = -2 * fit.log_likelihood + 2 * estimated;
    fit.noise = errors.squares / std::max(1.0, n - static_cast<double>(free.size()));
  }
  const double left = n - estimated - 1;
  fit.aicc = left > 0 ? criterion + 2 * estimated * (estimated + 1) / left : kInfinity;
  if (values_ <= 3) fit.aicc = criterion;
  if (std::isnan(fit.aicc)) fit.aicc = kInfinity;
  return fit;
}

std::optional<ArimaFit> ArimaSeries::estimate_conditional(const ArimaOrder& order, double offset) const {
  std::vector<double> scales;
  std::vector<double> free = start(order, scales);
  ArimaEffort effort;
  if (!search_conditional(order, free, scales, effort)) return std::nullopt;
  return finish(order, free, true, offset);
}

std::optional<ArimaFit> ArimaSeries::estimate_exact(const ArimaOrder& order) const {
  ArimaEffort effort;
  return estimate_exact(order, effort);
}

bool ArimaSeries::start_exact(const ArimaOrder& order, std::vector<double>& free, const std::vector<double>& scales,
                              ArimaEffort& effort) const {
  Lags ar;
  if (effort.hasty() && effort.near != nullptr && effort.near->order.p == order.p && effort.near->order.q == order.q) {
    const ArimaCoefficients& near = effort.near->coefficients;
    ar = near.process.ar;
    std::copy_n(near.process.ma.at.begin(), order.q, free.begin() + static_cast<std::ptrdiff_t>(order.p));
    if (order.constant && effort.near->order.constant) free.back() = near.constant;
    ar = partials_from_lags(ar);
    ar.count = order.p;
  } else {
    if (!search_conditional(order, free, scales, effort)) return false;
    const ArmaProcess conditional = process_of(free, order);
    if (!is_stationary(conditional.ar)) return false;
    ar = partials_from_lags(conditional.ar);
    const Lags ma = invertible_moving_average(conditional.ma);
    std::copy_n(ma.at.begin(), order.q, free.begin() + static_cast<std::ptrdiff_t>(order.p));
  }
  for (std::size_t i = 0; i < order.p; ++i) free[i] = std::atanh(ar.at[i]);
  return true;
}

std::optional<ArimaFit> ArimaSeries::estimate_exact(const ArimaOrder& order, ArimaEffort& effort) const {
  std::vector<double> scales;
  std::vector<double> free = start(order, scales);
  if (!start_exact(order, free, scales, effort)) return std::nullopt;
  if (!free.empty()) {
    BfgsResult found =
        minimise_bfgs([&](std::span<const double> at, std::span<double> out) { exact_objectives(at, order, out); }, free, scales,
                      {.useful_below = objective_at(order, effort.to_beat),
                       .patience = ArimaEffort::kPatience - std::min(ArimaEffort::kPatience, effort.spent)});
    effort.spent += found.evaluations;
    if (!found.ok || found.value >= kWorst) return std::nullopt;
    free = std::move(found.point);
  }
  const ArmaProcess exact = process_of(free, order);
  const Lags ar = through_tanh(exact.ar);
  std::copy_n(ar.at.begin(), order.p, free.begin());
  const Lags invertible = invertible_moving_average(exact.ma);
  std::copy_n(invertible.at.begin(), order.q, free.begin() + static_cast<std::ptrdiff_t>(order.p));
  return finish(order, free, false, 0);
}

double ArimaSeries::objective_at(const ArimaOrder& order, double aicc) const {
  const auto n = static_cast<double>(effective_values());
  const auto estimated = static_cast<double>(order.p + order.q + (order.constant ? 2 : 1));
  const double left = n - estimated - 1;
  if (!std::isfinite(aicc) || left <= 0) return kInfinity;
  const double penalty = 2 * estimated + 2 * estimated * (estimated + 1) / left;
  return 0.5 * (aicc - penalty) / n - 0.5 * (1 + std::log(2 * std::numbers::pi));
}

double ArimaSeries::conditional_offset() const {
  const std::optional<ArimaFit> white = estimate_exact({.p = 0, .d = differences_, .q = 0, .constant = differences_ == 0});
  if (!white) return 0;
  const auto estimated = static_cast<double>(differences_ == 0 ? 1 : 0);
  const auto n = static_cast<double>(effective_values());
  return -2 * white->log_likelihood - static_cast<double>(values_) * std::log(white->noise * (n - estimated) / n);
}

bool ArimaSeries::sound(const ArimaFit& fit, bool conditional) const {
  const ArmaProcess& process = fit.coefficients.process;
  Lags negated = process.ma;
  for (double& weight : negated.at) weight = -weight;
  if (!roots_are_sound(process.ar) || !roots_are_sound(negated)) return false;

  std::vector<double> scales;
  std::vector<double> free = start(fit.order, scales);
  if (free.empty()) return true;
  const std::size_t n = free.size();
  const std::size_t p = fit.order.p;
  std::copy_n(process.ar.at.begin(), p, free.begin());
  std::copy_n(process.ma.at.begin(), fit.order.q, free.begin() + static_cast<std::ptrdiff_t>(p));
  if (fit.order.constant) free.back() = fit.coefficients.constant;
  if (!conditional) {
    const Lags partials = partials_from_lags(process.ar);
    for (std::size_t i = 0; i < p; ++i) free[i] = std::atanh(partials.at[i]);
  }
  auto objective = [&](std::span<const double> at, std::span<double> out) {
    if (conditional) {
      conditional_objectives(at, fit.order, out);
    } else {
      exact_objectives(at, fit.order, out);
    }
  };
  const std::vector<double> covariance = inverse_of(hessian_at(objective, free, scales), n);
  if (covariance.empty()) return false;
  for (std::size_t i = 0; i < n; ++i) {
    if ((conditional || i >= p) && !(covariance[i * n + i] >= 0)) return false;
  }
  if (conditional || p == 0) return true;
  // The autoregression was searched as free partials: its variances follow by the slopes of that change of variables.
  constexpr double kWidth = 1e-3;
  std::vector<double> slopes(p * p);
  const Lags here = process.ar;
  for (std::size_t i = 0; i < p; ++i) {
    Lags moved = Lags::of(std::span<const double>(free).first(p));
    moved.at[i] += kWidth;
    const Lags there = through_tanh(moved);
    for (std::size_t j = 0; j < p; ++j) slopes[i * p + j] = (there.at[j] - here.at[j]) / kWidth;
  }
  for (std::size_t j = 0; j < p; ++j) {
    double variance = 0;
    for (std::size_t a = 0; a < p; ++a) {
      for (std::size_t b = 0; b < p; ++b) variance += slopes[a * p + j] * covariance[a * n + b] * slopes[b * p + j];
    }
    if (!(variance >= 0)) return false;
  }
  return true;
}

}  // namespace flexpert::forecast
