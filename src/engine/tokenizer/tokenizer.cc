#include "engine/tokenizer/tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "engine/tokenizer/model_folder.h"
#include "engine/tokenizer/tokenizer_json.h"
#include "engine/tokenizer/utf8.h"

namespace flexpert::engine {
namespace {

constexpr std::size_t kMaxTokenizerBytes = 256U << 20;

class BpeTokenizer final : public Tokenizer {
 public:
  explicit BpeTokenizer(TokenizerParts parts)
      : bpe_(std::move(parts.bpe)), pre_tokenizer_(parts.pre_tokenizer), nfc_(parts.nfc), add_prefix_space_(parts.add_prefix_space) {
    size_ = bpe_.token_bytes().size();
    for (AddedToken& token : parts.added) {
      size_ = std::max(size_, static_cast<std::size_t>(token.id) + 1);
      by_content_.emplace(token.content, token.id);
      added_.emplace(token.id, Added{token.content, token.special});
      AddedTokenFinder& finder = token.normalized ? in_normalized_ : in_raw_;
      if (token.normalized && nfc_) token.content = to_nfc(token.content);
      finder.add(std::move(token));
    }
  }

  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const override {
    const std::string valid = to_valid_utf8(text);
    std::vector<TokenId> ids;
    ids.reserve(valid.size() / 3);
    for (const TextSpan& raw : in_raw_.split(valid)) {
      if (raw.id >= 0) {
        ids.push_back(raw.id);
        continue;
      }
      const std::string normalized = nfc_ ? to_nfc(raw.text) : std::string(raw.text);
      for (const TextSpan& span : in_normalized_.split(normalized)) {
        if (span.id >= 0) {
          ids.push_back(span.id);
        } else {
          encode_plain(span.text, ids);
        }
      }
    }
    return ids;
  }

  [[nodiscard]] std::string_view bytes_of(TokenId id) const override {
    if (const auto added = added_.find(id); added != added_.end()) return added->second.content;
    if (id < 0 || static_cast<std::size_t>(id) >= bpe_.token_bytes().size()) return {};
    return bpe_.token_bytes()[static_cast<std::size_t>(id)];
  }

  [[nodiscard]] bool is_special(TokenId id) const override {
    const auto added = added_.find(id);
    return added != added_.end() && added->second.special;
  }

  [[nodiscard]] TokenId id_of_added(std::string_view content) const override {
    const auto found = by_content_.find(std::string(content));
    return found == by_content_.end() ? -1 : found->second;
  }

  [[nodiscard]] std::size_t size() const override { return size_; }

 private:
  struct Added {
    std::string content;
    bool special = false;
  };

  void encode_plain(std::string_view text, std::vector<TokenId>& ids) const {
    std::string prefixed;
    if (add_prefix_space_ && !text.starts_with(' ')) {
      prefixed = ' ' + std::string(text);
      text = prefixed;
    }
    while (!text.empty()) {
      const std::size_t length = first_piece(pre_tokenizer_, text);
      bpe_.encode(text.substr(0, length), ids);
      text.remove_prefix(length);
    }
  }

  Bpe bpe_;
  PreTokenizer pre_tokenizer_;
  bool nfc_;
  bool add_prefix_space_;
  std::size_t size_ = 0;
  AddedTokenFinder in_raw_;
  AddedTokenFinder in_normalized_;
  std::unordered_map<std::string, TokenId> by_content_;
  std::unordered_map<TokenId, Added> added_;
};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> Tokenizer::parse(std::string_view tokenizer_json) {
  auto parts = parse_tokenizer_json(tokenizer_json);
  if (!parts) return fail(parts.error().with_context("tokenizer.json"));
  return std::make_shared<const BpeTokenizer>(std::move(*parts));
}

Result<std::shared_ptr<const Tokenizer>> Tokenizer::open(const std::string& folder) {
  const std::string path = folder + "/tokenizer.json";
  FLEXPERT_ASSIGN(const auto text, read_model_file(path, kMaxTokenizerBytes));
  if (!text) return fail(ErrorCode::kNotFound, "no such file: {}", path);
  auto parts = parse_tokenizer_json(*text);
  if (!parts) return fail(parts.error().with_context(path));
  const std::string config_path = folder + "/tokenizer_config.json";
  FLEXPERT_ASSIGN(const auto config, read_model_file(config_path, kMaxTokenizerBytes));
  if (config) {
    if (auto applied = apply_tokenizer_config(*config, parts->added); !applied) return fail(applied.error().with_context(config_path));
  }
  return std::make_shared<const BpeTokenizer>(std::move(*parts));
}

std::string StreamDecoder::push(TokenId id) {
  if (tokenizer_->is_special(id)) return {};
  pending_ += tokenizer_->bytes_of(id);
  std::string text;
  pending_.erase(0, append_valid(pending_, text));
  return text;
}

std::string StreamDecoder::flush() {
  std::string text = to_valid_utf8(pending_);
  pending_.clear();
  return text;
}

}  // namespace flexpert::engine
