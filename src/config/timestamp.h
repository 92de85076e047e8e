#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace flexpert::config {

/// Writes milliseconds since the Unix epoch as "2026-11-22T10:00:00Z", cut to whole seconds. Years 1970 to 9999.
std::string format_timestamp(std::int64_t unix_ms);
/// Reads the same form, or "2026-11-22" for the beginning of that day in UTC. Nothing else is a time.
std::optional<std::int64_t> parse_timestamp(std::string_view text);

/// Reads "45s", "30m", "24h", "90d" as milliseconds, up to a hundred years; whole numbers only.
std::optional<std::int64_t> parse_span_ms(std::string_view text);

}  // namespace flexpert::config
