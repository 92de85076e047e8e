#include "flexpert/place_counts.h"

#include <algorithm>

#include "codec/expert_counts_csv.h"
#include "codec/expert_counts_json.h"
#include "codec/fleet_json.h"
#include "codec/npy.h"
#include "codec/placement_json.h"
#include "codec/recorder_dump.h"
#include "flexpert/place_engine.h"
#include "flexpert/place_trace.h"

namespace flexpert::app {

namespace {

Result<ExpertCounts> counts_of_array(Result<codec::NumberArray> array) {
  if (!array) return fail(array.error());
  FLEXPERT_ASSIGN(const std::vector<ExpertCounts> steps, codec::count_steps(*array, "counts"));
  return codec::sum_of(steps);
}

bool is_zip(std::string_view bytes) { return bytes.starts_with("PK\x03\x04"); }

Result<ExpertCounts> parse_json_counts(const PlaceBytes& input) {
  // What a model server says at /internal/expert-loads, saved to a file.
  if (input.path.empty() && input.bytes.find("\"rows\"") != std::string::npos && input.bytes.find("\"logical_count\"") == std::string::npos) {
    FLEXPERT_ASSIGN(const codec::ExpertLoadReport report, codec::decode_expert_load_report(input.bytes));
    return ExpertCounts{report.geometry, std::vector<double>(report.rows.begin(), report.rows.end()), report.tokens};
  }
  if (codec::is_placement_json(input.bytes)) {
    FLEXPERT_ASSIGN(const codec::PlacementFile file, codec::parse_placement_json(input.bytes));
    return fail(ErrorCode::kInvalidArgument, "it is a plan, which holds no counts; those that it was made from: {}", file.provenance.counts_source);
  }
  return codec::counts_at(input.bytes, input.path);
}

Result<ExpertCounts> counts_of_dump(const std::string& bytes) {
  FLEXPERT_ASSIGN(const codec::RecorderDump dump, codec::parse_recorder_dump(bytes));
  return codec::sum_of(dump.steps);
}

Result<ExpertCounts> parse(const PlaceBytes& input, const PlaceOptions& options) {
  if (is_routing_name(input.name)) {
    FLEXPERT_ASSIGN(const RoutingTrace trace, read_trace(input, options));
    return counts_of(trace);
  }
  const std::string& bytes = input.bytes;
  if (codec::is_npy(bytes)) return counts_of_array(codec::parse_npy(bytes));
  if (is_zip(bytes) && bytes.find("data.pkl") != std::string::npos) return counts_of_dump(bytes);
  if (is_zip(bytes)) return counts_of_array(codec::parse_npz(bytes, input.path));
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && (bytes[first] == '{' || bytes[first] == '[')) return parse_json_counts(input);
  if (bytes.find('\0') != std::string::npos)
    return fail(ErrorCode::kInvalidArgument, "neither JSON, CSV, .npy, .npz, .pt, nor a routing file whose name ends with .u8 or .u8.gz");
  return codec::parse_expert_counts_csv(bytes);
}

}  // namespace

Result<ExpertCounts> parse_counts(const PlaceBytes& input, const PlaceOptions& options) {
  auto counts = parse(input, options);
  if (!counts && counts.error().message.find("select one of") != std::string::npos)
    return fail(ErrorCode::kNotFound, "{}: {} (a part of a bundle is named as FILE#PATH)", input.name, counts.error().message);
  if (!counts) return fail(counts.error().with_context(input.name));
  if (auto valid = validate(*counts); !valid) return fail(valid.error().with_context(input.name));
  return counts;
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
