#include "telemetry/trace_context.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "telemetry/hex.h"

namespace flexpert::telemetry {
namespace {

constexpr std::size_t kLongestState = 512;
constexpr std::size_t kMostMembers = 32;
constexpr std::size_t kLongestKey = 256;
constexpr std::size_t kLongestTenant = 241;
constexpr std::size_t kLongestSystem = 14;
constexpr std::size_t kLongestValue = 256;
constexpr std::uint8_t kSampled = 1;

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool read_hex(std::string_view text, std::span<std::uint8_t> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

template <std::size_t N>
bool all_zero(const std::array<std::uint8_t, N>& id) {
  return id == std::array<std::uint8_t, N>{};
}

/// Lowest byte first on every machine.
template <std::size_t N>
std::array<std::uint8_t, N> random_id(Rng& rng) {
  std::array<std::uint8_t, N> id;
  do {
    for (std::size_t i = 0; i < N; i += 8) {
      std::uint64_t bits = rng.next();
      if constexpr (std::endian::native == std::endian::big) bits = std::byteswap(bits);
      std::memcpy(id.data() + i, &bits, 8);
    }
  } while (all_zero(id));
  return id;
}

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_name(std::string_view name, std::size_t longest) {
  const auto allowed = [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '*' || c == '/'; };
  return !name.empty() && name.size() <= longest && std::all_of(name.begin(), name.end(), allowed);
}

bool is_key(std::string_view key) {
  const std::size_t at = key.find('@');
  if (at == std::string_view::npos) return is_name(key, kLongestKey) && is_lower(key.front());
  const std::string_view tenant = key.substr(0, at);
  const std::string_view system = key.substr(at + 1);
  return is_name(tenant, kLongestTenant) && (is_lower(tenant.front()) || is_digit(tenant.front())) && is_name(system, kLongestSystem) &&
         is_lower(system.front());
}

bool is_value(std::string_view value) {
  return !value.empty() && value.size() <= kLongestValue && value.back() != ' ' &&
         std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7e && c != ',' && c != '='; });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<TraceContext> parse_traceparent(std::string_view field) {
  if (field.size() < kTraceparentSize || field[2] != '-' || field[35] != '-' || field[52] != '-') return std::nullopt;
  std::array<std::uint8_t, 1> version{};
  std::array<std::uint8_t, 1> flags{};
  TraceContext context;
  if (!read_hex(field, version) || !read_hex(field.substr(3), context.trace_id) || !read_hex(field.substr(36), context.span_id) ||
      !read_hex(field.substr(53), flags))
    return std::nullopt;
  if (version[0] == 0xff || all_zero(context.trace_id) || all_zero(context.span_id)) return std::nullopt;
  if (field.size() > kTraceparentSize && (version[0] == 0 || field[kTraceparentSize] != '-')) return std::nullopt;
  context.sampled = (flags[0] & kSampled) != 0;
  return context;
}

bool valid_tracestate(std::string_view field) {
  if (field.size() > kLongestState) return false;
  std::array<std::string_view, kMostMembers> keys;
  std::size_t members = 0;
  while (true) {
    const std::size_t comma = field.find(',');
    const std::string_view member = trimmed(field.substr(0, comma));
    if (!member.empty()) {  // the standard allows empty ones
      const std::size_t equals = member.find('=');
      if (equals == std::string_view::npos || members == kMostMembers) return false;
      const std::string_view key = member.substr(0, equals);
      if (!is_key(key) || !is_value(member.substr(equals + 1))) return false;
      const auto end = keys.begin() + static_cast<std::ptrdiff_t>(members);
      if (std::find(keys.begin(), end, key) != end) return false;
      keys[members++] = key;
    }
    if (comma == std::string_view::npos) return members > 0;
    field.remove_prefix(comma + 1);
  }
}

TraceContext new_trace(bool sampled, Rng& rng) { return {random_id<16>(rng), random_id<8>(rng), sampled}; }

TraceContext child_of(const TraceContext& parent, Rng& rng) { return {parent.trace_id, random_id<8>(rng), parent.sampled}; }

void write_traceparent(const TraceContext& context, char* out) {
  std::memcpy(out, "00-", 3);
  put_hex(context.trace_id, out + 3);
  out[35] = '-';
  put_hex(context.span_id, out + 36);
  std::memcpy(out + 52, context.sampled ? "-01" : "-00", 3);
}

std::string traceparent(const TraceContext& context) {
  std::string text(kTraceparentSize, '\0');
  write_traceparent(context, text.data());
  return text;
}

void write_hex(const TraceId& id, char* out) { put_hex(id, out); }
void write_hex(const SpanId& id, char* out) { put_hex(id, out); }

}  // namespace flexpert::telemetry
