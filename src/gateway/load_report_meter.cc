#include "gateway/load_report_meter.h"

#include <algorithm>
#include <cstring>

namespace flexpert::gateway {
namespace {

constexpr std::uint64_t kMostTokens = 1'000'000'000;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// No key, colon and beginning of a value that count here can go on behind these.
bool ends_all(char c) { return c == '\n' || c == '}'; }

}  // namespace

/// Inside a JSON string every quote is escaped, so `"key":` with plain quotes is a key wherever it stands.
void AnswerMeter::Counts::look_at(std::string_view text, std::size_t colon) {
  std::size_t end = colon;
  while (end > 0 && is_blank(text[end - 1])) --end;
  if (end < 6 || text[end - 1] != '"') return;
  const char last = text[end - 2];
  const char but_one = text[end - 3];
  if (last == 't' ? but_one != 'n' && but_one != 'x' : last != 's' || (but_one != 'n' && but_one != 't')) return;
  const std::string_view before = text.substr(0, end);
  const auto is = [before](std::string_view quoted) {
    return before.ends_with(quoted) && (before.size() == quoted.size() || before[before.size() - quoted.size() - 1] != '\\');
  };
  std::size_t at = colon + 1;
  while (at < text.size() && is_blank(text[at])) ++at;
  if (at == text.size()) return;
  if (last == 't' ? is("\"content\"") || is("\"text\"") || is("\"reasoning_content\"") : but_one == 't' && is("\"arguments\"")) {
    if (text[at] == '"' && at + 1 < text.size() && text[at + 1] != '"' && text[at + 1] != '\n') ++pieces;
    return;
  }
  if (last != 's') return;
  std::optional<std::uint64_t>* const tokens = is("\"prompt_tokens\"") ? &prompt : is("\"completion_tokens\"") ? &completion : nullptr;
  if (tokens == nullptr) return;
  std::uint64_t number = 0;
  const std::size_t begin = at;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
    if (number < kMostTokens) number = number * 10 + static_cast<std::uint64_t>(text[at] - '0');
  if (at > begin && at < text.size()) *tokens = number;
}

void AnswerMeter::Counts::look(std::string_view text, std::size_t from, std::size_t to) {
  while (from < to) {
    const void* const found = std::memchr(text.data() + from, ':', to - from);
    if (found == nullptr) return;
    const auto colon = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
    look_at(text, colon);
    from = colon + 1;
  }
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
  if (held_size_ == 0 && whole) return counts_.look(bytes, 0, bytes.size());
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
