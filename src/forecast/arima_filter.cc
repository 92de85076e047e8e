#include "forecast/arima_filter.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace flexpert::forecast {

ArimaFilter::ArimaFilter(const ArimaCoefficients& model, double noise, double diffuse)
    : d_(std::min(model.differences, kMaxArimaDifferences)),
      r_(model.process.state_size()),
      n_(d_ + r_),
      constant_(model.constant),
      noise_(noise) {
  std::copy_n(model.process.ar.at.begin(), model.process.ar.count, phi_.begin());
  theta_[0] = 1;
  std::copy_n(model.process.ma.at.begin(), model.process.ma.count, theta_.begin() + 1);
  const StateCovariance start = stationary_covariance(model.process);
  valid_ = start.valid && std::isfinite(noise) && std::isfinite(constant_);
  for (std::size_t i = 0; i < d_; ++i) covariance_[i][i] = diffuse;
  for (std::size_t i = 0; i < r_; ++i) {
    for (std::size_t j = 0; j < r_; ++j) covariance_[d_ + i][d_ + j] = noise * start.at[i][j];
  }
}

double ArimaFilter::observed(const Vector& state) const {
  double sum = d_ == 0 ? constant_ : 0.0;
  for (std::size_t i = 0; i <= d_; ++i) sum += state[i];
  return sum;
}

// A level takes all levels after it and the differenced series; the series moves by its companion matrix.
void ArimaFilter::advance(Vector& state) const {
  const double first = state[d_];
  double sum = first;
  for (std::size_t i = d_; i-- > 0;) state[i] = (sum += state[i]);
  for (std::size_t i = 0; i < r_; ++i) state[d_ + i] = phi_[i] * first + (i + 1 < r_ ? state[d_ + i + 1] : 0.0);
}

void ArimaFilter::advance(Matrix& covariance) const {
  for (std::size_t row = 0; row < n_; ++row) advance(covariance[row]);
  for (std::size_t column = 0; column < n_; ++column) {
    const double first = covariance[d_][column];
    double sum = first;
    for (std::size_t i = d_; i-- > 0;) covariance[i][column] = (sum += covariance[i][column]);
    for (std::size_t i = 0; i < r_; ++i) {
      covariance[d_ + i][column] = phi_[i] * first + (i + 1 < r_ ? covariance[d_ + i + 1][column] : 0.0);
    }
  }
  for (std::size_t i = 0; i < r_; ++i) {
    for (std::size_t j = 0; j < r_; ++j) covariance[d_ + i][d_ + j] += noise_ * theta_[i] * theta_[j];
  }
}

double ArimaFilter::prediction_variance(const Matrix& covariance) const {
  double sum = 0;
  for (std::size_t i = 0; i <= d_; ++i) {
    for (std::size_t j = 0; j <= d_; ++j) sum += covariance[i][j];
  }
  return sum;
}

ArimaFilter::Innovation ArimaFilter::step(double value) {
  Innovation innovation{.error = std::numeric_limits<double>::quiet_NaN(), .variance = prediction_variance(covariance_)};
  if (std::isfinite(value) && innovation.variance > 0) {
    innovation.error = value - observed(state_);
    Vector gain{};
    for (std::size_t i = 0; i < n_; ++i) {
      for (std::size_t j = 0; j <= d_; ++j) gain[i] += covariance_[i][j];
    }
    const double scaled = innovation.error / innovation.variance;
    for (std::size_t i = 0; i < n_; ++i) {
      state_[i] += gain[i] * scaled;
      for (std::size_t j = 0; j < n_; ++j) covariance_[i][j] -= gain[i] * gain[j] / innovation.variance;
    }
  }
  advance(state_);
  if (d_ == 1) state_[0] += constant_;
  advance(covariance_);
  return innovation;
}

std::vector<double> ArimaFilter::forecast(std::size_t steps) const {
  std::vector<double> out(steps);
  Vector state = state_;
  for (double& expected : out) {
    expected = observed(state);
    advance(state);
    if (d_ == 1) state[0] += constant_;
  }
  return out;
}

std::vector<double> ArimaFilter::forecast_variances(std::size_t steps) const {
  std::vector<double> out(steps);
  Matrix covariance = covariance_;
  for (double& variance : out) {
    variance = std::max(0.0, prediction_variance(covariance));
    advance(covariance);
  }
  return out;
}

void ArimaFilter::save(StateWriter& writer) const {
  writer.tag("arima_filter/1");
  writer.numbers({state_.begin(), state_.begin() + static_cast<std::ptrdiff_t>(n_)});
  for (std::size_t i = 0; i < n_; ++i) {
    writer.numbers({covariance_[i].begin(), covariance_[i].begin() + static_cast<std::ptrdiff_t>(n_)});
  }
}

void ArimaFilter::restore(StateReader& reader) {
  reader.tag("arima_filter/1");
  auto read = [&](Vector& row) {
    const std::vector<double> values = reader.numbers();
    if (values.size() != n_ || !std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); })) {
      reader.reject("a finite number for each state");
      return;
    }
    std::copy(values.begin(), values.end(), row.begin());
  };
  read(state_);
  for (std::size_t i = 0; i < n_; ++i) read(covariance_[i]);
}

}  // namespace flexpert::forecast
