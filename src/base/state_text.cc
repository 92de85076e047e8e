#include "base/state_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace flexpert {

void StateWriter::tag(std::string_view name) {
  out_ += name;
  out_ += '\n';
}

void StateWriter::number(double value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out_.append(digits, end);
  out_ += ' ';
}

void StateWriter::integer(std::int64_t value) {
  out_ += std::to_string(value);
  out_ += ' ';
}

void StateWriter::text(std::string_view value) {
  integer(static_cast<std::int64_t>(value.size()));
  out_ += value;
  out_ += ' ';
}

void StateWriter::numbers(const std::vector<double>& values) {
  integer(static_cast<std::int64_t>(values.size()));
  for (const double value : values) number(value);
}

std::string_view StateReader::token() {
  if (!ok()) return {};
  const std::size_t end = std::min(text_.find_first_of(" \n", at_), text_.size());
  const std::string_view found = text_.substr(at_, end - at_);
  if (found.empty()) reject("more text");
  at_ = std::min(end + 1, text_.size());
  return found;
}

void StateReader::tag(std::string_view expected) {
  const std::size_t at = at_;
  const std::string_view found = token();
  if (!ok() || found == expected) return;
  at_ = at;
  reject(fmt::format("\"{}\"", expected));
}

double StateReader::number() {
  const std::string_view found = token();
  double value = 0;
  const auto [end, error] = std::from_chars(found.data(), found.data() + found.size(), value);
  if (ok() && (error != std::errc() || end != found.data() + found.size())) reject("a number");
  return ok() ? value : 0;
}

std::int64_t StateReader::integer() {
  const std::string_view found = token();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(found.data(), found.data() + found.size(), value);
  if (ok() && (error != std::errc() || end != found.data() + found.size())) reject("a whole number");
  return ok() ? value : 0;
}

std::string StateReader::text() {
  const std::int64_t size = integer();
  if (!ok()) return {};
  if (size < 0 || static_cast<std::uint64_t>(size) >= text_.size() - at_ + 1) {
    reject("a text of that length");
    return {};
  }
  std::string value(text_.substr(at_, static_cast<std::size_t>(size)));
  at_ = std::min(at_ + value.size() + 1, text_.size());
  return value;
}

std::vector<double> StateReader::numbers() {
  const std::int64_t size = integer();
  // A number takes two characters at least.
  if (ok() && (size < 0 || static_cast<std::uint64_t>(size) > (text_.size() - at_ + 1) / 2)) reject("that many numbers");
  std::vector<double> values;
  if (!ok()) return values;
  values.reserve(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size && ok(); ++i) values.push_back(number());
  if (!ok()) values.clear();
  return values;
}

void StateReader::reject(std::string_view what) {
  if (ok()) error_ = fmt::format("saved state cannot be read at byte {}: expected {}", at_, what);
}

Result<void> StateReader::result() const {
  if (!ok()) return fail(ErrorCode::kDataLoss, "{}", error_);
  return {};
}

}  // namespace flexpert
