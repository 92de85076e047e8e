#pragma once

#include <optional>
#include <string>
#include <string_view>

/// Cells of comma-separated text.
namespace flexpert::codec::csv {

/// Returns the cell without blanks around it and without quotes.
std::string_view trimmed(std::string_view text);
/// Returns it for a message: short and printable.
std::string shown(std::string_view field);
/// Returns the number that the whole cell is.
std::optional<double> number(std::string_view field);

}  // namespace flexpert::codec::csv
