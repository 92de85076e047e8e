// Any bytes as counts in JSON, the first line as a path into the rest: an error, or valid counts that our own writer
// gives back; every path that is offered leads somewhere.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/expert_counts_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert;
  using namespace flexpert::codec;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t end = bytes.find('\n');
  const std::string_view path = end == std::string_view::npos ? std::string_view() : bytes.substr(0, end);
  const std::string_view text = end == std::string_view::npos ? bytes : bytes.substr(end + 1);
  if (const auto steps = count_steps_at(text, path)) {
    for (const ExpertCounts& step : *steps)
      if (!validate(step)) std::abort();
    const auto again = count_steps_at(write_count_steps_json(*steps), "");
    if (!again || *again != *steps) std::abort();
  }
  if (const auto paths = count_paths(text))
    for (std::size_t i = 0; i < paths->size() && i < 4; ++i)
      if (const auto counts = counts_at(text, (*paths)[i]); !counts && counts.error().message.starts_with("select:")) std::abort();
  return 0;
}
