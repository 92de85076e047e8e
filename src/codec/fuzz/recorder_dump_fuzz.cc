// Any bytes as a recorder's dump, and as the pickle in one: an error, or counts that are finite and not negative and that
// our own writer gives back.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "codec/expert_location.h"
#include "codec/recorder_dump.h"
#include "codec/zip_archive.h"

namespace {

using namespace flexpert;
using namespace flexpert::codec;

void read_all(std::string_view bytes) {
  if (const auto location = parse_expert_location(bytes))
    if (const auto* counts = std::get_if<ExpertCounts>(&*location); counts != nullptr && !validate(*counts)) std::abort();
  const auto dump = parse_recorder_dump(bytes);
  if (!dump) return;
  if (dump->steps.empty()) std::abort();
  for (const ExpertCounts& step : dump->steps)
    if (!validate(step) || step.geometry != dump->steps.front().geometry) std::abort();
  if (dump->last_map && dump->last_map->layers != dump->steps.front().geometry.layers) std::abort();
  if (!sum_of(dump->steps)) return;
  const auto written = write_stat_dump(dump->steps);
  if (!written || parse_recorder_dump(*written)->steps != dump->steps) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read_all(bytes);
  ZipWriter zip;
  const std::string counts("\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0", 24);
  if (!zip.add("x/data.pkl", bytes) || !zip.add("x/data/0", counts) || !zip.add("x/data/1", counts + counts)) std::abort();
  read_all(zip.finish());
  return 0;
}
