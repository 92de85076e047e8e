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


inline constexpr std::string_view kMethods[] = {"GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"};
inline constexpr std::size_t kMaxLengthDigits = 18;

inline bool known_method(std::string_view method) {
  for (const std::string_view known : kMethods)
    if (method == known) return true;
  return false;
}

/// Splits off what stands before the next comma.
inline std::string_view next_element(std::string_view& list) {
  const std::size_t comma = list.find(',');
  const std::string_view element = trimmed(list.substr(0, comma));
  list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  return element;
}

/// Returns 0 or 1 for HTTP/1.0 and HTTP/1.1, -1 for another version of HTTP, -2 for anything else.
inline int minor_version_of(std::string_view text) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  const bool version = text.size() == 8 && text.starts_with("HTTP/") && is(text[5], kDigit) && text[6] == '.' && is(text[7], kDigit);
  return version ? -1 : -2;
}

/// Tells whether `list` is one coding but identity, or several of which chunked is the last and only the last.
inline bool other_codings(std::string_view list) {
  std::vector<std::string_view> codings;
  for (; list.find(',') != std::string_view::npos;) codings.push_back(next_element(list));
  codings.push_back(trimmed(list));
  const auto is_known = [](std::string_view coding) { return http1_is_token(coding) && !http1_equal_ignoring_case(coding, "identity"); };
  const auto is_chunked = [](std::string_view coding) { return http1_equal_ignoring_case(coding, "chunked"); };
  const bool tokens = std::all_of(codings.begin(), codings.end(), is_known);
  const auto chunked = std::find_if(codings.begin(), codings.end(), is_chunked);
  return tokens && (codings.size() == 1 || chunked + 1 == codings.end());
}

inline bool Http1Parser::read_framing_fields(bool& has_length, bool& chunked) {
  Http1Head& message = head();
  has_length = false;
  chunked = false;
  bool close = false;
  bool keep = false;
  for (const auto& [name, value] : message.fields) {
    // Tells the three names by their lengths before comparing: this runs for every field of every message.
    if (name.size() == 14 && http1_equal_ignoring_case(name, "content-length")) {
      if (has_length) return refuse(400, "Content-Length is given twice");
      if (value.empty() || !all(value, kDigit)) return refuse(400, "Content-Length is not a number");
      std::string_view digits = value;
      while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
      if (digits.size() > kMaxLengthDigits) return refuse(400, "Content-Length is too large");
      has_length = true;
      for (const char digit : digits) message.content_length = message.content_length * 10 + static_cast<std::uint64_t>(digit - '0');
    } else if (name.size() == 17 && http1_equal_ignoring_case(name, "transfer-encoding")) {
      if (chunked) return refuse(400, "Transfer-Encoding is given twice");
      if (!http1_equal_ignoring_case(value, "chunked")) {
        return refuse(other_codings(value) ? 501 : 400, "Transfer-Encoding is not 'chunked', the only one supported");
      }
      chunked = true;
    } else if (name.size() == 10 && http1_equal_ignoring_case(name, "connection")) {
      for (std::string_view list = value; !list.empty();) {
        const std::string_view option = next_element(list);
        if (option.empty()) continue;
        if (!http1_is_token(option)) return refuse(400, "Connection is malformed");
        close = close || http1_equal_ignoring_case(option, "close");
        keep = keep || http1_equal_ignoring_case(option, "keep-alive");
      }
    }
  }
  if (has_length && chunked) return refuse(400, "Content-Length and Transfer-Encoding are given together");
  if (chunked && message.minor_version == 0) return refuse(400, "Transfer-Encoding in an HTTP/1.0 message");
  message.keep_alive = !close && (message.minor_version == 1 || keep);
  return true;
}

inline bool Http1RequestParser::parse_start_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return refuse(400, "the request line is not METHOD TARGET HTTP/1.1");
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (!http1_is_token(method)) return refuse(400, "the method has a character that is not allowed");
  switch (minor_version_of(line.substr(last + 1))) {
    case 1: head_.minor_version = 1; break;
    case 0: head_.minor_version = 0; break;
    case -1: return refuse(505, "this version of HTTP is not supported; use HTTP/1.1");
    default: return refuse(400, "the request line does not end in HTTP/1.1");
  }
  if (!known_method(method)) return refuse(501, "the method is not supported");
  std::string_view path = target;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!http1_equal_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    authority_ = target.substr(scheme.size(), target.find('/', scheme.size()) - scheme.size());
    path = target.substr(scheme.size() + authority_.size());
    if (path.empty()) path = "/";
    if (!http1_is_host(authority_)) path = {};
  }
  if (!http1_is_target(path) && !(target == "*" && method == "OPTIONS"))
    return refuse(400, "the request target is not a path with an optional query, or has a character that must be percent-encoded");
  head_.method = method;
  head_.target = path;
  return true;
}

inline bool Http1RequestParser::finish_head() {
  bool has_length = false;
  bool chunked = false;
  if (!read_framing_fields(has_length, chunked)) return false;
  bool has_host = false;
  bool has_type = false;
  bool has_coding = false;
  for (const auto& [name, value] : head_.fields) {
    if (name.size() == 4 && http1_equal_ignoring_case(name, "host")) {
      if (has_host) return refuse(400, "Host is given twice");
      if (!http1_is_host(value)) return refuse(400, "Host is not a name or an address with or without a port");
      if (!authority_.empty() && !http1_equal_ignoring_case(value, authority_))
        return refuse(400, "the request target and Host name different hosts");
      has_host = true;
    } else if (name.size() == 12 && http1_equal_ignoring_case(name, "content-type") && std::exchange(has_type, true)) {
      return refuse(400, "Content-Type or Content-Encoding is given twice");
    } else if (name.size() == 16 && http1_equal_ignoring_case(name, "content-encoding") && std::exchange(has_coding, true)) {
      return refuse(400, "Content-Type or Content-Encoding is given twice");
    } else if (name.size() == 6 && head_.minor_version == 1 && http1_equal_ignoring_case(name, "expect")) {
      if (!http1_equal_ignoring_case(value, "100-continue")) return refuse(417, "the only expectation supported is 100-continue");
      head_.expects_continue = true;
    }
  }
  if (!has_host && head_.minor_version == 1) return refuse(400, "Host is missing");
  head_.framing = chunked ? Http1Framing::kChunked : has_length ? Http1Framing::kLength : Http1Framing::kNone;
  return true;
}

inline bool Http1ResponseParser::parse_start_line(std::string_view line) {
  const int minor_version = minor_version_of(line.substr(0, 8));
  if (minor_version == -1) return refuse(505, "the answer has a version of HTTP that is not supported");
  if (minor_version < 0 || line.size() < 12 || line[8] != ' ' || !all(line.substr(9, 3), kDigit))
    return refuse(400, "the status line is not HTTP/1.1 STATUS REASON");
  head_.minor_version = minor_version;
  head_.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (head_.status < 100 || head_.status > 599) return refuse(400, "the status is not between 100 and 599");
  if (line.size() > 12 && (line[12] != ' ' || !all(line.substr(13), kFieldValue)))
    return refuse(400, "the reason has a character that is not allowed");
  return true;
}

inline bool Http1ResponseParser::finish_head() {
  bool has_length = false;
  bool chunked = false;
  if (!read_framing_fields(has_length, chunked)) return false;
  const bool informational = head_.status < 200;
  if ((informational || head_.status == 204) && chunked) return refuse(400, "Transfer-Encoding in an answer that has no body");
  if (head_.status == 101) return refuse(400, "the server switches to a protocol that was not asked for");
  if (informational || head_.status == 204 || head_.status == 304 || answers_head_) {
    head_.framing = Http1Framing::kNone;
    if (informational) head_.keep_alive = true;  // the final answer follows
    return true;
  }
  if (chunked) {
    head_.framing = Http1Framing::kChunked;
  } else if (has_length) {
    head_.framing = Http1Framing::kLength;
  } else {
    head_.framing = Http1Framing::kUntilClose;
    head_.keep_alive = false;
  }
  return true;
}

}  // namespace flexpert::codec::reference
