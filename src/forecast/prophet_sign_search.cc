#include "forecast/prophet_sign_search.h"

#include <cmath>
#include <vector>

#include <Eigen/Cholesky>

namespace flexpert::forecast {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

class FeatureSignSearch {
 public:
  FeatureSignSearch(const MatrixXd& quadratic, const VectorXd& linear, double lambda, Eigen::Index first, Eigen::Index last)
      : quadratic_(quadratic), linear_(linear), lambda_(lambda), first_(first), last_(last) {}

  /// Starts from `x`, where most signs are right already.
  void run(VectorXd& x) const {
    const auto n = x.size();
    VectorXd sign = VectorXd::Zero(n);
    for (Eigen::Index j = first_; j < last_; ++j) sign(j) = x(j) > 0 ? 1 : x(j) < 0 ? -1 : 0;
    for (Eigen::Index step = 0; step < 10 * n; ++step) {
      settle(x, sign);
      const VectorXd slope = quadratic_ * x - linear_;
      Eigen::Index enters = -1;
      double steepest = lambda_ * (1 + 1e-10);
      for (Eigen::Index j = first_; j < last_; ++j) {
        if (sign(j) != 0 || std::abs(slope(j)) <= steepest) continue;
        steepest = std::abs(slope(j));
        enters = j;
      }
      if (enters < 0) return;
      sign(enters) = slope(enters) > 0 ? -1 : 1;
    }
  }

 private:
  [[nodiscard]] bool penalised(Eigen::Index j) const { return j >= first_ && j < last_; }

  [[nodiscard]] double objective(const VectorXd& x) const {
    double out = 0.5 * x.dot(quadratic_ * x) - linear_.dot(x);
    for (Eigen::Index j = first_; j < last_; ++j) out += lambda_ * std::abs(x(j));
    return out;
  }

  /// Moves to the minimum over the features in use, dropping those that reach 0 on the way.
  void settle(VectorXd& x, VectorXd& sign) const {
    for (Eigen::Index round = 0; round < 3 * x.size(); ++round) {
      std::vector<Eigen::Index> used;
      for (Eigen::Index j = 0; j < x.size(); ++j) {
        if (!penalised(j) || sign(j) != 0) used.push_back(j);
      }
      const auto size = static_cast<Eigen::Index>(used.size());
      MatrixXd inner(size, size);
      VectorXd right(size);
      for (Eigen::Index a = 0; a < size; ++a) {
        const Eigen::Index i = used[static_cast<std::size_t>(a)];
        right(a) = linear_(i) - lambda_ * sign(i);
        for (Eigen::Index b = 0; b < size; ++b) inner(a, b) = quadratic_(i, used[static_cast<std::size_t>(b)]);
      }
      const VectorXd solved = inner.llt().solve(right);
      VectorXd target = VectorXd::Zero(x.size());
      for (Eigen::Index a = 0; a < size; ++a) target(used[static_cast<std::size_t>(a)]) = solved(a);
      if (!target.allFinite()) return;

      std::vector<double> crossings;
      for (const Eigen::Index j : used) {
        if (penalised(j) && sign(j) * target(j) < 0 && x(j) != target(j)) crossings.push_back(x(j) / (x(j) - target(j)));
      }
      if (crossings.empty()) {
        x = target;
        return;
      }
      crossings.push_back(1);
      VectorXd best = x;
      double least = HUGE_VAL;
      for (const double share : crossings) {
        VectorXd candidate = x + share * (target - x);
        for (const Eigen::Index j : used) {
          if (penalised(j) && std::abs(candidate(j)) < 1e-15) candidate(j) = 0;
        }
        const double value = objective(candidate);
        if (!(value < least)) continue;
        least = value;
        best = candidate;
      }
      x = best;
      for (Eigen::Index j = first_; j < last_; ++j) sign(j) = x(j) > 0 ? 1 : x(j) < 0 ? -1 : 0;
    }
  }

  const MatrixXd& quadratic_;
  const VectorXd& linear_;
  double lambda_;
  Eigen::Index first_;
  Eigen::Index last_;
};

}  // namespace

void search_feature_signs(const MatrixXd& quadratic, const VectorXd& linear, const Penalty& penalty, VectorXd& x) {
  FeatureSignSearch(quadratic, linear, penalty.weight, penalty.first, penalty.last).run(x);
}

}  // namespace flexpert::forecast
