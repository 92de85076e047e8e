#include "forecast/holt_winters_nnls.h"

#include <cmath>
#include <utility>
#include <vector>

namespace flexpert::forecast {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

/// A reflection that keeps rows above `pivot` and turns those below it to 0.
struct Reflection {
  Index pivot = 0;
  double up = 0;
  bool acts = false;

  /// Builds it for `column`, whose pivot element becomes what the reflection makes of it; the rest stays for apply().
  void build(Eigen::Ref<VectorXd> column, Index at) {
    pivot = at;
    acts = false;
    if (at + 1 >= column.size()) return;
    const double largest = column.tail(column.size() - at).cwiseAbs().maxCoeff();
    if (!(largest > 0)) return;
    double sum = 0;
    for (Index i = at; i < column.size(); ++i) sum += (column(i) / largest) * (column(i) / largest);
    double length = largest * std::sqrt(sum);
    if (column(at) > 0) length = -length;
    up = column(at) - length;
    column(at) = length;
    acts = true;
  }

  void apply(const Eigen::Ref<const VectorXd>& column, Eigen::Ref<VectorXd> to) const {
    const double product = up * column(pivot);
    if (!acts || product >= 0) return;
    double sum = to(pivot) * up;
    for (Index i = pivot + 1; i < column.size(); ++i) sum += to(i) * column(i);
    if (sum == 0) return;
    sum *= 1 / product;
    to(pivot) += sum * up;
    for (Index i = pivot + 1; i < column.size(); ++i) to(i) += sum * column(i);
  }
};

/// Non-negative least squares |A x - b| over x >= 0: columns enter one by one by their gain and leave where x would be < 0.
class NonNegativeLeastSquares {
 public:
  NonNegativeLeastSquares(MatrixXd a, VectorXd b) : a_(std::move(a)), b_(std::move(b)), x_(VectorXd::Zero(a_.cols())) {}

  /// Nothing if it takes too many steps.
  std::optional<VectorXd> solve() {
    for (Index j = 0; j < a_.cols(); ++j) outside_.push_back(j);
    const Index most = 3 * a_.cols();
    Index steps = 0;
    while (!outside_.empty() && static_cast<Index>(inside_.size()) < a_.rows()) {
      if (!enter()) break;
      while (true) {
        if (++steps > most) return std::nullopt;
        back_substitute();
        const auto leaving = walk();
        if (!leaving) break;
        if (!leave(*leaving)) return std::nullopt;
      }
    }
    return x_;
  }
  [[nodiscard]] double residual() const { return b_.tail(b_.size() - static_cast<Index>(inside_.size())).norm(); }

 private:
  /// Brings in the column with the largest gain; false: none gains.
  bool enter() {
    const auto row = static_cast<Index>(inside_.size());
    const Index below = a_.rows() - row;
    VectorXd gain = VectorXd::Zero(a_.cols());
    for (const Index j : outside_) gain(j) = a_.col(j).tail(below).dot(b_.tail(below));
    while (true) {
      std::size_t best = outside_.size();
      double most = 0;
      for (std::size_t i = 0; i < outside_.size(); ++i) {
        if (gain(outside_[i]) <= most) continue;
        most = gain(outside_[i]);
        best = i;
      }
      if (best == outside_.size()) return false;
      const Index j = outside_[best];
      const VectorXd before = a_.col(j);
      Reflection reflection;
      reflection.build(a_.col(j), row);
      const double above = a_.col(j).head(row).norm();
      if (above + 0.01 * std::abs(a_(row, j)) > above) {
        target_ = b_;
        reflection.apply(a_.col(j), target_);
        if (target_(row) / a_(row, j) > 0) {
          b_ = target_;
          std::swap(outside_[best], outside_.front());
          outside_.erase(outside_.begin());
          inside_.push_back(j);
          for (const Index other : outside_) reflection.apply(a_.col(j), a_.col(other));
          a_.col(j).tail(below - 1).setZero();
          return true;
        }
      }
      a_.col(j) = before;
      gain(j) = 0;
    }
  }

  void back_substitute() {
    for (std::size_t i = inside_.size(); i-- > 0;) {
      const auto row = static_cast<Index>(i);
      if (i + 1 < inside_.size()) target_.head(row + 1) -= target_(row + 1) * a_.col(inside_[i + 1]).head(row + 1);
      target_(row) /= a_(row, inside_[i]);
    }
  }

  /// Moves x towards the target as far as all of it stays >= 0; returns which column stops it.
  std::optional<std::size_t> walk() {
    double share = 1;
    std::optional<std::size_t> out;
    for (std::size_t i = 0; i < inside_.size(); ++i) {
      const double to = target_(static_cast<Index>(i));
      if (to > 0) continue;
      const double from = x_(inside_[i]);
      const double reach = -from / (to - from);
      if (share < reach) continue;
      share = reach;
      out = i;
    }
    for (std::size_t i = 0; i < inside_.size(); ++i) x_(inside_[i]) = (1 - share) * x_(inside_[i]) + share * target_(static_cast<Index>(i));
    return out;
  }

  /// Takes out a column, and others that are at 0 with it, by plane rotations; false: none is left.
  bool leave(std::size_t at) {
    while (true) {
      const Index gone = inside_[at];
      x_(gone) = 0;
      inside_.erase(inside_.begin() + static_cast<std::ptrdiff_t>(at));
      for (std::size_t i = at; i < inside_.size(); ++i) {
        const auto row = static_cast<Index>(i);
        const double p = a_(row, inside_[i]);
        const double q = a_(row + 1, inside_[i]);
        const double length = std::copysign(std::hypot(p, q), std::abs(p) > std::abs(q) ? p : q);
        const double c = length == 0 ? 1 : p / length;
        const double s = length == 0 ? 0 : q / length;
        for (Index j = 0; j < a_.cols(); ++j) rotate(a_(row, j), a_(row + 1, j), c, s);
        a_(row, inside_[i]) = length;
        a_(row + 1, inside_[i]) = 0;
        rotate(b_(row), b_(row + 1), c, s);
      }
      outside_.insert(outside_.begin(), gone);
      if (inside_.empty()) return false;
      at = inside_.size();
      for (std::size_t i = 0; i < inside_.size(); ++i) {
        if (x_(inside_[i]) > 0) continue;
        at = i;
        break;
      }
      if (at == inside_.size()) break;
    }
    target_ = b_;
    return true;
  }

  static void rotate(double& p, double& q, double c, double s) {
    const double first = c * p + s * q;
    q = c * q - s * p;
    p = first;
  }

  MatrixXd a_;
  VectorXd b_;
  VectorXd x_;
  VectorXd target_;
  std::vector<Index> inside_;
  std::vector<Index> outside_;
};

}  // namespace

std::optional<NonNegativeSolution> solve_non_negative(MatrixXd a, VectorXd b) {
  NonNegativeLeastSquares squares(std::move(a), std::move(b));
  auto x = squares.solve();
  if (!x) return std::nullopt;
  return NonNegativeSolution{std::move(*x), squares.residual()};
}

}  // namespace flexpert::forecast
