#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <Eigen/Dense>

#include "perf/engine_model.h"

namespace flexpert::perf {
namespace {

using Columns = Eigen::Matrix<double, Eigen::Dynamic, 4>;

/// Solves for the columns in `chosen`; nothing when they are not independent or a coefficient would be negative.
std::optional<Eigen::Vector4d> solve(const Columns& columns, const Eigen::VectorXd& right, unsigned chosen) {
  std::vector<Eigen::Index> used;
  for (Eigen::Index i = 0; i < 4; ++i) {
    if ((chosen >> i & 1U) != 0) used.push_back(i);
  }
  const Eigen::ColPivHouseholderQR<Eigen::MatrixXd> qr(columns(Eigen::all, used));
  if (qr.rank() < static_cast<Eigen::Index>(used.size())) return std::nullopt;
  const Eigen::VectorXd values = qr.solve(right);
  if (!values.allFinite() || values.minCoeff() < 0) return std::nullopt;
  Eigen::Vector4d all = Eigen::Vector4d::Zero();
  for (std::size_t i = 0; i < used.size(); ++i) all[used[i]] = values[static_cast<Eigen::Index>(i)];
  return all;
}

}  // namespace

Result<StepCoefficients> fit_steps(std::span<const StepSample> samples) {
  if (samples.size() < 4) return fail(ErrorCode::kInvalidArgument,
                                      "samples: at least 4 steps are needed to fit a step's time, there are {}", samples.size());
  const auto rows = static_cast<Eigen::Index>(samples.size());
  Columns columns(rows, 4);
  const Eigen::VectorXd right = Eigen::VectorXd::Ones(rows);
  for (Eigen::Index i = 0; i < rows; ++i) {
    const StepSample& s = samples[static_cast<std::size_t>(i)];
    const std::array<std::pair<const char*, double>, 4> fields = {
        {{"new_tokens", s.new_tokens}, {"decode_batch", s.decode_batch}, {"kv_tokens_read", s.kv_tokens_read}, {"seconds", s.seconds}}};
    for (const auto& [name, value] : fields) {
      if (!std::isfinite(value) || value < 0) return fail(ErrorCode::kInvalidArgument,
                                                          "samples[{}].{}: must be finite and at least 0, not {}", i, name, value);
    }
    if (s.seconds == 0) return fail(ErrorCode::kInvalidArgument, "samples[{}].seconds: must be more than 0", i);
    columns.row(i) << 1 / s.seconds, s.new_tokens / s.seconds, s.decode_batch / s.seconds, s.kv_tokens_read / s.seconds;
  }
  Eigen::Vector4d scale = columns.colwise().norm().transpose();
  for (double& value : scale) value = value > 0 ? value : 1;
  columns = columns * scale.cwiseInverse().asDiagonal();
  // The non-negative least squares optimum is the unconstrained one of some subset of the terms: there are fifteen. Of subsets
  // that fit alike, the one with fewer terms.
  double least = std::numeric_limits<double>::infinity();
  std::optional<Eigen::Vector4d> best;
  for (const unsigned chosen : {1U, 2U, 4U, 8U, 3U, 5U, 9U, 6U, 10U, 12U, 7U, 11U, 13U, 14U, 15U}) {
    const auto values = solve(columns, right, chosen);
    if (!values) continue;
    const double residual = (columns * *values - right).squaredNorm();
    if (residual < least - 1e-12 * static_cast<double>(rows)) {
      least = residual;
      best = values;
    }
  }
  if (!best) return fail(ErrorCode::kInvalidArgument, "samples: no step time fits them");
  const Eigen::Vector4d found = best->cwiseQuotient(scale);
  return StepCoefficients{found[0], found[1], found[2], found[3]};
}

}  // namespace flexpert::perf
