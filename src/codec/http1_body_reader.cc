// Takes the framing off bodies.
#include <algorithm>

#include "codec/http1_chars.h"
#include "codec/http1_view.h"

namespace flexpert::codec {
namespace {

using namespace http1_chars;

/// A chunk-size line: up to 15 hexadecimal digits and extensions.
constexpr std::size_t kMaxChunkLine = 1024;
constexpr std::size_t kMaxChunkDigits = 15;

std::size_t token_length(std::string_view text) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), [](char c) { return is(c, kToken); }) - text.begin());
}

/// Matches *( ";" token [ "=" ( token / quoted-string ) ] ) without any white space (RFC 9112, 7.1.1).
bool valid_chunk_extensions(std::string_view text) {
  while (!text.empty()) {
    if (text.front() != ';') return false;
    text.remove_prefix(1);
    const std::size_t name = token_length(text);
    if (name == 0) return false;
    text.remove_prefix(name);
    if (text.empty() || text.front() != '=') continue;
    text.remove_prefix(1);
    if (text.starts_with('"')) {
      std::size_t i = 1;
      for (; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\' && ++i == text.size()) return false;
        if (!is(text[i], kFieldValue)) return false;
      }
      if (i >= text.size()) return false;
      text.remove_prefix(i + 1);
    } else {
      const std::size_t value = token_length(text);
      if (value == 0) return false;
      text.remove_prefix(value);
    }
  }
  return true;
}

/// Reads hexadecimal digits, at most one more than a chunk size may have. Returns how many.
std::size_t read_hex(std::string_view text, std::uint64_t& value) {
  value = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && digits <= kMaxChunkDigits && is(text[digits], kHexDigit); ++digits) {
    const char c = text[digits];
    value = value * 16 + static_cast<std::uint64_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return digits;
}

}  // namespace

void Http1BodyReader::begin(Http1Framing framing, std::uint64_t content_length) {
  remaining_ = content_length;
  line_.clear();
  line_bytes_ = 0;
  trailer_fields_ = 0;
  line_done_ = false;
  switch (framing) {
    case Http1Framing::kNone: state_ = State::kDone; break;
    case Http1Framing::kLength: state_ = State::kLength; break;
    case Http1Framing::kChunked: state_ = State::kChunkSize; break;
    case Http1Framing::kUntilClose: state_ = State::kUntilClose; break;
  }
}

bool Http1BodyReader::refuse(int status, const char* message) {
  error_ = {status, message};
  state_ = State::kFailed;
  line_.clear();
  return false;
}

Http1Step Http1BodyReader::next(std::string_view input) {
  std::size_t at = 0;
  while (true) {
    switch (state_) {
      case State::kDone: return {.event = Http1Event::kEnd, .consumed = at};
      case State::kFailed: return {.event = Http1Event::kError, .consumed = at};
      case State::kUntilClose:
        if (input.empty()) return {};
        return {.event = Http1Event::kBody, .consumed = input.size(), .bytes = input};
      case State::kLength:
      case State::kChunkData: {
        if (remaining_ == 0) {
          state_ = State::kDone;
          break;
        }
        if (at == input.size()) return {.event = Http1Event::kNeedMore, .consumed = at};
        const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, input.size() - at));
        remaining_ -= taken;
        if (remaining_ == 0) state_ = state_ == State::kLength ? State::kDone : State::kChunkEnd;
        return {.event = Http1Event::kBody, .consumed = at + taken, .bytes = input.substr(at, taken)};
      }
      case State::kChunkEnd: {
        constexpr std::string_view kEnd = "\r\n";
        for (; line_bytes_ < kEnd.size() && at < input.size(); ++at, ++line_bytes_)
          if (input[at] != kEnd[line_bytes_]) {
            refuse(400, "a chunk is longer than its size says");
            return {.event = Http1Event::kError, .consumed = at};
          }
        if (line_bytes_ < kEnd.size()) return {.event = Http1Event::kNeedMore, .consumed = at};
        line_bytes_ = 0;
        state_ = State::kChunkSize;
        break;
      }
      case State::kChunkSize: {
        if (line_bytes_ == 0) {  // nearly every size line is whole and has nothing but digits
          std::uint64_t size = 0;
          const std::string_view rest = input.substr(at);
          const std::size_t digits = read_hex(rest, size);
          if (digits > 0 && digits <= kMaxChunkDigits && rest.size() >= digits + 2 && rest[digits] == '\r' && rest[digits + 1] == '\n') {
            at += digits + 2;
            remaining_ = size;
            state_ = size > 0 ? State::kChunkData : State::kTrailers;
            break;
          }
        }
        [[fallthrough]];
      }
      case State::kTrailers: {
        std::string_view line;
        if (!take_line(input, at, line)) return {.event = state_ == State::kFailed ? Http1Event::kError : Http1Event::kNeedMore, .consumed = at};
        if (state_ == State::kChunkSize) take_chunk_size(line);
        else take_trailer(line);
        break;
      }
    }
  }
}

bool Http1BodyReader::take_line(std::string_view input, std::size_t& at, std::string_view& line) {
  if (line_done_) {
    line_.clear();
    line_done_ = false;
  }
  const std::string_view rest = input.substr(at);
  const std::size_t newline = rest.find('\n');
  const std::size_t length = newline == std::string_view::npos ? rest.size() : newline + 1;
  if (state_ == State::kChunkSize ? line_bytes_ + length > kMaxChunkLine : line_bytes_ + length > limits_.max_head_bytes)
    return state_ == State::kChunkSize ? refuse(400, "the chunk-size line is too long") : refuse(431, "the header section is larger than allowed");
  line_bytes_ += length;
  at += length;
  if (newline == std::string_view::npos) {
    line_.append(rest);
    return false;
  }
  line = rest.substr(0, newline);
  if (!line_.empty()) {
    line_.append(line);
    line_done_ = true;
    line = line_;
  }
  if (!line.ends_with('\r')) return refuse(400, "a line ends in LF without CR");
  line.remove_suffix(1);
  return true;
}

bool Http1BodyReader::take_chunk_size(std::string_view line) {
  const std::size_t digits = read_hex(line, remaining_);
  if (digits > kMaxChunkDigits) return refuse(400, "a chunk size has too many digits");
  if (digits == 0) return refuse(400, "a chunk size is not a hexadecimal number");
  if (!valid_chunk_extensions(line.substr(digits))) return refuse(400, "a chunk size is followed by something that is not an extension");
  line_bytes_ = 0;
  state_ = remaining_ > 0 ? State::kChunkData : State::kTrailers;
  return true;
}

bool Http1BodyReader::take_trailer(std::string_view line) {
  if (line.empty()) {
    state_ = State::kDone;
    return true;
  }
  if (line.front() == ' ' || line.front() == '\t') return refuse(400, "a header line begins with white space (line folding is not allowed)");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return refuse(400, "a header line has no colon");
  const std::string_view name = line.substr(0, colon);
  if (!http1_is_token(name)) return refuse(400, "a header name is empty or has a character that is not allowed");
  if (!all(trimmed(line.substr(colon + 1)), kFieldValue)) return refuse(400, "a header value has a control character");
  switch (http1_known_field(name)) {
    case Http1KnownField::kContentLength:
    case Http1KnownField::kTransferEncoding:
    case Http1KnownField::kFramingLookalike:
    case Http1KnownField::kHost:
    case Http1KnownField::kConnection:
    case Http1KnownField::kTrailer:
    case Http1KnownField::kContentEncoding: return refuse(400, "a trailer has a field that is not allowed there");
    default: break;
  }
  return ++trailer_fields_ <= limits_.max_fields || refuse(431, "too many trailer fields");
}

Http1Event Http1BodyReader::finish() {
  if (state_ == State::kUntilClose) state_ = State::kDone;
  if (state_ == State::kLength && remaining_ == 0) state_ = State::kDone;
  if (state_ == State::kDone) return Http1Event::kEnd;
  if (state_ != State::kFailed) refuse(400, "the connection ended inside a message");
  return Http1Event::kError;
}

}  // namespace flexpert::codec
