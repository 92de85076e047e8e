#include "engine/tokenizer/bpe.h"

#include <queue>

#include "engine/tokenizer/utf8.h"

namespace flexpert::engine {
namespace {

/// GPT-2's printable alphabet: printable Latin-1 bytes stand for themselves, the others for U+0100 and up, in order.
struct ByteAlphabet {
  ByteAlphabet() {
    char32_t next = 0x100;
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      byte_of[printable ? byte : next++] = static_cast<std::int16_t>(byte);
    }
  }
  std::array<std::int16_t, 0x144> byte_of = make_empty();

 private:
  static std::array<std::int16_t, 0x144> make_empty() {
    std::array<std::int16_t, 0x144> empty{};
    empty.fill(-1);
    return empty;
  }
};

std::uint64_t pair_key(TokenId left, TokenId right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) | static_cast<std::uint32_t>(right);
}

/// A symbol of the piece being merged: a node of a doubly linked list in a vector.
struct Symbol {
  TokenId id = -1;  // -1 = merged into its left neighbour
  std::uint32_t before = 0;
  std::uint32_t after = 0;
};
constexpr std::uint32_t kEnd = 0xFFFFFFFF;

/// A merge that was possible when it was queued; stale ones are recognised by their ids.
struct Candidate {
  std::uint32_t rank = 0;
  std::uint32_t at = 0;
  TokenId left = 0;
  TokenId right = 0;
  TokenId merged = 0;
  bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
};

}  // namespace

std::string bytes_of_token_text(std::string_view text, bool& in_alphabet) {
  static const ByteAlphabet kAlphabet;
  std::string bytes;
  in_alphabet = true;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Unit unit = first_unit(text.substr(at));
    const std::int16_t byte = unit.code_point < kAlphabet.byte_of.size() ? kAlphabet.byte_of[unit.code_point] : std::int16_t{-1};
    if (byte < 0) {
      in_alphabet = false;
      return std::string(text);
    }
    bytes += static_cast<char>(byte);
    at += unit.length;
  }
  return bytes;
}

Result<void> Bpe::add_token(std::string_view text, TokenId id) {
  const auto index = static_cast<std::size_t>(id);
  if (index >= token_bytes_.size()) {
    token_bytes_.resize(index + 1);
    used_.resize(index + 1);
  }
  if (used_[index]) return fail(ErrorCode::kInvalidArgument, "two tokens have the same id: {}", id);
  used_[index] = true;
  bool in_alphabet = true;
  std::string bytes = bytes_of_token_text(text, in_alphabet);
  if (in_alphabet && bytes.size() == 1) byte_ids_[static_cast<std::uint8_t>(bytes[0])] = id;
  if (in_alphabet && ignore_merges_) by_bytes_.emplace(bytes, id);
  token_bytes_[index] = std::move(bytes);
  by_text_.emplace(text, id);
  return {};
}

TokenId Bpe::find(std::string_view text) const {
  const auto found = by_text_.find(std::string(text));
  return found == by_text_.end() ? -1 : found->second;
}

Result<void> Bpe::add_merge(std::string_view left, std::string_view right) {
  const std::uint32_t rank = ranks_++;
  const std::string joined = std::string(left) + std::string(right);
  for (const std::string_view part : {left, right, std::string_view(joined)})
    if (find(part) < 0) return fail(ErrorCode::kInvalidArgument, "merge {} uses a token that is not in the vocabulary: {}", rank, part);
  merges_[pair_key(find(left), find(right))] = {rank, find(joined)};
  return {};
}

Result<void> Bpe::finish() {
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte)
    if (byte_ids_[byte] < 0) return fail(ErrorCode::kInvalidArgument, "not a byte-level vocabulary: no token for the byte 0x{:02X}", byte);
  by_text_ = {};
  used_ = {};
  return {};
}

const Bpe::Merge* Bpe::merge_of(TokenId left, TokenId right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void Bpe::encode(std::string_view piece, std::vector<TokenId>& out) const {
  if (ignore_merges_) {
    if (const auto whole = by_bytes_.find(std::string(piece)); whole != by_bytes_.end()) {
      out.push_back(whole->second);
      return;
    }
  }
  if (piece.size() == 1) {
    out.push_back(byte_ids_[static_cast<std::uint8_t>(piece[0])]);
    return;
  }
  std::vector<Symbol> symbols(piece.size());
  for (std::uint32_t i = 0; i < symbols.size(); ++i)
    symbols[i] = {byte_ids_[static_cast<std::uint8_t>(piece[i])], i == 0 ? kEnd : i - 1, i + 1 == symbols.size() ? kEnd : i + 1};

  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](std::uint32_t at) {
    if (at == kEnd || symbols[at].after == kEnd) return;
    const TokenId right = symbols[symbols[at].after].id;
    if (const Merge* merge = merge_of(symbols[at].id, right)) queue.push({merge->rank, at, symbols[at].id, right, merge->id});
  };
  for (std::uint32_t i = 0; i < symbols.size(); ++i) consider(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.at];
    if (left.id != best.left || left.after == kEnd || symbols[left.after].id != best.right) continue;
    Symbol& right = symbols[left.after];
    left.id = best.merged;
    right.id = -1;
    left.after = right.after;
    if (left.after != kEnd) symbols[left.after].before = best.at;
    consider(left.before);
    consider(best.at);
  }
  for (std::uint32_t i = 0; i != kEnd; i = symbols[i].after) out.push_back(symbols[i].id);
}

}  // namespace flexpert::engine
