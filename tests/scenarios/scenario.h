#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "scenarios/simulated_fleet.h"

/// Stories of load that the planner must take well, and what it makes of them as text.
namespace flexpert::scenarios {

struct Scenario {
  std::string name;      ///< of the golden file
  std::string story;     ///< what happens and what is expected
  std::vector<SimulatedPool> pools;
  std::optional<std::uint32_t> gpu_budget;
  int cycles = 0;
  std::function<double(std::size_t pool, int cycle)> load;   ///< requests/s
};

inline constexpr double kScenarioIntervalS = 15;

std::vector<Scenario> all_scenarios();

/// Plays a scenario and returns its golden text: a line for each cycle in which a pool's plan changes, then what it came to.
Result<std::string> play(const Scenario& scenario);

}  // namespace flexpert::scenarios
