#include "gateway/header_rules.h"

#include <array>
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
      if (field.known == Http1KnownField::kConnection && !codec::http1_equal_ignoring_case(field.value, "keep-alive") &&
          !codec::http1_equal_ignoring_case(field.value, "close"))
        any_ = true;
  }

  [[nodiscard]] bool has(std::string_view name) const {
    if (!any_) return false;
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
      if (!keeps(field) || listed.has(field.name)) continue;
      at = http::write_text(http::write_text(at, field.name), kColon);
      at = http::write_text(http::write_text(at, field.value), kEnd);
    }
    return at - text;
  });
}

bool is_hop_by_hop(Http1KnownField known) {
  switch (known) {
    case Http1KnownField::kConnection:
    case Http1KnownField::kKeepAlive:
    case Http1KnownField::kProxyConnection:
    case Http1KnownField::kProxyAuthenticate:
    case Http1KnownField::kProxyAuthorization:
    case Http1KnownField::kTe:
    case Http1KnownField::kTrailer:
    case Http1KnownField::kTransferEncoding:
    case Http1KnownField::kUpgrade:
    case Http1KnownField::kContentLength:
    case Http1KnownField::kInternal: return true;
    default: return false;
  }
}

bool kept_for_upstream(const Http1FieldView& field) {
  switch (field.known) {
    case Http1KnownField::kOther: return !is_steering(field.name);
    case Http1KnownField::kAuthorization:
    case Http1KnownField::kXApiKey:
    case Http1KnownField::kHost:
    case Http1KnownField::kExpect:
    case Http1KnownField::kAcceptEncoding:
    case Http1KnownField::kXForwardedFor:
    case Http1KnownField::kXRequestId:
    case Http1KnownField::kTraceparent:
    case Http1KnownField::kTracestate: return false;
    default: return !is_hop_by_hop(field.known);
  }
}

bool kept_for_client(const Http1FieldView& field, bool own_rate_limits) {
  constexpr std::string_view kRateLimit = "x-ratelimit-";
  switch (field.known) {
    case Http1KnownField::kOther:
      return !(own_rate_limits && field.name.size() > kRateLimit.size() &&
               codec::http1_equal_ignoring_case(field.name.substr(0, kRateLimit.size()), kRateLimit));
    case Http1KnownField::kDate:
    case Http1KnownField::kServer:
    case Http1KnownField::kXRequestId: return false;
    default: return !is_hop_by_hop(field.known);
  }
}

}  // namespace

void append_fields_for_upstream(std::string& lines, const codec::Http1RequestView& head) { append_kept(lines, head, kept_for_upstream); }

void append_fields_for_client(std::string& lines, const codec::Http1ResponseView& head, bool own_rate_limits) {
  append_kept(lines, head, [own_rate_limits](const Http1FieldView& field) { return kept_for_client(field, own_rate_limits); });
}

}  // namespace flexpert::gateway
