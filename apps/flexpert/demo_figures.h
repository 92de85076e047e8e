#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fleet/decision.h"
#include "flexpert/secure_route_calls.h"
#include "report/table.h"
#include "workload/load_record.h"
#include "workload/phases.h"

namespace flexpert::app {

/// What happened in one phase of the quick start.
struct DemoPhaseFigures {
  std::string name;
  bool hot = false;
  workload::LoadFigures load;
  std::uint64_t scale_ups = 0;    ///< of experts, by decisions made in the phase
  std::uint64_t scale_downs = 0;
  /// ITL p95 of the phase's requests before its first decision that added replicas or servers, and after its last one (but
  /// at least over the phase's last six seconds). Decisions of a phase's first three seconds answer to the phase before and
  /// are passed over. Absent if there was none, or nothing was measured on one side.
  std::optional<double> itl_p95_before_ms;
  std::optional<double> itl_p95_after_ms;
};

struct DemoFigures {
  workload::LoadFigures all;
  std::vector<DemoPhaseFigures> phases;
  std::uint64_t scale_ups = 0;
  std::uint64_t scale_downs = 0;
  double seconds = 0;
  std::size_t most_expert_servers = 0;
  std::uint64_t restarts = 0;
  bool paced = false;
  std::vector<SecureRouteCall> calls;

  /// The first hot phase that was measured before and after a scale-up of experts; null if there is none. It starts from the
  /// smallest fleet, so it shows what scaling is worth.
  [[nodiscard]] const DemoPhaseFigures* scaled_phase() const;
  /// Returns why this was no good run; empty if nothing failed, experts were scaled both ways, and the calls were answered
  /// as they should.
  [[nodiscard]] std::string problem() const;
};

/// Adds up a run. `start_unix_ms` is when the first phase began; `decisions` are ascending in time.
DemoFigures make_demo_figures(const workload::LoadRecord& record, const std::vector<workload::Phase>& phases, const std::vector<Decision>& decisions,
                              std::int64_t start_unix_ms);
report::Table demo_table(const DemoFigures& figures);
std::string to_json(const DemoFigures& figures);

}  // namespace flexpert::app
