#include "rig/measurement.h"

#include <csignal>
#include <cstdio>

#include "rig/sockets.h"

namespace flexpert::bench {

int run_gateway_measurement(int argc, char** argv, const std::string& name, const std::string& method, const GatewayMeasurement& measure) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FLEXPERT_PROGRAM\n", argv[0]);
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  Figures figures(name, method);
  const auto done = measure(argv[1], figures);
  if (!done) std::fprintf(stderr, "%s: %s\n", name.c_str(), done.error().message.c_str());
  return figures.verdict(done.has_value());
}

double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

double median_ratio(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
    if (b[i] > 0) ratios.push_back(a[i] / b[i]);
  return median(std::move(ratios));
}

void note_side(Figures& figures, const std::string& what, const Side& side, const std::string& unit) {
  const std::string prefix = what + "." + side.name;
  if (!side.cpu_us.empty()) figures.note(prefix + ".cpu", median(side.cpu_us), "us/" + unit);
  if (!side.user_instructions.empty()) figures.note(prefix + ".user_instructions", median(side.user_instructions), "per " + unit);
  if (!side.instructions.empty()) figures.note(prefix + ".instructions", median(side.instructions), "per " + unit);
  if (!side.per_s.empty()) figures.note(prefix + ".rate", median(side.per_s), unit + "s/s");
  if (!side.p50_ms.empty()) figures.note(prefix + ".p50", median(side.p50_ms), "ms");
  if (!side.p99_ms.empty()) figures.note(prefix + ".p99", median(side.p99_ms), "ms");
}

}  // namespace flexpert::bench
