#include "codec/prometheus_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace flexpert::codec {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// Reads one line that is no comment.
class LineReader {
 public:
  LineReader(std::string_view line, std::size_t number, const PrometheusTextOptions& options) : line_(line), number_(number), options_(options) {}

  /// Fills `sample`; false: nobody wants it.
  Result<bool> read(PrometheusSample& sample) {
    sample.labels.clear();
    sample.timestamp_ms.reset();
    std::string_view name = take_name(true);
    std::string quoted;
    if (name.empty()) {
      if (peek() != '{') return error("a metric name must begin with a letter, '_' or ':'");
    } else if (!wanted(name)) {
      keep_ = false;
    }
    skip_blanks();
    if (peek() == '{') {
      FLEXPERT_TRY(read_labels(sample, name.empty() ? &quoted : nullptr));
      if (name.empty() && quoted.empty()) return error("a metric name is missing before or within {}");
      if (name.empty() && !wanted(quoted)) keep_ = false;
    }
    skip_blanks();
    FLEXPERT_ASSIGN(sample.value, read_value());
    skip_blanks();
    if (!at_end() && peek() != '#') FLEXPERT_TRY(read_timestamp(sample));
    skip_blanks();
    // What begins with # after the value is an exemplar: of one observation, nothing to count.
    if (!at_end() && peek() != '#') return error(fmt::format("nothing may follow the timestamp: \"{}\"", rest()));
    if (keep_) sample.name = name.empty() ? std::move(quoted) : std::string(name);
    return keep_;
  }

 private:
  [[nodiscard]] std::unexpected<Error> error(std::string_view what) const {
    // What an engine sends may be anything, and this goes into logs and onto terminals.
    std::string shown(what);
    std::replace_if(shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return fail(ErrorCode::kInvalidArgument, "line {}: {}", number_, shown);
  }
  [[nodiscard]] bool wanted(std::string_view name) const { return !options_.wanted || options_.wanted(name); }
  [[nodiscard]] bool at_end() const { return at_ >= line_.size(); }
  [[nodiscard]] char peek() const { return at_end() ? '\0' : line_[at_]; }
  [[nodiscard]] std::string_view rest() const { return line_.substr(at_, 60); }
  void skip_blanks() {
    while (!at_end() && is_blank(line_[at_])) ++at_;
  }

  std::string_view take_name(bool colons) {
    const std::size_t begin = at_;
    while (!at_end() && (is_letter(line_[at_]) || (colons && line_[at_] == ':') || (at_ > begin && is_digit(line_[at_])))) ++at_;
    return line_.substr(begin, at_ - begin);
  }

  Result<void> read_labels(PrometheusSample& sample, std::string* metric_name) {
    ++at_;
    for (std::size_t count = 0;; ++count) {
      skip_blanks();
      if (peek() == '}') {
        ++at_;
        return {};
      }
      if (at_end()) return error("'}' is missing after the labels");
      if (count >= options_.limits.max_labels)
        return fail(ErrorCode::kResourceExhausted, "line {}: over {} labels", number_, options_.limits.max_labels);
      FLEXPERT_TRY(read_label(sample, metric_name));
      skip_blanks();
      if (peek() == ',') {
        ++at_;
      } else if (peek() != '}') {
        return error(at_end() ? std::string("'}' is missing after the labels") : fmt::format("',' or '}}' must follow a label: \"{}\"", rest()));
      }
    }
  }

  /// NAME="VALUE", or "NAME"="VALUE", or the metric's own name in quotes (Prometheus 3).
  Result<void> read_label(PrometheusSample& sample, std::string* metric_name) {
    std::string name;
    bool in_quotes = false;
    if (peek() == '"') {
      in_quotes = true;
      FLEXPERT_TRY(read_quoted(name));
      if (name.empty()) return error("a name in quotes must not be empty");
    } else {
      name = std::string(take_name(false));
      if (name.empty()) return error(fmt::format("a label name must begin with a letter or '_': \"{}\"", rest()));
    }
    skip_blanks();
    if (peek() != '=') {
      if (in_quotes && metric_name != nullptr && metric_name->empty()) {
        *metric_name = std::move(name);
        return {};
      }
      return error(fmt::format("'=' must follow the label name {}", name));
    }
    ++at_;
    skip_blanks();
    if (peek() != '"') return error(fmt::format("the value of label {} must be in quotes", name));
    std::string value;
    FLEXPERT_TRY(read_quoted(value));
    if (sample.label(name) != nullptr) return error(fmt::format("label {} is given twice", name));
    sample.labels.emplace_back(std::move(name), std::move(value));
    return {};
  }

  Result<void> read_quoted(std::string& out) {
    ++at_;
    while (!at_end()) {
      const char c = line_[at_++];
      if (c == '"') return {};
      if (c != '\\') {
        out += c;
        continue;
      }
      if (at_end()) break;
      const char escaped = line_[at_++];
      if (escaped == 'n') {
        out += '\n';
      } else if (escaped == '\\' || escaped == '"') {
        out += escaped;
      } else {
        return error(fmt::format("\\{} is no escape: allowed are \\\\, \\\" and \\n", escaped));
      }
    }
    return error("a closing quote is missing");
  }

  std::string_view take_word() {
    const std::size_t begin = at_;
    while (!at_end() && !is_blank(line_[at_])) ++at_;
    return line_.substr(begin, at_ - begin);
  }

  static std::optional<double> number_of(std::string_view word) {
    const bool plus = word.starts_with('+');
    if (plus) word.remove_prefix(1);
    // from_chars takes "nan(...)" and a second sign; the format does not.
    if (word.empty() || word.find('(') != std::string_view::npos || (plus && word.starts_with('-'))) return std::nullopt;
    double value = 0;
    const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (end != word.data() + word.size()) return std::nullopt;
    if (code == std::errc::result_out_of_range) return std::nullopt;
    if (code != std::errc{}) return std::nullopt;
    return value;
  }

  Result<double> read_value() {
    const std::string_view word = take_word();
    if (word.empty()) return error("a value is missing");
    const auto value = number_of(word);
    if (!value) return error(fmt::format("the value must be a number, NaN, +Inf or -Inf: \"{}\"", word.substr(0, 60)));
    return *value;
  }

  Result<void> read_timestamp(PrometheusSample& sample) {
    const std::string_view word = take_word();
    const auto number = number_of(word);
    const double ms = number ? (options_.openmetrics ? *number * 1000 : *number) : 0;
    constexpr double kMost = 9e15;  // exact as a double, far beyond any date
    if (!number || !std::isfinite(ms) || std::abs(ms) > kMost)
      return error(fmt::format("the timestamp must be a number: \"{}\"", word.substr(0, 60)));
    sample.timestamp_ms = static_cast<std::int64_t>(std::llround(ms));
    return {};
  }

  std::string_view line_;
  std::size_t number_;
  const PrometheusTextOptions& options_;
  std::size_t at_ = 0;
  bool keep_ = true;
};

}  // namespace

const std::string* PrometheusSample::label(std::string_view name_wanted) const {
  for (const auto& [key, text] : labels)
    if (key == name_wanted) return &text;
  return nullptr;
}

Result<std::vector<PrometheusSample>> decode_prometheus_text(std::string_view text, const PrometheusTextOptions& options) {
  std::vector<PrometheusSample> out;
  PrometheusSample sample;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.size() > options.limits.max_line_bytes)
      return fail(ErrorCode::kResourceExhausted, "line {}: over {} bytes", number, options.limits.max_line_bytes);
    if (line.ends_with('\r')) line.remove_suffix(1);
    while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
    if (line == "# EOF") break;
    if (line.empty() || line.front() == '#') continue;
    FLEXPERT_ASSIGN(const bool keep, LineReader(line, number, options).read(sample));
    if (!keep) continue;
    if (out.size() >= options.limits.max_samples)
      return fail(ErrorCode::kResourceExhausted, "line {}: over {} samples", number, options.limits.max_samples);
    out.push_back(std::move(sample));
    sample = {};
  }
  return out;
}

}  // namespace flexpert::codec
