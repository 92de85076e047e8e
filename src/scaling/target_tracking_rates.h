#pragma once

#include <cstdint>
#include <deque>

#include "base/state_text.h"
#include "scaling/policy_options.h"

/// Kubernetes' stabilisation and rates of an autoscaler's recommendations. Source: kubernetes,
/// pkg/controller/podautoscaler/horizontal.go (stabilizeRecommendationWithBehaviors, convertDesiredReplicasWithBehaviorRate).
namespace flexpert::scaling {

/// What was recommended, and what changed, so far back as the rules look.
class ScalingHistory {
 public:
  /// Notes the count as it is: at the first call as the first recommendation, later as an event where it changed since.
  void see(std::int64_t unix_ms, std::uint32_t current, const TargetTrackingOptions& options);
  /// Brings a recommendation within what was recommended in the windows (upwards the least, downwards the most), and notes it.
  std::uint32_t stabilise(std::int64_t unix_ms, std::uint32_t current, std::uint32_t wanted, const TargetTrackingOptions& options);
  /// Bounds a change by the rate policies and what already changed in their periods.
  [[nodiscard]] std::uint32_t limit(std::int64_t unix_ms, std::uint32_t current, std::uint32_t wanted, const TargetTrackingOptions& options) const;
  void save(StateWriter& writer) const;
  void restore(StateReader& reader);

 private:
  struct Recommendation {
    std::int64_t unix_ms = 0;
    std::uint32_t replicas = 0;
  };
  struct Event {
    std::int64_t unix_ms = 0;
    std::int64_t change = 0;
  };
  [[nodiscard]] std::int64_t changed_within(std::int64_t unix_ms, double period_s, bool up) const;

  std::deque<Recommendation> recommendations_;  ///< times ascend
  std::deque<Event> events_;                    ///< times ascend
  bool seen_ = false;
  std::uint32_t current_ = 0;
  std::int64_t seen_unix_ms_ = 0;
};

}  // namespace flexpert::scaling
