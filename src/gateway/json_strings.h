#pragma once

#include <cstdint>
#include <string_view>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

/// The strings of JSON text, which are nearly all of a chat request: skipped and checked as fast as the machine can.
namespace flexpert::gateway {

/// How strings are read: byte by byte, or in blocks with AVX2, or with AVX-512 (BW, VL and VBMI). All say the same.
enum class StringReading : std::uint8_t { kPlain, kAvx2, kAvx512 };

/// Tells whether this machine can read strings so.
bool can_read_strings(StringReading how);

/// Returns the fastest way that this machine can do.
StringReading best_string_reading();

/// Reads on inside of a string, at `at`, right behind its opening quote. Returns what is behind the closing quote; null if the
/// string does not end before `end`, has a control character or a bad escape. `ascii` becomes false if there is a byte over 127
/// in it (or perhaps only behind it). Never reads at or behind `end`. Costs about 8 instructions for 64 bytes with AVX-512, escapes such as
/// \n and \" included; 14 with AVX2 and another 10 for each escape.
using SkipString = const char* (*)(const char* at, const char* end, bool& ascii);

/// Returns the reader; this machine must be able to.
SkipString string_skipper(StringReading how);

/// Most strings are keys and short: returns what is behind one of at most 16 bytes that are ASCII and no escapes, else null. 17 bytes
/// at `at` are readable.
inline const char* skip_short_string(const char* at) {
#if defined(__x86_64__)
  const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i special = _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
  const __m128i below = _mm_subs_epi8(block, _mm_set1_epi8(0x20));  // negative: a control character, or over 127
  at += static_cast<unsigned>(__builtin_ctz(static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(special, below))) | 1U << 16));
  return *at == '"' ? at + 1 : nullptr;
#else
  return nullptr;
#endif
}

/// What can be wrong with the strings of a text.
enum class StringProblem : std::uint8_t { kNone, kNotUtf8, kControlCharacter, kUnfinished, kBadEscape };

/// Looks for what is wrong with the strings of a text that need not be JSON otherwise: bad UTF-8 anywhere goes first, then the first
/// string that is none.
StringProblem problem_of_strings(std::string_view text, SkipString skip);

}  // namespace flexpert::gateway
