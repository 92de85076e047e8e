#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "workload/samples.h"

namespace flexpert::workload {

/// One measured latency.
struct TimedSample {
  double at_s = 0;          ///< when it was observed, seconds after the start of the run
  double ms = 0;
  std::uint32_t phase = 0;  ///< of the request
};

/// How one request ended.
struct RequestOutcome {
  std::uint32_t phase = 0;
  double finished_at_s = 0;
  std::uint64_t tokens = 0;
  std::string failure;  ///< empty: it ended cleanly
};

/// Which part of a run to look at; empty members mean all of it.
struct RecordFilter {
  std::optional<std::uint32_t> phase{};
  std::optional<double> from_s{};  ///< inclusive
  std::optional<double> until_s{}; ///< exclusive
};

/// The figures of a run or of a part of it. Latencies are percentiles over all samples of that part.
struct LoadFigures {
  std::uint64_t requests = 0;  ///< that ended, cleanly or not
  std::uint64_t failed = 0;
  std::uint64_t not_sent = 0;  ///< over the cap on concurrency
  std::uint64_t tokens = 0;
  double ttft_p50_ms = 0;      ///< time to first token
  double ttft_p95_ms = 0;
  double itl_p50_ms = 0;       ///< gap between two tokens of one answer
  double itl_p95_ms = 0;
  std::uint64_t itl_samples = 0;
};

/// Everything that a load run observed.
class LoadRecord {
 public:
  void add_ttft(TimedSample sample) { ttft_.push_back(sample); }
  void add_itl(TimedSample sample) { itl_.push_back(sample); }
  void add_outcome(RequestOutcome outcome);
  void add_not_sent(double at_s, std::uint32_t phase) { not_sent_.push_back({at_s, 0, phase}); }

  [[nodiscard]] LoadFigures figures(const RecordFilter& filter = {}) const;
  /// Tokens observed in (until_s - window_s, until_s], per second.
  [[nodiscard]] double tokens_per_s(double until_s, double window_s) const;
  /// Failures by reason.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& failures() const { return failures_; }

 private:
  std::vector<TimedSample> ttft_;  // ascending in time, as all three
  std::vector<TimedSample> itl_;
  std::vector<TimedSample> not_sent_;
  std::vector<RequestOutcome> outcomes_;
  std::map<std::string, std::uint64_t> failures_;
};

}  // namespace flexpert::workload
