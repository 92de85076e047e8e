#include "rig/gauges.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>

#include "rig/proxy.h"

namespace flexpert::bench {
namespace {

constexpr std::string_view kPrefix = "flexpert_gateway_";
constexpr std::array<std::string_view, 5> kOfRequests{"admitted", "queued", "in_flight", "held", "connections"};

}  // namespace

double Gauges::open() const {
  double sum = 0;
  for (const auto& [name, value] : of_requests) sum += value;
  return sum;
}

Result<Gauges> read_gauges(std::uint16_t metrics_port) {
  FLEXPERT_ASSIGN(const std::string text, get(metrics_port, "/metrics"));
  Gauges gauges;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#') || !line.starts_with(kPrefix)) continue;
    const std::size_t space = line.rfind(' ');
    const std::string labelled = line.substr(kPrefix.size(), space - kPrefix.size());
    const std::string name = labelled.substr(0, labelled.find('{'));
    const double value = std::strtod(line.c_str() + space, nullptr);
    if (std::find(kOfRequests.begin(), kOfRequests.end(), name) != kOfRequests.end()) gauges.of_requests[name] += value;
    else gauges.others[labelled] = value;
  }
  for (const std::string_view name : kOfRequests)
    if (!gauges.of_requests.contains(std::string(name)))
      return fail(ErrorCode::kNotFound, "the gateway's metrics have no {}{}", kPrefix, name);
  return gauges;
}

}  // namespace flexpert::bench
