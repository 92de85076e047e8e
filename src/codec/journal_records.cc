#include "codec/journal_records.h"

#include "codec/exact_json.h"

namespace flexpert::codec {

using exact_json::append_field;
using exact_json::Reader;

std::string encode(const JournalStart& start) {
  std::string out = "{";
  append_field(out, "version", std::string_view(start.version));
  append_field(out, "config_source", std::string_view(start.config_source));
  append_field(out, "config_text", std::string_view(start.config_text));
  append_field(out, "planner_state", std::string_view(start.planner_state));
  return out + "}";
}

Result<JournalStart> decode_journal_start(std::string_view json) {
  return exact_json::decode<JournalStart>(json, "journal's start", [](Reader reader) {
    return JournalStart{reader.text("version"), reader.text("config_source"), reader.text("config_text"), reader.text("planner_state")};
  });
}

std::string config_hash(std::string_view config_text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : config_text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return fmt::format("{:016x}", hash);
}

}  // namespace flexpert::codec
