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
  // Names that are not UTF-8 never get here: JSON has none.
  FLEXPERT_CHECK(again.has_value() && encode(*again) == encode(*report), "a report changes on its way");
  return 0;
}
