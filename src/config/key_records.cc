#include "config/key_records.h"

#include <algorithm>

#include "config/each_item.h"
#include "config/policy_reader.h"
#include "config/section_reader.h"
#include "config/timestamp.h"

namespace flexpert::config {
namespace {

void read_time(SectionReader& section, std::string_view key, std::int64_t& out) {
  std::string text;
  section.text(key, text);
  if (text.empty()) return;
  const auto time = parse_timestamp(text);
  if (!time) return section.problem(key, "this is no time", "YYYY-MM-DDTHH:MM:SSZ or YYYY-MM-DD");
  out = *time;
}

void read_digest(SectionReader& section, auth::KeyDigest& out) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  section.text("digest", text);
  if (text.empty()) return;
  if (text.size() != 2 * out.size() || text.find_first_not_of(kDigits) != std::string::npos)
    return section.problem("digest", "this is no digest of a key",
                           "64 lower-case hex digits, as `flexpert keys create --record` writes them");
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::uint8_t>(kDigits.find(text[2 * i]) << 4 | kDigits.find(text[2 * i + 1]));
}

void read_record(const YamlNode& node, const std::string& path, ProblemList& problems, std::vector<auth::ApiKeyRecord>& out) {
  auth::ApiKeyRecord record;
  SectionReader section(node, path, problems);
  section.text("id", record.id);
  read_digest(section, record.digest);
  section.text("name", record.name);
  section.text("tenant", record.tenant);
  section.texts("roles", record.roles);
  read_time(section, "created", record.created_unix_ms);
  read_time(section, "expires", record.expires_unix_ms);
  read_time(section, "revoked", record.revoked_unix_ms);
  section.text("replaced_by", record.replaced_by);
  section.require("id", "the key's public name");
  section.require("digest", "64 lower-case hex digits, as `flexpert keys create --record` writes them");
  section.require("tenant", "whose limits count");
  section.finish();
  for (const std::string& role : record.roles)
    if (!is_role_name(role))
      section.problem("roles", fmt::format("\"{}\" cannot name a role", role.substr(0, 64)), "up to 64 letters, digits, '.', '_' and '-'");
  out.push_back(std::move(record));
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    else out += c;
  }
  return out + '"';
}

}  // namespace

Result<std::vector<auth::ApiKeyRecord>> parse_key_records(const std::string& text, const std::string& source) {
  FLEXPERT_ASSIGN(const YamlNode root, parse_yaml(text, source));
  ProblemList problems(source);
  SectionReader section(root, "", problems);
  std::vector<auth::ApiKeyRecord> records;
  each_item(section, problems, "keys", "key records",
            [&](const YamlNode& item, const std::string& path) { read_record(item, path, problems, records); });
  section.finish();
  if (!problems.empty()) return fail(problems.to_error());
  if (const auto checked = auth::ApiKeys::make(records); !checked) return fail(checked.error().with_context(source + ":1"));
  return records;
}

Result<std::vector<auth::ApiKeyRecord>> load_key_records(const std::string& path) {
  FLEXPERT_ASSIGN(const std::string text, read_yaml_file(path));
  return parse_key_records(text, path);
}

std::string key_record_line(const auth::ApiKeyRecord& record) {
  std::string line = fmt::format("  - {{id: {}, digest: \"", quoted(record.id));
  for (const std::uint8_t byte : record.digest) fmt::format_to(std::back_inserter(line), "{:02x}", byte);
  fmt::format_to(std::back_inserter(line), "\", tenant: {}, roles: [{}]", quoted(record.tenant), fmt::join(record.roles, ", "));
  if (!record.name.empty()) line += ", name: " + quoted(record.name);
  const auto time = [&line](std::string_view key, std::int64_t unix_ms) {
    if (unix_ms != 0) fmt::format_to(std::back_inserter(line), ", {}: \"{}\"", key, format_timestamp(unix_ms));
  };
  time("created", record.created_unix_ms);
  time("expires", record.expires_unix_ms);
  time("revoked", record.revoked_unix_ms);
  if (!record.replaced_by.empty()) line += ", replaced_by: " + quoted(record.replaced_by);
  return line + "}";
}

}  // namespace flexpert::config
