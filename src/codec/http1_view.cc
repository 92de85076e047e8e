// Reads heads in place. Lines that are as they should be are read in one pass (http1_scan.h); any other goes through take_line(),
// which says what is wrong with it.
#include "codec/http1_view.h"

#include <algorithm>
#include <cstring>

#include "codec/http1_chars.h"
#include "codec/http1_scan.h"

namespace flexpert::codec {
namespace {

using namespace http1_chars;
using namespace http1_scan;

constexpr std::size_t kMaxLengthDigits = 18;

constexpr std::uint32_t bit(Http1KnownField known) { return std::uint32_t{1} << static_cast<unsigned>(known); }
static_assert(static_cast<unsigned>(Http1KnownField::kCount) <= 32);

/// What a request may have once only: whoever takes the first would read another request than whoever takes the last.
constexpr std::uint32_t kOnce = bit(Http1KnownField::kHost) | bit(Http1KnownField::kContentType) | bit(Http1KnownField::kContentEncoding);
/// The same of fields that frame a message; Connection may come often, but then it is read field by field.
constexpr std::uint32_t kFraming = bit(Http1KnownField::kContentLength) | bit(Http1KnownField::kConnection);

bool known_method(std::string_view method) {
  switch (method.size()) {
    case 3: return method == "GET" || method == "PUT";
    case 4: return method == "POST" || method == "HEAD";
    case 5: return method == "PATCH";
    case 6: return method == "DELETE";
    case 7: return method == "OPTIONS";
    default: return false;
  }
}

/// Splits off what stands before the next comma.
std::string_view next_element(std::string_view& list) {
  const std::size_t comma = list.find(',');
  const std::string_view element = trimmed(list.substr(0, comma));
  list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  return element;
}

/// Tells whether `list` is proper, but has transfer codings that we do not undo.
bool other_codings(std::string_view list) {
  if (http1_is_token(list)) return !http1_equal_ignoring_case(list, "identity");
  while (true) {
    const bool last = list.find(',') == std::string_view::npos;
    const std::string_view coding = next_element(list);
    if (!http1_is_token(coding) || http1_equal_ignoring_case(coding, "identity")) return false;
    if (last != http1_equal_ignoring_case(coding, "chunked")) return false;
    if (last) return true;
  }
}

/// Returns 0 or 1 for HTTP/1.0 and HTTP/1.1, -1 for another version of HTTP, -2 for anything else.
int minor_version_of(std::string_view text) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  const bool version = text.size() == 8 && text.starts_with("HTTP/") && is(text[5], kDigit) && text[6] == '.' && is(text[7], kDigit);
  return version ? -1 : -2;
}

void begin(Http1HeadView& head) {
  head.minor_version = 1;
  head.fields.clear();
  head.framing = Http1Framing::kNone;
  head.content_length = 0;
  head.keep_alive = true;
  head.size = 0;
  std::memset(head.first_, 0, sizeof head.first_);
  head.repeated_ = 0;
}

void begin(Http1RequestView& head) {
  begin(static_cast<Http1HeadView&>(head));
  head.method = {};
  head.target = {};
}

void move_view(std::string_view& view, const char* from, const char* to) {
  if (view.data() != nullptr) view = {to + (view.data() - from), view.size()};
}

void rebase_fields(Http1HeadView& head, const char* from, const char* to) {
  for (Http1FieldView& field : head.fields) {
    move_view(field.name, from, to);
    move_view(field.value, from, to);
  }
}

void rebase(Http1RequestView& head, const char* from, const char* to) { http1_rebase(head, from, to); }
void rebase(Http1ResponseView& head, const char* from, const char* to) { rebase_fields(head, from, to); }

constexpr bool tolerates_empty_line(const Http1RequestView&) { return true; }
constexpr bool tolerates_empty_line(const Http1ResponseView&) { return false; }

}  // namespace

std::string_view Http1HeadView::find(std::string_view name) const {
  for (const Http1FieldView& field : fields)
    if (http1_equal_ignoring_case(field.name, name)) return field.value;
  return {};
}

void http1_rebase(Http1RequestView& head, const char* from, const char* to) {
  move_view(head.method, from, to);
  move_view(head.target, from, to);
  rebase_fields(head, from, to);
}

bool Http1HeadReader::refuse(int status, const char* message) {
  error_ = {status, message};
  return false;
}

Http1HeadOutcome Http1HeadReader::read(std::string_view buffer, Http1RequestView& head) {
  const Http1HeadOutcome outcome = read_lines(buffer, head);
  if (outcome != Http1HeadOutcome::kHead) return outcome;
  return finish_head(head) ? outcome : Http1HeadOutcome::kError;
}

Http1HeadOutcome Http1HeadReader::read(std::string_view buffer, Http1ResponseView& head, bool answers_head) {
  const Http1HeadOutcome outcome = read_lines(buffer, head);
  if (outcome != Http1HeadOutcome::kHead) return outcome;
  return finish_head(head, answers_head) ? outcome : Http1HeadOutcome::kError;
}

template <class Head>
Http1HeadOutcome Http1HeadReader::read_lines(std::string_view buffer, Head& head) {
  if (base_ == nullptr) {
    begin(head);
    taken_ = 0;
    searched_ = 0;
    skipped_ = 0;
    authority_size_ = 0;
    in_fields_ = false;
  } else if (base_ != buffer.data()) {
    rebase(head, base_, buffer.data());
  }
  base_ = buffer.data();
  const char* const end = buffer.data() + buffer.size();
  while (true) {
    const char* const line = buffer.data() + taken_;
    if (in_fields_ && searched_ == taken_) {
      // What is over a limit is left to the slow way.
      const char* const last = buffer.size() - skipped_ > limits_.max_head_bytes ? buffer.data() + skipped_ + limits_.max_head_bytes : end;
      const char* const at = read_fields(line, last, most_fields_, head);
      taken_ = static_cast<std::size_t>(at - buffer.data());
      searched_ = taken_;
      if (end - at >= 2 && at[0] == '\r' && at[1] == '\n' && at + 2 <= last) {
        taken_ += 2;
        head.size = taken_;
        return Http1HeadOutcome::kHead;
      }
    }
    if (!in_fields_ && searched_ == skipped_) {
      const char* const next = read_start_line(line, end, head);
      if (next != nullptr && static_cast<std::size_t>(next - line) <= limits_.max_head_bytes) {
        taken_ = static_cast<std::size_t>(next - buffer.data());
        searched_ = taken_;
        in_fields_ = true;
        continue;
      }
    }
    const std::size_t newline = buffer.find('\n', searched_);
    const std::size_t seen = newline == std::string_view::npos ? buffer.size() : newline + 1;
    if (seen - skipped_ > limits_.max_head_bytes) return refuse(431, "the header section is larger than allowed"), Http1HeadOutcome::kError;
    searched_ = seen;
    if (newline == std::string_view::npos) return Http1HeadOutcome::kNeedMore;
    std::string_view text = buffer.substr(taken_, newline - taken_);
    if (!text.ends_with('\r')) return refuse(400, "a line ends in LF without CR"), Http1HeadOutcome::kError;
    text.remove_suffix(1);
    taken_ = seen;
    if (text.empty() && in_fields_) {
      head.size = taken_;
      return Http1HeadOutcome::kHead;
    }
    if (text.empty() && tolerates_empty_line(head) && skipped_ == 0) {
      skipped_ = taken_;
      continue;
    }
    if (!take_line(text, head)) return Http1HeadOutcome::kError;
  }
}

template <class Head>
bool Http1HeadReader::take_line(std::string_view line, Head& head) {
  if (!in_fields_) {
    in_fields_ = true;
    return take_start_line(line, head);
  }
  if (is_blank(line.front())) return refuse(400, "a header line begins with white space (line folding is not allowed)");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return refuse(400, "a header line has no colon");
  const std::string_view name = line.substr(0, colon);
  if (!http1_is_token(name)) return refuse(400, "a header name is empty or has a character that is not allowed");
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (!all(value, kFieldValue)) return refuse(400, "a header value has a control character");
  const Http1KnownField known = http1_known_field(name);
  if (known == Http1KnownField::kFramingLookalike) return refuse(400, "a header name is one of framing but for an underscore");
  return add_field(head, {.name = name, .value = value, .known = known});
}

bool Http1HeadReader::add_field(Http1HeadView& head, const Http1FieldView& field) {
  if (head.fields.size() >= most_fields_) return refuse(431, "too many header fields");
  head.fields.push_back(field);
  note_field(head, field.known);
  return true;
}

bool Http1HeadReader::take_start_line(std::string_view line, Http1RequestView& head) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return refuse(400, "the request line is not METHOD TARGET HTTP/1.1");
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  if (!http1_is_token(head.method)) return refuse(400, "the method has a character that is not allowed");
  const int version = minor_version_of(line.substr(last + 1));
  if (version == -1) return refuse(505, "this version of HTTP is not supported; use HTTP/1.1");
  if (version < 0) return refuse(400, "the request line does not end in HTTP/1.1");
  head.minor_version = version;
  if (!known_method(head.method)) return refuse(501, "the method is not supported");
  if (http1_is_target(head.target) || (head.target == "*" && head.method == "OPTIONS")) return true;
  if (take_absolute_target(head) && http1_is_target(head.target)) return true;
  return refuse(400, "the request target is not a path with an optional query, or has a character that must be percent-encoded");
}

/// Makes the path of an absolute target the target (RFC 9112, 3.2.2): nobody behind us is asked for another host than Host says.
bool Http1HeadReader::take_absolute_target(Http1RequestView& head) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!http1_equal_ignoring_case(head.target.substr(0, scheme.size()), scheme)) continue;
    const std::string_view rest = head.target.substr(scheme.size());
    const std::string_view authority = rest.substr(0, rest.find('/'));
    authority_at_ = static_cast<std::size_t>(authority.data() - base_);
    authority_size_ = authority.size();
    head.repeated_ |= bit(Http1KnownField::kHost);  // there are two: check_closely() has to look
    head.target = authority.size() < rest.size() ? rest.substr(authority.size()) : head.target.substr(scheme.size() - 1, 1);
    return http1_is_host(authority);
  }
  return false;
}

bool Http1HeadReader::take_start_line(std::string_view line, Http1ResponseView& head) {
  const int version = minor_version_of(line.substr(0, 8));
  if (version == -1) return refuse(505, "the answer has a version of HTTP that is not supported");
  if (version < 0 || line.size() < 12 || line[8] != ' ' || !all(line.substr(9, 3), kDigit))
    return refuse(400, "the status line is not HTTP/1.1 STATUS REASON");
  head.minor_version = version;
  head.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (head.status < 100 || head.status > 599) return refuse(400, "the status is not between 100 and 599");
  if (line.size() > 12 && (line[12] != ' ' || !all(line.substr(13), kFieldValue)))
    return refuse(400, "the reason has a character that is not allowed");
  return true;
}

bool Http1HeadReader::read_length(Http1HeadView& head, std::string_view value) {
  if (value.empty() || !all(value, kDigit)) return refuse(400, "Content-Length is not a number");
  while (value.size() > 1 && value.front() == '0') value.remove_prefix(1);
  if (value.size() > kMaxLengthDigits) return refuse(400, "Content-Length is too large");
  for (const char digit : value) head.content_length = head.content_length * 10 + static_cast<std::uint64_t>(digit - '0');
  return true;
}

bool Http1HeadReader::read_connection(std::string_view value, bool& close, bool& keep) {
  while (!value.empty()) {
    const std::string_view option = next_element(value);
    if (option.empty()) continue;
    if (!http1_is_token(option)) return refuse(400, "Connection is malformed");
    close = close || http1_equal_ignoring_case(option, "close");
    keep = keep || http1_equal_ignoring_case(option, "keep-alive");
  }
  return true;
}

bool Http1HeadReader::read_framing_fields(Http1HeadView& head, bool& has_length, bool& chunked) {
  using enum Http1KnownField;
  bool close = false;
  bool keep = false;
  const std::string_view connection = head.find(kConnection);
  const bool usual = connection.data() == nullptr || connection == "keep-alive";
  if (usual && (head.repeated_ & kFraming) == 0 && head.find(kTransferEncoding).data() == nullptr) {
    keep = connection.data() != nullptr;
    has_length = head.find(kContentLength).data() != nullptr;
    if (has_length && !read_length(head, head.find(kContentLength))) return false;
    head.keep_alive = head.minor_version == 1 || keep;
    return true;
  }
  for (const Http1FieldView& field : head.fields) {
    if (field.known == kContentLength) {
      if (has_length) return refuse(400, "Content-Length is given twice");
      if (!read_length(head, field.value)) return false;
      has_length = true;
    } else if (field.known == kTransferEncoding) {
      if (chunked) return refuse(400, "Transfer-Encoding is given twice");
      if (!http1_equal_ignoring_case(field.value, "chunked")) {
        return refuse(other_codings(field.value) ? 501 : 400, "Transfer-Encoding is not 'chunked', the only one supported");
      }
      chunked = true;
    } else if (field.known == kConnection && !read_connection(field.value, close, keep)) {
      return false;
    }
  }
  if (has_length && chunked) return refuse(400, "Content-Length and Transfer-Encoding are given together");
  if (chunked && head.minor_version == 0) return refuse(400, "Transfer-Encoding in an HTTP/1.0 message");
  head.keep_alive = !close && (head.minor_version == 1 || keep);
  return true;
}

bool Http1HeadReader::finish_head(Http1RequestView& head) {
  bool has_length = false;
  bool chunked = false;
  head.expects_continue = false;
  if (!read_framing_fields(head, has_length, chunked)) return false;
  if ((head.repeated_ & kOnce) != 0 || head.find(Http1KnownField::kExpect).data() != nullptr) {
    if (!check_closely(head)) return false;
  } else if (const std::string_view host = head.find(Http1KnownField::kHost); host.data() != nullptr && !http1_is_host(host)) {
    return refuse(400, "Host is not a name or an address with or without a port");
  }
  if (head.find(Http1KnownField::kHost).data() == nullptr && head.minor_version == 1) return refuse(400, "Host is missing");
  head.framing = chunked ? Http1Framing::kChunked : has_length ? Http1Framing::kLength : Http1Framing::kNone;
  return true;
}

/// Looks at every field of a head that names its host twice, in whatever way, has something that there may be once, or expects something.
bool Http1HeadReader::check_closely(Http1RequestView& head) {
  std::uint32_t seen = 0;
  for (const Http1FieldView& field : head.fields) {
    if (field.known == Http1KnownField::kHost) {
      if ((seen & bit(field.known)) != 0) return refuse(400, "Host is given twice");
      if (!http1_is_host(field.value)) return refuse(400, "Host is not a name or an address with or without a port");
      if (authority_size_ > 0 && !http1_equal_ignoring_case(field.value, {base_ + authority_at_, authority_size_}))
        return refuse(400, "the request target and Host name different hosts");
    } else if ((seen & kOnce & bit(field.known)) != 0) {
      return refuse(400, "Content-Type or Content-Encoding is given twice");
    } else if (field.known == Http1KnownField::kExpect && head.minor_version == 1) {
      if (!http1_equal_ignoring_case(field.value, "100-continue")) return refuse(417, "the only expectation supported is 100-continue");
      head.expects_continue = true;
    }
    seen |= bit(field.known);
  }
  return true;
}

bool Http1HeadReader::finish_head(Http1ResponseView& head, bool answers_head) {
  bool has_length = false;
  bool chunked = false;
  if (!read_framing_fields(head, has_length, chunked)) return false;
  const bool informational = head.status < 200;
  if ((informational || head.status == 204) && chunked) return refuse(400, "Transfer-Encoding in an answer that has no body");
  if (head.status == 101) return refuse(400, "the server switches to a protocol that was not asked for");
  if (informational || head.status == 204 || head.status == 304 || answers_head) {
    if (informational) head.keep_alive = true;  // the final answer follows
    return true;
  }
  head.framing = chunked ? Http1Framing::kChunked : has_length ? Http1Framing::kLength : Http1Framing::kUntilClose;
  if (head.framing == Http1Framing::kUntilClose) head.keep_alive = false;
  return true;
}

}  // namespace flexpert::codec
