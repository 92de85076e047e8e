#include "engine/tokenizer/tokenizer_json.h"

#include <charconv>
#include <optional>
#include <utility>

#include <boost/json.hpp>

namespace flexpert::engine {
namespace {

namespace json = boost::json;

constexpr std::int64_t kMaxTokenId = (1 << 24) - 1;

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

/// A value for a message: short.
std::string shown(const json::value& value) {
  std::string text = json::serialize(value);
  if (text.size() > 100) text = text.substr(0, 100) + "...";
  return text;
}

const json::value* find(const json::object& object, const char* field) {
  const json::value* value = object.if_contains(field);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<json::value> parse_object(std::string_view text) {
  json::error_code error;
  json::value root = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return fail(ErrorCode::kInvalidArgument, "not valid JSON: {}", error.message());
  if (!root.is_object()) return fail(ErrorCode::kInvalidArgument, "not a JSON object");
  return root;
}

Result<bool> boolean(const json::object& object, const char* field, bool absent) {
  const json::value* value = find(object, field);
  if (value == nullptr) return absent;
  if (!value->is_bool()) return fail(ErrorCode::kInvalidArgument, "{} must be true or false: {}", field, shown(*value));
  return value->get_bool();
}

/// Returns the text of a field, or an empty one when it is absent or null.
Result<std::string_view> text_of(const json::object& object, const char* field) {
  const json::value* value = find(object, field);
  if (value == nullptr) return std::string_view();
  if (!value->is_string()) return fail(ErrorCode::kInvalidArgument, "{} must be a text: {}", field, shown(*value));
  return view(value->get_string());
}

Result<TokenId> token_id(const json::value& value, std::string_view token) {
  if (!value.is_int64() || value.get_int64() < 0 || value.get_int64() > kMaxTokenId)
    return fail(ErrorCode::kInvalidArgument, "token id must be a whole number from 0 to {}: {} of token {}", kMaxTokenId, shown(value), token);
  return static_cast<TokenId>(value.get_int64());
}

/// A component (normalizer, pre-tokenizer, decoder) is an object with a "type".
Result<std::pair<const json::object*, std::string_view>> component(const json::value& value, const char* what) {
  const json::object* object = value.if_object();
  if (object == nullptr) return fail(ErrorCode::kInvalidArgument, "{} must be an object: {}", what, shown(value));
  FLEXPERT_ASSIGN(const std::string_view type, text_of(*object, "type"));
  return std::pair(object, type);
}

/// Returns the parts of a Sequence, or the component alone.
Result<std::vector<const json::value*>> flattened(const json::value& value, const char* what, const char* list) {
  FLEXPERT_ASSIGN(const auto found, component(value, what));
  if (found.second != "Sequence") return std::vector{&value};
  const json::value* parts = find(*found.first, list);
  if (parts == nullptr || !parts->is_array()) return fail(ErrorCode::kInvalidArgument, "{} Sequence has no list {}", what, list);
  std::vector<const json::value*> all;
  for (const json::value& part : parts->get_array()) all.push_back(&part);
  return all;
}

Result<void> read_normalizer(const json::object& root, TokenizerParts& parts) {
  const json::value* value = find(root, "normalizer");
  if (value == nullptr) return {};
  FLEXPERT_ASSIGN(const auto steps, flattened(*value, "normalizer", "normalizers"));
  for (const json::value* step : steps) {
    FLEXPERT_ASSIGN(const auto found, component(*step, "normalizer"));
    if (found.second != "NFC") return fail(ErrorCode::kInvalidArgument, "unsupported normalizer (NFC or none is supported): {}", shown(*step));
    parts.nfc = true;
  }
  return {};
}

Result<PreTokenizer> read_split(const json::object& object) {
  const json::value* pattern = find(object, "pattern");
  const json::value* regex = pattern == nullptr || !pattern->is_object() ? nullptr : find(pattern->get_object(), "Regex");
  if (regex == nullptr || !regex->is_string())
    return fail(ErrorCode::kInvalidArgument, "unsupported pre_tokenizer: Split without a pattern of type Regex");
  FLEXPERT_ASSIGN(const std::string_view behavior, text_of(object, "behavior"));
  FLEXPERT_ASSIGN(const bool invert, boolean(object, "invert", false));
  if (behavior != "Isolated" || invert)
    return fail(ErrorCode::kInvalidArgument, "unsupported pre_tokenizer: Split with behavior {} and invert {}", behavior, invert);
  const auto kind = pre_tokenizer_of_pattern(view(regex->get_string()));
  if (!kind)
    return fail(ErrorCode::kInvalidArgument, "unsupported pre_tokenizer pattern (those of GPT-2 and Qwen are supported): {}", shown(*regex));
  return *kind;
}

Result<void> read_pre_tokenizer(const json::object& root, TokenizerParts& parts) {
  const json::value* value = find(root, "pre_tokenizer");
  if (value == nullptr) return fail(ErrorCode::kInvalidArgument, "required field is missing: pre_tokenizer (not a byte-level tokenizer?)");
  FLEXPERT_ASSIGN(const auto steps, flattened(*value, "pre_tokenizer", "pretokenizers"));
  std::optional<PreTokenizer> split;
  bool byte_level = false;
  for (const json::value* step : steps) {
    FLEXPERT_ASSIGN(const auto found, component(*step, "pre_tokenizer"));
    if (found.second == "Split" && !split && !byte_level) {
      FLEXPERT_ASSIGN(split, read_split(*found.first));
    } else if (found.second == "ByteLevel" && !byte_level) {
      byte_level = true;
      FLEXPERT_ASSIGN(const bool use_regex, boolean(*found.first, "use_regex", true));
      FLEXPERT_ASSIGN(parts.add_prefix_space, boolean(*found.first, "add_prefix_space", true));
      if (split && (use_regex || parts.add_prefix_space))
        return fail(ErrorCode::kInvalidArgument, "unsupported pre_tokenizer: ByteLevel with use_regex or add_prefix_space after Split");
      if (use_regex) split = PreTokenizer::kGpt2;
    } else {
      return fail(ErrorCode::kInvalidArgument, "unsupported pre_tokenizer (ByteLevel, or Split and ByteLevel, are supported): {}", shown(*step));
    }
  }
  if (!byte_level) return fail(ErrorCode::kInvalidArgument, "unsupported pre_tokenizer: no ByteLevel step");
  parts.pre_tokenizer = split.value_or(PreTokenizer::kNone);
  return {};
}

/// The decoder and the post-processor must be byte-level (which leaves the tokens alone) or absent.
Result<void> check_byte_level(const json::object& root, const char* field) {
  const json::value* value = find(root, field);
  if (value == nullptr) return {};
  FLEXPERT_ASSIGN(const auto found, component(*value, field));
  if (found.second != "ByteLevel") return fail(ErrorCode::kInvalidArgument, "unsupported {} (ByteLevel is supported): {}", field, shown(*value));
  return {};
}

Result<void> read_merges(const json::object& model, Bpe& bpe) {
  const json::value* merges = find(model, "merges");
  if (merges == nullptr || !merges->is_array()) return fail(ErrorCode::kInvalidArgument, "required field is missing: model.merges, a list");
  for (const json::value& merge : merges->get_array()) {
    std::string_view left;
    std::string_view right;
    if (const json::string* text = merge.if_string()) {
      const std::string_view both = view(*text);
      const std::size_t space = both.find(' ');
      if (space != std::string_view::npos && both.find(' ', space + 1) == std::string_view::npos) {
        left = both.substr(0, space);
        right = both.substr(space + 1);
      }
    } else if (const json::array* pair = merge.if_array(); pair != nullptr && pair->size() == 2 && (*pair)[0].is_string() && (*pair)[1].is_string()) {
      left = view((*pair)[0].get_string());
      right = view((*pair)[1].get_string());
    }
    if (left.empty() || right.empty())
      return fail(ErrorCode::kInvalidArgument, "model.merges must hold \"a b\" or [\"a\", \"b\"]: {}", shown(merge));
    if (auto added = bpe.add_merge(left, right); !added) return fail(added.error().with_context("model.merges"));
  }
  return {};
}

Result<void> read_model(const json::object& root, TokenizerParts& parts) {
  const json::value* value = find(root, "model");
  if (value == nullptr || !value->is_object()) return fail(ErrorCode::kInvalidArgument, "required field is missing: model, an object");
  const json::object& model = value->get_object();
  FLEXPERT_ASSIGN(const std::string_view type, text_of(model, "type"));
  if (!type.empty() && type != "BPE") return fail(ErrorCode::kInvalidArgument, "unsupported model.type (BPE is supported): {}", type);
  FLEXPERT_ASSIGN(const bool byte_fallback, boolean(model, "byte_fallback", false));
  if (byte_fallback) return fail(ErrorCode::kInvalidArgument, "unsupported: model.byte_fallback is true (byte-level BPE is supported)");
  if (const json::value* dropout = find(model, "dropout"); dropout != nullptr && *dropout != 0.0 && *dropout != 0)
    return fail(ErrorCode::kInvalidArgument, "unsupported: model.dropout is {}", shown(*dropout));
  for (const char* field : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    FLEXPERT_ASSIGN(const std::string_view text, text_of(model, field));
    if (!text.empty()) return fail(ErrorCode::kInvalidArgument, "unsupported: model.{} is {}", field, text);
  }
  FLEXPERT_ASSIGN(const bool ignore_merges, boolean(model, "ignore_merges", false));
  const json::value* vocab = find(model, "vocab");
  if (vocab == nullptr || !vocab->is_object()) return fail(ErrorCode::kInvalidArgument, "required field is missing: model.vocab, an object");
  parts.bpe = Bpe(ignore_merges);
  for (const auto& [text, id] : vocab->get_object()) {
    const std::string_view token(text.data(), text.size());
    FLEXPERT_ASSIGN(const TokenId number, token_id(id, token));
    if (auto added = parts.bpe.add_token(token, number); !added) return fail(added.error().with_context("model.vocab"));
  }
  FLEXPERT_TRY(read_merges(model, parts.bpe));
  return {};
}

Result<AddedToken> read_added(const json::object& fields, TokenId id) {
  AddedToken token{.id = id, .content = {}};
  FLEXPERT_ASSIGN(token.content, text_of(fields, "content"));
  if (token.content.empty()) return fail(ErrorCode::kInvalidArgument, "added token has no content: id {}", id);
  FLEXPERT_ASSIGN(token.special, boolean(fields, "special", false));
  FLEXPERT_ASSIGN(token.single_word, boolean(fields, "single_word", false));
  FLEXPERT_ASSIGN(token.lstrip, boolean(fields, "lstrip", false));
  FLEXPERT_ASSIGN(token.rstrip, boolean(fields, "rstrip", false));
  FLEXPERT_ASSIGN(token.normalized, boolean(fields, "normalized", !token.special));
  return token;
}

/// Appends unless the same token is there; the same content or id for another token is an error.
Result<void> append(std::vector<AddedToken>& added, AddedToken token) {
  for (const AddedToken& other : added) {
    if (other.id == token.id && other.content == token.content) return {};
    if (other.id == token.id || other.content == token.content)
      return fail(ErrorCode::kInvalidArgument, "two added tokens have the same id or content: {} {} and {} {}", other.id, other.content, token.id,
                  token.content);
  }
  added.push_back(std::move(token));
  return {};
}

Result<void> read_added_tokens(const json::object& root, TokenizerParts& parts) {
  const json::value* value = find(root, "added_tokens");
  if (value == nullptr) return {};
  if (!value->is_array()) return fail(ErrorCode::kInvalidArgument, "added_tokens must be a list");
  if (value->get_array().size() > 20'000) return fail(ErrorCode::kInvalidArgument, "added_tokens has more than 20000 tokens");
  for (const json::value& item : value->get_array()) {
    const json::object* fields = item.if_object();
    const json::value* id = fields == nullptr ? nullptr : find(*fields, "id");
    if (id == nullptr) return fail(ErrorCode::kInvalidArgument, "added_tokens must hold objects with id and content: {}", shown(item));
    FLEXPERT_ASSIGN(const TokenId number, token_id(*id, "in added_tokens"));
    FLEXPERT_ASSIGN(AddedToken token, read_added(*fields, number));
    // A token that the vocabulary has too must be the same token there.
    if (const TokenId in_vocab = parts.bpe.find(token.content); in_vocab >= 0 && in_vocab != number)
      return fail(ErrorCode::kInvalidArgument, "added token has another id in model.vocab: {} is {} and {}", token.content, number, in_vocab);
    FLEXPERT_TRY(append(parts.added, std::move(token)));
  }
  return {};
}

}  // namespace

Result<TokenizerParts> parse_tokenizer_json(std::string_view text) {
  FLEXPERT_ASSIGN(const json::value value, parse_object(text));
  const json::object& root = value.get_object();
  TokenizerParts parts;
  FLEXPERT_TRY(read_normalizer(root, parts));
  FLEXPERT_TRY(read_pre_tokenizer(root, parts));
  FLEXPERT_TRY(check_byte_level(root, "decoder"));
  FLEXPERT_TRY(check_byte_level(root, "post_processor"));
  FLEXPERT_TRY(read_model(root, parts));
  FLEXPERT_TRY(read_added_tokens(root, parts));
  FLEXPERT_TRY(parts.bpe.finish());
  return parts;
}

Result<void> apply_tokenizer_config(std::string_view text, std::vector<AddedToken>& added) {
  FLEXPERT_ASSIGN(const json::value value, parse_object(text));
  const json::object& root = value.get_object();
  for (const char* field : {"add_bos_token", "add_eos_token"}) {
    FLEXPERT_ASSIGN(const bool set, boolean(root, field, false));
    if (set) return fail(ErrorCode::kInvalidArgument, "unsupported: {} is true", field);
  }
  const json::value* decoder = find(root, "added_tokens_decoder");
  if (decoder == nullptr) return {};
  if (!decoder->is_object()) return fail(ErrorCode::kInvalidArgument, "added_tokens_decoder must be an object");
  for (const auto& [key, fields] : decoder->get_object()) {
    TokenId id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id > kMaxTokenId || !fields.is_object())
      return fail(ErrorCode::kInvalidArgument, "added_tokens_decoder must hold objects by token id: {}", std::string_view(key.data(), key.size()));
    FLEXPERT_ASSIGN(AddedToken token, read_added(fields.get_object(), id));
    FLEXPERT_TRY(append(added, std::move(token)));
  }
  return {};
}

}  // namespace flexpert::engine
