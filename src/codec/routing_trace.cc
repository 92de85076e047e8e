#include "codec/routing_trace.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>
#include <vector>

#include "codec/gzip.h"

namespace flexpert::codec {
namespace {

constexpr std::uint32_t kMaxLayers = 1024;
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 32;
constexpr std::string_view kMark = "top";

/// Splits one line at commas outside quotes; a doubled quote within quotes is one. Nothing if a quote stays open or text
/// follows a closed one.
std::optional<std::vector<std::string>> split_line(std::string_view line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  bool closed = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted) {
      if (c != '"') {
        cells.back() += c;
      } else if (i + 1 < line.size() && line[i + 1] == '"') {
        cells.back() += c;
        ++i;
      } else {
        quoted = false;
        closed = true;
      }
    } else if (c == ',') {
      cells.emplace_back();
      closed = false;
    } else if (c == '"' && cells.back().empty() && !closed) {
      quoted = true;
    } else if (closed || c == '"') {
      return std::nullopt;
    } else {
      cells.back() += c;
    }
  }
  if (quoted) return std::nullopt;
  return cells;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  /// The next line that is not empty, without its end; nothing at the end of the text.
  std::optional<std::string_view> next() {
    while (!rest_.empty()) {
      const std::size_t end = std::min(rest_.find('\n'), rest_.size());
      std::string_view line = rest_.substr(0, end);
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      ++number_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty()) return line;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  std::string_view rest_;
  std::uint64_t number_ = 0;
};

constexpr std::size_t kAbsent = std::numeric_limits<std::size_t>::max();

struct Columns {
  std::size_t dataset = kAbsent;
  std::size_t category = kAbsent;
  std::size_t decode_tokens = kAbsent;
  std::size_t first_token = kAbsent;
  std::size_t all = 0;
};

Result<Columns> read_header(Lines& lines) {
  const auto line = lines.next();
  if (!line)
    return fail(ErrorCode::kInvalidArgument, "routing index: empty; it needs a header line with dataset,decode_tokens,first_token");
  const auto cells = split_line(*line);
  if (!cells) return fail(ErrorCode::kInvalidArgument, "routing index line {}: a quote is not closed or not doubled", lines.number());
  Columns columns{.all = cells->size()};
  const std::array wanted = {std::pair{"dataset", &columns.dataset}, std::pair{"category", &columns.category},
                             std::pair{"decode_tokens", &columns.decode_tokens}, std::pair{"first_token", &columns.first_token}};
  for (const auto& [name, place] : wanted) {
    const auto found = std::ranges::find(*cells, name);
    if (found == cells->end()) {
      if (place == &columns.category) continue;
      return fail(ErrorCode::kInvalidArgument,
                  "routing index: no column {}; the header must name dataset, decode_tokens and first_token", name);
    }
    if (std::find(found + 1, cells->end(), name) != cells->end())
      return fail(ErrorCode::kInvalidArgument, "routing index: the header names column {} twice", name);
    *place = static_cast<std::size_t>(found - cells->begin());
  }
  return columns;
}

Result<RoutingTrace::Request> read_request(const std::vector<std::string>& cells, const Columns& columns, std::uint64_t line,
                                           std::uint64_t expected) {
  if (cells.size() != columns.all)
    return fail(ErrorCode::kInvalidArgument, "routing index line {}: {} columns, the header has {}", line, cells.size(), columns.all);
  const auto first = number(cells[columns.first_token]);
  const auto tokens = number(cells[columns.decode_tokens]);
  if (!first || !tokens)
    return fail(ErrorCode::kInvalidArgument, "routing index line {}: {} must be a whole number, got \"{}\"", line,
                first ? "decode_tokens" : "first_token", cells[first ? columns.decode_tokens : columns.first_token]);
  if (*first != expected)
    return fail(ErrorCode::kInvalidArgument, "routing index line {}: first_token is {}, but the requests before it end at {}", line, *first,
                expected);
  if (*tokens > kMaxBytes - expected)
    return fail(ErrorCode::kInvalidArgument, "routing index line {}: more than {} tokens in all", line, kMaxBytes);
  if (cells[columns.dataset].empty()) return fail(ErrorCode::kInvalidArgument, "routing index line {}: the dataset (topic) is empty", line);
  return RoutingTrace::Request{.topic = cells[columns.dataset],
                               .category = columns.category == kAbsent ? std::string() : cells[columns.category],
                               .first_token = *first,
                               .tokens = *tokens};
}

Result<std::vector<RoutingTrace::Request>> read_index(std::string_view text) {
  Lines lines(text);
  FLEXPERT_ASSIGN(const Columns columns, read_header(lines));
  std::vector<RoutingTrace::Request> requests;
  std::uint64_t end = 0;
  while (const auto line = lines.next()) {
    const auto cells = split_line(*line);
    if (!cells) return fail(ErrorCode::kInvalidArgument, "routing index line {}: a quote is not closed or not doubled", lines.number());
    FLEXPERT_ASSIGN(RoutingTrace::Request request, read_request(*cells, columns, lines.number(), end));
    end = request.first_token + request.tokens;
    requests.push_back(std::move(request));
  }
  if (end == 0) return fail(ErrorCode::kInvalidArgument, "routing index: it names no tokens: {} requests", requests.size());
  return requests;
}

/// Settles layers and top-k: bytes = tokens * layers * top_k.
Result<void> settle_shape(RoutingTrace& trace, std::uint64_t bytes, std::uint64_t tokens, const RoutingTraceShape& shape) {
  const std::uint64_t given = tokens * std::max<std::uint64_t>(shape.top_k, 1) * std::max<std::uint64_t>(shape.layers, 1);
  const std::uint64_t rest = bytes / given;
  if (bytes == 0 || bytes % given != 0)
    return fail(ErrorCode::kDataLoss,
                "routing file: {} bytes are no multiple of the index's {} tokens x {} layers x top-{} (0: unknown); is it the index of "
                "this file?",
                bytes, tokens, shape.layers, shape.top_k);
  if (shape.top_k > 0 && shape.layers > 0 && rest != 1)
    return fail(ErrorCode::kDataLoss, "routing file: {} bytes, but {} tokens x {} layers x top-{} take {}", bytes, tokens, shape.layers,
                shape.top_k, given);
  const std::uint64_t layers = shape.layers > 0 ? shape.layers : rest;
  const std::uint64_t top_k = shape.top_k > 0 ? shape.top_k : rest;
  if (layers > kMaxLayers || top_k > 256)
    return fail(ErrorCode::kInvalidArgument, "routing file: {} bytes a token would be {} layers x top-{}; at most {} layers and top-256",
                bytes / tokens, layers, top_k, kMaxLayers);
  trace.geometry.layers = static_cast<std::uint32_t>(layers);
  trace.top_k = static_cast<std::uint32_t>(top_k);
  return {};
}

/// Checks range, and that a token chooses no expert twice in a layer.
Result<void> check_choices(const RoutingTrace& trace) {
  std::array<std::uint64_t, 256> seen{};  // number of the choice that named it last, from 1
  std::uint64_t choice = 0;
  for (std::size_t i = 0; i < trace.experts.size(); ++i) {
    if (i % trace.top_k == 0) ++choice;
    const std::uint8_t expert = trace.experts[i];
    const auto place = [&] { return std::pair((choice - 1) / trace.geometry.layers, (choice - 1) % trace.geometry.layers); };
    if (expert >= trace.geometry.experts)
      return fail(ErrorCode::kInvalidArgument, "routing file: token {} layer {} names expert {}, the model has {}", place().first,
                  place().second, expert, trace.geometry.experts);
    if (seen[expert] == choice)
      return fail(ErrorCode::kInvalidArgument, "routing file: token {} layer {} names expert {} twice; are {} layers and top-{} right?",
                  place().first, place().second, expert, trace.geometry.layers, trace.top_k);
    seen[expert] = choice;
  }
  return {};
}

std::string_view stem_of(std::string_view file_name) {
  for (const std::string_view end : {".gz", ".u8", ".bin"})
    if (file_name.ends_with(end)) file_name.remove_suffix(end.size());
  return file_name;
}

/// Where "_topN" or ".topN" begins at the end of a stem; npos without.
std::size_t mark_of(std::string_view stem) {
  const std::size_t at = stem.rfind(kMark);
  if (at == std::string_view::npos || at == 0 || !std::string_view("_.-").contains(stem[at - 1])) return std::string_view::npos;
  const auto value = number(stem.substr(at + kMark.size()));
  return value && *value > 0 && *value <= 256 ? at - 1 : std::string_view::npos;
}

}  // namespace

std::optional<std::uint32_t> top_k_of_name(std::string_view file_name) {
  const std::string_view stem = stem_of(file_name);
  const std::size_t mark = mark_of(stem);
  if (mark == std::string_view::npos) return std::nullopt;
  return static_cast<std::uint32_t>(*number(stem.substr(mark + 1 + kMark.size())));
}

std::string routing_index_name(std::string_view file_name) {
  const std::string_view stem = stem_of(file_name);
  return std::string(stem.substr(0, mark_of(stem))) + "_index.csv";
}

Result<RoutingTrace> parse_routing_trace(std::string_view bytes, std::string_view index, const RoutingTraceShape& shape) {
  if (shape.top_k == 0 && shape.layers == 0)
    return fail(ErrorCode::kInvalidArgument, "routing file: the experts a token chooses (top-k) are not known; give them, or the layers");
  if (shape.top_k > 256 || shape.layers > kMaxLayers || shape.experts > 256)
    return fail(ErrorCode::kInvalidArgument, "routing file: at most {} layers, top-256 and 256 experts fit: got {}, top-{}, {}", kMaxLayers,
                shape.layers, shape.top_k, shape.experts);
  RoutingTrace trace;
  FLEXPERT_ASSIGN(trace.requests, read_index(index));
  const std::uint64_t tokens = trace.requests.back().first_token + trace.requests.back().tokens;
  std::string inflated;
  if (is_gzip(bytes)) {
    const std::uint64_t most = tokens * (shape.top_k > 0 ? shape.top_k : 256) * (shape.layers > 0 ? shape.layers : kMaxLayers);
    FLEXPERT_ASSIGN(inflated, gunzip(bytes, std::min(most, kMaxBytes)));
    bytes = inflated;
  }
  FLEXPERT_TRY(settle_shape(trace, bytes.size(), tokens, shape));
  trace.experts.assign(bytes.begin(), bytes.end());
  trace.geometry.experts = shape.experts > 0 ? shape.experts : (std::ranges::max(trace.experts) / 8 + 1) * 8;
  FLEXPERT_TRY(check_choices(trace));
  return trace;
}

}  // namespace flexpert::codec
