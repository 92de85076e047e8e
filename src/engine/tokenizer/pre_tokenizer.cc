// The two regular expressions, by hand: an engine for them would backtrack, and needs Unicode classes anyway.
#include "engine/tokenizer/pre_tokenizer.h"

#include "engine/tokenizer/utf8.h"

namespace flexpert::engine {
namespace {

constexpr std::string_view kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Char {
  CharClass kind = CharClass::kOther;
  std::size_t length = 0;  // 0 = the end of the text
};

Char char_at(std::string_view text, std::size_t at) {
  if (at >= text.size()) return {};
  const Utf8Unit unit = first_unit(text.substr(at));
  return {class_of(unit.code_point), unit.length};
}

bool is_space(CharClass kind) { return kind == CharClass::kSpace || kind == CharClass::kNewline; }

/// Returns the end of the run of `kind` that starts at `at`.
std::size_t run_end(std::string_view text, std::size_t at, CharClass kind) {
  for (Char c = char_at(text, at); c.length > 0 && c.kind == kind; c = char_at(text, at)) at += c.length;
  return at;
}

/// 's 't 're 've 'm 'll 'd; returns its length or 0. `fold` ignores case, and U+017F is an s then.
std::size_t contraction(std::string_view text, bool fold) {
  if (text.size() < 2 || text[0] != '\'') return 0;
  const auto letter = [&](std::size_t at) {
    const char c = at < text.size() ? text[at] : '\0';
    return fold && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  };
  const char a = letter(1);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  if (fold && text.substr(1).starts_with("\xC5\xBF")) return 3;
  const char b = letter(2);
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
  return 0;
}

/// \s+(?!\S)|\s+ : a run of white space without its last character, unless the run ends the text or is that character.
std::size_t white_space(std::string_view text) {
  std::size_t at = 0;
  std::size_t last = 0;
  for (Char c = char_at(text, 0); c.length > 0 && is_space(c.kind); c = char_at(text, at)) {
    last = at;
    at += c.length;
  }
  return at == text.size() || last == 0 ? at : last;
}

std::size_t gpt2_piece(std::string_view text) {
  if (const std::size_t length = contraction(text, false); length > 0) return length;
  const std::size_t start = text[0] == ' ' ? 1 : 0;
  const Char c = char_at(text, start);
  if (c.length > 0 && !is_space(c.kind)) return run_end(text, start, c.kind);
  return white_space(text);
}

/// \s*[\r\n]+ : white space up to the last line end of the run; 0 when the run has none.
std::size_t lines(std::string_view text) {
  std::size_t at = 0;
  std::size_t end = 0;
  for (Char c = char_at(text, 0); c.length > 0 && is_space(c.kind); c = char_at(text, at)) {
    at += c.length;
    if (c.kind == CharClass::kNewline) end = at;
  }
  return end;
}

std::size_t qwen2_piece(std::string_view text) {
  if (const std::size_t length = contraction(text, true); length > 0) return length;
  const Char first = char_at(text, 0);
  if (first.kind == CharClass::kLetter) return run_end(text, 0, CharClass::kLetter);
  if (first.kind == CharClass::kNumber) return first.length;
  if (first.kind != CharClass::kNewline) {
    const std::size_t end = run_end(text, first.length, CharClass::kLetter);
    if (end > first.length) return end;
  }
  const std::size_t start = text[0] == ' ' ? 1 : 0;
  if (const std::size_t end = run_end(text, start, CharClass::kOther); end > start) return run_end(text, end, CharClass::kNewline);
  if (const std::size_t end = lines(text); end > 0) return end;
  return white_space(text);
}

}  // namespace

std::optional<PreTokenizer> pre_tokenizer_of_pattern(std::string_view pattern) {
  if (pattern == kGpt2Pattern) return PreTokenizer::kGpt2;
  if (pattern == kQwen2Pattern) return PreTokenizer::kQwen2;
  return std::nullopt;
}

std::size_t first_piece(PreTokenizer kind, std::string_view text) {
  switch (kind) {
    case PreTokenizer::kNone: return text.size();
    case PreTokenizer::kGpt2: return gpt2_piece(text);
    case PreTokenizer::kQwen2: return qwen2_piece(text);
  }
  return text.size();
}

}  // namespace flexpert::engine
