// Feeds arbitrary bytes to the decoder of gateways' reports: what it accepts is within bounds and comes back alike.
#include <cmath>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "codec/gateway_report.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert::codec;
  const auto report = decode_gateway_report({reinterpret_cast<const char*>(data), size});
  if (!report) return 0;
  FLEXPERT_CHECK(!report->gateway.empty() && report->models.size() <= 1000, "a report out of bounds");
  for (const GatewayModelLoad& load : report->models)
    FLEXPERT_CHECK(std::isfinite(load.isl.sum) && load.isl.sum >= 0 && load.in_flight_s >= 0, "an amount that cannot be");
  const auto again = decode_gateway_report(encode(*report));
  // Names that are not UTF-8 never get here: JSON has none. Amounts may be off by a rounding: the parser is not exact.
  FLEXPERT_CHECK(again.has_value() && again->gateway == report->gateway && again->boot == report->boot && again->sequence == report->sequence,
                 "a report changes on its way");
  FLEXPERT_CHECK(again->models.size() == report->models.size() && again->servers.size() == report->servers.size(), "a report loses parts");
  for (std::size_t i = 0; i < report->models.size(); ++i)
    FLEXPERT_CHECK(std::abs(again->models[i].duration_s.sum - report->models[i].duration_s.sum) <= 1e-12 * report->models[i].duration_s.sum,
                   "an amount changes on its way");
  return 0;
}
