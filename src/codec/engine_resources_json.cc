#include "codec/engine_resources_json.h"

#include "codec/fleet_json_reader.h"

namespace flexpert::codec {

using fleet_json::Reader;

std::string encode(const EngineResourcesReport& report) {
  return fmt::format(R"({{"threads":{},"kv_blocks":{},"max_kv_blocks":{}}})", report.threads, report.kv_blocks, report.max_kv_blocks);
}

Result<EngineResourcesReport> decode_engine_resources_report(std::string_view text) {
  FLEXPERT_ASSIGN(const boost::json::value value, fleet_json::parse_object(text, "resources"));
  Reader reader(value.get_object(), "");
  EngineResourcesReport report;
  report.threads = reader.integer<std::uint32_t>("threads");
  report.kv_blocks = reader.integer<std::uint32_t>("kv_blocks");
  report.max_kv_blocks = reader.integer<std::uint32_t>("max_kv_blocks");
  if (!reader.ok()) return fail(reader.error());
  return report;
}

std::string encode(const EngineResourcesWish& wish) {
  std::string out = "{";
  if (wish.threads) out += fmt::format("\"threads\":{}", *wish.threads);
  if (wish.kv_blocks) out += fmt::format("{}\"kv_blocks\":{}", wish.threads ? "," : "", *wish.kv_blocks);
  return out + "}";
}

Result<EngineResourcesWish> decode_engine_resources_wish(std::string_view text) {
  FLEXPERT_ASSIGN(const boost::json::value value, fleet_json::parse_object(text, "resources"));
  for (const auto& field : value.get_object())
    if (field.key() != "threads" && field.key() != "kv_blocks")
      return fail(ErrorCode::kInvalidArgument, "{}: unknown field; allowed: threads, kv_blocks", std::string_view(field.key().data(), field.key().size()));
  Reader reader(value.get_object(), "");
  EngineResourcesWish wish;
  if (reader.has("threads")) wish.threads = reader.integer<std::uint32_t>("threads");
  if (reader.has("kv_blocks")) wish.kv_blocks = reader.integer<std::uint32_t>("kv_blocks");
  if (!reader.ok()) return fail(reader.error());
  if (!wish.threads && !wish.kv_blocks) return fail(ErrorCode::kInvalidArgument, "resources: nothing to change; give threads, kv_blocks or both");
  return wish;
}

}  // namespace flexpert::codec
