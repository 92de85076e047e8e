#include "codec/expert_counts_json.h"

#include "codec/json_numbers.h"
#include "codec/json_text.h"

namespace flexpert::codec {
namespace {

constexpr std::string_view kWhat = "expert counts";
constexpr std::string_view kKey = "logical_count";
constexpr std::size_t kMaxPaths = 1000;

constexpr std::size_t kLongestPath = 200;

/// Tells whether a path can name the key.
bool selectable(std::string_view key) { return !key.empty() && key.find_first_of(".[]") == std::string_view::npos; }

/// Finds objects with counts; looks into no array of numbers.
void collect_paths(simdjson::dom::element at, const std::string& path, std::vector<std::string>& out) {
  if (out.size() == kMaxPaths || path.size() > kLongestPath) return;
  if (simdjson::dom::object object; at.get(object) == simdjson::SUCCESS) {
    for (const auto field : object) {
      if (field.key == kKey) out.push_back(path);
      else if (selectable(field.key) && field.key.size() <= kLongestPath)
        collect_paths(field.value, path.empty() ? std::string(field.key) : fmt::format("{}.{}", path, field.key), out);
      if (out.size() == kMaxPaths) return;
    }
  } else if (simdjson::dom::array array; at.get(array) == simdjson::SUCCESS) {
    std::size_t index = 0;
    for (const auto item : array) {
      if (!item.is_object()) return;
      collect_paths(item, fmt::format("{}[{}]", path, index++), out);
    }
  }
}

std::string choices(simdjson::dom::element root) {
  std::vector<std::string> paths;
  collect_paths(root, "", paths);
  if (paths.empty()) return "nothing in the file has it";
  constexpr std::size_t kShown = 12;
  std::string out = "select one of:";
  for (std::size_t i = 0; i < std::min(paths.size(), kShown); ++i) out += fmt::format(" {}", json_numbers::shown(paths[i]));
  if (paths.size() > kShown) out += fmt::format(" ... ({} in all)", paths.size());
  return out;
}

Result<NumberArray> find_counts(std::string_view text, std::string_view path) {
  simdjson::dom::parser parser;
  FLEXPERT_ASSIGN(const auto root, json_numbers::parse(parser, text, kWhat));
  FLEXPERT_ASSIGN(auto at, json_numbers::select(root, path));
  simdjson::dom::object object;
  if (at.get(object) == simdjson::SUCCESS) {
    auto counts = json_numbers::unique_field(object, kKey, kWhat);
    if (!counts && counts.error().code == ErrorCode::kNotFound)
      return fail(ErrorCode::kNotFound, "expert counts: '{}' has no {}; {}", path.empty() ? "the file" : path, kKey, choices(root));
    FLEXPERT_ASSIGN(at, std::move(counts));
  }
  const std::string place = path.empty() || path.ends_with(kKey) ? std::string(kKey) : fmt::format("{}.{}", path, kKey);
  return json_numbers::number_array(at, place);
}

void append_rows(std::string& out, const ExpertCounts& counts) {
  out += '[';
  for (std::uint32_t layer = 0; layer < counts.geometry.layers; ++layer) {
    out += layer == 0 ? "[" : ",[";
    const auto row = counts.layer(layer);
    for (std::size_t expert = 0; expert < row.size(); ++expert) {
      if (expert > 0) out += ',';
      append_json_number(out, row[expert]);
    }
    out += ']';
  }
  out += ']';
}

}  // namespace

Result<ExpertCounts> parse_expert_counts_json(std::string_view text) { return counts_at(text, ""); }

Result<ExpertCounts> counts_at(std::string_view text, std::string_view path) {
  FLEXPERT_ASSIGN(const auto steps, count_steps_at(text, path));
  return sum_of(steps);
}

Result<std::vector<ExpertCounts>> count_steps_at(std::string_view text, std::string_view path) {
  FLEXPERT_ASSIGN(const NumberArray array, find_counts(text, path));
  return count_steps(array, kKey);
}

Result<std::vector<std::string>> count_paths(std::string_view text) {
  simdjson::dom::parser parser;
  FLEXPERT_ASSIGN(const auto root, json_numbers::parse(parser, text, kWhat));
  std::vector<std::string> paths;
  collect_paths(root, "", paths);
  return paths;
}

std::string write_expert_counts_json(const ExpertCounts& counts) {
  std::string out = R"({"logical_count":)";
  append_rows(out, counts);
  return out += "}\n";
}

std::string write_count_steps_json(const std::vector<ExpertCounts>& steps) {
  std::string out = R"({"logical_count":[)";
  for (std::size_t step = 0; step < steps.size(); ++step) {
    if (step > 0) out += ',';
    append_rows(out, steps[step]);
  }
  return out += "]}\n";
}

}  // namespace flexpert::codec
