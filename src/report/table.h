#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace flexpert::report {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

/// Rows of text under titles, each column as wide as its widest cell.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// Adds a row; missing cells are empty, cells past the last column are dropped.
  void add_row(std::vector<std::string> cells);
  [[nodiscard]] std::size_t rows() const { return rows_.size(); }
  /// Returns its lines, without newlines, none wider than `width`. With `colours` the titles are bold.
  [[nodiscard]] std::vector<std::string> lines(std::size_t width, bool colours) const;
  /// The same as one text, a newline after every line.
  [[nodiscard]] std::string text(std::size_t width, bool colours) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace flexpert::report
