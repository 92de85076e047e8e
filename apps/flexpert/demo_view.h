#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flexpert/fleet_watch.h"
#include "flexpert/load_generator.h"
#include "report/live_view.h"

namespace flexpert::app {

/// Draws the quick start while it runs: a frame on a terminal, plain lines elsewhere. Belongs to the loop's thread.
class DemoView {
 public:
  DemoView(const LoadGenerator& generator, const FleetWatch& watch);
  /// Draws what is true now; call a few times a second.
  void show();
  /// Tells of a decision, in a line that stays.
  void tell(const Decision& decision, double at_s);
  /// Writes a line that stays.
  void print(const std::string& line) { view_.print(line); }
  void end() { view_.end(); }
  [[nodiscard]] const report::Terminal& terminal() const { return view_.terminal(); }

 private:
  /// Figures of the last seconds.
  struct Recent {
    workload::LoadFigures load;
    double tokens_per_s = 0;
  };
  [[nodiscard]] Recent recent() const;
  [[nodiscard]] std::string phase_line() const;
  [[nodiscard]] std::string servers_text() const;
  [[nodiscard]] std::string hottest_text() const;
  [[nodiscard]] std::vector<std::string> frame(const Recent& now) const;
  [[nodiscard]] std::string plain_line(const Recent& now) const;

  const LoadGenerator& generator_;
  const FleetWatch& watch_;
  report::LiveView view_;
  std::vector<double> tokens_history_;  // one value a second
  std::vector<double> itl_history_;
  double next_history_s_ = 0;
  std::string last_decision_;
  double last_decision_at_s_ = 0;
};

}  // namespace flexpert::app
