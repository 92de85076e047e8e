#include "gateway/load_report_meter.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstring>

namespace flexpert::gateway {
namespace {

constexpr std::uint64_t kMostTokens = 1'000'000'000;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// No key, colon and beginning of a value that count here can go on behind these.
bool ends_all(char c) { return c == '\n' || c == '}'; }

/// The shortest key that counts, with its quotes.
constexpr std::size_t kShortestKey = 6;
/// How far from its end a whole answer is searched for its usage, and in what steps.
constexpr std::size_t kUsageWithin = 1024;
constexpr std::size_t kStep = 64;

/// Tells whether a key before the colon may count, by its last letter. There are at least kShortestKey bytes before it.
bool may_count(const char* colon) { return colon[-1] == '"' ? colon[-2] == 's' || colon[-2] == 't' : is_blank(colon[-1]); }

#ifdef __SSE2__
/// Returns a bit for each colon among kStep bytes.
std::uint64_t colons(const char* at) {
  const auto block = [at](int i) {
    return _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at) + i), _mm_set1_epi8(':'));
  };
  const __m128i first = block(0), second = block(1), third = block(2), fourth = block(3);
  if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(first, second), _mm_or_si128(third, fourth))) == 0) return 0;
  const auto bits = [](__m128i equal) { return static_cast<std::uint64_t>(static_cast<unsigned>(_mm_movemask_epi8(equal))); };
  return bits(first) | bits(second) << 16 | bits(third) << 32 | bits(fourth) << 48;
}
#endif

}  // namespace

/// Inside a JSON string every quote is escaped, so `"key":` with plain quotes is a key wherever it stands.
void AnswerMeter::Counts::look_at(std::string_view text, std::size_t colon) {
  const char* const begin = text.data();
  const char* end = begin + colon;
  while (end > begin && is_blank(end[-1])) --end;
  if (end - begin < static_cast<std::ptrdiff_t>(kShortestKey) || end[-1] != '"') return;
  if (end[-2] == 's' ? end[-3] != 'n' && end[-3] != 't' : end[-2] != 't' || (end[-3] != 'n' && end[-3] != 'x')) return;
  // The lengths are known where this is called.
  const auto is = [begin, end]<std::size_t N>(const char (&quoted)[N]) {
    constexpr std::ptrdiff_t kLength = N - 1;
    if (end - begin < kLength || std::memcmp(end - kLength, quoted, N - 1) != 0) return false;
    return end - begin == kLength || end[-kLength - 1] != '\\';
  };
  const char* at = begin + colon + 1;
  const char* const stop = begin + text.size();
  while (at < stop && is_blank(*at)) ++at;
  if (at == stop) return;
  if (end[-2] == 't' ? is("\"content\"") || is("\"text\"") || is("\"reasoning_content\"") : end[-3] == 't' && is("\"arguments\"")) {
    if (*at == '"' && at + 1 < stop && at[1] != '"' && at[1] != '\n') ++pieces;
    return;
  }
  if (end[-2] != 's') return;
  std::optional<std::uint64_t>* const tokens = is("\"prompt_tokens\"") ? &prompt : is("\"completion_tokens\"") ? &completion : nullptr;
  if (tokens == nullptr) return;
  std::uint64_t number = 0;
  const char* const digits = at;
  for (; at < stop && *at >= '0' && *at <= '9'; ++at)
    if (number < kMostTokens) number = number * 10 + static_cast<std::uint64_t>(*at - '0');
  if (at > digits && at < stop) *tokens = number;
}

void AnswerMeter::Counts::look(std::string_view text, std::size_t from, std::size_t to) {
  from = std::max(from, kShortestKey);
#ifdef __SSE2__
  while (from < to && to >= kStep) {
    // The last step overlaps the one before.
    const std::size_t begin = std::min(from, to - kStep);
    for (std::uint64_t bits = colons(text.data() + begin) >> (from - begin); bits != 0; bits &= bits - 1) {
      const std::size_t colon = from + static_cast<std::size_t>(std::countr_zero(bits));
      if (may_count(text.data() + colon)) look_at(text, colon);
    }
    from = begin + kStep;
  }
#endif
  while (from < to) {
    const void* const found = std::memchr(text.data() + from, ':', to - from);
    if (found == nullptr) return;
    const auto colon = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
    if (may_count(text.data() + colon)) look_at(text, colon);
    from = colon + 1;
  }
}

bool AnswerMeter::Counts::look_at_end(std::string_view text) {
  Counts found;
  for (std::size_t to = text.size(); to > 0 && text.size() - to < kUsageWithin;) {
    const std::size_t from = to - std::min(to, kStep);
    Counts step;
    step.look(text, from, to);
    // The last ones count, as from the front.
    if (!found.prompt) found.prompt = step.prompt;
    if (!found.completion) found.completion = step.completion;
    if (found.prompt && found.completion) {
      prompt = found.prompt;
      completion = found.completion;
      return true;
    }
    to = from;
  }
  return false;
}

AnswerMeter::Counts AnswerMeter::all() const {
  Counts counts = counts_;
  counts.look({held_.data(), held_size_}, looked_at_, held_size_);
  return counts;
}

/// Keeps the end of `text`, whose colons before `looked_at` are done with.
void AnswerMeter::hold(std::string_view text, std::size_t looked_at) {
  const std::size_t size = std::min(text.size(), held_.size());
  const std::size_t dropped = text.size() - size;
  std::memcpy(held_.data(), text.data() + dropped, size);
  held_size_ = static_cast<std::uint8_t>(size);
  looked_at_ = static_cast<std::uint8_t>(looked_at > dropped ? looked_at - dropped : 0);
}

void AnswerMeter::feed(std::string_view bytes) {
  if (bytes.empty()) return;
  // Whole events and whole answers leave nothing to hold.
  const bool whole = ends_all(bytes.back());
  if (held_size_ == 0 && whole) {
    if (bytes.front() != '{' || !counts_.look_at_end(bytes)) counts_.look(bytes, 0, bytes.size());
    return;
  }
  // The seam: the end of what came before with the beginning of this.
  std::array<char, kBehind + kAhead + kBehind + kAhead> seam;
  std::memcpy(seam.data(), held_.data(), held_size_);
  const std::size_t added = std::min(bytes.size(), kBehind + kAhead);
  std::memcpy(seam.data() + held_size_, bytes.data(), added);
  const std::string_view text(seam.data(), held_size_ + added);
  if (added == bytes.size()) {
    const std::size_t sure = whole ? text.size() : text.size() - std::min(text.size(), kAhead);
    counts_.look(text, looked_at_, sure);
    if (whole) held_size_ = looked_at_ = 0;
    else hold(text, std::max<std::size_t>(sure, looked_at_));
    return;
  }
  counts_.look(text, looked_at_, held_size_ + kBehind);
  const std::size_t sure = whole ? bytes.size() : bytes.size() - kAhead;
  counts_.look(bytes, kBehind, sure);
  if (whole) held_size_ = looked_at_ = 0;
  else hold(bytes, sure);
}

}  // namespace flexpert::gateway
