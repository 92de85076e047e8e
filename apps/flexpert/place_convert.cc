#include <fmt/format.h>

#include "codec/placement_json.h"
#include "flexpert/place.h"
#include "flexpert/place_cluster.h"
#include "flexpert/place_counts.h"
#include "flexpert/place_engine.h"
#include "flexpert/place_layout.h"
#include "flexpert/place_outcome.h"
#include "flexpert/place_screen.h"
#include "flexpert/place_source.h"
#include "flexpert/place_writer.h"

namespace flexpert::app {

namespace {

bool is_counts_form(const std::string& format) { return format == "logical_count" || format == "csv" || format == "npy" || format == "pt"; }

/// What the file's name says; "" if nothing.
std::string format_of_name(const std::string& name) {
  if (name.ends_with(".csv")) return "csv";
  if (name.ends_with(".npy")) return "npy";
  if (name.ends_with(".pt")) return "pt";
  return "";
}

Result<std::string> converted_layout(const PlaceLayout& read, const PlaceOptions& options, const std::string& format) {
  if (format != "ours") return engine_form(read.layout, format, options.other);
  FLEXPERT_ASSIGN(const ExpertCluster cluster,
                  cluster_of(options.cluster, {read.layout.geometry, &read.layout, read.cluster ? &*read.cluster : nullptr}));
  codec::PlacementFile file;
  file.plan.mode = read.mode.empty() ? "converted" : read.mode;
  file.plan.layout = read.layout;
  file.cluster = cluster;
  file.provenance.tool_version = FLEXPERT_VERSION;
  file.provenance.counts_source = read.counts_source;
  file.provenance.counts_digest = read.counts_digest;
  file.provenance.options = {{"verb", "convert"}, {"from", read.name}};
  return codec::write_placement_json(file);
}

Result<void> convert(const PlaceOptions& options) {
  const std::string format = options.format.empty() ? format_of_name(options.other) : options.format;
  std::string bytes;
  std::string what;
  if (is_counts_form(format)) {
    FLEXPERT_ASSIGN(const ExpertCounts counts, read_counts(options.layout, options));
    FLEXPERT_ASSIGN(bytes, counts_form(counts, format));
    what = describe(counts);
  } else {
    FLEXPERT_ASSIGN(const PlaceLayout read, read_layout(options.layout, options, std::nullopt));
    FLEXPERT_ASSIGN(bytes, converted_layout(read, options, format));
    what = fmt::format("{} layers x {} experts, {} slots on {} devices", read.layout.geometry.layers, read.layout.geometry.experts,
                       read.layout.slots(), read.layout.devices());
  }
  FLEXPERT_TRY(write_place_bytes(options.other, bytes));
  if (options.other != "-") say("{}: {} ({})\n", options.other, what, format);
  return {};
}

}  // namespace

int run_place_convert(const PlaceOptions& options) {
  if (options.format.empty() && format_of_name(options.other).empty())
    return fail_with("place convert",
                     "--to FORMAT is needed, as the name of OUT does not say it: ours, sglang, vllm, ascend (layouts), logical_count, csv, "
                     "npy, pt (counts)",
                     kExitUsage);
  if (options.layout == "trivial")
    return fail_with("place convert", "IN must be counts or a layout that says its shape, not \"trivial\"", kExitUsage);
  if (auto converted = convert(options); !converted) return fail_with("place convert", converted.error());
  return kExitOk;
}

}  // namespace flexpert::app
