#include "gateway/request_scan.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <simdjson.h>

#include "gateway/json_tokens.h"
#include "gateway/request_fields.h"

namespace flexpert::gateway {
namespace {

namespace dom = simdjson::dom;
using Field = RequestField;

/// Why a body is refused: the message is `what`, behind the name of a field where that is the reason.
struct Reason {
  std::string_view what;
  std::string_view field{};
  std::string_view param{};
  std::string_view code{};
};

constexpr Reason wrong_type(std::string_view field, std::string_view param, std::string_view what) {
  return {.what = what, .field = field, .param = param, .code = "invalid_type"};
}
constexpr Reason no_json(std::string_view why) { return {.what = why, .field = "the body is not valid JSON: ", .code = "invalid_json"}; }
constexpr std::string_view kCommaExpected = "a comma or the end of an object or list was expected";

Refusal refusal_for(const Reason& reason) {
  return {.status = 400, .message = fmt::format("{}{}", reason.field, reason.what), .param = reason.param, .code = reason.code};
}

/// For Walk::skip_container(), inside of the outermost object and inside of one of its fields.
constexpr std::uint64_t kSecondLevel = 1;
constexpr std::uint64_t kThirdLevel = 2;
static_assert(RequestScanner::kMaxDepth == 64);

/// Reads a body from its first byte to its last, once. Its end needs no look at each step: either the last byte is a closing brace,
/// which stops all that is not inside of a string, or a zero stands behind it, which nothing takes. The functions take the place
/// where something begins and return what is behind it; null if the body is refused, which leaves a reason unless a string is it.
class Walk {
 public:
  Walk(std::string_view body, SkipString skip, std::string& key, std::string& model, ScannedRequest& out)
      : begin_(body.data()),
        end_(begin_ + body.size()),
        short_end_(end_ - std::min<std::size_t>(body.size(), 16)),
        skip_(skip),
        key_(key),
        model_(model),
        out_(out) {}

  /// Returns false if the body is refused.
  bool run();
  [[nodiscard]] bool ascii() const { return ascii_; }
  /// Nothing if a string is at fault: problem_of_strings() finds it again.
  [[nodiscard]] const std::optional<Reason>& reason() const { return reason_; }

 private:
  template <class TakeKey, class SkipValue>
  const char* skip_object(const char* at, const TakeKey& take_key, const SkipValue& skip_value);
  const char* skip_field(const char* at);
  const char* skip_options(const char* at);
  const char* skip_value(const char* at, std::uint64_t outer);
  const char* skip_container(const char* at, std::uint64_t outer);
  const char* skip_string(const char* at);
  const char* skip_key(const char* at);
  const char* skip_colon(const char* at);
  const char* skip_scalar(const char* at);
  bool take_field(std::string_view key);
  bool take_option(std::string_view key);
  bool read_field(const char* begin, const char* end);
  bool read_model(std::string_view token);
  void read_max_tokens(std::string_view token);
  /// Decodes a key into key_, if there is anything to decode.
  bool decode(std::string_view key) { return key.find('\\') != std::string_view::npos && decode_json_string(key, key_); }
  [[nodiscard]] JsonRange range(const char* begin, const char* end) const {
    return {static_cast<std::size_t>(begin - begin_), static_cast<std::size_t>(end - begin_)};
  }

  /// What a function returns that has refused.
  struct Refused {
    operator bool() const { return false; }
    operator const char*() const { return nullptr; }
  };
  [[gnu::cold, gnu::noinline]] Refused refuse(const Reason& reason) {
    reason_ = reason;
    return {};
  }
  /// `at`: where something else was expected.
  [[gnu::cold, gnu::noinline]] Refused not_json(const char* at, std::string_view why) {
    return refuse(no_json(at == end_ ? "it breaks off" : why));
  }

  const char* const begin_;
  const char* const end_;
  const char* const short_end_;  ///< before it there are 17 bytes, for skip_short_string()
  const SkipString skip_;
  std::string& key_;
  std::string& model_;
  ScannedRequest& out_;
  bool ascii_ = true;
  Field field_ = Field::kOther;  ///< the last key of the outermost object
  std::uint32_t seen_ = 0;       ///< a bit for each Field
  bool option_is_usage_ = false; ///< the last key of stream_options was include_usage
  bool option_seen_ = false;
  std::optional<Reason> reason_;
};

bool Walk::run() {
  const char* at = skip_json_space(begin_);
  // Whatever else it is, valid or not, nothing of ours takes it.
  if (*at != '{') return refuse({.what = "the body must be a JSON object", .code = "invalid_json"});
  at = skip_json_space(at + 1);
  out_.first_key = static_cast<std::size_t>(at - begin_);
  at = skip_object(at, [this](std::string_view key) { return take_field(key); }, [this](const char* value) { return skip_field(value); });
  if (at == nullptr) return false;
  if (at != end_) return not_json(nullptr, "something stands behind its end");
  if (!out_.model_at.there()) return refuse({.what = "model: missing; name one of GET /v1/models", .param = "model"});
  return true;
}

/// From behind the opening brace and white space.
template <class TakeKey, class SkipValue>
inline const char* Walk::skip_object(const char* at, const TakeKey& take_key, const SkipValue& skip_value) {
  if (*at == '}') return at + 1;
  for (;;) {
    if (*at != '"') return not_json(at, "a key was expected");
    const char* const key = at + 1;
    at = skip_string(at);
    if (at == nullptr || !take_key({key, at - 1})) return nullptr;
    at = skip_colon(at);
    if (at == nullptr) return nullptr;
    at = skip_value(at);
    if (at == nullptr) return nullptr;
    if (at == end_) return not_json(at, {});
    at = skip_json_space(at);
    if (*at == '}') return at + 1;
    if (*at != ',') return not_json(at, kCommaExpected);
    at = skip_json_space(at + 1);
  }
}

/// The value of a field of the outermost object.
inline const char* Walk::skip_field(const char* at) {
  const char* const behind = field_ == Field::kStreamOptions ? skip_options(at) : skip_value(at, kSecondLevel);
  if (behind == nullptr || field_ == Field::kOther) return behind;
  return read_field(at, behind) ? behind : nullptr;
}

const char* Walk::skip_options(const char* at) {
  if (*at == '[') return refuse(wrong_type("stream_options", "stream_options", ": must be an object"));
  if (*at != '{') return skip_value(at, kSecondLevel);
  return skip_object(skip_json_space(at + 1), [this](std::string_view key) { return take_option(key); },
                     [this](const char* value) -> const char* {
                       const char* const behind = skip_value(value, kThirdLevel);
                       if (behind == nullptr || !option_is_usage_) return behind;
                       if (*value != 't' && *value != 'f' && *value != 'n')
                         return refuse(wrong_type("stream_options.include_usage", "stream_options", ": must be true or false"));
                       out_.include_usage = *value == 't';
                       return behind;
                     });
}

/// `outer`: what skip_container() takes.
inline const char* Walk::skip_value(const char* at, std::uint64_t outer) {
  if (*at == '"') return skip_string(at);
  return *at == '{' || *at == '[' ? skip_container(at, outer) : skip_scalar(at);
}

/// A list or an object that the gateway does not look into. `outer`: a bit at how many levels are open around it, less one.
const char* Walk::skip_container(const char* at, std::uint64_t outer) {
  std::uint64_t kinds = outer;  // and then a bit for each open container, the innermost at bit 0: 1 is an object
  for (;;) {
    const char first = *at;
    if (first == '"') {
      at = skip_string(at);
      if (at == nullptr) return nullptr;
      at = skip_json_space(at);
    } else if (first == '{' || first == '[') {
      if (kinds >> 63 != 0) return refuse({.what = "the body is nested too deeply: 64 levels at most", .code = "invalid_json"});
      kinds = kinds << 1 | (first == '{' ? 1 : 0);
      at = skip_json_space(at + 1);
      if (first == '{' && *at != '}') {
        at = skip_key(at);
        if (at == nullptr) return nullptr;
        continue;
      }
      if (first == '[' && *at != ']') continue;
    } else {
      at = skip_scalar(at);
      if (at == nullptr) return nullptr;
      at = skip_json_space(at);
    }
    while (*at != ',') {
      if (*at != ((kinds & 1) != 0 ? '}' : ']')) return not_json(at, kCommaExpected);
      ++at;
      kinds >>= 1;
      if (kinds == outer) return at;
      if (at == end_) return not_json(at, {});
      at = skip_json_space(at);
    }
    at = skip_json_space(at + 1);
    if ((kinds & 1) == 0) continue;
    at = skip_key(at);
    if (at == nullptr) return nullptr;
  }
}

/// The string whose opening quote is at `at`.
inline const char* Walk::skip_string(const char* at) {
  ++at;
  if (at < short_end_)
    if (const char* const behind = skip_short_string(at); behind != nullptr) return behind;
  return skip_(at, end_, ascii_);
}

/// A key that nobody looks at, and its colon.
inline const char* Walk::skip_key(const char* at) {
  if (*at != '"') return not_json(at, "a key was expected");
  at = skip_string(at);
  return at == nullptr ? nullptr : skip_colon(at);
}

/// A colon and white space on both its sides.
inline const char* Walk::skip_colon(const char* at) {
  at = skip_json_space(at);
  if (*at != ':') return not_json(nullptr, "a key without a colon");
  return skip_json_space(at + 1);
}

/// A number, true, false or null.
const char* Walk::skip_scalar(const char* at) {
  const auto word = [&](std::string_view is) { return std::string_view(at, end_).starts_with(is) ? at + is.size() : nullptr; };
  const char* behind = nullptr;
  switch (*at) {
    case 't': behind = word("true"); break;
    case 'f': behind = word("false"); break;
    case 'n': behind = word("null"); break;
    default: behind = skip_json_number(at, end_);
  }
  constexpr std::string_view kNext = " \t\n\r{[:\"";
  if (behind != nullptr && (*behind == ',' || *behind == '}' || *behind == ']')) [[likely]] return behind;
  if (behind == nullptr || (behind != end_ && kNext.find(*behind) == std::string_view::npos)) return not_json(at, "a value is none");
  return behind;
}

/// Takes a key of the outermost object.
bool Walk::take_field(std::string_view key) {
  field_ = request_field_of(key);
  if (field_ == Field::kOther) {
    // Escapes must not hide a name from one of two readers.
    if (!decode(key)) return true;
    field_ = request_field_of(key_);
    if (field_ == Field::kOther) return true;
  }
  const std::uint32_t bit = 1U << static_cast<unsigned>(field_);
  if ((seen_ & bit) != 0) {
    const std::string_view name = name_of_request_field(field_);
    return refuse({.what = ": given twice", .field = name, .param = name});
  }
  seen_ |= bit;
  return true;
}

/// Takes a key of stream_options.
bool Walk::take_option(std::string_view key) {
  constexpr std::string_view kUsage = "include_usage";
  option_is_usage_ = key == kUsage || (decode(key) && key_ == kUsage);
  if (!option_is_usage_ || !std::exchange(option_seen_, true)) return true;
  return refuse({.what = ": given twice", .field = "stream_options.include_usage", .param = "stream_options"});
}

/// Keeps what a field of the outermost object says.
bool Walk::read_field(const char* begin, const char* end) {
  const std::string_view token(begin, end);
  const JsonRange at = range(begin, end);
  switch (field_) {
    case Field::kModel: out_.model_at = at; return read_model(token);
    case Field::kMaxTokens: out_.max_tokens_at = at; read_max_tokens(token); return true;
    case Field::kMaxCompletionTokens: out_.max_completion_tokens_at = at; read_max_tokens(token); return true;
    case Field::kStream:
      out_.stream_at = at;
      if (*begin != 't' && *begin != 'f' && *begin != 'n') return refuse(wrong_type("stream", "stream", ": must be true or false"));
      out_.stream = *begin == 't';
      return true;
    case Field::kStreamOptions:
      out_.stream_options_at = at;
      if (*begin == '{' || *begin == 'n') return true;
      return refuse(wrong_type("stream_options", "stream_options", ": must be an object"));
    case Field::kTemperature: out_.temperature_at = at; return true;
    case Field::kSeed: out_.seed_at = at; return true;
    case Field::kN: out_.n_at = at; return true;
    case Field::kUser: out_.user_at = at; return true;
    case Field::kMessages:
    case Field::kPrompt:
    case Field::kInput:
      if (!out_.prompt_at.there()) out_.prompt_at = at;
      return true;
    case Field::kOther: break;
  }
  return true;
}

bool Walk::read_model(std::string_view token) {
  out_.model = token.substr(1, token.size() - 2);
  if (token.front() == '"' && token.size() > 2) {
    if (out_.model.find('\\') == std::string_view::npos) return true;
    if (decode_json_string(out_.model, model_)) {
      out_.model = model_;
      return true;
    }
  }
  return refuse(wrong_type("model", "model", ": must be a non-empty string"));
}

/// For estimates and caps: whether a value may be so is the server's to say.
void Walk::read_max_tokens(std::string_view token) {
  std::uint64_t most = 0;
  const auto [end, failed] = std::from_chars(token.data(), token.data() + token.size(), most);
  if (failed != std::errc() || end != token.data() + token.size()) return;
  out_.max_tokens = std::min(out_.max_tokens.value_or(most), most);
}

std::string_view words_for(StringProblem problem) {
  switch (problem) {
    case StringProblem::kNotUtf8: return "it is not UTF-8";
    case StringProblem::kControlCharacter: return "a string has a control character";
    case StringProblem::kUnfinished: return "a string does not end";
    case StringProblem::kBadEscape: return "a string has a bad escape";
    case StringProblem::kNone: break;
  }
  return "it cannot be read";
}

}  // namespace

struct RequestScanner::Impl {
  std::optional<Refusal> scan(std::string_view body, std::string_view text, ScannedRequest& out);

  SkipString skip;
  std::string key;
  std::string model;
};

/// `text`: the body as Walk wants it.
std::optional<Refusal> RequestScanner::Impl::scan(std::string_view body, std::string_view text, ScannedRequest& out) {
  Walk walk(text, skip, key, model, out);
  const bool taken = walk.run();
  if (taken && walk.ascii()) [[likely]] return std::nullopt;
  if (taken && simdjson::validate_utf8(body.data(), body.size())) return std::nullopt;
  // What is wrong with strings goes first, so that what is said does not depend on where something else is wrong.
  const StringProblem problem = problem_of_strings(body, skip);
  return refusal_for(problem == StringProblem::kNone && walk.reason() ? *walk.reason() : no_json(words_for(problem)));
}

RequestScanner::RequestScanner(StringReading reading) : impl_(std::make_unique<Impl>(string_skipper(reading))) {}
RequestScanner::~RequestScanner() = default;

std::optional<Refusal> RequestScanner::scan(std::string_view body, ScannedRequest& out) {
  out = {};
  std::string_view text = body;
  while (!text.empty() && is_json_space(text.back())) text.remove_suffix(1);
  if (text.empty()) return refusal_for(no_json("it is empty"));
  if (text.back() == '}') [[likely]] return impl_->scan(body, text, out);
  return impl_->scan(body, std::string(text), out);
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
