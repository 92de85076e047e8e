#include "conformance/http_cases.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string_view>

#include "codec/tests/http1_messages.h"

namespace flexpert::conformance {
namespace {

bool replace_all(std::string& text, std::string_view from, std::string_view to) {
  bool any = false;
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
    any = true;
  }
  return any;
}

/// The suite writes a message as text: each line end stands for CRLF, unless a backslash stands before it, and escapes for the rest.
std::string bytes_of(std::string text) {
  if (!text.empty() && text.back() == '\n') text.pop_back();
  replace_all(text, "\\\n", "");
  replace_all(text, "\n", "\r\n");
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    if (next == 'r' || next == 'n' || next == 't' || next == 'f') {
      bytes += next == 'r' ? '\r' : next == 'n' ? '\n' : next == 't' ? '\t' : '\f';
      ++i;
    } else if (next == 'x') {
      std::size_t end = i + 2;
      int value = 0;
      for (; end < text.size() && end < i + 4 && std::isxdigit(static_cast<unsigned char>(text[end])) != 0; ++end)
        value = value * 16 + (text[end] <= '9' ? text[end] - '0' : (text[end] | 0x20) - 'a' + 10);
      bytes += static_cast<char>(value);
      i = end - 1;
    } else {
      bytes += text[i];
    }
  }
  return bytes;
}

bool refused_by(const std::string& log) {
  const std::size_t at = log.rfind("error code=");
  if (at == std::string::npos) return false;
  const std::string rest = log.substr(at);
  return rest.find("reason=\"Pause on") == std::string::npos;  // upgrades: the rest is another protocol's
}

void read_file(const std::filesystem::path& path, std::vector<HttpCase>& cases) {
  std::ifstream file(path, std::ios::binary);
  std::string line;
  std::string heading;
  std::string meta;
  std::string fence;
  std::string text;
  std::string input;
  while (std::getline(file, line)) {
    if (fence.empty()) {
      if (line.starts_with("#")) heading = line.substr(line.find_first_not_of("# "));
      if (line.starts_with("<!-- meta=")) meta = line;
      if (line.starts_with("```")) {
        fence = line.substr(3);
        text.clear();
      }
      continue;
    }
    if (line != "```") {
      text += line + "\n";
      continue;
    }
    if (fence == "http") input = text;
    if (fence == "log") {
      HttpCase found;
      found.name = path.parent_path().filename().string() + "/" + path.filename().string() + ": " + heading;
      found.input = bytes_of(input);
      found.response = meta.find("\"response") != std::string::npos;
      found.lenient = meta.find("-lenient-") != std::string::npos;
      found.finish = meta.find("-finish\"") != std::string::npos;
      found.skip_body = meta.find("\"skipBody\"") != std::string::npos;
      found.refused = refused_by(text);
      cases.push_back(std::move(found));
    }
    fence.clear();
  }
}

/// Some cases stop inside the head that llhttp refuses already: whatever line or head may follow, it must stay refused.
constexpr std::string_view kRestOfHead = "\r\n\r\n";

template <class Parser>
std::optional<std::string> refusal(Parser& parser, const HttpCase& http_case, std::size_t piece) {
  const std::string all = http_case.input + std::string(http_case.refused && !http_case.finish ? kRestOfHead : "");
  const std::size_t step = piece == 0 ? std::max<std::size_t>(all.size(), 1) : piece;
  for (std::size_t at = 0; at < all.size(); at += step) {
    std::string_view left = std::string_view(all).substr(at, step);
    for (;;) {
      const codec::Http1Step taken = parser.next(left);
      if (taken.event == codec::Http1Event::kError) return parser.error().message;
      left.remove_prefix(taken.consumed);
      if (taken.event == codec::Http1Event::kNeedMore) break;
    }
  }
  if (http_case.finish && parser.finish() == codec::Http1Event::kError) return parser.error().message;
  return std::nullopt;
}

}  // namespace

std::vector<HttpCase> read_http_cases(const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error))
    if (entry.path().extension() == ".md") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<HttpCase> cases;
  for (const auto& path : paths) read_file(path, cases);
  return cases;
}

HttpCase with_host(HttpCase http_case) {
  if (http_case.response) return http_case;
  const std::size_t begin = http_case.input.find_first_not_of("\r\n");
  const std::size_t line_end = begin == std::string::npos ? begin : http_case.input.find("\r\n", begin);
  if (line_end == std::string::npos) return http_case;
  const std::string head = http_case.input.substr(line_end, http_case.input.find("\r\n\r\n", line_end) - line_end);
  for (const std::string_view spelling : {"\r\nHost:", "\r\nhost:", "\r\nHOST:"})
    if (head.find(spelling) != std::string::npos) return http_case;
  // A line that begins with white space is about what stands before it.
  http_case.input.insert(line_end, http_case.input.compare(line_end, 3, "\r\n ") == 0 ? "" : "\r\nHost: example.org");
  return http_case;
}

HttpJudgement judge(const HttpCase& http_case, std::size_t piece) {
  std::optional<std::string> why;
  if (http_case.response) {
    codec::Http1ResponseMessages parser;
    parser.set_answers_head(http_case.skip_body);
    why = refusal(parser, http_case, piece);
  } else {
    codec::Http1RequestMessages parser;
    why = refusal(parser, http_case, piece);
  }
  if (why.has_value() == http_case.refused) return {HttpVerdict::kSame, why.value_or("")};
  if (why) return {HttpVerdict::kStricter, *why};
  return {HttpVerdict::kLaxer, {}};
}

}  // namespace flexpert::conformance
