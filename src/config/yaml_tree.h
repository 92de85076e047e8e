#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace flexpert::config {

/// One value of a YAML document with the line it stands on; yaml-cpp stays behind parse_yaml().
struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMapping };
  struct Entry;

  Kind kind = Kind::kNull;
  int line = 1;                 ///< counted from 1
  std::string text;             ///< of a scalar
  bool quoted = false;          ///< the scalar was written in quotes, so it is text whatever it looks like
  std::vector<YamlNode> items;  ///< of a sequence
  std::vector<Entry> entries;   ///< of a mapping, in the order of the file

  /// Returns what stands here, for messages: "a list", "a mapping", "nothing", or the text itself.
  [[nodiscard]] std::string describe() const;
};

struct YamlNode::Entry {
  std::string key;
  int line = 1;
  YamlNode value;
};

inline constexpr std::size_t kMaxConfigBytes = 1024 * 1024;
inline constexpr int kMaxConfigDepth = 16;

/// Reads one YAML document. Bounded in size and depth; aliases are refused, so a document cannot grow by expanding.
/// An error says `SOURCE:LINE: what is wrong; allowed: ...`.
Result<YamlNode> parse_yaml(const std::string& text, const std::string& source);

/// Reads a file for parse_yaml(): the whole of it, or one byte more than it may have. Errors: kNotFound, kInvalidArgument.
Result<std::string> read_yaml_file(const std::string& path);

}  // namespace flexpert::config
