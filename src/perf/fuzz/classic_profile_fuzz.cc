// Any numbers as a profile: refused, or finite answers everywhere; Qhull's errors never leave it.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "perf/classic_profile.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert::perf;
  ClassicSamples samples;
  // Decode points as the input says, in 16 bits each so that they repeat and line up often; the rest fits them.
  for (std::size_t i = 0; i + 8 <= size && i < 8 * 200; i += 8) {
    std::uint16_t raw[4];
    std::memcpy(raw, data + i, sizeof raw);
    const double usage = raw[0] / 65535.0, context = 1 + raw[1], itl_ms = 0.01 + raw[2] / 100.0;
    samples.decode_kv_usage.push_back(usage);
    samples.decode_context_length.push_back(context);
    samples.decode_itl_ms.push_back(itl_ms);
    samples.decode_throughput_per_gpu.push_back(std::fmax(1.0, usage * 1e6 / context) / itl_ms * 1000 * (1 + raw[3] / 65536.0));
  }
  samples.prefill_isl = {1, 10, 100, 1000};
  samples.prefill_ttft_ms = {1, 10, 100, 1000};
  samples.prefill_throughput_per_gpu = {1000, 1000, 1000, 1000};
  samples.max_kv_tokens = 1e6;
  const auto profile = ClassicProfile::create(samples);
  if (!profile) return 0;
  for (double context = 0; context < 70'000; context += 9'999) {
    for (double concurrency = 0; concurrency < 300; concurrency += 37) {
      if (!std::isfinite((*profile)->itl_s(concurrency, context))) std::abort();
      if (!std::isfinite((*profile)->decode_throughput_per_gpu(concurrency, context))) std::abort();
    }
  }
  return 0;
}
