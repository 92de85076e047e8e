#include "config/section_reader.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>

namespace flexpert::config {
namespace {

constexpr std::size_t kShownProblems = 10;

/// Levenshtein distance; keys are short.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

template <class Number>
std::optional<Number> parse_number(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::kScalar || node.quoted) return std::nullopt;
  Number value{};
  const char* end = node.text.data() + node.text.size();
  const auto [rest, error] = std::from_chars(node.text.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

std::string given(const YamlNode& node) { return fmt::format("{} is given", node.describe()); }

}  // namespace

bool is_address(std::string_view text) {
  if (text.starts_with("unix:")) return text.size() > 5 && text.size() <= 5 + 107;
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = text.substr(0, colon);
  const bool bracketed = host.front() == '[' && host.back() == ']' && host.size() > 2;
  constexpr std::string_view kOfHostNames = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
  if (!bracketed && host != "*" && host.find_first_not_of(kOfHostNames) != std::string_view::npos) return false;
  in_addr v4{};
  const bool like_ipv4 = host.find_first_not_of("0123456789.") == std::string_view::npos;
  if (like_ipv4 && ::inet_pton(AF_INET, std::string(host).c_str(), &v4) != 1) return false;
  std::uint32_t port = 0;
  const std::string_view digits = text.substr(colon + 1);
  const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return error == std::errc() && !digits.empty() && rest == digits.data() + digits.size() && port <= 65535;
}

void ProblemList::add(int line, std::string_view path, std::string_view what, std::string_view allowed) {
  ++count_;
  // A file of nothing but mistakes must not cost memory for each.
  if (problems_.size() < 100) problems_.push_back({line, fmt::format("{}:{}: {}: {}; allowed: {}", source_, line, path, what, allowed)});
}

Error ProblemList::to_error() const {
  std::vector<Problem> sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) { return a.line < b.line; });
  std::string message;
  const std::size_t shown = std::min(sorted.size(), kShownProblems);
  for (std::size_t i = 0; i < shown; ++i) message += (i > 0 ? "\n" : "") + sorted[i].text;
  if (count_ > shown) message += fmt::format("\nand {} more", count_ - shown);
  return {ErrorCode::kInvalidArgument, message};
}

bool read_text(const YamlNode& node, const std::string& path, ProblemList& problems, std::string& out) {
  if (node.kind != YamlNode::Kind::kScalar || node.text.empty()) {
    problems.add(node.line, path, given(node), "text");
    return false;
  }
  out = node.text;
  return true;
}

bool read_count(const YamlNode& node, const std::string& path, ProblemList& problems, std::uint32_t low, std::uint32_t high,
                std::uint32_t& out) {
  const std::string allowed = fmt::format("a whole number from {} to {}", low, high);
  const auto value = parse_number<std::int64_t>(node);
  if (!value) {
    problems.add(node.line, path, given(node), allowed);
    return false;
  }
  if (*value < low || *value > high) {
    problems.add(node.line, path, fmt::format("{} is out of range", *value), allowed);
    return false;
  }
  out = static_cast<std::uint32_t>(*value);
  return true;
}

SectionReader::SectionReader(const YamlNode& node, std::string path, ProblemList& problems)
    : node_(node), path_(std::move(path)), problems_(problems) {
  if (node.kind != YamlNode::Kind::kMapping && node.kind != YamlNode::Kind::kNull)
    problems_.add(node.line, path_.empty() ? "the file" : path_, given(node), "a mapping of keys to values");
}

std::string SectionReader::path_of(std::string_view key) const { return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key); }

int SectionReader::line_of(std::string_view key) const {
  for (const YamlNode::Entry& entry : node_.entries)
    if (entry.key == key) return entry.line;
  return node_.line;
}

const YamlNode* SectionReader::value(std::string_view key) {
  known_.emplace(key);
  for (const YamlNode::Entry& entry : node_.entries)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

void SectionReader::text(std::string_view key, std::string& out) {
  if (const YamlNode* node = value(key)) read_text(*node, path_of(key), problems_, out);
}

void SectionReader::count(std::string_view key, std::uint32_t low, std::uint32_t high, std::uint32_t& out) {
  if (const YamlNode* node = value(key)) read_count(*node, path_of(key), problems_, low, high, out);
}

void SectionReader::amount(std::string_view key, std::uint64_t low, std::uint64_t high, std::uint64_t& out) {
  const YamlNode* node = value(key);
  if (node == nullptr) return;
  const std::string allowed = fmt::format("a whole number from {} to {}", low, high);
  const auto number = parse_number<std::uint64_t>(*node);
  if (!number) return problems_.add(node->line, path_of(key), given(*node), allowed);
  if (*number < low || *number > high) return problems_.add(node->line, path_of(key), fmt::format("{} is out of range", *number), allowed);
  out = *number;
}

void SectionReader::number(std::string_view key, Range range, double& out) {
  const YamlNode* node = value(key);
  if (node == nullptr) return;
  const std::string allowed = range.over_low ? fmt::format("a number over {} and up to {}", range.low, range.high)
                                             : fmt::format("a number from {} to {}", range.low, range.high);
  const auto number = parse_number<double>(*node);
  if (!number || !std::isfinite(*number)) return problems_.add(node->line, path_of(key), given(*node), allowed);
  if (*number < range.low || *number > range.high || (range.over_low && *number <= range.low))
    return problems_.add(node->line, path_of(key), fmt::format("{} is out of range", node->describe()), allowed);
  out = *number;
}

void SectionReader::boolean(std::string_view key, bool& out) {
  const YamlNode* node = value(key);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::kScalar || node->quoted || (node->text != "true" && node->text != "false"))
    return problems_.add(node->line, path_of(key), given(*node), "true or false");
  out = node->text == "true";
}

void SectionReader::bytes(std::string_view key, std::uint64_t low, std::uint64_t high, std::uint64_t& out) {
  const YamlNode* node = value(key);
  if (node == nullptr) return;
  const std::string allowed = fmt::format("bytes from {} to {}, as a whole number or with KiB, MiB or GiB (4MiB)", low, high);
  const auto wrong_type = [&] { problems_.add(node->line, path_of(key), given(*node), allowed); };
  if (node->kind != YamlNode::Kind::kScalar || node->quoted) return wrong_type();
  std::uint64_t value_given = 0;
  const char* end = node->text.data() + node->text.size();
  const auto [rest, error] = std::from_chars(node->text.data(), end, value_given);
  if (error != std::errc()) return wrong_type();
  std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
  int shift = 0;
  if (unit == "KiB") shift = 10;
  else if (unit == "MiB") shift = 20;
  else if (unit == "GiB") shift = 30;
  else if (!unit.empty()) return wrong_type();
  if (value_given > (high >> shift) || (value_given << shift) < low)
    return problems_.add(node->line, path_of(key), fmt::format("{} is out of range", node->describe()), allowed);
  out = value_given << shift;
}

void SectionReader::address(std::string_view key, std::string& out) {
  const YamlNode* node = value(key);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::kScalar || !is_address(node->text))
    return problems_.add(node->line, path_of(key), given(*node), "HOST:PORT, [IPV6]:PORT, *:PORT or unix:PATH (at most 107 bytes)");
  out = node->text;
}

void SectionReader::texts(std::string_view key, std::vector<std::string>& out) {
  const YamlNode* node = value(key);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::kSequence && node->kind != YamlNode::Kind::kNull)
    return problems_.add(node->line, path_of(key), given(*node), "a list of texts");
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    std::string text;
    if (!read_text(node->items[i], fmt::format("{}[{}]", path_of(key), i), problems_, text)) continue;
    if (std::find(texts.begin(), texts.end(), text) != texts.end()) {
      problems_.add(node->items[i].line, fmt::format("{}[{}]", path_of(key), i), fmt::format("{} is given twice", text), "each text once");
      continue;
    }
    texts.push_back(std::move(text));
  }
  out = std::move(texts);
}

void SectionReader::choice(std::string_view key, const std::vector<std::string>& allowed, std::string& out) {
  const YamlNode* node = value(key);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::kScalar || std::find(allowed.begin(), allowed.end(), node->text) == allowed.end())
    return problems_.add(node->line, path_of(key), given(*node), fmt::format("{}", fmt::join(allowed, ", ")));
  out = node->text;
}

void SectionReader::problem(std::string_view key, std::string_view what, std::string_view allowed) {
  problems_.add(line_of(key), path_of(key), what, allowed);
}

void SectionReader::require(std::string_view key, std::string_view allowed) {
  const bool mapping = node_.kind == YamlNode::Kind::kMapping || node_.kind == YamlNode::Kind::kNull;
  if (mapping && value(key) == nullptr) problems_.add(node_.line, path_of(key), "the key is missing", allowed);
}

void SectionReader::finish() {
  for (const YamlNode::Entry& entry : node_.entries) {
    if (known_.contains(entry.key)) continue;
    const std::string key = entry.key.substr(0, 64);
    const auto nearest = std::min_element(known_.begin(), known_.end(), [&](const std::string& a, const std::string& b) {
      return edit_distance(key, a) < edit_distance(key, b);
    });
    problems_.add(entry.line, path_of(key), fmt::format("unknown key, the nearest known one is \"{}\"", *nearest),
                  fmt::format("{}", fmt::join(known_, ", ")));
  }
}

}  // namespace flexpert::config
