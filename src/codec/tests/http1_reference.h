#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/http1_chars.h"
#include "codec/http1_view.h"

/// A second reading of HTTP/1.1, written before Http1HeadReader and differently: line by line, copying everything. Tests and the
/// fuzz target hold the two against each other.
namespace flexpert::codec::reference {

using namespace http1_chars;

using Http1Fields = std::vector<std::pair<std::string, std::string>>;

struct Http1Head {
  int minor_version = 1;
  Http1Fields fields{};
  Http1Framing framing = Http1Framing::kNone;
  std::uint64_t content_length = 0;
  bool keep_alive = true;
};

struct Http1RequestHead : Http1Head {
  std::string method{};
  std::string target{};
  bool expects_continue = false;
};

struct Http1ResponseHead : Http1Head {
  int status = 0;
};

/// The machine that requests and responses share: lines of the head, then the body as the head frames it.
class Http1Parser {
 public:
  explicit Http1Parser(Http1Limits limits) : limits_(limits) {}
  virtual ~Http1Parser() = default;
  Http1Parser(const Http1Parser&) = delete;
  Http1Parser& operator=(const Http1Parser&) = delete;

  /// Takes the next event out of `input`. Call it with the rest of the input until it says kNeedMore (or kError); an
  /// empty input may still give kHead's kEnd.
  Http1Step next(std::string_view input);
  /// Tells that the peer sends no more. Returns kEnd if that ends the body (kUntilClose), kNeedMore if no message had
  /// begun, kError if one broke off.
  Http1Event finish();
  [[nodiscard]] const Http1Error& error() const { return error_; }
  /// Tells whether some bytes of a message were read and its end was not.
  [[nodiscard]] bool in_message() const { return state_ != State::kStartLine || head_bytes_ > 0; }

 protected:
  virtual bool parse_start_line(std::string_view line) = 0;
  /// Decides the framing when all fields are known.
  virtual bool finish_head() = 0;
  virtual Http1Head& head() = 0;
  virtual void begin_message() = 0;
  /// Says whether one empty line before the start line is ignored (RFC 9112, 2.2).
  [[nodiscard]] virtual bool tolerates_empty_line() const = 0;
  bool refuse(int status, std::string message);
  /// Reads Content-Length, Transfer-Encoding and Connection into `head`; `has_length` and `chunked` tell which was there.
  bool read_framing_fields(bool& has_length, bool& chunked);

 private:
  enum class State { kStartLine, kFields, kHeadDone, kBodyLength, kBodyUntilClose, kChunkSize, kChunkData, kChunkEnd, kTrailers, kBodyDone, kFailed };

  Http1Step step_line(std::string_view input);
  Http1Step step_body(std::string_view input);
  bool take_line(std::string_view line);
  bool parse_field(std::string_view line, bool trailer);
  bool parse_chunk_size(std::string_view line);
  void after_head();
  [[nodiscard]] std::size_t line_limit() const;

  Http1Limits limits_;
  State state_ = State::kStartLine;
  Http1Error error_;
  std::string line_;               ///< the beginning of a line whose end has not come
  std::size_t head_bytes_ = 0;     ///< of this head, trailer section or chunk-size line
  std::size_t trailer_fields_ = 0;
  std::uint64_t remaining_ = 0;    ///< of the body or chunk
  bool ignored_empty_line_ = false;
  bool closing_ = false;           ///< the last message said that no other follows
};

class Http1RequestParser final : public Http1Parser {
 public:
  explicit Http1RequestParser(Http1Limits limits = {}) : Http1Parser(limits) {}
  /// Valid from kHead until the next message begins; may be moved from.
  Http1RequestHead& request() { return head_; }

 private:
  bool parse_start_line(std::string_view line) override;
  bool finish_head() override;
  Http1Head& head() override { return head_; }
  void begin_message() override {
    head_ = {};
    authority_.clear();
  }
  [[nodiscard]] bool tolerates_empty_line() const override { return true; }

  Http1RequestHead head_;
  std::string authority_;  ///< of an absolute target
};

class Http1ResponseParser final : public Http1Parser {
 public:
  explicit Http1ResponseParser(Http1Limits limits = {}) : Http1Parser(limits) {}
  /// Tells whether the next final response answers a HEAD request, and so has no body.
  void set_answers_head(bool answers_head) { answers_head_ = answers_head; }
  Http1ResponseHead& response() { return head_; }

 private:
  bool parse_start_line(std::string_view line) override;
  bool finish_head() override;
  Http1Head& head() override { return head_; }
  void begin_message() override { head_ = {}; }
  [[nodiscard]] bool tolerates_empty_line() const override { return false; }

  Http1ResponseHead head_;
  bool answers_head_ = false;
};


/// A chunk-size line: up to 15 hexadecimal digits and extensions.
inline constexpr std::size_t kMaxChunkLine = 1024;
inline constexpr std::size_t kMaxChunkDigits = 15;

/// Matches *( ";" token [ "=" ( token / quoted-string ) ] ) without any white space (RFC 9112, 7.1.1).
inline bool valid_chunk_extensions(std::string_view text) {
  while (!text.empty()) {
    if (text.front() != ';') return false;
    text.remove_prefix(1);
    const std::size_t name = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), [](char c) { return is(c, kToken); }) - text.begin());
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
      const std::size_t value = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), [](char c) { return is(c, kToken); }) - text.begin());
      if (value == 0) return false;
      text.remove_prefix(value);
    }
  }
  return true;
}

inline bool Http1Parser::refuse(int status, std::string message) {
  error_ = {status, std::move(message)};
  state_ = State::kFailed;
  line_.clear();
  return false;
}

inline Http1Step Http1Parser::next(std::string_view input) {
  switch (state_) {
    case State::kStartLine:
    case State::kFields:
    case State::kChunkSize:
    case State::kTrailers: return step_line(input);
    case State::kFailed: return {.event = Http1Event::kError};
    default: return step_body(input);
  }
}

inline std::size_t Http1Parser::line_limit() const { return state_ == State::kChunkSize ? kMaxChunkLine : limits_.max_head_bytes; }

inline Http1Step Http1Parser::step_line(std::string_view input) {
  std::size_t consumed = 0;
  while (consumed < input.size()) {
    if (closing_ && state_ == State::kStartLine) {
      refuse(400, "data after a message that said it was the last of its connection");
      return {.event = Http1Event::kError, .consumed = consumed};
    }
    const std::string_view rest = input.substr(consumed);
    const std::size_t newline = rest.find('\n');
    const std::size_t length = newline == std::string_view::npos ? rest.size() : newline + 1;
    if (head_bytes_ + length > line_limit()) {
      state_ == State::kChunkSize ? refuse(400, "the chunk-size line is too long") : refuse(431, "the header section is larger than allowed");
      return {.event = Http1Event::kError, .consumed = consumed};
    }
    head_bytes_ += length;
    consumed += length;
    if (newline == std::string_view::npos) {
      line_.append(rest);
      break;
    }
    std::string_view line = rest.substr(0, newline);
    std::string joined;
    if (!line_.empty()) {
      joined = std::move(line_);
      line_.clear();
      joined.append(line);
      line = joined;
    }
    if (!line.ends_with('\r')) {
      refuse(400, "a line ends in LF without CR");
      return {.event = Http1Event::kError, .consumed = consumed};
    }
    line.remove_suffix(1);
    if (!take_line(line)) return {.event = Http1Event::kError, .consumed = consumed};
    if (state_ == State::kHeadDone) return {.event = Http1Event::kHead, .consumed = consumed};
    if (state_ != State::kStartLine && state_ != State::kFields && state_ != State::kTrailers) {
      Http1Step step = step_body(input.substr(consumed));
      step.consumed += consumed;
      return step;
    }
  }
  return {.event = Http1Event::kNeedMore, .consumed = consumed};
}

inline bool Http1Parser::take_line(std::string_view line) {
  switch (state_) {
    case State::kStartLine:
      if (line.empty() && tolerates_empty_line() && !ignored_empty_line_) {
        ignored_empty_line_ = true;
        head_bytes_ = 0;
        return true;
      }
      begin_message();
      if (!parse_start_line(line)) return false;
      state_ = State::kFields;
      return true;
    case State::kFields:
      if (!line.empty()) return parse_field(line, false);
      if (!finish_head()) return false;
      state_ = State::kHeadDone;
      return true;
    case State::kChunkSize: return parse_chunk_size(line);
    case State::kTrailers:
      if (!line.empty()) return parse_field(line, true);
      state_ = State::kBodyDone;
      return true;
    default: return refuse(400, "a line where none belongs");
  }
}

inline bool Http1Parser::parse_field(std::string_view line, bool trailer) {
  if (line.front() == ' ' || line.front() == '\t') return refuse(400, "a header line begins with white space (line folding is not allowed)");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return refuse(400, "a header line has no colon");
  const std::string_view name = line.substr(0, colon);
  if (!http1_is_token(name)) return refuse(400, "a header name is empty or has a character that is not allowed");
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (!all(value, kFieldValue)) return refuse(400, "a header value has a control character");
  if (trailer) {
    for (const std::string_view forbidden : {"content-length", "transfer-encoding", "host", "connection", "trailer", "content-encoding", "content_length", "transfer_encoding"})
      if (http1_equal_ignoring_case(name, forbidden)) return refuse(400, "a trailer has a field that is not allowed there");
    return ++trailer_fields_ <= limits_.max_fields || refuse(431, "too many trailer fields");
  }
  for (const std::string_view lookalike : {"content_length", "transfer_encoding"})
    if (http1_equal_ignoring_case(name, lookalike)) return refuse(400, "a header name is one of framing but for an underscore");
  if (head().fields.size() >= limits_.max_fields) return refuse(431, "too many header fields");
  head().fields.emplace_back(name, value);
  return true;
}

inline bool Http1Parser::parse_chunk_size(std::string_view line) {
  std::size_t digits = 0;
  remaining_ = 0;
  for (; digits < line.size() && is(line[digits], kHexDigit); ++digits) {
    if (digits == kMaxChunkDigits) return refuse(400, "a chunk size has too many digits");
    const char c = line[digits];
    remaining_ = remaining_ * 16 + static_cast<std::uint64_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  if (digits == 0) return refuse(400, "a chunk size is not a hexadecimal number");
  if (!valid_chunk_extensions(line.substr(digits))) return refuse(400, "a chunk size is followed by something that is not an extension");
  head_bytes_ = 0;
  state_ = remaining_ > 0 ? State::kChunkData : State::kTrailers;
  return true;
}

inline void Http1Parser::after_head() {
  head_bytes_ = 0;
  trailer_fields_ = 0;
  closing_ = !head().keep_alive;
  switch (head().framing) {
    case Http1Framing::kNone: state_ = State::kBodyDone; break;
    case Http1Framing::kLength:
      remaining_ = head().content_length;
      state_ = remaining_ > 0 ? State::kBodyLength : State::kBodyDone;
      break;
    case Http1Framing::kChunked: state_ = State::kChunkSize; break;
    case Http1Framing::kUntilClose: state_ = State::kBodyUntilClose; break;
  }
}

inline Http1Step Http1Parser::step_body(std::string_view input) {
  if (state_ == State::kHeadDone) {
    after_head();
    if (state_ == State::kChunkSize) return step_line(input);
  }
  switch (state_) {
    case State::kBodyDone:
      state_ = State::kStartLine;
      head_bytes_ = 0;
      ignored_empty_line_ = false;
      return {.event = Http1Event::kEnd};
    case State::kBodyUntilClose:
      if (input.empty()) return {};
      return {.event = Http1Event::kBody, .consumed = input.size(), .bytes = input};
    case State::kBodyLength:
    case State::kChunkData: {
      if (input.empty()) return {};
      const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, input.size()));
      remaining_ -= taken;
      if (remaining_ == 0) state_ = state_ == State::kBodyLength ? State::kBodyDone : State::kChunkEnd;
      return {.event = Http1Event::kBody, .consumed = taken, .bytes = input.substr(0, taken)};
    }
    case State::kChunkEnd: {
      constexpr std::string_view kEnd = "\r\n";
      std::size_t consumed = 0;
      while (consumed < input.size() && head_bytes_ < kEnd.size()) {
        if (input[consumed] != kEnd[head_bytes_]) {
          refuse(400, "a chunk is longer than its size says");
          return {.event = Http1Event::kError, .consumed = consumed};
        }
        ++consumed;
        ++head_bytes_;
      }
      if (head_bytes_ < kEnd.size()) return {.event = Http1Event::kNeedMore, .consumed = consumed};
      head_bytes_ = 0;
      state_ = State::kChunkSize;
      Http1Step step = step_line(input.substr(consumed));
      step.consumed += consumed;
      return step;
    }
    default: return next(input);
  }
}

inline Http1Event Http1Parser::finish() {
  if (state_ == State::kFailed) return Http1Event::kError;
  if (state_ == State::kHeadDone) after_head();
  if (state_ == State::kBodyUntilClose || state_ == State::kBodyDone) {
    state_ = State::kStartLine;
    closing_ = true;
    return Http1Event::kEnd;
  }
  if (!in_message()) return Http1Event::kNeedMore;
  refuse(400, "the connection ended inside a message");
  return Http1Event::kError;
}

}  // namespace flexpert::codec::reference
