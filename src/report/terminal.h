#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace flexpert::report {

enum class Style { kPlain, kBold, kDim, kRed, kGreen, kYellow, kCyan };

/// What a file descriptor can show.
struct Terminal {
  bool interactive = false;  ///< it is a terminal that understands cursor movement
  bool colours = false;
  std::size_t width = 100;   ///< columns
  std::size_t height = 0;    ///< rows; 0 = unknown

  /// Asks the system about `fd`: TERM=dumb and NO_COLOR are heeded. The size is that of now; ask again after a resize.
  static Terminal of(int fd);
};

/// Returns `text` in a style, or as it is when colours are off.
std::string styled(std::string_view text, Style style, bool colours);

/// Counts the columns that UTF-8 text takes: one for each character, none for escape sequences.
std::size_t display_width(std::string_view text);
/// Cuts text to `width` columns, with an ellipsis at the end if something is lost. Escape sequences are kept whole, and a
/// style that was on is ended.
std::string cut_to_width(std::string_view text, std::size_t width);

}  // namespace flexpert::report
