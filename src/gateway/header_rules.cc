#include "gateway/header_rules.h"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "http/answer_head.h"

namespace flexpert::gateway {
namespace {

using codec::Http1FieldView;
using codec::Http1KnownField;

/// What engines and balancers behind us take as orders, or as the truth about the client.
constexpr std::array<std::string_view, 12> kSteering{
    "Forwarded",    "X-Forwarded-Host",     "X-Forwarded-Proto",   "X-Forwarded-Port", "X-Real-IP",           "X-Expert-Access-Token",
    "X-Session-ID", "X-Data-Parallel-Rank", "X-Worker-Instance-ID", "X-Tenant-ID",      "X-Dp-Rank",           "X-HTTP-Method-Override"};

bool is_steering(std::string_view name) {
  for (const std::string_view other : kSteering)
    if (name.size() == other.size() && codec::http1_equal_ignoring_case(name, other)) return true;
  return name.size() > 10 && codec::http1_equal_ignoring_case(name.substr(0, 10), "X-Gateway-");
}

/// Names that Connection fields list are hop-by-hop too (RFC 9110, 7.6.1). Almost nobody lists any.
class Listed {
 public:
  explicit Listed(const codec::Http1HeadView& head) : head_(head) {
    if (head.find(Http1KnownField::kConnection).data() == nullptr) return;
    for (const Http1FieldView& field : head.fields)
      if (field.known == Http1KnownField::kConnection && field.value != "keep-alive" && field.value != "close") any_ = true;
  }

  [[nodiscard]] bool any() const { return any_; }
  [[nodiscard]] bool has(std::string_view name) const {
    for (const Http1FieldView& field : head_.fields)
      if (field.known == Http1KnownField::kConnection && lists(field.value, name)) return true;
    return false;
  }

 private:
  static bool lists(std::string_view value, std::string_view name) {
    while (!value.empty()) {
      const std::size_t comma = value.find(',');
      std::string_view item = value.substr(0, comma);
      while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
      while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
      if (codec::http1_equal_ignoring_case(item, name)) return true;
      if (comma == std::string_view::npos) return false;
      value.remove_prefix(comma + 1);
    }
    return false;
  }

  const codec::Http1HeadView& head_;
  bool any_ = false;
};

/// Appends the fields that `keeps` says as lines. Whoever read the head has checked names and values.
template <class Keeps>
void append_kept(std::string& lines, const codec::Http1HeadView& head, Keeps keeps) {
  constexpr std::string_view kColon = ": ";
  constexpr std::string_view kEnd = "\r\n";
  const Listed listed(head);
  const std::size_t before = lines.size();
  std::size_t most = before;
  for (const Http1FieldView& field : head.fields) most += field.name.size() + kColon.size() + field.value.size() + kEnd.size();
  lines.resize_and_overwrite(most, [&](char* text, std::size_t) {
    char* at = text + before;
    for (const Http1FieldView& field : head.fields) {
      if (!keeps(field) || (listed.any() && listed.has(field.name))) continue;
      at = http::write_text(http::write_text(at, field.name), kColon);
      at = http::write_text(http::write_text(at, field.value), kEnd);
    }
    return at - text;
  });
}

/// A bit for each kind of field.
constexpr std::uint32_t bits_of(std::initializer_list<Http1KnownField> kinds) {
  std::uint32_t bits = 0;
  for (const Http1KnownField kind : kinds) bits |= std::uint32_t{1} << static_cast<unsigned>(kind);
  return bits;
}
static_assert(static_cast<unsigned>(Http1KnownField::kCount) <= 32);

constexpr bool among(std::uint32_t bits, Http1KnownField known) { return (bits >> static_cast<unsigned>(known) & 1U) != 0; }

constexpr std::uint32_t kHopByHop =
    bits_of({Http1KnownField::kConnection, Http1KnownField::kKeepAlive, Http1KnownField::kProxyConnection, Http1KnownField::kProxyAuthenticate,
             Http1KnownField::kProxyAuthorization, Http1KnownField::kTe, Http1KnownField::kTrailer, Http1KnownField::kTransferEncoding,
             Http1KnownField::kUpgrade, Http1KnownField::kContentLength, Http1KnownField::kInternal});
constexpr std::uint32_t kNotForUpstream =
    kHopByHop | bits_of({Http1KnownField::kAuthorization, Http1KnownField::kXApiKey, Http1KnownField::kHost, Http1KnownField::kExpect,
                         Http1KnownField::kAcceptEncoding, Http1KnownField::kXForwardedFor, Http1KnownField::kXRequestId,
                         Http1KnownField::kTraceparent, Http1KnownField::kTracestate});
constexpr std::uint32_t kNotForClient = kHopByHop | bits_of({Http1KnownField::kDate, Http1KnownField::kServer, Http1KnownField::kXRequestId});

bool kept_for_upstream(const Http1FieldView& field) {
  if (field.known != Http1KnownField::kOther) return !among(kNotForUpstream, field.known);
  // Behind CGI and WSGI nobody can tell '_' from '-'.
  return field.name.find('_') == std::string_view::npos && !is_steering(field.name);
}

bool kept_for_client(const Http1FieldView& field, bool own_rate_limits) {
  constexpr std::string_view kRateLimit = "x-ratelimit-";
  if (field.known != Http1KnownField::kOther) return !among(kNotForClient, field.known);
  return !(own_rate_limits && field.name.size() > kRateLimit.size() &&
           codec::http1_equal_ignoring_case(field.name.substr(0, kRateLimit.size()), kRateLimit));
}

}  // namespace

void append_fields_for_upstream(std::string& lines, const codec::Http1RequestView& head) { append_kept(lines, head, kept_for_upstream); }

void append_fields_for_client(std::string& lines, const codec::Http1ResponseView& head, bool own_rate_limits) {
  append_kept(lines, head, [own_rate_limits](const Http1FieldView& field) { return kept_for_client(field, own_rate_limits); });
}

}  // namespace flexpert::gateway
