// A traceparent that is taken is written again as one that is taken; a tracestate is only looked at. Also the texts of log lines.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "telemetry/json_line.h"
#include "telemetry/trace_context.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto context = telemetry::parse_traceparent(text))
    FLEXPERT_CHECK(telemetry::parse_traceparent(telemetry::traceparent(*context)) == context, "what is written is read as the same");
  telemetry::valid_tracestate(text);
  std::string out(telemetry::json_line::kLargestText, '\0');
  const char* end = telemetry::json_line::put_text(out.data(), text);
  FLEXPERT_CHECK(end <= out.data() + out.size(), "a text takes no more than it may");
  for (const char* at = out.data(); at < end; ++at) FLEXPERT_CHECK(static_cast<unsigned char>(*at) >= 0x20, "no control character is left");
  return 0;
}
