#include "codec/expert_counts_csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

#include "codec/csv_cells.h"
#include "codec/json_text.h"
#include "codec/number_array.h"

namespace flexpert::codec {
namespace {

using csv::number;
using csv::shown;
using csv::trimmed;

constexpr std::uint32_t kMaxExtent = 1U << 20;

/// Gives the lines that count, one after another, split at the separator of the first.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {
    if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);
  }

  bool next() {
    while (!rest_.empty()) {
      const std::size_t end = std::min(rest_.find('\n'), rest_.size());
      const std::string_view line = rest_.substr(0, end);
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      ++number_;
      const std::string_view shortened = trimmed(line);
      if (shortened.empty() || shortened.front() == '#') continue;
      split(line);
      return true;
    }
    return false;
  }

  [[nodiscard]] const std::vector<std::string_view>& fields() const { return fields_; }
  [[nodiscard]] std::size_t number() const { return number_; }

 private:
  void split(std::string_view line) {
    if (separator_ == '\0') {
      separator_ = ',';
      for (const char c : {'\t', ';', ','})
        if (line.find(c) != std::string_view::npos) separator_ = c;
    }
    fields_.clear();
    for (;;) {
      const std::size_t end = line.find(separator_);
      fields_.push_back(trimmed(line.substr(0, end)));
      if (end == std::string_view::npos) return;
      line.remove_prefix(end + 1);
    }
  }

  std::string_view rest_;
  std::size_t number_ = 0;
  char separator_ = '\0';
  std::vector<std::string_view> fields_;
};

Result<double> count_of(std::string_view field, std::size_t line, std::size_t layer, std::size_t expert) {
  const auto value = number(field);
  if (!value || !(*value >= 0 && *value <= kMostCount))
    return fail(ErrorCode::kInvalidArgument, "csv: line {}: layer {} expert {}: a count must be a finite number >= 0{}, is '{}'", line, layer,
                expert, value && *value > kMostCount ? fmt::format(" and <= {}", kMostCount) : "", shown(field));
  return *value;
}

Result<std::uint32_t> index_of(std::string_view field, std::size_t line, const char* column) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || end != field.data() + field.size() || value >= kMaxExtent)
    return fail(ErrorCode::kInvalidArgument, "csv: line {}: {} must be a whole number from 0 to {}, is '{}'", line, column, kMaxExtent - 1,
                shown(field));
  return value;
}

Result<ExpertCounts> parse_list(Lines& lines) {
  const auto column = [&](std::string_view name) {
    return static_cast<std::size_t>(std::find(lines.fields().begin(), lines.fields().end(), name) - lines.fields().begin());
  };
  const std::size_t columns = lines.fields().size();
  const std::size_t layer_at = column("layer");
  const std::size_t expert_at = column("expert");
  const std::size_t count_at = column("count");
  struct Row {
    ExpertSlot slot;
    double count;
    std::size_t line;
  };
  std::vector<Row> rows;
  ExpertGeometry geometry;
  while (lines.next()) {
    if (lines.fields().size() != columns)
      return fail(ErrorCode::kInvalidArgument, "csv: line {}: has {} fields, the first line has {}", lines.number(), lines.fields().size(),
                  columns);
    FLEXPERT_ASSIGN(const std::uint32_t layer, index_of(lines.fields()[layer_at], lines.number(), "layer"));
    FLEXPERT_ASSIGN(const std::uint32_t expert, index_of(lines.fields()[expert_at], lines.number(), "expert"));
    FLEXPERT_ASSIGN(const double count, count_of(lines.fields()[count_at], lines.number(), layer, expert));
    geometry = {std::max(geometry.layers, layer + 1), std::max(geometry.experts, expert + 1)};
    rows.push_back({{layer, expert}, count, lines.number()});
  }
  if (rows.empty()) return fail(ErrorCode::kInvalidArgument, "csv: has no counts after its first line");
  // A list is mostly full; two far-off numbers must not fill the memory.
  if (geometry.size() > kMaxArrayElements || geometry.size() / 64 > rows.size() + 1024)
    return fail(ErrorCode::kResourceExhausted, "csv: {} layers x {} experts, but only {} counts listed", geometry.layers, geometry.experts,
                rows.size());
  ExpertCounts counts{geometry, std::vector<double>(geometry.size(), 0), 0};
  std::vector<bool> seen(geometry.size(), false);
  for (const Row& row : rows) {
    const std::size_t index = geometry.index(row.slot);
    if (seen[index])
      return fail(ErrorCode::kInvalidArgument, "csv: line {}: layer {} expert {} is there twice", row.line, row.slot.layer,
                  row.slot.expert);
    seen[index] = true;
    counts.count[index] = row.count;
  }
  return counts;
}

Result<ExpertCounts> parse_table(Lines& lines, bool names, bool layer_column) {
  ExpertCounts counts;
  const std::size_t columns = lines.fields().size();
  const std::size_t first = layer_column ? 1 : 0;
  if (columns <= first) return fail(ErrorCode::kInvalidArgument, "csv: line {}: has no column of counts", lines.number());
  if (columns - first > kMaxExtent)
    return fail(ErrorCode::kResourceExhausted, "csv: {} experts; at most {} are read", columns - first, kMaxExtent);
  counts.geometry.experts = static_cast<std::uint32_t>(columns - first);
  if (names && !lines.next()) return fail(ErrorCode::kInvalidArgument, "csv: has no counts after its first line");
  do {
    const auto& fields = lines.fields();
    const std::uint32_t layer = counts.geometry.layers;
    if (fields.size() != columns)
      return fail(ErrorCode::kInvalidArgument, "csv: line {}: layer {}: ragged: has {} fields, the first line has {}", lines.number(),
                  layer, fields.size(), columns);
    if (layer_column) {
      FLEXPERT_ASSIGN(const std::uint32_t named, index_of(fields[0], lines.number(), "layer"));
      if (named != layer)
        return fail(ErrorCode::kInvalidArgument, "csv: line {}: layer {} must come next, is {}", lines.number(), layer, named);
    }
    for (std::size_t i = first; i < columns; ++i) {
      FLEXPERT_ASSIGN(const double count, count_of(fields[i], lines.number(), layer, i - first));
      counts.count.push_back(count);
    }
    if (counts.count.size() > kMaxArrayElements)
      return fail(ErrorCode::kResourceExhausted, "csv: too large: more than {} numbers", kMaxArrayElements);
    ++counts.geometry.layers;
  } while (lines.next());
  return counts;
}

}  // namespace

Result<ExpertCounts> parse_expert_counts_csv(std::string_view text) {
  Lines lines(text);
  if (!lines.next()) return fail(ErrorCode::kInvalidArgument, "csv: has no counts");
  const auto& fields = lines.fields();
  const auto has = [&](std::string_view name) { return std::find(fields.begin(), fields.end(), name) != fields.end(); };
  if (has("layer") && has("expert") && has("count")) return parse_list(lines);
  const bool layer_column = fields.front() == "layer";
  const bool names =
      layer_column || std::none_of(fields.begin(), fields.end(), [](std::string_view field) { return number(field).has_value(); });
  return parse_table(lines, names, layer_column);
}

std::string write_expert_counts_csv(const ExpertCounts& counts) {
  std::string out = "layer";
  for (std::uint32_t expert = 0; expert < counts.geometry.experts; ++expert) out += fmt::format(",{}", expert);
  out += '\n';
  for (std::uint32_t layer = 0; layer < counts.geometry.layers; ++layer) {
    out += fmt::format("{}", layer);
    for (const double count : counts.layer(layer)) {
      out += ',';
      append_json_number(out, count);
    }
    out += '\n';
  }
  return out;
}

}  // namespace flexpert::codec
