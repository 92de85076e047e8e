#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/yaml_tree.h"

namespace flexpert::config {

/// Gathers what is wrong with one file, so that a reader sees up to ten problems at once.
class ProblemList {
 public:
  explicit ProblemList(std::string source) : source_(std::move(source)) {}

  /// Notes `SOURCE:LINE: path: what; allowed: allowed`.
  void add(int line, std::string_view path, std::string_view what, std::string_view allowed);
  [[nodiscard]] bool empty() const { return count_ == 0; }
  /// Returns the problems in the order of their lines, one a line.
  [[nodiscard]] Error to_error() const;

 private:
  struct Problem {
    int line;
    std::string text;
  };
  std::string source_;
  std::vector<Problem> problems_;
  std::size_t count_ = 0;
};

/// Limits of a number. `over_low` leaves `low` itself out.
struct Range {
  double low = 0;
  double high = 0;
  bool over_low = false;
};

/// Tells whether `text` is "HOST:PORT", "[IPV6]:PORT", "*:PORT" or "unix:PATH"; names are not resolved.
bool is_address(std::string_view text);

/// Checks one scalar each; on a problem it is noted and `out` keeps its value. `true` if `out` was set.
bool read_text(const YamlNode& node, const std::string& path, ProblemList& problems, std::string& out);
bool read_count(const YamlNode& node, const std::string& path, ProblemList& problems, std::uint32_t low, std::uint32_t high,
                std::uint32_t& out);

/// Reads the keys of one mapping. Every key is asked for once; finish() then reports the keys that nobody asked for.
/// A mapping that is absent or empty leaves every default; anything but a mapping is a problem.
class SectionReader {
 public:
  SectionReader(const YamlNode& node, std::string path, ProblemList& problems);

  /// Returns the value of `key`, or null if the file has none.
  const YamlNode* value(std::string_view key);
  void text(std::string_view key, std::string& out);
  void count(std::string_view key, std::uint32_t low, std::uint32_t high, std::uint32_t& out);
  /// A whole number that may be larger than a count.
  void amount(std::string_view key, std::uint64_t low, std::uint64_t high, std::uint64_t& out);
  void number(std::string_view key, Range range, double& out);
  void boolean(std::string_view key, bool& out);
  /// Bytes: a plain number, or one with KiB, MiB or GiB.
  void bytes(std::string_view key, std::uint64_t low, std::uint64_t high, std::uint64_t& out);
  /// "HOST:PORT", "[IPV6]:PORT", "*:PORT" or "unix:PATH".
  void address(std::string_view key, std::string& out);
  /// A list of non-empty texts.
  void texts(std::string_view key, std::vector<std::string>& out);
  /// One of `allowed`.
  void choice(std::string_view key, const std::vector<std::string>& allowed, std::string& out);

  /// Notes a problem with `key`, on its line.
  void problem(std::string_view key, std::string_view what, std::string_view allowed);
  /// Notes a problem if the section is a mapping that lacks `key`; `allowed` says what it may be.
  void require(std::string_view key, std::string_view allowed);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path_of(std::string_view key) const;
  /// Returns the line of `key`, or of the section where the key is absent.
  [[nodiscard]] int line_of(std::string_view key) const;
  void finish();

 private:
  const YamlNode& node_;
  std::string path_;
  ProblemList& problems_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace flexpert::config
