// Feeds arbitrary bytes to the reader of Prometheus' text format. What it accepts obeys the limits, is the same when only
// some names are wanted, and no value is made up.
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "codec/prometheus_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert::codec;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  PrometheusTextOptions options;
  options.limits = {.max_samples = 100, .max_line_bytes = 1000, .max_labels = 5};
  options.openmetrics = size % 2 == 1;
  const auto all = decode_prometheus_text(input, options);
  options.wanted = [](std::string_view name) { return name.size() % 2 == 0; };
  const auto some = decode_prometheus_text(input, options);
  if (!all) {
    FLEXPERT_CHECK(all.error().message.starts_with("line "), "an error without its line");
    return 0;
  }
  FLEXPERT_CHECK(some.has_value(), "what is not wanted makes a mistake");
  FLEXPERT_CHECK(all->size() <= 100 && some->size() <= all->size(), "more samples than are allowed");
  for (const PrometheusSample& sample : *all) {
    FLEXPERT_CHECK(!sample.name.empty() && sample.labels.size() <= 5, "a sample without a name, or with too many labels");
    for (const auto& [name, value] : sample.labels) FLEXPERT_CHECK(sample.label(name) == &value, "a label is there twice");
  }
  return 0;
}
