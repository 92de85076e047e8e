#include "gateway/request_scan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include <simdjson.h>

#include "gateway/json_starts.h"
#include "gateway/json_tokens.h"

namespace flexpert::gateway {
namespace {

namespace dom = simdjson::dom;

/// Fields of the outermost object that are read here.
enum class Field : std::uint8_t {
  kOther, kModel, kStream, kStreamOptions, kMaxTokens, kMaxCompletionTokens, kTemperature, kSeed, kN, kUser, kMessages, kPrompt, kInput
};

constexpr std::array<std::pair<std::string_view, Field>, 12> kFields{{
    {"model", Field::kModel},           {"stream", Field::kStream},
    {"stream_options", Field::kStreamOptions}, {"max_tokens", Field::kMaxTokens},
    {"max_completion_tokens", Field::kMaxCompletionTokens}, {"temperature", Field::kTemperature},
    {"seed", Field::kSeed},             {"n", Field::kN},
    {"user", Field::kUser},             {"messages", Field::kMessages},
    {"prompt", Field::kPrompt},         {"input", Field::kInput},
}};

Field field_of(std::string_view key) {
  const auto is = [key](std::string_view name, Field field) { return key == name ? field : Field::kOther; };
  switch (key.size()) {
    case 1: return is("n", Field::kN);
    case 4: return key.front() == 's' ? is("seed", Field::kSeed) : is("user", Field::kUser);
    case 5: return key.front() == 'm' ? is("model", Field::kModel) : is("input", Field::kInput);
    case 6: return key.front() == 's' ? is("stream", Field::kStream) : is("prompt", Field::kPrompt);
    case 8: return is("messages", Field::kMessages);
    case 10: return is("max_tokens", Field::kMaxTokens);
    case 11: return is("temperature", Field::kTemperature);
    case 14: return is("stream_options", Field::kStreamOptions);
    case 21: return is("max_completion_tokens", Field::kMaxCompletionTokens);
    default: return Field::kOther;
  }
}

std::string_view name_of(Field field) {
  for (const auto& [name, known] : kFields)
    if (known == field) return name;
  return {};
}

Refusal refuse(std::string message, std::string_view param, std::string_view code = {}) {
  return {.status = 400, .message = std::move(message), .param = param, .code = code};
}

Refusal not_json(std::string_view why) { return refuse(fmt::format("the body is not valid JSON: {}", why), {}, "invalid_json"); }

/// Reads the grammar over the places where JsonStarts has found that something begins. It has checked strings; this checks
/// everything else.
class Walk {
 public:
  Walk(std::string_view body, const std::uint32_t* starts, std::size_t count, std::string& key, std::string& model, ScannedRequest& out)
      : body_(body), starts_(starts), count_(count), key_(key), model_(model), out_(out) {}

  std::optional<Refusal> run();

 private:
  enum class Expect { kValue, kValueOrEnd, kKey, kKeyOrEnd, kCommaOrEnd };

  /// Where the token that begins at starts_[at_] ends: before white space and whatever comes next.
  [[nodiscard]] std::size_t token_end() const {
    std::size_t end = at_ + 1 < count_ ? starts_[at_ + 1] : body_.size();
    while (body_[end - 1] == ' ' || body_[end - 1] == '\n' || body_[end - 1] == '\r' || body_[end - 1] == '\t') --end;
    return end;
  }
  /// The inside of the string that begins at starts_[at_].
  [[nodiscard]] std::string_view string_inside() const {
    const std::size_t begin = starts_[at_] + 1;
    return body_.substr(begin, token_end() - 1 - begin);
  }
  [[nodiscard]] bool in_object() const { return (kinds_ >> (depth_ - 1) & 1) != 0; }
  bool take_key(std::optional<Refusal>& refusal);
  std::optional<Refusal> take_value(char first);
  std::optional<Refusal> value_over(JsonRange range);
  std::optional<Refusal> read_model(JsonRange range);
  void read_max_tokens(JsonRange range);
  JsonRange& range_of(Field field);

  std::string_view body_;
  const std::uint32_t* starts_;
  std::size_t count_;
  std::string& key_;
  std::string& model_;
  ScannedRequest& out_;
  std::size_t at_ = 0;
  std::uint64_t kinds_ = 0;  ///< a bit for each open container: 1 = an object
  int depth_ = 0;
  Field field_ = Field::kOther;      ///< of the outermost object, whose value comes or is open
  bool option_is_usage_ = false;     ///< inside stream_options: the key was include_usage
  bool option_seen_ = false;
  std::size_t value_begin_ = 0;
  std::uint32_t seen_ = 0;           ///< a bit for each Field
};

std::optional<Refusal> Walk::run() {
  if (count_ == 0) return not_json("it is empty");
  Expect expect = Expect::kValue;
  for (; at_ < count_; ++at_) {
    const std::size_t position = starts_[at_];
    const char c = body_[position];
    switch (expect) {
      case Expect::kKeyOrEnd:
      case Expect::kKey: {
        if (c == '"') {
          std::optional<Refusal> refusal;
          if (!take_key(refusal)) return refusal;
          expect = Expect::kValue;
          continue;
        }
        if (expect == Expect::kKey || c != '}') return not_json("a key was expected");
        break;
      }
      case Expect::kValueOrEnd:
      case Expect::kValue: {
        if (expect == Expect::kValueOrEnd && c == ']') break;
        if (depth_ == 0 && c != '{') {
          // Whatever else it is, valid or not, nothing of ours takes it.
          return refuse("the body must be a JSON object", {}, "invalid_json");
        }
        if (depth_ == 1) value_begin_ = position;
        if (c == '{' || c == '[') {
          if (depth_ == RequestScanner::kMaxDepth) return refuse("the body is nested too deeply: 64 levels at most", {}, "invalid_json");
          if (depth_ == 1 && field_ == Field::kStreamOptions && c == '[') return refuse("stream_options: must be an object", "stream_options", "invalid_type");
          const std::uint64_t bit = 1ULL << depth_;
          kinds_ = c == '{' ? kinds_ | bit : kinds_ & ~bit;
          ++depth_;
          expect = c == '{' ? Expect::kKeyOrEnd : Expect::kValueOrEnd;
          continue;
        }
        if (auto refusal = take_value(c)) return refusal;
        expect = Expect::kCommaOrEnd;
        continue;
      }
      case Expect::kCommaOrEnd: {
        if (depth_ == 0) return not_json("something stands behind its end");
        if (c == ',') {
          expect = in_object() ? Expect::kKey : Expect::kValue;
          continue;
        }
        if (c != (in_object() ? '}' : ']')) return not_json("a comma or the end of an object or list was expected");
        break;
      }
    }
    // A container ends here.
    --depth_;
    if (depth_ == 1)
      if (auto refusal = value_over({value_begin_, position + 1})) return refusal;
    expect = Expect::kCommaOrEnd;
  }
  if (depth_ != 0 || expect != Expect::kCommaOrEnd) return not_json("it breaks off");
  if (!out_.model_at.there()) return refuse("model: missing; name one of GET /v1/models", "model");
  return std::nullopt;
}

/// Takes a key and the colon behind it.
bool Walk::take_key(std::optional<Refusal>& refusal) {
  if (depth_ <= 2) {
    std::string_view key = string_inside();
    // Escapes must not hide a name from one of two readers.
    if (key.find('\\') != std::string_view::npos && decode_json_string(key, key_)) key = key_;
    if (depth_ == 1) {
      if (out_.first_key == 0) out_.first_key = starts_[at_];
      field_ = field_of(key);
      const std::uint32_t bit = field_ == Field::kOther ? 0 : 1U << static_cast<unsigned>(field_);
      if ((seen_ & bit) != 0) {
        refusal = refuse(fmt::format("{}: given twice", name_of(field_)), name_of(field_));
        return false;
      }
      seen_ |= bit;
    } else if (field_ == Field::kStreamOptions) {
      option_is_usage_ = key == "include_usage";
      if (option_is_usage_ && std::exchange(option_seen_, true)) {
        refusal = refuse("stream_options.include_usage: given twice", "stream_options");
        return false;
      }
    }
  }
  if (at_ + 1 >= count_ || body_[starts_[at_ + 1]] != ':') {
    refusal = not_json("a key without a colon");
    return false;
  }
  ++at_;
  return true;
}

/// Takes a string, a number, true, false or null.
std::optional<Refusal> Walk::take_value(char first) {
  const std::size_t begin = starts_[at_];
  const std::size_t end = token_end();
  const std::string_view token = body_.substr(begin, end - begin);
  switch (first) {
    case '"': break;
    case 't': if (token != "true") return not_json("a value is none"); break;
    case 'f': if (token != "false") return not_json("a value is none"); break;
    case 'n': if (token != "null") return not_json("a value is none"); break;
    default:
      if (!is_json_number(token)) return not_json("a value is none");
  }
  if (depth_ == 1) return value_over({begin, end});
  if (depth_ == 2 && field_ == Field::kStreamOptions && option_is_usage_) {
    if (token != "true" && token != "false" && token != "null")
      return refuse("stream_options.include_usage: must be true or false", "stream_options", "invalid_type");
    out_.include_usage = token == "true";
  }
  return std::nullopt;
}

JsonRange& Walk::range_of(Field field) {
  switch (field) {
    case Field::kModel: return out_.model_at;
    case Field::kStream: return out_.stream_at;
    case Field::kStreamOptions: return out_.stream_options_at;
    case Field::kMaxTokens: return out_.max_tokens_at;
    case Field::kMaxCompletionTokens: return out_.max_completion_tokens_at;
    case Field::kTemperature: return out_.temperature_at;
    case Field::kSeed: return out_.seed_at;
    case Field::kN: return out_.n_at;
    case Field::kUser: return out_.user_at;
    default: return out_.prompt_at;
  }
}

/// The value of a field of the outermost object ends.
std::optional<Refusal> Walk::value_over(JsonRange range) {
  const Field field = std::exchange(field_, Field::kOther);
  if (field == Field::kOther) return std::nullopt;
  JsonRange& kept = range_of(field);
  if (!kept.there()) kept = range;
  switch (field) {
    case Field::kModel: return read_model(range);
    case Field::kMaxTokens:
    case Field::kMaxCompletionTokens: read_max_tokens(range); break;
    case Field::kStream: {
      const std::string_view token = range.in(body_);
      if (token != "true" && token != "false" && token != "null") return refuse("stream: must be true or false", "stream", "invalid_type");
      out_.stream = token == "true";
      break;
    }
    case Field::kStreamOptions:
      if (body_[range.begin] != '{' && range.in(body_) != "null")
        return refuse("stream_options: must be an object", "stream_options", "invalid_type");
      break;
    default: break;
  }
  return std::nullopt;
}

std::optional<Refusal> Walk::read_model(JsonRange range) {
  const auto wrong = [] { return refuse("model: must be a non-empty string", "model", "invalid_type"); };
  if (body_[range.begin] != '"' || range.end - range.begin < 3) return wrong();
  out_.model = body_.substr(range.begin + 1, range.end - range.begin - 2);
  if (out_.model.find('\\') == std::string_view::npos) return std::nullopt;
  if (!decode_json_string(out_.model, model_)) return wrong();
  out_.model = model_;
  return std::nullopt;
}

/// For estimates and caps: whether a value may be so is the server's to say.
void Walk::read_max_tokens(JsonRange range) {
  std::uint64_t most = 0;
  const std::string_view token = range.in(body_);
  const auto [end, failed] = std::from_chars(token.data(), token.data() + token.size(), most);
  if (failed != std::errc() || end != token.data() + token.size()) return;
  out_.max_tokens = std::min(out_.max_tokens.value_or(most), most);
}

std::string_view words_for(JsonStarts::Problem problem) {
  switch (problem) {
    case JsonStarts::Problem::kNotUtf8: return "it is not UTF-8";
    case JsonStarts::Problem::kControlCharacter: return "a string has a control character";
    case JsonStarts::Problem::kUnfinishedString: return "a string does not end";
    case JsonStarts::Problem::kBadEscape: return "a string has a bad escape";
    case JsonStarts::Problem::kNone: break;
  }
  return "it cannot be read";
}

}  // namespace

struct RequestScanner::Impl {
  JsonStarts starts;
  std::string key;
  std::string model;
};

RequestScanner::RequestScanner() : impl_(std::make_unique<Impl>()) {}
RequestScanner::~RequestScanner() = default;

std::optional<Refusal> RequestScanner::scan(std::string_view body, ScannedRequest& out) {
  out = {};
  if (const auto problem = impl_->starts.find(body); problem != JsonStarts::Problem::kNone) return not_json(words_for(problem));
  return Walk(body, impl_->starts.data(), impl_->starts.count(), impl_->key, impl_->model, out).run();
}

Result<std::vector<std::string>> parse_model_list(std::string_view body) {
  dom::parser parser;
  dom::element root;
  if (const auto error = parser.parse(body.data(), body.size()).get(root); error != simdjson::SUCCESS)
    return fail(ErrorCode::kInvalidArgument, "the body is not valid JSON: {}", simdjson::error_message(error));
  dom::object object;
  if (root.get(object) != simdjson::SUCCESS) return fail(ErrorCode::kInvalidArgument, "the body must be a JSON object");
  dom::array data;
  if (object["data"].get(data) != simdjson::SUCCESS) return fail(ErrorCode::kInvalidArgument, "data: must be a list");
  std::vector<std::string> ids;
  for (const dom::element entry : data) {
    std::string_view id;
    if (entry["id"].get(id) != simdjson::SUCCESS || id.empty())
      return fail(ErrorCode::kInvalidArgument, "data[{}].id: must be a non-empty string", ids.size());
    ids.emplace_back(id);
  }
  return ids;
}

}  // namespace flexpert::gateway
