#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/http1.h"

/// HTTP/1.1 messages read in place and strictly: whatever two readers could read in two ways is refused. Nothing is copied or
/// allocated in the steady state, and the outcome does not depend on how the bytes are cut. Pure.
namespace flexpert::codec {

/// Fields that the data plane asks for; found while the head is read, so that asking costs an array access.
enum class Http1KnownField : std::uint8_t {
  kOther, kHost, kConnection, kContentLength, kContentType, kTransferEncoding, kExpect, kAuthorization, kAccept, kAcceptEncoding,
  kContentEncoding, kUserAgent, kTraceparent, kTracestate, kRetryAfter, kCacheControl, kDate, kServer, kKeepAlive, kUpgrade, kTe, kTrailer,
  kProxyConnection, kProxyAuthenticate, kProxyAuthorization, kXForwardedFor, kXRequestId, kXApiKey,
  kInternal /* X-Flexpert-* in any spelling */,
  kFramingLookalike /* Content_Length, Transfer_Encoding: refused, since WSGI and CGI take them for the fields of framing */, kCount
};

struct Http1FieldView {
  std::string_view name;
  std::string_view value;  ///< without surrounding white space
  Http1KnownField known = Http1KnownField::kOther;
};

/// What both kinds of heads have. Every view points into the buffer that was read.
struct Http1HeadView {
  int minor_version = 1;
  std::vector<Http1FieldView> fields;  ///< in the order received; its memory is kept between messages
  Http1Framing framing = Http1Framing::kNone;
  std::uint64_t content_length = 0;    ///< with kLength
  bool keep_alive = true;
  std::size_t size = 0;                ///< bytes of the head, its empty line included

  /// Returns the value of the first such field; a null view if there is none.
  [[nodiscard]] std::string_view find(Http1KnownField known) const {
    const std::uint16_t at = first_[static_cast<std::size_t>(known)];
    return at == 0 ? std::string_view{} : fields[at - 1].value;
  }
  /// Tells whether there is more than one field of a kind.
  [[nodiscard]] bool repeats(Http1KnownField known) const { return (repeated_ >> static_cast<unsigned>(known) & 1U) != 0; }
  /// The same by any name, without case.
  [[nodiscard]] std::string_view find(std::string_view name) const;

  std::uint32_t repeated_ = 0;  ///< a bit for each kind that there may be more than once
  std::uint16_t first_[static_cast<std::size_t>(Http1KnownField::kCount)] = {};  ///< index + 1 of the first field of each kind
};

struct Http1RequestView : Http1HeadView {
  std::string_view method;
  /// A path with an optional query, or "*". Of an absolute one it is what stands behind the host, which has to be that of Host.
  std::string_view target;
  bool expects_continue = false;
  [[nodiscard]] std::string_view path() const { return target.substr(0, target.find('?')); }
};

struct Http1ResponseView : Http1HeadView {
  int status = 0;
};

/// Tells which field a name means, without case. Names that begin with "X-Flexpert" once case and everything that is neither
/// letter nor digit are taken away are kInternal.
Http1KnownField http1_known_field(std::string_view name);

/// Makes every view of `head` point into `to` instead of `from`, where the same bytes were before.
void http1_rebase(Http1RequestView& head, const char* from, const char* to);

enum class Http1HeadOutcome { kNeedMore, kHead, kError };

/// Reads one head from the beginning of a buffer that grows. Call it with the same bytes and more, and the same head, while it
/// says kNeedMore: it goes on where it stopped, each byte is looked at once or twice. The bytes may have moved in between. What is
/// wrong in a line is told as soon as the line is there. One empty line before a request is skipped (RFC 9112, 2.2).
class Http1HeadReader {
 public:
  explicit Http1HeadReader(Http1Limits limits = {}) : limits_(limits), most_fields_(std::min<std::size_t>(limits.max_fields, 65'000)) {}

  Http1HeadOutcome read(std::string_view buffer, Http1RequestView& head);
  /// `answers_head`: the response answers a HEAD request, and so has no body.
  Http1HeadOutcome read(std::string_view buffer, Http1ResponseView& head, bool answers_head);
  [[nodiscard]] const Http1Error& error() const { return error_; }
  /// Forgets the message: the next buffer begins with another one.
  void reset() { base_ = nullptr; }

 private:
  template <class Head>
  Http1HeadOutcome read_lines(std::string_view buffer, Head& head);
  template <class Head>
  bool take_line(std::string_view line, Head& head);
  bool take_start_line(std::string_view line, Http1RequestView& head);
  bool take_start_line(std::string_view line, Http1ResponseView& head);
  bool take_absolute_target(Http1RequestView& head);
  bool add_field(Http1HeadView& head, const Http1FieldView& field);
  bool read_length(Http1HeadView& head, std::string_view value);
  bool read_connection(std::string_view value, bool& close, bool& keep);
  bool read_framing_fields(Http1HeadView& head, bool& has_length, bool& chunked);
  bool finish_head(Http1RequestView& head);
  bool check_closely(Http1RequestView& head);
  bool finish_head(Http1ResponseView& head, bool answers_head);
  bool refuse(int status, const char* message);

  Http1Limits limits_;
  std::size_t most_fields_;
  Http1Error error_;
  const char* base_ = nullptr;   ///< where the buffer was at the last call; null: no message has begun
  std::size_t taken_ = 0;        ///< bytes of whole lines that were read
  std::size_t searched_ = 0;     ///< bytes in which there is no further line end
  std::size_t skipped_ = 0;      ///< bytes of the empty line before the request
  std::size_t authority_at_ = 0; ///< of an absolute target, which names a host of its own
  std::size_t authority_size_ = 0;
  bool in_fields_ = false;
};

/// Takes the framing off a body, piece by piece. Trailer fields are checked and dropped.
class Http1BodyReader {
 public:
  explicit Http1BodyReader(Http1Limits limits = {}) : limits_(limits) {}
  void begin(Http1Framing framing, std::uint64_t content_length);
  /// Takes the next event out of `input`, from the first byte behind the head on: kBody, kEnd, kNeedMore or kError. Call it with
  /// the rest of the input until it says something else than kBody; an empty input may still give kEnd.
  Http1Step next(std::string_view input);
  /// The peer sends no more: kEnd if that ends the body, else kError.
  Http1Event finish();
  [[nodiscard]] const Http1Error& error() const { return error_; }

 private:
  Http1Limits limits_;
  Http1Error error_;
  enum class State : std::uint8_t { kLength, kUntilClose, kChunkSize, kChunkData, kChunkEnd, kTrailers, kDone, kFailed };

  bool refuse(int status, const char* message);
  /// Takes one line out of `input` from `at` on, whole or in pieces. Returns whether there was one, in `line`.
  bool take_line(std::string_view input, std::size_t& at, std::string_view& line);
  bool take_chunk_size(std::string_view line);
  bool take_trailer(std::string_view line);

  State state_ = State::kDone;
  std::uint64_t remaining_ = 0;      ///< of the body or chunk
  std::string line_;                 ///< the beginning of a line whose end has not come, then the whole line
  std::size_t line_bytes_ = 0;       ///< of this chunk-size line, chunk end or trailer section
  std::size_t trailer_fields_ = 0;
  bool line_done_ = false;
};

}  // namespace flexpert::codec
