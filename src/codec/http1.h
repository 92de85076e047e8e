#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// A strict HTTP/1.1 message parser (RFC 9110, RFC 9112) and the writers for heads and chunks. Whatever two parsers
/// could read in two ways is refused. Pure: bytes in, events out. The outcome does not depend on how the bytes are cut.
namespace flexpert::codec {

/// Header fields as name and value, in the order received.
using Http1Fields = std::vector<std::pair<std::string, std::string>>;

/// Why a message was refused, with the status that a server answers.
struct Http1Error {
  int status = 400;
  std::string message;
};

struct Http1Limits {
  std::size_t max_head_bytes = 32 * 1024;  ///< start line and fields with their line ends; trailers have as much again
  std::size_t max_fields = 128;
};

enum class Http1Framing { kNone, kLength, kChunked, kUntilClose };

/// What both kinds of heads have.
struct Http1Head {
  int minor_version = 1;             ///< HTTP/1.0 or HTTP/1.1
  Http1Fields fields{};
  Http1Framing framing = Http1Framing::kNone;
  std::uint64_t content_length = 0;  ///< with kLength
  bool keep_alive = true;            ///< the connection may carry another message afterwards
};

struct Http1RequestHead : Http1Head {
  std::string method{};   ///< GET, HEAD, POST, PUT, DELETE, PATCH or OPTIONS; others are refused with 501
  std::string target{};   ///< origin form ("/path?query"), or "*" with OPTIONS
  bool expects_continue = false;
};

struct Http1ResponseHead : Http1Head {
  int status = 0;  ///< 100 to 599
};

enum class Http1Event {
  kNeedMore,  ///< everything was consumed and the message is not over
  kHead,      ///< head() is complete
  kBody,      ///< `bytes` are part of the body
  kEnd,       ///< the message is over; next() goes on with the one that follows
  kError,     ///< error() says why; the connection is unusable
};

struct Http1Step {
  Http1Event event = Http1Event::kNeedMore;
  std::size_t consumed = 0;    ///< bytes of the input that are done with
  std::string_view bytes{};    ///< with kBody: a part of the input
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
  void begin_message() override { head_ = {}; }
  [[nodiscard]] bool tolerates_empty_line() const override { return true; }

  Http1RequestHead head_;
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

/// Compares ASCII text without case.
bool http1_equal_ignoring_case(std::string_view a, std::string_view b);
/// Tells whether `text` is a token (RFC 9110, 5.6.2): what a method or a field name may be.
bool http1_is_token(std::string_view text);

/// Tells whether `text` is a request target in origin form: a path with an optional query, properly percent-encoded.
bool http1_is_target(std::string_view text);

/// Appends "METHOD TARGET HTTP/1.1\r\n".
void append_http1_request_line(std::string& out, std::string_view method, std::string_view target);
/// Appends "HTTP/1.1 STATUS REASON\r\n".
void append_http1_status_line(std::string& out, int status, std::string_view reason);
/// Appends "Name: value\r\n". Control characters in the value become spaces, and a field whose name is not a token is
/// left out, so that no value can smuggle a line of its own.
void append_http1_field(std::string& out, std::string_view name, std::string_view value);
/// Returns the size line that goes before a chunk of `bytes`, which must not be 0; after the chunk goes "\r\n".
std::string http1_chunk_prefix(std::size_t bytes);
inline constexpr std::string_view kHttp1LastChunk = "0\r\n\r\n";

}  // namespace flexpert::codec
