#pragma once

#include "codec/tests/http1_reference.h"

/// The reference's start lines, and what the fields of a head say about its body.
namespace flexpert::codec::reference {

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
