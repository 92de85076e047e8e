#include "forecast/arma_likelihood.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace flexpert::forecast {
namespace {

constexpr double kSettled = 1e-13;
constexpr double kLargeProduct = 1e100;
constexpr std::size_t kCheckEvery = 4;  // steps

/// Four doubles that are computed with at once: one recursion alone waits for itself most of the time.
using Quad = double __attribute__((vector_size(4 * sizeof(double))));

template <class Number>
constexpr std::size_t kLanes = sizeof(Number) / sizeof(double);

// Compilers let the elements of a vector type be reached as what they are.
template <class Number>
double& lane(Number& number, std::size_t i) {
  return reinterpret_cast<double*>(&number)[i];
}

/// The filter with a state of R numbers. Its covariance starts stationary, so that each step changes it by a matrix of rank
/// one, change x weight x change': Chandrasekhar's recursions (Morf, Sidhu, Kailath 1974), a few operations for each state.
template <std::size_t R, class Number>
void exact_errors_of(const ArmaModel* models, std::span<const double> series, ArmaErrors* out) {
  constexpr std::size_t kMany = kLanes<Number>;
  std::array<Number, R> phi{};
  std::array<Number, R> first{};
  Number mean{};
  std::array<bool, kMany> usable{};
  for (std::size_t k = 0; k < kMany; ++k) {
    StateCovariance::Row row{};
    usable[k] = stationary_first_row(models[k].process, row);
    if (!usable[k]) row = {1};  // computed with, but not reported
    for (std::size_t i = 0; i < R; ++i) lane(first[i], k) = row[i];
    for (std::size_t i = 0; i < models[k].process.ar.count && usable[k]; ++i) lane(phi[i], k) = models[k].process.ar.at[i];
    lane(mean, k) = models[k].mean;
  }
  Number variance = first[0];
  Number lowest = variance;
  Number inverse = 1 / variance;
  std::array<Number, R + 1> change{};  // one more than the state: the last stays 0
  std::array<Number, R> gain{};
  for (std::size_t i = 0; i < R; ++i) {
    gain[i] = phi[i];
    if (i + 1 < R) gain[i] += first[i + 1] * inverse;
    change[i] = gain[i];
  }
  Number weight = -variance;
  std::array<Number, R + 1> state{};
  Number squares{};
  Number product = variance;  // of variances whose logarithms are still to be added
  Number logarithms{};
  auto take_logarithms = [&] {
    for (std::size_t k = 0; k < kMany; ++k) {
      lane(logarithms, k) += std::log(lane(product, k));
      lane(product, k) = 1;
    }
  };
  auto any = [](Number& numbers, auto&& condition) {
    bool found = false;
    for (std::size_t k = 0; k < kMany; ++k) found = found || condition(lane(numbers, k));
    return found;
  };
  auto observe = [&](double value) {
    const Number head = state[0];
    const Number error = value - mean - head;
    for (std::size_t i = 0; i < R; ++i) state[i] = phi[i] * head + state[i + 1] + gain[i] * error;
    squares += error * error * inverse;
  };
  std::size_t t = 0;
  while (t < series.size()) {
    observe(series[t]);
    if (++t == series.size()) break;
    const Number top = change[0];
    const Number weighted = top * weight;
    const Number next = variance + top * weighted;
    weight += weighted * weighted * inverse;
    inverse = 1 / next;
    const Number kept = variance * inverse;
    const Number added = weighted * inverse;
    for (std::size_t i = 0; i < R; ++i) {
      const Number moved = phi[i] * top + change[i + 1];
      gain[i] = gain[i] * kept + moved * added;
      change[i] = moved - gain[i] * top;
    }
    variance = next;
    lowest = next < lowest ? next : lowest;
    product *= variance;
    if (t % kCheckEvery != 0) continue;
    if (any(product, [](double value) { return !(value < kLargeProduct); })) take_logarithms();
    Number largest{};
    for (std::size_t i = 0; i < R; ++i) largest += change[i] * change[i];
    Number unsettled = -largest * weight - kSettled * variance;
    if (any(unsettled, [](double value) { return !(value < 0); })) continue;
    take_logarithms();
    for (std::size_t k = 0; k < kMany; ++k) {
      lane(logarithms, k) += static_cast<double>(series.size() - t - 1) * std::log(lane(variance, k));
    }
    for (; t < series.size(); ++t) observe(series[t]);
  }
  take_logarithms();
  for (std::size_t k = 0; k < kMany; ++k) {
    const bool good = usable[k] && lane(lowest, k) > 0;
    out[k].squares = good ? lane(squares, k) : std::numeric_limits<double>::infinity();
    out[k].log_variances = good ? lane(logarithms, k) : 0.0;
    out[k].count = series.size();
  }
}

template <std::size_t P, std::size_t Q, class Number>
void conditional_errors_of(const ArmaModel* models, std::span<const double> series, ArmaErrors* out) {
  constexpr std::size_t kMany = kLanes<Number>;
  std::array<Number, P + 1> before{};  // the latest first, less the mean
  std::array<Number, Q + 1> shocks{};
  std::array<Number, P + 1> phi{};
  std::array<Number, Q + 1> theta{};
  Number mean{};
  for (std::size_t k = 0; k < kMany; ++k) {
    for (std::size_t j = 0; j < P; ++j) lane(phi[j], k) = models[k].process.ar.at[j];
    for (std::size_t j = 0; j < Q; ++j) lane(theta[j], k) = models[k].process.ma.at[j];
    lane(mean, k) = models[k].mean;
  }
  Number squares{};
  const std::size_t used = std::min(P, series.size());
  for (std::size_t j = 0; j < used; ++j) before[j] = series[used - 1 - j] - mean;
  for (std::size_t t = used; t < series.size(); ++t) {
    const Number now = series[t] - mean;
    Number error = now;
    for (std::size_t j = 0; j < P; ++j) error -= phi[j] * before[j];
    // The latest shock last: everything else is ready before it is known.
    for (std::size_t j = Q; j-- > 0;) error -= theta[j] * shocks[j];
    for (std::size_t j = P; j > 1; --j) before[j - 1] = before[j - 2];
    for (std::size_t j = Q; j > 1; --j) shocks[j - 1] = shocks[j - 2];
    before[0] = now;
    shocks[0] = error;
    squares += error * error;
  }
  for (std::size_t k = 0; k < kMany; ++k) out[k] = {.squares = lane(squares, k), .log_variances = 0, .count = series.size() - used};
}

using Errors = void (*)(const ArmaModel*, std::span<const double>, ArmaErrors*);
constexpr std::size_t kOrders = kMaxArimaLags + 1;

template <class Number, std::size_t... R>
constexpr std::array<Errors, kOrders> exact_table(std::index_sequence<R...>) {
  return {&exact_errors_of<R + 1, Number>...};
}
template <class Number, std::size_t... I>
constexpr std::array<Errors, kOrders * kOrders> conditional_table(std::index_sequence<I...>) {
  return {&conditional_errors_of<I / kOrders, I % kOrders, Number>...};
}

constexpr auto kStates = std::make_index_sequence<kOrders>();
constexpr auto kPairs = std::make_index_sequence<kOrders * kOrders>();
constexpr auto kExactOne = exact_table<double>(kStates);
constexpr auto kExactFour = exact_table<Quad>(kStates);
constexpr auto kConditionalOne = conditional_table<double>(kPairs);
constexpr auto kConditionalFour = conditional_table<Quad>(kPairs);

void in_fours(Errors one, Errors four, std::span<const ArmaModel> models, std::span<const double> series, std::span<ArmaErrors> out) {
  constexpr std::size_t kFour = kLanes<Quad>;
  std::size_t i = 0;
  for (; i + kFour <= models.size(); i += kFour) four(&models[i], series, &out[i]);
  if (models.size() - i == 1) one(&models[i], series, &out[i]);
  if (models.size() - i < 2) return;
  std::array<ArmaModel, kFour> padded;
  std::array<ArmaErrors, kFour> errors;
  for (std::size_t k = 0; k < kFour; ++k) padded[k] = models[std::min(i + k, models.size() - 1)];
  four(padded.data(), series, errors.data());
  std::copy_n(errors.begin(), models.size() - i, &out[i]);
}

}  // namespace

void exact_errors(std::span<const ArmaModel> models, std::span<const double> series, std::span<ArmaErrors> out) {
  if (models.empty()) return;
  const std::size_t at = models.front().process.state_size() - 1;
  in_fours(kExactOne[at], kExactFour[at], models, series, out);
}

void conditional_errors(std::span<const ArmaModel> models, std::span<const double> series, std::span<ArmaErrors> out) {
  if (models.empty()) return;
  const std::size_t at = models.front().process.ar.count * kOrders + models.front().process.ma.count;
  in_fours(kConditionalOne[at], kConditionalFour[at], models, series, out);
}

}  // namespace flexpert::forecast
