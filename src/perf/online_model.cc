#include "perf/online_model.h"

#include <algorithm>
#include <cmath>

namespace flexpert::perf {
namespace {

constexpr std::size_t kMostResiduals = 32;
constexpr std::size_t kEnoughResiduals = 8;
constexpr double kLargestValue = 1e12;
constexpr double kQuiet = 0.8;     // of saturation: waits are still short
constexpr double kGuessWeight = 0.03;  // samples that a guessed prior is worth
constexpr double kYoungMemory = 6;     // samples: the first were read with a poor model, and are soon forgotten
constexpr double kMemoryGrowth = 0.33;  // for each sample, until the memory is as long as it is to be
constexpr double kLeastOwn = 0.2;  // of a TTFT, whatever is taken for waiting
using Vector = std::array<double, 4>;

Vector as_vector(const StepCoefficients& c) { return {c.fixed, c.per_new_token, c.per_sequence, c.per_kv_token}; }
double dot(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]; }
bool is_amount(double value) { return std::isfinite(value) && value >= 0 && value <= kLargestValue; }

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// Minimises theta^T M theta - 2 r^T theta over theta >= 0 by coordinate descent: M is positive definite, so it converges to
/// the only optimum; it starts from where it was, so that a little news moves it little.
Vector non_negative_minimum(const std::array<Vector, 4>& m, const Vector& r, Vector theta) {
  for (int sweep = 0; sweep < 400; ++sweep) {
    double moved = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      if (!(m[i][i] > 0)) continue;
      const double next = std::max(0.0, theta[i] + (r[i] - dot(m[i], theta)) / m[i][i]);
      moved = std::max(moved, std::fabs(next - theta[i]) / (std::fabs(next) + 1e-12));
      theta[i] = next;
    }
    if (moved < 1e-10) break;
  }
  return theta;
}

}  // namespace

OnlineEngineModel::OnlineEngineModel(EngineLimits limits, std::optional<StepCoefficients> prior, OnlineModelOptions options)
    : limits_(limits), options_(options), prior_(prior), prior_given_(prior.has_value()), now_(prior) {}

bool OnlineEngineModel::observe(const StepSample& step) {
  if (!is_amount(step.new_tokens) || !is_amount(step.decode_batch) || !is_amount(step.kv_tokens_read)) return false;
  if (!(step.seconds > 1e-7) || !(step.seconds < 1e5)) return false;
  if (step.new_tokens + step.decode_batch <= 0) return false;
  const Vector row = {1 / step.seconds, step.new_tokens / step.seconds, step.decode_batch / step.seconds,
                      step.kv_tokens_read / step.seconds};
  if (!prior_) {
    // Half fixed time; the other half for the sequences and what they read, or for the prompt in a step without sequences.
    const bool decodes = step.decode_batch > 0;
    const double half = step.seconds / 2, parts = step.kv_tokens_read > 0 ? 2 : 1;
    prior_ = now_ = StepCoefficients{half, decodes ? 0 : half / step.new_tokens, decodes ? half / parts / step.decode_batch : 0,
                                     decodes && step.kv_tokens_read > 0 ? half / parts / step.kv_tokens_read : 0};
  }
  const double residual = std::fabs(dot(row, as_vector(*now_)) - 1);
  const double typical = std::max(1e-3, 1.4826 * median(residuals_));
  const bool judged = residuals_.size() >= kEnoughResiduals;
  residuals_.push_back(residual);
  if (residuals_.size() > kMostResiduals) residuals_.erase(residuals_.begin());
  if (judged && residual > options_.reject * typical && rejected_in_a_row_ < options_.most_rejected) {
    ++rejected_;
    ++rejected_in_a_row_;
    return false;
  }
  rejected_in_a_row_ = 0;
  learn(row, judged ? std::min(1.0, options_.huber * typical / std::max(residual, 1e-12)) : 1);
  ++used_;
  return true;
}

bool OnlineEngineModel::observe(const IntervalMeans& interval, EngineRole role) {
  const bool valid = is_amount(interval.requests_per_s) && is_amount(interval.isl) && is_amount(interval.osl) &&
      is_amount(interval.instances);
  if (!valid || interval.instances < 1 || interval.requests_per_s <= 0 || interval.isl < 1) return false;
  const double rate = interval.requests_per_s / interval.instances;
  const Workload load{interval.isl, interval.osl};
  const EngineModel shape_of(now_.value_or(StepCoefficients{}), limits_);
  largest_rate_ = std::max(largest_rate_, rate);
  bool used = false;
  std::optional<double> beside;  // sequences that decode, by Little's law: whatever the model thinks
  if (role != EngineRole::kPrefill && interval.itl_s && is_amount(*interval.itl_s) && interval.osl > 1) {
    StepSample step = shape_of.mean_step(rate, load, role, *interval.itl_s);
    if (interval.in_flight && *interval.in_flight > 0 && *interval.in_flight < step.decode_batch * interval.instances) {
      // No more can have decoded than were there.
      const double there = std::max(1.0, *interval.in_flight / interval.instances);
      step.kv_tokens_read *= there / step.decode_batch;
      step.decode_batch = there;
    }
    beside = rate * *interval.itl_s * (interval.osl - 1);
    used = observe(step);
  }
  if (role == EngineRole::kDecode || !interval.ttft_s || !is_amount(*interval.ttft_s)) return used;
  // What the model takes for waiting is not a prompt's own time. Where much waits that says little about the prompt.
  const auto known = model();
  const LoadPoint expected = known ? known->at(rate, load, role, 0.5) : LoadPoint{};
  if (known && !(expected.utilisation < kQuiet)) return used;
  double steps = 1;
  StepSample prompt = shape_of.prompt_step(load, role, beside.value_or(expected.batch), steps);
  prompt.seconds = std::max(*interval.ttft_s - expected.mean_wait_s, kLeastOwn * *interval.ttft_s) / steps;
  used |= observe(prompt);
  return used;
}

void OnlineEngineModel::learn(const Vector& row, double weight) {
  const double keep = std::exp(-1 / std::min(options_.memory, kYoungMemory + kMemoryGrowth * static_cast<double>(used_)));
  for (std::size_t i = 0; i < 4; ++i) {
    anchor_scale_[i] = std::max(anchor_scale_[i] * keep, row[i]);
    for (std::size_t j = 0; j < 4; ++j) normal_[i][j] = keep * normal_[i][j] + weight * row[i] * row[j];
    right_[i] = keep * right_[i] + weight * row[i];
  }
  solve();
}

void OnlineEngineModel::solve() {
  const Vector known = as_vector(*prior_);
  std::array<Vector, 4> m = normal_;
  Vector r = right_;
  // A given prior counts like samples; a guessed one only settles what the samples leave open.
  const double weight = prior_given_ ? options_.prior_weight : kGuessWeight;
  for (std::size_t i = 0; i < 4; ++i) {
    const double pull = weight * anchor_scale_[i] * anchor_scale_[i] / 4;
    m[i][i] += pull;
    r[i] += pull * known[i];
  }
  const Vector theta = non_negative_minimum(m, r, as_vector(*now_));
  now_ = StepCoefficients{theta[0], theta[1], theta[2], theta[3]};
}

std::optional<EngineModel> OnlineEngineModel::model() const {
  if (!now_) return std::nullopt;
  return EngineModel(*now_, limits_);
}

double OnlineEngineModel::typical_error() const { return median(residuals_); }

void OnlineEngineModel::save(StateWriter& writer) const {
  writer.tag("online-model/1");
  const auto write = [&](const std::optional<StepCoefficients>& c) {
    writer.integer(c ? 1 : 0);
    const Vector values = as_vector(c.value_or(StepCoefficients{}));
    writer.numbers({values.begin(), values.end()});
  };
  write(prior_);
  write(now_);
  writer.numbers({anchor_scale_.begin(), anchor_scale_.end()});
  for (const Vector& row : normal_) writer.numbers({row.begin(), row.end()});
  writer.numbers({right_.begin(), right_.end()});
  writer.numbers(residuals_);
  writer.integer(static_cast<std::int64_t>(used_));
  writer.integer(static_cast<std::int64_t>(rejected_));
  writer.integer(rejected_in_a_row_);
  writer.number(largest_rate_);
}

void OnlineEngineModel::restore(StateReader& reader) {
  OnlineEngineModel fresh(limits_, prior_given_ ? prior_ : std::nullopt, options_);
  OnlineEngineModel read = fresh;
  const auto vector = [&]() -> Vector {
    const std::vector<double> values = reader.numbers();
    Vector result{};
    if (values.size() == 4) std::ranges::copy(values, result.begin());
    else reader.reject("four numbers of an engine model");
    for (const double value : result)
      if (!std::isfinite(value) || value < 0) reader.reject("finite numbers of an engine model, at least 0");
    return result;
  };
  const auto coefficients = [&]() -> std::optional<StepCoefficients> {
    const bool there = reader.integer() != 0;
    const Vector v = vector();
    if (!there) return std::nullopt;
    return StepCoefficients{v[0], v[1], v[2], v[3]};
  };
  reader.tag("online-model/1");
  const auto prior = coefficients();
  if (!prior_given_) read.prior_ = prior;
  read.now_ = coefficients();
  read.anchor_scale_ = vector();
  for (Vector& row : read.normal_) row = vector();
  read.right_ = vector();
  read.residuals_ = reader.numbers();
  read.used_ = static_cast<std::uint64_t>(reader.integer());
  read.rejected_ = static_cast<std::uint64_t>(reader.integer());
  read.rejected_in_a_row_ = static_cast<std::uint32_t>(reader.integer());
  read.largest_rate_ = reader.number();
  if (read.residuals_.size() > kMostResiduals) reader.reject("at most 32 residuals of an engine model");
  if (read.now_.has_value() != read.prior_.has_value()) reader.reject("an engine model with coefficients and what they started from");
  *this = reader.ok() ? read : fresh;
}

}  // namespace flexpert::perf
