#include "report/table.h"

#include <algorithm>

#include "report/terminal.h"

namespace flexpert::report {

namespace {

void append_cell(std::string& line, const std::string& cell, std::size_t width, Align align, bool last) {
  const std::size_t used = display_width(cell);
  const std::string padding(width > used ? width - used : 0, ' ');
  if (align == Align::kRight) line += padding;
  line += cell;
  if (align == Align::kLeft && !last) line += padding;
  if (!last) line += "  ";
}

}  // namespace

void Table::add_row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::vector<std::string> Table::lines(std::size_t width, bool colours) const {
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    std::size_t widest = display_width(columns_[column].title);
    for (const auto& row : rows_) widest = std::max(widest, display_width(row[column]));
    widths.push_back(widest);
  }
  std::vector<std::string> result;
  std::string title;
  for (std::size_t column = 0; column < columns_.size(); ++column)
    append_cell(title, columns_[column].title, widths[column], columns_[column].align, column + 1 == columns_.size());
  result.push_back(cut_to_width(styled(title, Style::kBold, colours), width));
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t column = 0; column < columns_.size(); ++column)
      append_cell(line, row[column], widths[column], columns_[column].align, column + 1 == columns_.size());
    result.push_back(cut_to_width(line, width));
  }
  return result;
}

std::string Table::text(std::size_t width, bool colours) const {
  std::string result;
  for (const std::string& line : lines(width, colours)) result += line + '\n';
  return result;
}

}  // namespace flexpert::report
