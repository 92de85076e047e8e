#include "engine/tokenizer/added_tokens.h"

#include <algorithm>

#include "engine/tokenizer/utf8.h"

namespace flexpert::engine {
namespace {

std::uint64_t edge(std::uint32_t node, char byte) { return (static_cast<std::uint64_t>(node) << 8) | static_cast<std::uint8_t>(byte); }

bool is_space(char32_t code_point) {
  const CharClass kind = class_of(code_point);
  return kind == CharClass::kSpace || kind == CharClass::kNewline;
}

/// Returns the start of the last character that ends before `at` (> 0).
std::size_t character_before(std::string_view text, std::size_t at) {
  do {
    --at;
  } while (at > 0 && (static_cast<std::uint8_t>(text[at]) & 0xC0U) == 0x80);
  return at;
}

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && is_word(first_unit(text.substr(character_before(text, begin))).code_point)) return false;
  return end == text.size() || !is_word(first_unit(text.substr(end)).code_point);
}

}  // namespace

void AddedTokenFinder::add(AddedToken token) {
  std::uint32_t node = 0;
  for (const char byte : token.content) {
    const auto [found, fresh] = edges_.try_emplace(edge(node, byte), static_cast<std::uint32_t>(token_at_node_.size()));
    if (fresh) token_at_node_.push_back(-1);
    node = found->second;
  }
  token_at_node_[node] = static_cast<int>(tokens_.size());
  tokens_.push_back(std::move(token));
}

int AddedTokenFinder::longest_at(std::string_view text) const {
  int longest = -1;
  std::uint32_t node = 0;
  for (const char byte : text) {
    const auto next = edges_.find(edge(node, byte));
    if (next == edges_.end()) break;
    node = next->second;
    if (token_at_node_[node] >= 0) longest = token_at_node_[node];
  }
  return longest;
}

std::vector<TextSpan> AddedTokenFinder::split(std::string_view text) const {
  std::vector<TextSpan> spans;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size() && !tokens_.empty();) {
    const int index = longest_at(text.substr(at));
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(index)];
    std::size_t begin = at;
    std::size_t end = at + token.content.size();
    at = end;
    if (token.single_word && !stands_alone(text, begin, end)) continue;
    while (token.lstrip && begin > done && is_space(first_unit(text.substr(character_before(text, begin))).code_point))
      begin = character_before(text, begin);
    while (token.rstrip && end < text.size() && is_space(first_unit(text.substr(end)).code_point)) end += first_unit(text.substr(end)).length;
    begin = std::max(begin, done);
    if (begin > done) spans.push_back({text.substr(done, begin - done)});
    if (end <= done) continue;
    spans.push_back({text.substr(begin, end - begin), token.id});
    done = end;
    at = end;
  }
  if (done < text.size()) spans.push_back({text.substr(done)});
  return spans;
}

}  // namespace flexpert::engine
