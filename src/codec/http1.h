#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// What the readers of HTTP/1.1 (RFC 9110, RFC 9112; see http1_view.h) share, and the writers for heads and chunks. Pure.
namespace flexpert::codec {

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

enum class Http1Event {
  kNeedMore,  ///< everything was consumed and the message is not over
  kHead,      ///< the head is complete
  kBody,      ///< `bytes` are part of the body
  kEnd,       ///< the message is over
  kError,     ///< error() says why; the connection is unusable
};

struct Http1Step {
  Http1Event event = Http1Event::kNeedMore;
  std::size_t consumed = 0;    ///< bytes of the input that are done with
  std::string_view bytes{};    ///< with kBody: a part of the input
};

/// Compares ASCII text without case.
bool http1_equal_ignoring_case(std::string_view a, std::string_view b);
/// Tells whether `text` is a token (RFC 9110, 5.6.2): what a method or a field name may be.
bool http1_is_token(std::string_view text);

/// Tells whether `text` may be a Host field's value: a name, an IPv4 address or an IPv6 address in brackets, with or without a port (RFC 9110, 7.2;
/// an empty name or port is not taken).
bool http1_is_host(std::string_view text);

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
