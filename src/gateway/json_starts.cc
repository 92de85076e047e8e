#include "gateway/json_starts.h"

#include <array>

#include <simdjson.h>

#include "gateway/json_tokens.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace flexpert::gateway {
namespace {

using Problem = JsonStarts::Problem;

enum class Kind : std::uint8_t { kOther, kSpace, kStructural, kQuote };

constexpr std::array<Kind, 256> kKinds = [] {
  std::array<Kind, 256> kinds{};
  for (const char c : {' ', '\t', '\n', '\r'}) kinds[static_cast<unsigned char>(c)] = Kind::kSpace;
  for (const char c : {'{', '}', '[', ']', ':', ','}) kinds[static_cast<unsigned char>(c)] = Kind::kStructural;
  kinds[static_cast<unsigned char>('"')] = Kind::kQuote;
  return kinds;
}();

Kind kind_of(char c) { return kKinds[static_cast<unsigned char>(c)]; }

/// What lies inside of a string: how it ended, and where to go on.
struct Inside {
  Problem problem = Problem::kNone;
  const char* behind = nullptr;  ///< the closing quote
};

/// Reads on at `at`, byte by byte; `ascii` becomes false where a byte is over 127.
Inside read_string_plainly(const char* at, const char* end, bool& ascii) {
  while (at != end) {
    const char c = *at;
    if (c == '"') return {Problem::kNone, at + 1};
    if (c == '\\') {
      at = skip_json_escape(at, end);
      if (at == nullptr) return {Problem::kBadEscape, nullptr};
      continue;
    }
    if (static_cast<unsigned char>(c) < 0x20) return {Problem::kControlCharacter, nullptr};
    ascii = ascii && static_cast<unsigned char>(c) < 0x80;
    ++at;
  }
  return {Problem::kUnfinishedString, nullptr};
}

#if defined(__x86_64__)
/// Most strings are keys and short: returns what is behind a string of at most 15 bytes without escapes, else null. 16 bytes at
/// `at` are readable.
inline const char* skip_short_string(const char* at, bool& ascii) {
  const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
  const __m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'))), control);
  const int found = _mm_movemask_epi8(special);
  if (found == 0 || at[__builtin_ctz(static_cast<unsigned>(found))] != '"') return nullptr;
  if (_mm_movemask_epi8(block) != 0) ascii = false;  // perhaps only behind the string: then UTF-8 is looked at for nothing
  return at + __builtin_ctz(static_cast<unsigned>(found)) + 1;
}

#define FLEXPERT_AVX2 __attribute__((target("avx2,bmi"), always_inline)) inline

/// Bits where a quote, a backslash or a control character stands.
FLEXPERT_AVX2 __m256i specials(__m256i block) {
  const __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(block, _mm256_set1_epi8(0x1f)), block);
  return _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(block, _mm256_set1_epi8('"')), _mm256_cmpeq_epi8(block, _mm256_set1_epi8('\\'))), control);
}
FLEXPERT_AVX2 std::uint64_t bits(__m256i special) { return static_cast<std::uint32_t>(_mm256_movemask_epi8(special)); }

/// Goes over the special characters of a block. Returns true if the string is over, well or not; else moves `at` behind the block,
/// or behind an escape that goes beyond it.
FLEXPERT_AVX2 bool take_specials(std::uint64_t special, std::ptrdiff_t width, const char*& at, const char* end, Inside& inside) {
  const char* const block = at;
  while (special != 0) {
    const char* const hit = block + __builtin_ctzll(special);
    if (*hit != '\\') {
      inside = *hit == '"' ? Inside{Problem::kNone, hit + 1} : Inside{Problem::kControlCharacter, nullptr};
      return true;
    }
    const bool plain = end - hit > 1 && (hit[1] == 'n' || hit[1] == '"' || hit[1] == '\\');
    const char* const behind = plain ? hit + 2 : skip_json_escape(hit, end);
    if (behind == nullptr) {
      inside = {Problem::kBadEscape, nullptr};
      return true;
    }
    if (behind - block >= width) {
      at = behind;
      return false;
    }
    special &= ~std::uint64_t{0} << (behind - block);
  }
  at = block + width;
  return false;
}

__attribute__((target("avx2,bmi"))) Inside read_string_in_blocks(const char* at, const char* end, bool& ascii) {
  Inside inside;
  __m256i all = _mm256_setzero_si256();  // what stands behind the string counts too: at worst UTF-8 is looked at for nothing
  bool over = false;
  if (end - at >= 32) {  // most strings are short
    all = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    over = take_specials(bits(specials(all)), 32, at, end, inside);
  }
  while (!over && end - at >= 64) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32));
    all = _mm256_or_si256(all, _mm256_or_si256(low, high));
    const __m256i special_low = specials(low);
    const __m256i special_high = specials(high);
    if (_mm256_testz_si256(_mm256_or_si256(special_low, special_high), _mm256_set1_epi8(-1)) != 0) at += 64;
    else over = take_specials(bits(special_low) | bits(special_high) << 32, 64, at, end, inside);
  }
  ascii = ascii && _mm256_movemask_epi8(all) == 0;
  return over ? inside : read_string_plainly(at, end, ascii);
}

#undef FLEXPERT_AVX2

const bool kHasBlocks = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
#endif

}  // namespace

JsonStarts::Problem JsonStarts::find(std::string_view text, bool plainly) {
  count_ = 0;
  auto read_string = &read_string_plainly;
#if defined(__x86_64__)
  if (!plainly && kHasBlocks) read_string = &read_string_in_blocks;
#endif
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  bool ascii = true;
  Problem problem = Problem::kNone;
  for (const char* at = begin; at != end && problem == Problem::kNone;) {
    switch (kind_of(*at)) {
      case Kind::kSpace: ++at; break;
      case Kind::kStructural: add(begin, at++); break;
      case Kind::kQuote: {
        add(begin, at);
#if defined(__x86_64__)
        if (!plainly && end - at > 16) {
          if (const char* const behind = skip_short_string(at + 1, ascii); behind != nullptr) {
            at = behind;
            break;
          }
        }
#endif
        const Inside inside = read_string(at + 1, end, ascii);
        problem = inside.problem;
        at = inside.behind;
        break;
      }
      case Kind::kOther:
        add(begin, at);
        for (; at != end && kind_of(*at) == Kind::kOther; ++at) ascii = ascii && static_cast<unsigned char>(*at) < 0x80;
        break;
    }
  }
  // Bad UTF-8 goes first, so that what is said does not depend on where something else is wrong.
  if ((!ascii || problem != Problem::kNone) && !simdjson::validate_utf8(text.data(), text.size())) return Problem::kNotUtf8;
  return problem;
}

}  // namespace flexpert::gateway
