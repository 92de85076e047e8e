// Which field a name means: a switch on its length, then whole words compared without case.
#include <array>
#include <bit>
#include <cstring>
#include <type_traits>

#include "codec/http1_view.h"

namespace flexpert::codec {
namespace {

template <std::size_t Size>
struct Name {
  consteval Name(const char (&text)[Size]) {  // NOLINT: a literal as a template argument
    for (std::size_t i = 0; i < Size; ++i) characters[i] = text[i];
  }
  char characters[Size]{};
  static constexpr std::size_t kLength = Size - 1;
};

template <class Word>
Word load(const char* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

/// Returns a word of the name, or of its case bits: 0x20 where a letter stands, so that both cases become the lower one.
template <class Word, Name kName>
consteval Word word_of(std::size_t offset, bool case_bits) {
  std::array<char, sizeof(Word)> bytes{};
  for (std::size_t i = 0; i < sizeof(Word); ++i) {
    const char c = kName.characters[offset + i];
    bytes[i] = case_bits ? (c >= 'a' && c <= 'z' ? '\x20' : '\0') : c;
  }
  return std::bit_cast<Word>(bytes);
}

template <class Word, Name kName, std::size_t kOffset>
bool word_matches(const char* name) {
  constexpr Word kCase = word_of<Word, kName>(kOffset, true);
  constexpr Word kText = word_of<Word, kName>(kOffset, false);
  return static_cast<Word>(load<Word>(name + kOffset) | kCase) == kText;
}

/// Tells whether the text at `name`, of the same length, is kName without case; the last word overlaps the one before.
template <Name kName>
bool matches(const char* name) {
  constexpr std::size_t kLength = kName.kLength;
  static_assert(kLength == 2 || (kLength >= 4 && kLength <= 24));
  using Word = std::conditional_t<(kLength < 8), std::uint32_t, std::uint64_t>;
  if constexpr (kLength == 2) return word_matches<std::uint16_t, kName, 0>(name);
  else if constexpr (kLength <= 16) return word_matches<Word, kName, 0>(name) && word_matches<Word, kName, kLength - sizeof(Word)>(name);
  else return word_matches<Word, kName, 0>(name) && word_matches<Word, kName, 8>(name) && word_matches<Word, kName, kLength - 8>(name);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool is_internal(std::string_view name) {
  constexpr std::string_view kPrefix = "xflexpert";
  std::size_t matched = 0;
  for (const char raw : name) {
    const char c = lower(raw);
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) continue;
    if (c != kPrefix[matched]) return false;
    if (++matched == kPrefix.size()) return true;
  }
  return false;
}

}  // namespace

Http1KnownField http1_known_field(std::string_view name) {
  using enum Http1KnownField;
  const char* at = name.data();
  switch (name.size()) {
    case 2:
      if (matches<"te">(at)) return kTe;
      break;
    case 4:
      if (matches<"host">(at)) return kHost;
      if (matches<"date">(at)) return kDate;
      break;
    case 6:
      if (matches<"accept">(at)) return kAccept;
      if (matches<"server">(at)) return kServer;
      if (matches<"expect">(at)) return kExpect;
      break;
    case 7:
      if (matches<"upgrade">(at)) return kUpgrade;
      if (matches<"trailer">(at)) return kTrailer;
      break;
    case 9:
      if (matches<"x-api-key">(at)) return kXApiKey;
      break;
    case 10:
      if (matches<"user-agent">(at)) return kUserAgent;
      if (matches<"connection">(at)) return kConnection;
      if (matches<"keep-alive">(at)) return kKeepAlive;
      if (matches<"tracestate">(at)) return kTracestate;
      break;
    case 11:
      if (matches<"traceparent">(at)) return kTraceparent;
      if (matches<"retry-after">(at)) return kRetryAfter;
      break;
    case 12:
      if (matches<"content-type">(at)) return kContentType;
      if (matches<"x-request-id">(at)) return kXRequestId;
      break;
    case 13:
      if (matches<"authorization">(at)) return kAuthorization;
      if (matches<"cache-control">(at)) return kCacheControl;
      break;
    case 14:
      if (matches<"content-length">(at)) return kContentLength;
      if (matches<"content_length">(at)) return kFramingLookalike;
      break;
    case 15:
      if (matches<"accept-encoding">(at)) return kAcceptEncoding;
      if (matches<"x-forwarded-for">(at)) return kXForwardedFor;
      break;
    case 16:
      if (matches<"content-encoding">(at)) return kContentEncoding;
      if (matches<"proxy-connection">(at)) return kProxyConnection;
      break;
    case 17:
      if (matches<"transfer-encoding">(at)) return kTransferEncoding;
      if (matches<"transfer_encoding">(at)) return kFramingLookalike;
      break;
    case 18:
      if (matches<"proxy-authenticate">(at)) return kProxyAuthenticate;
      break;
    case 19:
      if (matches<"proxy-authorization">(at)) return kProxyAuthorization;
      break;
    default: break;
  }
  return is_internal(name) ? kInternal : kOther;
}

}  // namespace flexpert::codec
