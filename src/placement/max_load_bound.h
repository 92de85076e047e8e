#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "fleet/expert_cluster.h"

namespace flexpert::placement {

/// Proven lower bounds on the busiest device's load (load / speed) of a layer, over all layouts that split each expert's
/// load evenly over its replicas: max_load_bound() for many layers of one cluster, without memory allocated per layer.
///
/// Let S be the living slots, V the sum and v the largest of the living speeds, w_e the loads, n_e >= 1 the replicas of a
/// layout whose busiest device has T. Then each of the following holds, whether or not replicas share devices; the bound
/// is the largest T found for which one of them fails.
/// 1. Mean: sum w_e <= T V.
/// 2. Shares: a replica is on some device, w_e / n_e <= T v, so n_e >= m_e(T) = max(1, ceil(w_e / (T v))), and
///    sum m_e <= S. R = S - sum m_e replicas at most are left to be chosen freely.
/// 3. Pigeons: at most k replicas of more than T v / (k + 1) fit on a device, so there are at most sum_d min(slots_d, k).
///    An expert of w_e > T v / (k + 1) has m_e or more such replicas, unless it has ceil(w_e (k + 1) / (T v)) replicas or
///    more, which takes that many less m_e out of R. The relaxed knapsack over these says how many replicas can be got rid
///    of at most.
/// 4. Company: let H be some experts, and A the a devices that hold any of them. At most S - sum n_f slots are empty, so
///    besides H the devices of A hold at least q = slots(A) - S + sum over f not in H of m_f replicas of others, and these
///    weigh no less than the q lightest when every f has m_f: at most S - slots(A) replicas are elsewhere, and splitting
///    an expert evenly further never raises the sum of the k heaviest replicas, while the sum of all stays. So some
///    a <= R + sum over H of m_e has (sum over H of w_e) + (the q lightest) <= T * (sum of the a largest speeds), with
///    slots(A) of the a smallest devices. A replica of an f with m_f > 1 weighs more than T v / 2. Tried for H = the
///    experts of the largest w_e / m_e, as many as one likes, and for each expert with m_e > 1 alone.
/// Rounding is taken on the safe side by 1e-9.
class MaxLoadBound {
 public:
  explicit MaxLoadBound(const ExpertCluster& cluster);

  /// Returns the bound; searches no higher than `enough` (the load of a known layout). 0 without load or living slots.
  double of(std::span<const double> loads, double enough = std::numeric_limits<double>::infinity());

 private:
  struct Need {
    std::uint64_t slots = 0;     ///< sum of m_e
    std::uint64_t of_heavy = 0;  ///< sum of m_e over the experts with m_e > 1
    std::size_t heavy = 0;       ///< how many those are: the first ones
  };
  [[nodiscard]] Need need(double limit) const;
  [[nodiscard]] bool possible(double limit);
  [[nodiscard]] bool pigeons_fit(double limit, const Need& need);
  [[nodiscard]] bool company_fits(double limit, const Need& need);
  [[nodiscard]] bool company_fits(double limit, double load, std::uint64_t others, std::uint64_t singles) const;

  double speeds_ = 0;
  double fastest_ = 0;
  std::uint64_t slots_ = 0;
  std::uint64_t most_slots_ = 0;                ///< of a device
  std::vector<double> speed_sum_;               ///< [a] of the a fastest
  std::vector<std::uint64_t> slot_sum_;         ///< [a] of the a devices with the fewest slots
  std::vector<std::uint64_t> pigeon_holes_;     ///< [k] sum over devices of min(slots, k)
  std::vector<double> loads_;                   ///< descending
  std::vector<double> light_sum_;               ///< [q] of the q lightest
  struct Escape {
    double cost = 0;
    double replicas = 0;
  };
  std::vector<Escape> escapes_;
  struct Split {
    double share = 0;
    double load = 0;
    std::uint64_t replicas = 0;
  };
  std::vector<Split> split_;                    ///< the experts with m_e > 1
};

}  // namespace flexpert::placement
