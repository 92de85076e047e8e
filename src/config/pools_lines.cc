#include "config/pools_lines.h"

#include <charconv>

namespace flexpert::config {
namespace {

const YamlNode* child(const YamlNode& node, std::string_view key, int& line) {
  for (const YamlNode::Entry& entry : node.entries) {
    if (entry.key != key) continue;
    line = entry.line;
    return &entry.value;
  }
  return nullptr;
}

const YamlNode* item(const YamlNode& node, std::string_view index, int& line) {
  std::size_t at = 0;
  const auto [rest, error] = std::from_chars(index.data(), index.data() + index.size(), at);
  if (error != std::errc() || at >= node.items.size()) return nullptr;
  line = node.items[at].line;
  return &node.items[at];
}

}  // namespace

int line_of_path(const YamlNode& root, std::string_view path) {
  const YamlNode* node = &root;
  int line = root.line;
  while (!path.empty() && node != nullptr) {
    if (path.front() == '[') {
      const std::size_t close = path.find(']');
      if (close == std::string_view::npos) break;
      node = item(*node, path.substr(1, close - 1), line);
      path.remove_prefix(close + 1);
    } else {
      if (path.front() == '.') path.remove_prefix(1);
      const std::size_t end = std::min(path.find_first_of(".["), path.size());
      node = child(*node, path.substr(0, end), line);
      path.remove_prefix(end);
    }
  }
  return line;
}

void add_located(const YamlNode& root, ProblemList& problems, std::string_view prefix, const Error& error) {
  const std::string_view message = error.message;
  const std::size_t colon = std::min(message.find(": "), message.size());
  const std::size_t allowed = message.rfind("; allowed: ");
  const std::string path = std::string(prefix) + std::string(message.substr(0, colon));
  const std::string_view rest = colon == message.size() ? message : message.substr(colon + 2);
  if (allowed == std::string_view::npos || allowed < colon) return problems.add(line_of_path(root, path), path, rest, "see docs/reference/configuration.md");
  problems.add(line_of_path(root, path), path, message.substr(colon + 2, allowed - colon - 2), message.substr(allowed + 11));
}

}  // namespace flexpert::config
