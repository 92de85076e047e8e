#include "forecast/auto_arima.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "forecast/arima_estimate.h"
#include "forecast/kpss.h"

namespace flexpert::forecast {
namespace {

constexpr std::size_t kMostModels = 94;
constexpr std::size_t kFewestForModels = 4;
constexpr std::size_t kShort = 10;   // below, the search starts at orders of 1
constexpr double kSameValue = 1.5e-8;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The series without what surrounds it: infinities become gaps, gaps at the front go.
std::vector<double> trimmed(std::span<const double> series) {
  std::vector<double> out;
  for (const double value : series) {
    const bool known = std::isfinite(value);
    if (known || !out.empty()) out.push_back(known ? value : std::numeric_limits<double>::quiet_NaN());
  }
  return out;
}

std::vector<double> known_of(const std::vector<double>& series) {
  std::vector<double> out;
  std::copy_if(series.begin(), series.end(), std::back_inserter(out), [](double value) { return std::isfinite(value); });
  return out;
}

/// Equal up to rounding, relative to the size of the values.
bool is_constant(const std::vector<double>& values) {
  double apart = 0;
  double size = 0;
  for (const double value : values) {
    apart += std::abs(value - values.front());
    size += std::abs(value);
  }
  return apart <= kSameValue * size || apart == 0;
}

double mean_of(const std::vector<double>& values) {
  return values.empty() ? 0.0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

ArimaFit without_noise(std::size_t d, double constant, bool has_constant) {
  ArimaFit fit;
  fit.order = {.p = 0, .d = d, .q = 0, .constant = has_constant};
  fit.coefficients = {.process = {}, .differences = d, .constant = constant};
  fit.log_likelihood = kInfinity;
  fit.aicc = -kInfinity;
  return fit;
}

/// The model of a series that is fully known after `d` differences; nothing where it is not.
std::optional<ArimaFit> explained_fully(const std::vector<double>& values, std::size_t d) {
  std::vector<double> known = known_of(values);
  if (d > 0 && known.size() < values.size()) return std::nullopt;
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t k = 0; k + 1 < known.size(); ++k) known[k] = known[k + 1] - known[k];
    known.pop_back();
  }
  if (!is_constant(known)) return std::nullopt;
  return without_noise(d, d < 2 ? mean_of(known) : 0.0, d < 2);
}

/// A random walk: what is left where no model can be estimated.
ArimaFit carried_forward(const std::vector<double>& series) {
  const std::vector<double> known = known_of(series);
  ArimaFit fit;
  fit.order = {.p = 0, .d = 1, .q = 0, .constant = false};
  fit.coefficients.differences = 1;
  for (std::size_t i = 1; i < known.size(); ++i) {
    fit.noise += (known[i] - known[i - 1]) * (known[i] - known[i - 1]) / static_cast<double>(known.size() - 1);
  }
  if (!std::isfinite(fit.noise)) fit.noise = 0;
  return fit;
}

/// Multiplies values by a power of two where their squares could overflow or vanish.
double unit_of(const std::vector<double>& known) {
  double largest = 0;
  for (const double value : known) largest = std::max(largest, std::abs(value));
  if (largest == 0 || (largest > 1e-100 && largest < 1e100)) return 1;
  return std::ldexp(1.0, std::clamp(-std::ilogb(largest), -1000, 1000));
}

void to_unit(ArimaFit& fit, double unit) {
  fit.coefficients.constant /= unit;
  fit.noise = fit.noise / unit / unit;
  if (!std::isfinite(fit.noise)) fit.noise = std::numeric_limits<double>::max();
}

/// The steps among orders. Every model is estimated once; one that is not sound counts as infinitely bad.
class Search {
 public:
  Search(const ArimaSeries& series, bool conditional) : series_(series), conditional_(conditional) {
    if (conditional_) offset_ = series_.conditional_offset();
    const std::size_t most = std::min(kMaxArimaLags, series_.values() / 3);
    most_p_ = most_q_ = most;
  }

  std::optional<ArimaFit> run() {
    const bool may_have_constant = series_.differences() < 2;
    const std::size_t first = series_.values() < kShort ? 1 : 2;
    consider(std::min(first, most_p_), std::min(first, most_q_), may_have_constant);
    consider(0, 0, may_have_constant);
    if (most_p_ > 0) consider(1, 0, may_have_constant);
    if (most_q_ > 0) consider(0, 1, may_have_constant);
    if (may_have_constant) {
      const bool better = consider(0, 0, false);
      // The next steps keep the constant even if the plain model without one is ahead, as the reference does.
      constant_ = true;
      if (better) p_ = q_ = 0;
    }
    while (tried_.size() < kMostModels && step(may_have_constant)) {
    }
    if (conditional_) return exact_of_best();
    if (best_) best_->evaluations = effort_.spent;
    return best_;
  }

 private:
  struct Tried {
    ArimaOrder order;
    double criterion;
  };

  /// Moves to the first better neighbour; false where there is none.
  bool step(bool may_have_constant) {
    struct Move {
      int p;
      int q;
    };
    static constexpr Move kMoves[] = {{-1, 0}, {0, -1}, {1, 0}, {0, 1}, {-1, -1}, {-1, 1}, {1, -1}, {1, 1}};
    for (const Move& move : kMoves) {
      const int p = static_cast<int>(p_) + move.p;
      const int q = static_cast<int>(q_) + move.q;
      if (p < 0 || q < 0 || p > static_cast<int>(most_p_) || q > static_cast<int>(most_q_)) continue;
      if (consider(static_cast<std::size_t>(p), static_cast<std::size_t>(q), constant_)) return true;
    }
    return may_have_constant && consider(p_, q_, !constant_);
  }

  /// Estimates a model that was not yet tried and takes it if it is better.
  bool consider(std::size_t p, std::size_t q, bool constant) {
    const ArimaOrder order{.p = p, .d = series_.differences(), .q = q, .constant = constant};
    if (tried_.size() >= kMostModels || effort_.spent >= ArimaEffort::kEnough) return false;
    if (std::any_of(tried_.begin(), tried_.end(), [&](const Tried& tried) { return tried.order == order; })) return false;
    effort_.to_beat = best_criterion_;
    effort_.near = best_ ? &*best_ : nullptr;
    std::optional<ArimaFit> fit = conditional_ ? series_.estimate_conditional(order, offset_) : series_.estimate_exact(order, effort_);
    tried_.push_back({order, fit ? fit->aicc : kInfinity});
    // Soundness costs more than the estimate: only what would win is looked at.
    if (!fit || !(fit->aicc < best_criterion_)) return false;
    if (!series_.sound(*fit, conditional_)) {
      tried_.back().criterion = kInfinity;
      return false;
    }
    best_criterion_ = fit->aicc;
    best_ = std::move(fit);
    p_ = p;
    q_ = q;
    constant_ = constant;
    return true;
  }

  std::optional<ArimaFit> exact_of_best() {
    std::stable_sort(tried_.begin(), tried_.end(), [](const Tried& a, const Tried& b) { return a.criterion < b.criterion; });
    effort_ = {};
    for (const Tried& tried : tried_) {
      if (effort_.spent >= ArimaEffort::kEnough) return best_;
      std::optional<ArimaFit> fit = series_.estimate_exact(tried.order, effort_);
      if (fit && std::isfinite(fit->aicc) && series_.sound(*fit, false)) return fit;
    }
    return std::nullopt;
  }

  const ArimaSeries& series_;
  ArimaEffort effort_;
  bool conditional_;
  double offset_ = 0;
  std::size_t most_p_ = 0;
  std::size_t most_q_ = 0;
  std::size_t p_ = 0;
  std::size_t q_ = 0;
  bool constant_ = true;
  double best_criterion_ = kInfinity;
  std::optional<ArimaFit> best_;
  std::vector<Tried> tried_;
};

}  // namespace

ArimaFit auto_arima(std::span<const double> series, std::size_t conditional_above) {
  std::vector<double> values = trimmed(series);
  const std::vector<double> known = known_of(values);
  if (known.size() < kFewestForModels) return carried_forward(values);
  if (is_constant(known)) return without_noise(0, mean_of(known), true);
  const double unit = unit_of(known);
  for (double& value : values) value *= unit;

  const std::size_t d = differences_by_kpss(values, kMaxArimaDifferences);
  std::optional<ArimaFit> found = explained_fully(values, d);
  if (!found) {
    const ArimaSeries prepared(values, d);
    found = Search(prepared, prepared.values() > conditional_above).run();
  }
  ArimaFit fit = found && std::isfinite(found->noise) ? *found : carried_forward(values);
  to_unit(fit, unit);
  return fit;
}

ArimaOrder select_order(std::span<const double> series) { return auto_arima(series).order; }

ArimaFit estimate_arima(std::span<const double> series, const ArimaOrder& order) {
  std::vector<double> values = trimmed(series);
  const std::vector<double> known = known_of(values);
  if (known.size() < std::max(kFewestForModels, order.d + 2)) return carried_forward(values);
  const double unit = unit_of(known);
  for (double& value : values) value *= unit;
  std::optional<ArimaFit> found = order.constant ? explained_fully(values, order.d) : std::nullopt;
  if (!found) found = ArimaSeries(values, order.d).estimate_exact(order);
  ArimaFit fit = found && std::isfinite(found->noise) ? *found : carried_forward(values);
  to_unit(fit, unit);
  return fit;
}

}  // namespace flexpert::forecast
