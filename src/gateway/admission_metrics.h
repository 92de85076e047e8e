#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "telemetry/metrics.h"

namespace flexpert::gateway {

/// What became of a request at admission.
enum class AdmissionOutcome : std::uint8_t {
  kAdmitted,      ///< at once
  kWaited,        ///< admitted after waiting
  kConcurrency,
  kRequests,
  kTokens,
  kTenantQueue,
  kQueueFull,
  kEvicted,
  kExpired,
  kLowPriority,
  kShed,
  kLeft,          ///< its client went while it waited
  kCount,
};

/// The series of admission, handles kept. Belongs to the loop's thread.
class AdmissionMetrics {
 public:
  explicit AdmissionMetrics(telemetry::Registry& registry);
  void count(AdmissionOutcome outcome) const { outcomes_[static_cast<std::size_t>(outcome)].add_alone(); }
  void observe_wait(Duration waited) const { wait_.observe_alone(to_seconds(waited)); }
  void set_in_flight(std::uint32_t requests) const { in_flight_.set(requests); }
  void set_queued(std::uint32_t requests) const { queued_.set(requests); }
  void set_capacity(std::uint32_t requests) const { capacity_.set(requests); }
  void set_level(std::size_t level) const { level_.set(static_cast<double>(level)); }
  void set_saturation(double saturation) const { saturation_.set(saturation); }

 private:
  std::array<telemetry::Counter, static_cast<std::size_t>(AdmissionOutcome::kCount)> outcomes_;
  telemetry::Histogram wait_;
  telemetry::Gauge in_flight_;
  telemetry::Gauge queued_;
  telemetry::Gauge capacity_;
  telemetry::Gauge level_;
  telemetry::Gauge saturation_;
};

}  // namespace flexpert::gateway
