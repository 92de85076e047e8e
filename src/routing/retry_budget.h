#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace flexpert::routing {

/// Lets at most a share of requests be retried, over a sliding window of ten seconds, with a small floor so that a quiet gateway
/// may retry too. Pure; belongs to one thread.
class RetryBudget {
 public:
  static constexpr std::size_t kWindowSeconds = 10;

  /// `share`: retries per request; `floor_per_s`: retries a second that are allowed beside it.
  explicit RetryBudget(double share = 0.1, double floor_per_s = 1) : share_(share), floor_per_s_(floor_per_s) {}
  void note_request(TimePoint now) { ++at(now).requests; }
  /// Takes a retry out of the budget; false: there is none.
  bool take(TimePoint now);

 private:
  struct Second {
    std::int64_t which = -1;  ///< since the clock's epoch
    std::uint32_t requests = 0;
    std::uint32_t retries = 0;
  };
  Second& at(TimePoint now);

  double share_;
  double floor_per_s_;
  std::array<Second, kWindowSeconds> seconds_{};
};

}  // namespace flexpert::routing
