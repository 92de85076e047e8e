#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "figures.h"
#include "rig/load.h"
#include "rig/proxy.h"

namespace flexpert::bench {

/// The core of the proxy under test, and the one of everything else.
inline constexpr int kProxyCore = 1;
inline constexpr int kOtherCore = 0;

using GatewayMeasurement = std::function<Result<void>(const std::string& program, Figures& figures)>;
/// The main() of a measurement of the gateway: reads `PROGRAM FLEXPERT_PROGRAM`, prints all lines; returns the exit code.
int run_gateway_measurement(int argc, char** argv, const std::string& name, const std::string& method, const GatewayMeasurement& measure);

/// A proxy with load on it, and what it cost, round by round.
struct Side {
  std::string name;
  Proxy* proxy = nullptr;            ///< null: straight to the backend
  std::unique_ptr<Load> load{};
  std::vector<double> cpu_us{};      ///< per unit of work (a request, an event)
  std::vector<double> user_instructions{};
  std::vector<double> instructions{};
  std::vector<double> per_s{};
  std::vector<double> p50_ms{};
  std::vector<double> p99_ms{};
};

double median(std::vector<double> values);
/// Returns the median of a[i] / b[i].
double median_ratio(const std::vector<double>& a, const std::vector<double>& b);
/// Prints a side's medians as notes: "WHAT.NAME.cpu" and so on.
void note_side(Figures& figures, const std::string& what, const Side& side, const std::string& unit);

}  // namespace flexpert::bench
