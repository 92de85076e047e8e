#include "codec/internal_grant.h"

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "base/base64url.h"
#include "codec/little_endian.h"

namespace flexpert::codec {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kSignatureChars = base64url_size(32);
constexpr std::size_t kMostPayloadChars = kMostInternalGrantBytes - kInternalGrantPrefix.size() - 1 - kSignatureChars;
constexpr std::size_t kMostText = 0xFFFF;
constexpr std::uint8_t kLowestPriority = 2;
constexpr std::size_t kRequestBytes = 32 + 8 + 8 + 1 + 2;  ///< of a request's part, without its id

/// How the forbidden experts of a layer are written: whichever is shorter, runs if both are.
enum class SetForm : std::uint8_t { kRuns, kBitmap };

template <class Unsigned>
char* put_le(char* to, Unsigned value) {
  for (std::size_t i = 0; i < sizeof(Unsigned); ++i) *to++ = static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
  return to;
}

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(static_cast<unsigned char>(value | 0x80));
  out += static_cast<char>(static_cast<unsigned char>(value));
}

/// Pairs (experts between this run and the one before, experts in it less one).
std::string runs_of(std::span<const ExpertSlot> slots) {
  std::string out;
  std::uint64_t next = 0;
  for (std::size_t begin = 0; begin < slots.size();) {
    std::size_t end = begin + 1;
    while (end < slots.size() && slots[end].expert == slots[end - 1].expert + 1) ++end;
    append_varint(out, slots[begin].expert - next);
    append_varint(out, end - begin - 1);
    next = std::uint64_t{slots[end - 1].expert} + 1;
    begin = end;
  }
  return out;
}

std::string bitmap_of(std::span<const ExpertSlot> slots) {
  std::string out(slots.back().expert / 8 + 1, '\0');
  for (const ExpertSlot slot : slots) {
    char& byte = out[slot.expert / 8];
    byte = static_cast<char>(static_cast<unsigned char>(byte) | 1U << slot.expert % 8);
  }
  return out;
}

void append_layer(std::string& out, std::span<const ExpertSlot> slots) {
  const std::string runs = runs_of(slots);
  const bool bitmap = slots.back().expert / 8 + 1 < runs.size();
  append_le(out, slots.front().layer);
  out += static_cast<char>(bitmap ? SetForm::kBitmap : SetForm::kRuns);
  const std::string written = bitmap ? bitmap_of(slots) : runs;
  append_le(out, static_cast<std::uint32_t>(written.size()));
  out += written;
}

void append_set(std::string& out, const ExpertSet& set) {
  const std::span<const ExpertSlot> slots = set.slots();
  std::uint32_t layers = 0;
  std::string text;
  for (std::size_t begin = 0; begin < slots.size(); ++layers) {
    std::size_t end = begin;
    while (end < slots.size() && slots[end].layer == slots[begin].layer) ++end;
    append_layer(text, slots.subspan(begin, end - begin));
    begin = end;
  }
  append_le(out, layers);
  out += text;
}

Result<void> append_text(std::string& out, std::string_view text, std::string_view name) {
  if (text.size() > kMostText) return fail(ErrorCode::kInvalidArgument, "{}: longer than {} bytes", name, kMostText);
  append_le(out, static_cast<std::uint16_t>(text.size()));
  out += text;
  return {};
}

/// Reads what was written, and nothing else.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <class Unsigned>
  Result<Unsigned> number(std::string_view name) {
    FLEXPERT_ASSIGN(const std::string_view raw, take(sizeof(Unsigned), name));
    return load_le<Unsigned>(raw, 0);
  }
  Result<std::string> text(std::string_view name) {
    FLEXPERT_ASSIGN(const std::uint16_t size, number<std::uint16_t>(name));
    FLEXPERT_ASSIGN(const std::string_view raw, take(size, name));
    return std::string(raw);
  }
  Result<std::string_view> take(std::size_t size, std::string_view name) {
    if (bytes_.size() < size) return fail(ErrorCode::kInvalidArgument, "{}: the payload ends inside it", name);
    const std::string_view raw = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return raw;
  }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

std::unexpected<Error> bad_set(std::string_view what) { return fail(ErrorCode::kInvalidArgument, "forbidden: {}", what); }

Result<std::uint32_t> varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    if (bytes.empty()) break;
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) != 0) continue;
    if (value > UINT32_MAX || (byte == 0 && shift > 0)) break;
    return static_cast<std::uint32_t>(value);
  }
  return bad_set("a number is cut, too large or longer than it must be");
}

Result<void> read_runs(std::string_view bytes, std::uint32_t layer, std::vector<ExpertSlot>& slots) {
  std::uint64_t next = 0;
  for (bool first = true; !bytes.empty(); first = false) {
    FLEXPERT_ASSIGN(const std::uint32_t gap, varint(bytes));
    FLEXPERT_ASSIGN(const std::uint32_t more, varint(bytes));
    if (gap == 0 && !first) return bad_set("two runs touch");
    const std::uint64_t begin = next + gap;
    next = begin + more + 1;
    if (next > std::uint64_t{UINT32_MAX} + 1) return bad_set("an expert is out of range");
    if (slots.size() + more + 1 > kMostForbiddenExperts) return bad_set("too many experts");
    for (std::uint64_t expert = begin; expert < next; ++expert) slots.push_back({layer, static_cast<std::uint32_t>(expert)});
  }
  return {};
}

Result<void> read_bitmap(std::string_view bytes, std::uint32_t layer, std::vector<ExpertSlot>& slots) {
  if (bytes.back() == '\0') return bad_set("a bitmap ends with a byte of no expert");
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (unsigned bit = 0; bit < 8; ++bit) {
      if ((static_cast<unsigned char>(bytes[at]) >> bit & 1) == 0) continue;
      if (slots.size() == kMostForbiddenExperts) return bad_set("too many experts");
      slots.push_back({layer, static_cast<std::uint32_t>(at * 8 + bit)});
    }
  return {};
}

Result<ExpertSet> read_set(Reader& reader) {
  FLEXPERT_ASSIGN(const std::uint32_t layers, reader.number<std::uint32_t>("forbidden"));
  std::vector<ExpertSlot> slots;
  std::optional<std::uint32_t> before;
  for (std::uint32_t i = 0; i < layers; ++i) {
    FLEXPERT_ASSIGN(const std::uint32_t layer, reader.number<std::uint32_t>("forbidden"));
    FLEXPERT_ASSIGN(const std::uint8_t form, reader.number<std::uint8_t>("forbidden"));
    FLEXPERT_ASSIGN(const std::uint32_t size, reader.number<std::uint32_t>("forbidden"));
    FLEXPERT_ASSIGN(const std::string_view bytes, reader.take(size, "forbidden"));
    if (before && layer <= *before) return bad_set("layers do not ascend");
    if (bytes.empty()) return bad_set("a layer has no expert");
    before = layer;
    const std::size_t begin = slots.size();
    if (form == static_cast<std::uint8_t>(SetForm::kBitmap)) {
      FLEXPERT_TRY(read_bitmap(bytes, layer, slots));
    } else if (form == static_cast<std::uint8_t>(SetForm::kRuns)) {
      FLEXPERT_TRY(read_runs(bytes, layer, slots));
    } else {
      return bad_set("an unknown form of a layer");
    }
    const std::span<const ExpertSlot> of_layer = std::span(slots).subspan(begin);
    const bool bitmap = of_layer.back().expert / 8 + 1 < runs_of(of_layer).size();
    if (bitmap != (form == static_cast<std::uint8_t>(SetForm::kBitmap))) return bad_set("a layer is not in its shortest form");
  }
  return ExpertSet(std::move(slots));
}

Result<std::int64_t> read_time(Reader& reader, std::string_view name) {
  FLEXPERT_ASSIGN(const std::uint64_t value, reader.number<std::uint64_t>(name));
  if (value > INT64_MAX) return fail(ErrorCode::kInvalidArgument, "{}: negative", name);
  return static_cast<std::int64_t>(value);
}

}  // namespace

Result<InternalGrantForm> InternalGrantForm::make(const InternalGrantRights& rights) {
  std::string bytes;
  append_le(bytes, kVersion);
  FLEXPERT_TRY(append_text(bytes, rights.tenant, "tenant"));
  FLEXPERT_TRY(append_text(bytes, rights.model, "model"));
  FLEXPERT_TRY(append_text(bytes, rights.policy_revision, "policy_revision"));
  FLEXPERT_TRY(append_text(bytes, rights.rights_digest, "rights_digest"));
  if (rights.forbidden.slots().size() > kMostForbiddenExperts)
    return fail(ErrorCode::kInvalidArgument, "forbidden: {} experts, {} can be said", rights.forbidden.slots().size(),
        kMostForbiddenExperts);
  append_set(bytes, rights.forbidden);
  if (base64url_size(bytes.size()) > kMostPayloadChars) return fail(ErrorCode::kInvalidArgument, "grant: longer than a field can be");
  InternalGrantForm form;
  const std::size_t whole = bytes.size() / 3 * 3;
  append_base64url(form.text_, std::string_view(bytes).substr(0, whole));
  form.rest_ = bytes.substr(whole);
  return form;
}

Result<void> InternalGrantForm::append_payload(std::string& out, const InternalGrantRequest& request) const {
  if (request.expires_unix_ms < 0) return fail(ErrorCode::kInvalidArgument, "expires_unix_ms: negative");
  if (request.deadline_unix_ms < 0) return fail(ErrorCode::kInvalidArgument, "deadline_unix_ms: negative");
  if (request.priority > kLowestPriority)
    return fail(ErrorCode::kInvalidArgument, "priority: {} is over {}", request.priority, kLowestPriority);
  if (request.request_id.size() > kMostText ||
      text_.size() + base64url_size(rest_.size() + kRequestBytes + request.request_id.size()) > kMostPayloadChars)
    return fail(ErrorCode::kInvalidArgument, "grant: longer than a field can be");
  out += text_;
  const std::size_t from = out.size();
  std::array<char, kRequestBytes> fixed;
  char* at = std::copy(request.body_sha256.begin(), request.body_sha256.end(), fixed.begin());
  at = put_le(at, static_cast<std::uint64_t>(request.expires_unix_ms));
  at = put_le(at, static_cast<std::uint64_t>(request.deadline_unix_ms));
  at = put_le(at, request.priority);
  put_le(at, static_cast<std::uint16_t>(request.request_id.size()));
  out += rest_;
  out.append(fixed.data(), fixed.size());
  out += request.request_id;
  encode_base64url_from(out, from);
  return {};
}

Result<std::string> internal_grant_payload(const InternalGrant& grant) {
  FLEXPERT_ASSIGN(const InternalGrantForm form, InternalGrantForm::make(grant.rights));
  std::string out;
  FLEXPERT_TRY(form.append_payload(out, {.request_id = grant.request_id,
                                         .body_sha256 = grant.body_sha256,
                                         .expires_unix_ms = grant.expires_unix_ms,
                                         .deadline_unix_ms = grant.deadline_unix_ms,
                                         .priority = grant.priority}));
  return out;
}

std::string internal_grant_value(std::string_view payload, const std::array<std::uint8_t, 32>& signature) {
  std::string value;
  value.reserve(kInternalGrantPrefix.size() + payload.size() + 1 + kSignatureChars);
  value += kInternalGrantPrefix;
  value += payload;
  append_internal_grant_signature(value, signature);
  return value;
}

void append_internal_grant_signature(std::string& value, const std::array<std::uint8_t, 32>& signature) {
  value += '.';
  append_base64url(value, {reinterpret_cast<const char*>(signature.data()), signature.size()});
}

Result<SplitInternalGrant> split_internal_grant(std::string_view value) {
  if (value.size() > kMostInternalGrantBytes)
    return fail(ErrorCode::kInvalidArgument, "grant: longer than {} bytes", kMostInternalGrantBytes);
  if (!value.starts_with(kInternalGrantPrefix)) return fail(ErrorCode::kInvalidArgument, "grant: not of version 1");
  value.remove_prefix(kInternalGrantPrefix.size());
  const std::size_t dot = value.find('.');
  if (dot == std::string_view::npos) return fail(ErrorCode::kInvalidArgument, "grant: no signature");
  SplitInternalGrant split{.payload = value.substr(0, dot)};
  FLEXPERT_ASSIGN(const std::string signature, from_base64url(value.substr(dot + 1)));
  if (signature.size() != split.signature.size())
    return fail(ErrorCode::kInvalidArgument, "grant: a signature of {} bytes", signature.size());
  std::copy(signature.begin(), signature.end(), reinterpret_cast<char*>(split.signature.data()));
  return split;
}

Result<InternalGrant> parse_internal_grant(std::string_view payload) {
  if (payload.size() > kMostPayloadChars) return fail(ErrorCode::kInvalidArgument, "grant: longer than a field can be");
  FLEXPERT_ASSIGN(const std::string bytes, from_base64url(payload));
  Reader reader(bytes);
  FLEXPERT_ASSIGN(const std::uint8_t version, reader.number<std::uint8_t>("version"));
  if (version != kVersion) return fail(ErrorCode::kInvalidArgument, "version: {} is not known", version);
  InternalGrant grant;
  FLEXPERT_ASSIGN(grant.rights.tenant, reader.text("tenant"));
  FLEXPERT_ASSIGN(grant.rights.model, reader.text("model"));
  FLEXPERT_ASSIGN(grant.rights.policy_revision, reader.text("policy_revision"));
  FLEXPERT_ASSIGN(grant.rights.rights_digest, reader.text("rights_digest"));
  FLEXPERT_ASSIGN(grant.rights.forbidden, read_set(reader));
  FLEXPERT_ASSIGN(const std::string_view digest, reader.take(grant.body_sha256.size(), "body_sha256"));
  std::copy(digest.begin(), digest.end(), reinterpret_cast<char*>(grant.body_sha256.data()));
  FLEXPERT_ASSIGN(grant.expires_unix_ms, read_time(reader, "expires_unix_ms"));
  FLEXPERT_ASSIGN(grant.deadline_unix_ms, read_time(reader, "deadline_unix_ms"));
  FLEXPERT_ASSIGN(grant.priority, reader.number<std::uint8_t>("priority"));
  if (grant.priority > kLowestPriority)
    return fail(ErrorCode::kInvalidArgument, "priority: {} is over {}", grant.priority, kLowestPriority);
  FLEXPERT_ASSIGN(grant.request_id, reader.text("request_id"));
  if (!reader.empty()) return fail(ErrorCode::kInvalidArgument, "grant: bytes after its end");
  return grant;
}

}  // namespace flexpert::codec
