#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/rng.h"

/// W3C Trace Context (https://www.w3.org/TR/trace-context/, level 1). Pure functions.
namespace flexpert::telemetry {

using TraceId = std::array<std::uint8_t, 16>;
using SpanId = std::array<std::uint8_t, 8>;

/// A span as the traceparent field names it.
struct TraceContext {
  TraceId trace_id{};
  SpanId span_id{};
  bool sampled = false;
  bool operator==(const TraceContext&) const = default;
};

inline constexpr std::size_t kTraceparentSize = 55;

/// Reads a traceparent field strictly: lower-case hex, ids that are not all zero, version 00 exactly as long as it is, later
/// versions by their first four parts, never version ff. Nothing: start a trace of one's own.
std::optional<TraceContext> parse_traceparent(std::string_view field);
/// Tells whether a tracestate field may be passed on: at most 512 bytes and 32 members of the standard's form, no key twice.
bool valid_tracestate(std::string_view field);

/// Starts a trace. `rng` is seeded differently in every process.
TraceContext new_trace(bool sampled, Rng& rng);
/// Returns the context of a new span below `parent`.
TraceContext child_of(const TraceContext& parent, Rng& rng);

/// Writes 55 bytes.
void write_traceparent(const TraceContext& context, char* out);
std::string traceparent(const TraceContext& context);
/// Writes 32 and 16 lower-case hex digits.
void write_hex(const TraceId& id, char* out);
void write_hex(const SpanId& id, char* out);

}  // namespace flexpert::telemetry
