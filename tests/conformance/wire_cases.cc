#include "conformance/wire_cases.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "codec/tests/http1_messages.h"

namespace flexpert::conformance {
namespace {

/// Undoes \r, \n, \t, \\ and \xNN; nothing if there is another escape.
std::optional<std::string> unescaped(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    constexpr std::string_view kLetters = "rnt\\";
    constexpr std::string_view kBytes = "\r\n\t\\";
    if (const std::size_t at = kLetters.find(text[i]); at != std::string_view::npos) {
      bytes += kBytes[at];
    } else if (text[i] == 'x' && i + 2 < text.size()) {
      bytes += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      return std::nullopt;
    }
  }
  return bytes;
}

std::optional<WireCase> read_row(std::string_view line) {
  std::vector<std::string_view> cells;
  for (std::size_t tab = 0; tab != std::string_view::npos; line.remove_prefix(tab == std::string_view::npos ? 0 : tab + 1)) {
    tab = line.find('\t');
    cells.push_back(line.substr(0, tab));
  }
  if (cells.size() != 4 || (cells[0] != "request" && cells[0] != "answer")) return std::nullopt;
  auto input = unescaped(cells[3]);
  if (!input) return std::nullopt;
  return WireCase{.name = std::string(cells[2]), .verdict = std::string(cells[1]), .input = *std::move(input), .answer = cells[0] == "answer"};
}

template <class Messages>
std::string verdict_of(Messages& messages, std::string_view input, std::size_t piece) {
  int whole = 0;
  std::string bodies;
  while (!input.empty()) {
    std::string_view part = input.substr(0, piece == 0 ? input.size() : piece);
    input.remove_prefix(part.size());
    while (true) {
      const codec::Http1Step step = messages.next(part);
      if (step.event == codec::Http1Event::kError) return std::to_string(messages.error().status);
      part.remove_prefix(step.consumed);
      bodies += step.bytes;
      if (step.event == codec::Http1Event::kEnd) ++whole;
      if (step.event == codec::Http1Event::kNeedMore) break;
    }
  }
  const codec::Http1Event end = messages.finish();
  if (end == codec::Http1Event::kError) return "cut";
  if (end == codec::Http1Event::kEnd) ++whole;
  return fmt::format("ok {}{}{}", whole, bodies.empty() ? "" : " ", bodies);
}

}  // namespace

std::vector<WireCase> read_wire_cases(const std::string& path) {
  std::vector<WireCase> cases;
  std::ifstream file(path, std::ios::binary);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    auto row = read_row(line);
    if (!row) return {};
    cases.push_back(*std::move(row));
  }
  return cases;
}

std::string wire_verdict(const WireCase& wire_case, std::size_t piece) {
  if (wire_case.answer) {
    codec::Http1ResponseMessages messages;
    return verdict_of(messages, wire_case.input, piece);
  }
  codec::Http1RequestMessages messages;
  return verdict_of(messages, wire_case.input, piece);
}

}  // namespace flexpert::conformance
