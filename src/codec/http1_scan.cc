#include "codec/http1_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "codec/http1_chars.h"

namespace flexpert::codec::http1_scan {
namespace {

using namespace http1_chars;

#ifdef __SSE2__
constexpr std::ptrdiff_t kBlock = 16;

__m128i block_at(const char* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }

/// Returns a bit for every byte that is not a letter, a digit or '-'.
unsigned not_plain(__m128i bytes) {
  const auto between = [](__m128i value, char first, char last) {
    const __m128i above = _mm_cmpgt_epi8(value, _mm_set1_epi8(static_cast<char>(first - 1)));
    return _mm_and_si128(above, _mm_cmpgt_epi8(_mm_set1_epi8(static_cast<char>(last + 1)), value));
  };
  const __m128i letter = between(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 'z');
  const __m128i rest = _mm_or_si128(between(bytes, '0', '9'), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(letter, rest))) ^ 0xffffU;
}

/// Returns a bit for every control character.
unsigned controls(__m128i bytes) {
  const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)))));
}
#endif

/// Reads a name. Returns the byte behind it, or null if that is not the colon of a proper name.
[[gnu::always_inline]] inline const char* read_name(const char* at, const char* end, Http1KnownField& known) {
#ifdef __SSE2__
  if (end - at >= kBlock) {
    const __m128i block = block_at(at);
    const auto colons = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(':'))));
    if (colons != 0) {
      const auto size = static_cast<unsigned>(__builtin_ctz(colons));
      known = http1_known_field({at, size});
      if (known != Http1KnownField::kOther) return at + size;  // known names are proper ones, but for those below
      if (size > 0 && (not_plain(block) & ((1U << size) - 1)) == 0) return at + size;
    }
  }
#endif
  const char* colon = at;
  while (colon != end && is(*colon, kToken)) ++colon;
  if (colon == at || colon == end || *colon != ':') return nullptr;
  known = http1_known_field({at, colon});
  return colon;
}

/// Returns the first control character but the tab, or `end`.
[[gnu::always_inline]] inline const char* skip_value(const char* at, const char* end) {
#ifdef __SSE2__
  while (end - at >= kBlock) {
    const unsigned found = controls(block_at(at));
    if (found == 0) {
      at += kBlock;
      continue;
    }
    at += __builtin_ctz(found);
    if (*at != '\t') return at;
    ++at;
  }
#endif
  while (at != end && is(*at, kFieldValue)) ++at;
  return at;
}

}  // namespace

const char* read_fields(const char* at, const char* end, std::size_t most, Http1HeadView& head) {
  while (head.fields.size() < most) {
    auto known = Http1KnownField::kOther;
    const char* const colon = read_name(at, end, known);
    if (colon == nullptr) return at;
    const char* value = colon + 1;
    while (value != end && is_blank(*value)) ++value;
    const char* const line_end = skip_value(value, end);
    if (end - line_end < 2 || line_end[0] != '\r' || line_end[1] != '\n') return at;
    const char* last = line_end;
    while (last != value && is_blank(last[-1])) --last;
    // An internal name is known by less than its whole; one that looks like framing is refused by the slow way.
    if (known >= Http1KnownField::kInternal && (known != Http1KnownField::kInternal || !http1_is_token({at, colon}))) return at;
    head.fields.push_back({.name = {at, colon}, .value = {value, last}, .known = known});
    note_field(head, known);
    at = line_end + 2;
  }
  return at;
}

namespace {

/// Reads the version and the end of a start line of requests, as they should be.
const char* read_version(const char* at, const char* end, int& minor_version) {
  constexpr std::string_view kVersion = "HTTP/1.1\r\n";
  if (static_cast<std::size_t>(end - at) < kVersion.size()) return nullptr;
  const std::string_view text(at, kVersion.size());
  if (text != kVersion) return nullptr;
  minor_version = 1;
  return at + kVersion.size();
}

}  // namespace

const char* read_start_line(const char* at, const char* end, Http1RequestView& head) {
  constexpr std::string_view kGet = "GET ";
  constexpr std::string_view kPost = "POST ";
  if (end - at < 16) return nullptr;
  const bool post = std::string_view(at, kPost.size()) == kPost;
  if (!post && std::string_view(at, kGet.size()) != kGet) return nullptr;
  const char* const target = at + (post ? kPost.size() : kGet.size());
  if (*target != '/') return nullptr;
  const char* behind = target;
  while (behind != end && is(*behind, kTarget) && *behind != '%') ++behind;
  if (behind == end || *behind != ' ') return nullptr;
  const char* const next = read_version(behind + 1, end, head.minor_version);
  if (next == nullptr) return nullptr;
  head.method = {at, static_cast<std::size_t>(target - at - 1)};
  head.target = {target, behind};
  return next;
}

const char* read_start_line(const char* at, const char* end, Http1ResponseView& head) {
  constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\n";
  if (static_cast<std::size_t>(end - at) < kOk.size() || std::string_view(at, kOk.size()) != kOk) return nullptr;
  head.minor_version = 1;
  head.status = 200;
  return at + kOk.size();
}

}  // namespace flexpert::codec::http1_scan
