#include "flexpert/place_counts.h"

#include "codec/expert_files.h"
#include "codec/fleet_json.h"
#include "codec/number_array.h"
#include "codec/placement_json.h"
#include "flexpert/place_engine.h"
#include "flexpert/place_trace.h"

namespace flexpert::app {

namespace {

using Windows = std::vector<ExpertCounts>;

Result<Windows> parse(const PlaceBytes& input, const PlaceOptions& options) {
  if (is_routing_name(input.name)) {
    FLEXPERT_ASSIGN(const RoutingTrace trace, read_trace(input, options));
    return Windows{counts_of(trace)};
  }
  const std::string& bytes = input.bytes;
  if (codec::is_placement_json(bytes)) {
    FLEXPERT_ASSIGN(const codec::PlacementFile file, codec::parse_placement_json(bytes));
    return fail(ErrorCode::kInvalidArgument, "it is a plan, which holds no counts; those that it was made from: {}",
                file.provenance.counts_source);
  }
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && bytes[first] == '{' && bytes.find("\"rows\"") != std::string::npos &&
      bytes.find("\"logical_count\"") == std::string::npos) {
    // What a model server says at /internal/expert-loads, saved to a file.
    FLEXPERT_ASSIGN(const codec::ExpertLoadReport report, codec::decode_expert_load_report(bytes));
    return Windows{{report.geometry, std::vector<double>(report.rows.begin(), report.rows.end()), report.tokens}};
  }
  const bool packed = bytes.starts_with("PK") || bytes.starts_with("\x93NUMPY");
  if (!packed && bytes.find('\0') != std::string::npos)
    return fail(ErrorCode::kInvalidArgument, "neither JSON, CSV, .npy, .npz, .pt, nor a routing file whose name ends with .u8 or .u8.gz");
  return codec::read_count_steps(bytes, input.path);
}

Result<Windows> checked(const PlaceBytes& input, const PlaceOptions& options) {
  auto windows = parse(input, options);
  if (!windows && windows.error().message.find("select one of") != std::string::npos)
    return fail(ErrorCode::kNotFound, "{}: {} (a part of a bundle is named as FILE#PATH)", input.name, windows.error().message);
  if (!windows) return fail(windows.error().with_context(input.name));
  for (const ExpertCounts& counts : *windows)
    if (auto valid = validate(counts); !valid) return fail(valid.error().with_context(input.name));
  return windows;
}

}  // namespace

Result<ExpertCounts> parse_counts(const PlaceBytes& input, const PlaceOptions& options) {
  FLEXPERT_ASSIGN(Windows windows, checked(input, options));
  if (windows.size() == 1) return std::move(windows[0]);
  auto sum = codec::sum_of(windows);
  if (!sum) return fail(sum.error().with_context(input.name));
  return sum;
}

Result<std::vector<ExpertCounts>> read_count_windows(const std::string& source, const PlaceOptions& options) {
  if (engine_address(source))
    return fail(ErrorCode::kInvalidArgument,
                "an engine says its counts in one; record windows with `flexpert place record --windows N`: {}", source);
  FLEXPERT_ASSIGN(const PlaceBytes input, read_place_bytes(source));
  return checked(input, options);
}

Result<ExpertCounts> read_counts(const std::string& source, const PlaceOptions& options) {
  if (const auto address = engine_address(source)) {
    if (!*address) return fail(address->error());
    return engine_counts(**address);
  }
  FLEXPERT_ASSIGN(const PlaceBytes input, read_place_bytes(source));
  return parse_counts(input, options);
}

}  // namespace flexpert::app
