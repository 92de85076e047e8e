#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace flexpert {

/// Writes state as text that StateReader reads back bit for bit: doubles in their shortest exact form, NaN and infinity
/// too. Every component writes a tag first, so that state of another kind or version is told apart.
class StateWriter {
 public:
  /// A name and version, such as "holt/1": letters, digits, '_', '-', '/', '.'.
  void tag(std::string_view name);
  void number(double value);
  void integer(std::int64_t value);
  void text(std::string_view value);
  void numbers(const std::vector<double>& values);
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

/// Reads what StateWriter wrote. After the first mistake every call returns a zero value and error() says what was
/// expected where; nothing is allocated that the text does not hold.
class StateReader {
 public:
  explicit StateReader(std::string_view text) : text_(text) {}
  /// Reads a tag and compares it.
  void tag(std::string_view expected);
  double number();
  std::int64_t integer();
  std::string text();
  std::vector<double> numbers();
  /// Notes a mistake that the caller found, such as a count out of range.
  void reject(std::string_view what);
  [[nodiscard]] bool ok() const { return error_.empty(); }
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  /// Errors: kDataLoss with the first mistake.
  [[nodiscard]] Result<void> result() const;

 private:
  std::string_view token();

  std::string_view text_;
  std::size_t at_ = 0;
  std::string error_;
};

}  // namespace flexpert
