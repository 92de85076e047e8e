#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Server-sent events (WHATWG HTML, 9.2): what a streamed answer is made of. Pure.
namespace flexpert::codec {

struct SseEvent {
  std::string type{};                          ///< "message" when the stream names none
  std::string data{};                          ///< lines joined by "\n"
  std::string id{};                            ///< the last id seen, on this event or before
  std::optional<std::uint64_t> retry_ms{};     ///< a new reconnection time, if this event carried one
};

/// Reads events out of a stream that comes in pieces, cut anywhere. Lines may end in LF, CRLF or CR. Comments, unknown
/// fields and events without data are skipped; an event that the stream's end cuts short is never delivered.
class SseParser {
 public:
  /// `max_event_bytes` bounds one event with its unfinished line.
  explicit SseParser(std::size_t max_event_bytes = 4 * 1024 * 1024) : max_event_bytes_(max_event_bytes) {}

  /// Appends the events that `bytes` complete to `events`. Errors: kResourceExhausted (an event over the bound), after
  /// which the parser refuses everything.
  Result<void> feed(std::string_view bytes, std::vector<SseEvent>& events);

 private:
  void take_line(std::string_view line, std::vector<SseEvent>& events);

  std::size_t max_event_bytes_;
  std::string line_;
  SseEvent event_;
  bool has_data_ = false;
  bool at_start_ = true;      ///< a byte order mark may come
  bool skip_newline_ = false; ///< the last byte was CR: an LF that follows belongs to it
  bool failed_ = false;
};

/// Appends `data` as one event: a "data:" line for each of its lines, then an empty line. An empty or "message" `type`
/// is not written. Line ends in `type` and `id` are left out.
void append_sse_event(std::string& out, std::string_view data, std::string_view type = {}, std::string_view id = {});
/// Appends a comment, which readers skip: keeps a quiet connection from being timed out.
void append_sse_comment(std::string& out, std::string_view text);

}  // namespace flexpert::codec
