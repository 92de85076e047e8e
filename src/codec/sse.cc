#include "codec/sse.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

namespace flexpert::codec {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

void append_one_line(std::string& out, std::string_view field, std::string_view value) {
  out.append(field);
  std::copy_if(value.begin(), value.end(), std::back_inserter(out), [](char c) { return !is_line_end(c) && c != '\0'; });
  out += '\n';
}

}  // namespace

Result<void> SseParser::feed(std::string_view bytes, std::vector<SseEvent>& events) {
  while (!failed_ && !bytes.empty()) {
    if (skip_newline_) {
      skip_newline_ = false;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    const auto end = std::find_if(bytes.begin(), bytes.end(), is_line_end);
    const auto length = static_cast<std::size_t>(end - bytes.begin());
    if (line_.size() + length + event_.data.size() > max_event_bytes_) {
      failed_ = true;
      break;
    }
    if (end == bytes.end()) {
      line_.append(bytes);
      break;
    }
    skip_newline_ = *end == '\r';
    if (line_.empty()) {
      take_line(bytes.substr(0, length), events);
    } else {
      line_.append(bytes.substr(0, length));
      const std::string line = std::move(line_);
      line_.clear();
      take_line(line, events);
    }
    bytes.remove_prefix(length + 1);
  }
  if (failed_) return fail(ErrorCode::kResourceExhausted, "an event of the stream is larger than {} bytes", max_event_bytes_);
  return {};
}

void SseParser::take_line(std::string_view line, std::vector<SseEvent>& events) {
  if (std::exchange(at_start_, false) && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  if (line.empty()) {
    if (has_data_) {
      event_.data.pop_back();  // the last line's newline
      if (event_.type.empty()) event_.type = "message";
      events.push_back(event_);
    }
    event_.type.clear();
    event_.data.clear();
    event_.retry_ms.reset();
    has_data_ = false;
    return;
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    event_.data.append(value).push_back('\n');
    has_data_ = true;
  } else if (field == "event") {
    event_.type = value;
  } else if (field == "id") {
    if (value.find('\0') == std::string_view::npos) event_.id = value;
  } else if (field == "retry") {
    std::uint64_t milliseconds = 0;
    const auto [stopped_at, error] = std::from_chars(value.data(), value.data() + value.size(), milliseconds);
    if (!value.empty() && error == std::errc() && stopped_at == value.data() + value.size()) event_.retry_ms = milliseconds;
  }
}

void append_sse_event(std::string& out, std::string_view data, std::string_view type, std::string_view id) {
  if (!type.empty() && type != "message") append_one_line(out, "event: ", type);
  if (!id.empty()) append_one_line(out, "id: ", id);
  while (true) {
    const auto end = std::find_if(data.begin(), data.end(), is_line_end);
    out.append("data: ").append(data.begin(), end).append("\n");
    if (end == data.end()) break;
    const bool pair = *end == '\r' && end + 1 != data.end() && *(end + 1) == '\n';
    data.remove_prefix(static_cast<std::size_t>(end - data.begin()) + (pair ? 2 : 1));
  }
  out.append("\n");
}

void append_sse_comment(std::string& out, std::string_view text) {
  append_one_line(out, ": ", text);
  out.append("\n");
}

}  // namespace flexpert::codec
