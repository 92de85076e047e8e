#include "gateway/json_strings.h"

#include <array>

#include <simdjson.h>

#include "base/check.h"
#include "gateway/json_tokens.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace flexpert::gateway {
namespace {

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

/// What stops the reading of a string byte by byte.
struct Stop {
  StringProblem problem = StringProblem::kNone;
  const char* behind = nullptr;  ///< the closing quote
};

Stop read_plainly(const char* at, const char* end, bool& ascii) {
  while (at != end) {
    const char c = *at;
    if (c == '"') return {StringProblem::kNone, at + 1};
    if (c == '\\') {
      at = skip_json_escape(at, end);
      if (at == nullptr) return {StringProblem::kBadEscape, nullptr};
      continue;
    }
    if (static_cast<unsigned char>(c) < 0x20) return {StringProblem::kControlCharacter, nullptr};
    ascii = ascii && is_ascii(c);
    ++at;
  }
  return {StringProblem::kUnfinished, nullptr};
}

const char* skip_plainly(const char* at, const char* end, bool& ascii) { return read_plainly(at, end, ascii).behind; }

#if defined(__x86_64__)

#define FLEXPERT_AVX2 __attribute__((target("avx2,bmi")))

/// Bits where a quote, a backslash or a control character stands.
FLEXPERT_AVX2 inline __m256i specials(__m256i block) {
  const __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(block, _mm256_set1_epi8(0x1f)), block);
  const __m256i escape = _mm256_cmpeq_epi8(block, _mm256_set1_epi8('\\'));
  return _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(block, _mm256_set1_epi8('"')), escape), control);
}
FLEXPERT_AVX2 inline std::uint64_t bits(__m256i special) { return static_cast<std::uint32_t>(_mm256_movemask_epi8(special)); }

FLEXPERT_AVX2 const char* skip_with_avx2(const char* at, const char* end, bool& ascii) {
  __m256i all = _mm256_setzero_si256();
  while (end - at >= 64) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32));
    all = _mm256_or_si256(all, _mm256_or_si256(low, high));
    std::uint64_t special = bits(specials(low)) | bits(specials(high)) << 32;
    const char* const block = at;
    at = block + 64;
    while (special != 0) {
      const char* const hit = block + __builtin_ctzll(special);
      if (*hit != '\\') {
        ascii = ascii && _mm256_movemask_epi8(all) == 0;
        return *hit == '"' ? hit + 1 : nullptr;
      }
      const bool plain = end - hit > 1 && (hit[1] == 'n' || hit[1] == '"' || hit[1] == '\\');
      const char* const behind = plain ? hit + 2 : skip_json_escape(hit, end);
      if (behind == nullptr) return nullptr;
      if (behind - block >= 64) {
        at = behind;
        break;
      }
      special &= ~std::uint64_t{0} << (behind - block);
    }
  }
  ascii = ascii && _mm256_movemask_epi8(all) == 0;
  return skip_plainly(at, end, ascii);
}

#undef FLEXPERT_AVX2
#define FLEXPERT_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,lzcnt")))

// What an ASCII character is to a string, a bit for each question.
constexpr std::uint8_t kEnds = 1;       ///< a quote or a control character: the string is over, well or not
constexpr std::uint8_t kNotShort = 2;   ///< not behind a backslash, where one look shall do: all but " / b f n r t
constexpr std::uint8_t kNoEscape = 4;   ///< never behind a backslash
constexpr std::uint8_t kBackslash = 8;
constexpr std::uint8_t kU = 16;
constexpr std::uint8_t kNoHex = 32;

alignas(64) constexpr std::array<std::uint8_t, 128> kClasses = [] {
  std::array<std::uint8_t, 128> classes{};
  for (unsigned i = 0; i < classes.size(); ++i) {
    const char c = static_cast<char>(i);
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    const bool is_short = c == '"' || c == '/' || c == 'b' || c == 'f' || c == 'n' || c == 'r' || c == 't';
    unsigned bits = hex ? 0 : kNoHex;
    if (c == '"' || i < 0x20) bits |= kEnds;
    if (!is_short) bits |= kNotShort;
    if (!is_short && c != '\\' && c != 'u') bits |= kNoEscape;
    if (c == '\\') bits |= kBackslash;
    if (c == 'u') bits |= kU;
    classes[i] = static_cast<std::uint8_t>(bits);
  }
  return classes;
}();

#define FLEXPERT_INLINE_AVX512 FLEXPERT_AVX512 __attribute__((always_inline)) inline

/// What stays in registers while a string is read.
struct alignas(64) Lanes {
  std::array<std::uint8_t, 64> last_ascii, backslash, ends, not_short;
};
constexpr std::array<std::uint8_t, 64> everywhere(std::uint8_t value) {
  std::array<std::uint8_t, 64> lanes{};
  lanes.fill(value);
  return lanes;
}
constexpr Lanes kLanes{everywhere(0x7f), everywhere('\\'), everywhere(kEnds), everywhere(kNotShort)};

/// The bytes at `at` that are before the end.
FLEXPERT_INLINE_AVX512 __mmask64 within(const char* at, const char* end) {
  return end - at >= 64 ? ~__mmask64{0} : (__mmask64{1} << (end - at)) - 1;
}

/// Looks up what each byte is. One over 127 is like 127: good in a string, but not behind a backslash.
FLEXPERT_INLINE_AVX512 __m512i classes_of(__m512i block) {
  const __m512i ascii = _mm512_min_epu8(block, _mm512_load_si512(kLanes.last_ascii.data()));
  return _mm512_permutex2var_epi8(_mm512_load_si512(kClasses.data()), ascii, _mm512_load_si512(kClasses.data() + 64));
}

/// Bits where a block cannot just be passed over: the string may end, or a longer look is needed. `before`: the bytes one earlier, where
/// an escape's backslash is. `lanes`: kLanes, in a way that the compiler does not make its parts anew for each block.
FLEXPERT_INLINE_AVX512 __mmask64 stops(__m512i block, __m512i before, const Lanes& lanes) {
  const __mmask64 escaped = _mm512_cmpeq_epi8_mask(before, _mm512_load_si512(lanes.backslash.data()));
  const __m512i asked = _mm512_mask_blend_epi8(escaped, _mm512_load_si512(lanes.ends.data()), _mm512_load_si512(lanes.not_short.data()));
  return _mm512_test_epi8_mask(classes_of(block), asked);
}

FLEXPERT_INLINE_AVX512 std::uint64_t with(__m512i classes, std::uint8_t bit) {
  return _mm512_test_epi8_mask(classes, _mm512_set1_epi8(static_cast<char>(bit)));
}

struct Taken {
  const char* at = nullptr;
  bool over = false;  ///< the string: `at` is behind it, or null if it is none
};

/// Reads blocks from `at` on whatever is in them, until one has neither \u nor an escaped backslash: then stops() will do again.
FLEXPERT_AVX512 __attribute__((noinline)) Taken take_blocks(const char* at, const char* end, bool& ascii) {
  std::uint64_t carried = at[-1] == '\\' ? 1 : 0;  // the first byte is escaped
  std::uint64_t hex = 0;                           // the first bytes that must be hex digits
  for (;;) {
    const __m512i block = _mm512_maskz_loadu_epi8(within(at, end), at);
    ascii = ascii && _mm512_movepi8_mask(block) == 0;
    const __m512i seen = classes_of(block);
    // Which bytes are behind a run of backslashes of odd length: subtracting makes each run carry to its end (as simdjson does).
    constexpr std::uint64_t kOdd = 0xaaaa'aaaa'aaaa'aaaa;
    const std::uint64_t backslashes = with(seen, kBackslash);
    const std::uint64_t begins = backslashes & ~carried;
    const std::uint64_t runs = (((begins << 1) | kOdd) - begins) ^ kOdd;
    const std::uint64_t escaped = runs ^ (backslashes | carried);
    carried = (runs & backslashes) >> 63;
    const std::uint64_t u = escaped & with(seen, kU);
    hex |= u << 1 | u << 2 | u << 3 | u << 4;
    const std::uint64_t stop = (with(seen, kEnds) & ~escaped) | (with(seen, kNoEscape) & escaped) | (with(seen, kNoHex) & hex);
    if (stop != 0) {
      const int first = __builtin_ctzll(stop);
      const char* const hit = at + first;
      return {hit < end && *hit == '"' && ((escaped | hex) >> first & 1) == 0 ? hit + 1 : nullptr, true};
    }
    hex = u >> 63 | u >> 62 | u >> 61 | u >> 60;
    at += 64;
    if ((u | (escaped & backslashes)) == 0) return {at, false};
  }
}

FLEXPERT_AVX512 const char* skip_with_avx512(const char* at, const char* end, bool& ascii) {
  const Lanes* lanes = &kLanes;
  asm("" : "+r"(lanes));
  __m512i all = _mm512_setzero_si512();
  const char* const pairs_end = end - at >= 128 ? end - 127 : at;  // before it there are two blocks
  for (;;) {
    __mmask64 found = 0;
    while (at < pairs_end) {
      const __m512i first = _mm512_loadu_si512(at);
      const __m512i second = _mm512_loadu_si512(at + 64);
      all = _mm512_ternarylogic_epi64(all, first, second, 0xfe);
      found = stops(first, _mm512_loadu_si512(at - 1), *lanes);
      const __mmask64 next = stops(second, _mm512_loadu_si512(at + 63), *lanes);
      if (_kortestz_mask64_u8(found, next) == 0) {
        if (found == 0) {
          at += 64;
          found = next;
        }
        break;
      }
      at += 128;
    }
    while (found == 0) {
      const __mmask64 there = within(at, end);
      const __m512i block = _mm512_maskz_loadu_epi8(there, at);  // a zero behind the end, which stops as any control character
      all = _mm512_or_si512(all, block);
      found = stops(block, _mm512_maskz_loadu_epi8(there, at - 1), *lanes);
      if (found == 0) at += 64;
    }
    const char* const hit = at + __builtin_ctzll(found);
    const Taken taken = hit < end && *hit == '"' ? Taken{hit + 1, true} : take_blocks(at, end, ascii);
    at = taken.at;
    if (!taken.over) continue;
    if (_mm512_movepi8_mask(all) != 0) ascii = false;
    return at;
  }
}

#undef FLEXPERT_INLINE_AVX512
#undef FLEXPERT_AVX512
#endif

}  // namespace

bool can_read_strings(StringReading how) {
#if defined(__x86_64__)
  if (how == StringReading::kAvx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
  if (how == StringReading::kAvx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#endif
  return how == StringReading::kPlain;
}

StringReading best_string_reading() {
  for (const StringReading how : {StringReading::kAvx512, StringReading::kAvx2})
    if (can_read_strings(how)) return how;
  return StringReading::kPlain;
}

SkipString string_skipper(StringReading how) {
  FLEXPERT_CHECK(can_read_strings(how), "this machine cannot read strings so");
#if defined(__x86_64__)
  if (how == StringReading::kAvx512) return skip_with_avx512;
  if (how == StringReading::kAvx2) return skip_with_avx2;
#endif
  return skip_plainly;
}

StringProblem problem_of_strings(std::string_view text, SkipString skip) {
  if (!simdjson::validate_utf8(text.data(), text.size())) return StringProblem::kNotUtf8;
  const char* const end = text.data() + text.size();
  bool ascii = true;
  for (const char* at = text.data(); at != end;) {
    if (*at++ != '"') continue;
    const char* const behind = skip(at, end, ascii);
    if (behind == nullptr) return read_plainly(at, end, ascii).problem;
    at = behind;
  }
  return StringProblem::kNone;
}

}  // namespace flexpert::gateway
